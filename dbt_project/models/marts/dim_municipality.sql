select
    municipality_code,
    municipality_name,
    province,
    res_region,
    reporting_province,
    'goral' as origin
from {{ ref('municipalities') }}
where in_region
order by municipality_code
