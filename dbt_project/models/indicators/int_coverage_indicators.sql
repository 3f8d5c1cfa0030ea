-- Rates of an area are of its sums. An area of which a municipality is not known has none.
with members as (
    select
        *,
        count(*) over (partition by area_type, area_code) as area_size
    from {{ ref('int_area_members') }}
),

months as (
    select
        month,
        demo
    from {{ ref('int_counted_months') }}
    where source = 'rvo'
),

yearly as (
    select
        year,
        demo
    from {{ ref('stg_rvo__vehicles') }}
    union all
    select
        year,
        demo
    from {{ ref('stg_rvo__inhabitants') }}
),

demo_years as (
    select
        year,
        bool_or(demo) as demo
    from yearly
    group by year
),

by_area as (
    select
        coverage.month,
        coverage.vehicle_base,
        coverage.vehicle_year,
        members.area_type,
        members.area_code,
        members.area_name,
        cast(sum(coverage.charge_points) as decimal(18, 6)) as charge_points,
        case when count(coverage.vehicles) = members.area_size then sum(coverage.vehicles) end
            as vehicles,
        case when count(coverage.inhabitants) = members.area_size then sum(coverage.inhabitants) end
            as inhabitants
    from {{ ref('mart_coverage') }} as coverage
    inner join members on coverage.municipality_code = members.municipality_code
    group by 1, 2, 3, 4, 5, 6, members.area_size
),

rates as (
    select
        'charge_points_per_vehicle' as indicator,
        'charge points per vehicle' as unit,
        '{"source":"rvo","vehicles":"' || vehicle_base || '"}' as dimensions,
        charge_points / nullif(vehicles, 0) as value,
        *
    from by_area
    union all
    select
        'charge_points_per_1000_inhabitants' as indicator,
        'charge points per 1,000 inhabitants' as unit,
        '{"source":"rvo"}' as dimensions,
        1000 * charge_points / nullif(inhabitants, 0) as value,
        *
    from by_area
    where vehicle_base = 'end_user'
)

select
    rates.indicator,
    rates.area_type,
    rates.area_code,
    rates.area_name,
    'month' as period_type,
    rates.month as period,
    rates.dimensions,
    cast(rates.value as decimal(18, 4)) as value,
    rates.unit,
    months.demo or coalesce(demo_years.demo, false) as demo,
    'rvo' as origin
from rates
inner join months on rates.month = months.month
left join demo_years on rates.vehicle_year = demo_years.year
where rates.value is not null
