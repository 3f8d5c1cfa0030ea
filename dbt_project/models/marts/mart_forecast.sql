with quantities (quantity) as (
    values
    ('public_regular'),
    ('semi_public_regular'),
    ('fast'),
    ('electric_cars')
),

-- Fractions of neighbourhoods are added up, never rounded.
by_municipality as (
    select
        outlook.edition,
        outlook.scenario,
        outlook.year,
        outlook.municipality_code,
        sum(outlook.public_charge_points + outlook.square_charge_points) as public_regular,
        sum(outlook.destination_charge_points + outlook.garage_charge_points)
            as semi_public_regular,
        sum(outlook.fast_charge_points) as fast,
        sum(outlook.electric_cars) as electric_cars
    from {{ ref('stg_elaadnl__passenger_outlook') }} as outlook
    inner join {{ ref('dim_municipality') }} as municipalities
        on outlook.municipality_code = municipalities.municipality_code
    group by outlook.edition, outlook.scenario, outlook.year, outlook.municipality_code
),

forecasts as (
    select
        by_municipality.edition,
        by_municipality.scenario,
        by_municipality.year,
        by_municipality.municipality_code,
        quantities.quantity,
        cast(
            case quantities.quantity
                when 'public_regular' then by_municipality.public_regular
                when 'semi_public_regular' then by_municipality.semi_public_regular
                when 'fast' then by_municipality.fast
                else by_municipality.electric_cars
            end as decimal(18, 9)
        ) as forecast
    from by_municipality
    cross join quantities
),

counts as (
    select
        {{ kind_of('access', 'speed') }} as quantity,
        cast(left(month, 4) as integer) as year,
        municipality_code,
        month,
        sum(charge_points) as realised
    from {{ ref('mart_charge_points') }}
    where source = 'rvo'
    group by 1, 2, 3, 4
    union all
    -- Counted on 1 January: the end of the year before, or at worst the year itself.
    select
        'electric_cars' as quantity,
        vehicles.year - years_back.years as year,
        vehicles.municipality_code,
        cast(vehicles.year as {{ dbt.type_string() }}) || '-01' as month,
        vehicles.vehicles as realised
    from {{ ref('stg_rvo__vehicles') }} as vehicles
    cross join (values (0), (1)) as years_back (years)
    where vehicles.kind = 'passenger_cars_end_user'
),

last_counts as (
    select
        *,
        row_number() over (
            partition by quantity, year, municipality_code
            order by month desc
        ) as count_rank
    from counts
),

final as (
    select
        forecasts.edition,
        forecasts.scenario,
        forecasts.year,
        forecasts.municipality_code,
        forecasts.quantity,
        forecasts.forecast,
        cast(counts.realised as bigint) as realised,
        counts.month as realised_month,
        cast(counts.realised - forecasts.forecast as decimal(18, 9)) as difference,
        case when counts.realised is null then 'elaadnl' else 'elaadnl+rvo' end as origin
    from forecasts
    left join last_counts as counts
        on
            forecasts.quantity = counts.quantity
            and forecasts.year = counts.year
            and forecasts.municipality_code = counts.municipality_code
            and counts.count_rank = 1
)

select * from final
order by edition, scenario, year, municipality_code, quantity
