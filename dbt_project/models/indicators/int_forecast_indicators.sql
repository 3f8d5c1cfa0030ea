-- An area of which the edition lacks a municipality has no forecast.
with members as (
    select
        *,
        count(*) over (partition by area_type, area_code) as area_size
    from {{ ref('int_area_members') }}
),

editions as (
    select
        edition,
        bool_or(demo) as demo
    from {{ ref('stg_elaadnl__passenger_outlook') }}
    group by edition
)

select
    case forecasts.quantity
        when 'electric_cars' then 'forecast_electric_cars'
        else 'forecast_charge_points_' || forecasts.quantity
    end as indicator,
    members.area_type,
    members.area_code,
    members.area_name,
    'year' as period_type,
    cast(forecasts.year as {{ dbt.type_string() }}) as period,
    '{"edition":"' || forecasts.edition || '","scenario":"' || forecasts.scenario || '"}'
        as dimensions,
    cast(sum(forecasts.forecast) as decimal(18, 4)) as value,
    'count' as unit,
    editions.demo,
    'elaadnl' as origin
from {{ ref('mart_forecast') }} as forecasts
inner join members on forecasts.municipality_code = members.municipality_code
inner join editions on forecasts.edition = editions.edition
group by 1, 2, 3, 4, 5, 6, 7, editions.demo, members.area_size
having count(*) = members.area_size
