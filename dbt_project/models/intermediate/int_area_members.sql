with municipalities as (
    select * from {{ ref('dim_municipality') }}
)

select
    'nal_region' as area_type,
    'nal_oost' as area_code,
    'NAL-regio Oost' as area_name,
    municipality_code
from municipalities
union all
-- The base of RVO's figures: without Veenendaal, which lies in Utrecht.
select
    'provinces' as area_type,
    'gelderland_overijssel' as area_code,
    'Gelderland + Overijssel' as area_name,
    municipality_code
from municipalities
where province in ('Gelderland', 'Overijssel')
union all
select
    'province' as area_type,
    province as area_code,
    province as area_name,
    municipality_code
from municipalities
