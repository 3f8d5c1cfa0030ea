select
    outlook.edition,
    outlook.business_park_id,
    outlook.year,
    outlook.business_park_name,
    outlook.municipality_code,
    outlook.electric_vans,
    outlook.electric_trucks,
    outlook.charging_demand_kwh,
    'elaadnl' as origin
from {{ ref('stg_elaadnl__logistics_outlook') }} as outlook
inner join {{ ref('dim_municipality') }} as municipalities
    on outlook.municipality_code = municipalities.municipality_code
order by outlook.edition, outlook.business_park_id, outlook.year
