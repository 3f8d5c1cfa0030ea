-- What the forecast of the region adds up to is what was staged of its municipalities: no
-- neighbourhood is lost, counted twice, or in two quantities; and the region's indicator is it too.
with staged as (
    select
        outlook.edition,
        outlook.scenario,
        outlook.year,
        sum(
            outlook.public_charge_points + outlook.square_charge_points
            + outlook.destination_charge_points + outlook.garage_charge_points
            + outlook.fast_charge_points + outlook.electric_cars
        ) as forecast
    from {{ ref('stg_elaadnl__passenger_outlook') }} as outlook
    inner join {{ ref('dim_municipality') }} as municipalities
        on outlook.municipality_code = municipalities.municipality_code
    group by outlook.edition, outlook.scenario, outlook.year
),

mart as (
    select
        edition,
        scenario,
        year,
        sum(forecast) as forecast
    from {{ ref('mart_forecast') }}
    group by edition, scenario, year
),

indicators as (
    select
        period,
        dimensions,
        sum(value) as forecast
    from {{ ref('indicator_values') }}
    where indicator like 'forecast%' and area_type = 'nal_region'
    group by period, dimensions
),

final as (
    select
        coalesce(staged.edition, mart.edition) as edition,
        coalesce(staged.scenario, mart.scenario) as scenario,
        coalesce(staged.year, mart.year) as year,
        staged.forecast as in_staging,
        mart.forecast as in_mart,
        indicators.forecast as in_indicators
    from staged
    full outer join mart
        on
            staged.edition = mart.edition
            and staged.scenario = mart.scenario
            and staged.year = mart.year
    left join indicators
        on
            cast(mart.year as {{ dbt.type_string() }}) = indicators.period
            and indicators.dimensions
            = '{"edition":"' || mart.edition || '","scenario":"' || mart.scenario || '"}'
)

select * from final
where
    in_staging is distinct from in_mart
    -- Four quantities, each rounded to four decimals.
    or abs(in_indicators - in_mart) > 0.0002
