select
    municipality_code,
    municipality_name,
    province,
    res_region,
    reporting_province
from {{ ref('municipalities') }}
where in_region
order by municipality_code
