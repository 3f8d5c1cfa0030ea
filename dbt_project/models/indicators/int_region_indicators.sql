-- Reference data: real, whatever was delivered.
with years as (
    select distinct left(period, 4) as period
    from {{ ref('stg_ledger__deliveries') }}
),

by_area as (
    select
        members.area_type,
        members.area_code,
        members.area_name,
        count(*) as municipalities_total,
        count(distinct municipalities.res_region) as res_regions
    from {{ ref('int_area_members') }} as members
    inner join {{ ref('dim_municipality') }} as municipalities
        on members.municipality_code = municipalities.municipality_code
    where members.area_type in ('nal_region', 'province')
    group by members.area_type, members.area_code, members.area_name
),

counts as (
    select
        'municipalities_total' as indicator,
        municipalities_total as value,
        *
    from by_area
    union all
    select
        'res_regions' as indicator,
        res_regions as value,
        *
    from by_area
    -- Foodvalley is reported with Gelderland, so Utrecht has none of its own.
    where area_code <> 'Utrecht'
)

select
    counts.indicator,
    counts.area_type,
    counts.area_code,
    counts.area_name,
    'year' as period_type,
    years.period,
    '{}' as dimensions,
    cast(counts.value as decimal(18, 4)) as value,
    'count' as unit,
    false as demo,
    'goral' as origin
from counts
cross join years
