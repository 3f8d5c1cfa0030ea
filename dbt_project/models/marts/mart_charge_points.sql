select
    source,
    month,
    municipality_code,
    access,
    speed,
    count(*) as charge_points
from {{ ref('int_charge_points') }}
where placement = 'in_region' and counted
group by source, month, municipality_code, access, speed
order by source, month, municipality_code, access, speed
