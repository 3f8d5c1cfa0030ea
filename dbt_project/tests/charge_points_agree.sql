-- The charge points of a month are as many in mart_charge_points, among those placed in the region,
-- and in the indicators of the region and of its provinces together.
with mart as (
    select
        source,
        month,
        sum(charge_points) as charge_points
    from {{ ref('mart_charge_points') }}
    group by source, month
),

placed as (
    select
        source,
        month,
        sum(charge_points) filter (where placement = 'in_region') as charge_points
    from {{ ref('mart_location_placement') }}
    group by source, month
),

indicators as (
    select
        dimensions,
        period as month,
        sum(value) filter (where area_type = 'nal_region') as region,
        sum(value) filter (where area_type = 'province') as provinces,
        sum(value) filter (where area_type = 'provinces') as two_provinces,
        sum(value) filter (
            where area_type = 'province' and area_code in ('Gelderland', 'Overijssel')
        ) as each_of_two
    from {{ ref('indicator_values') }}
    where indicator like 'charge_points%' and period_type = 'month'
    group by dimensions, period
),

final as (
    select
        placed.source,
        placed.month,
        coalesce(placed.charge_points, 0) as placed,
        coalesce(mart.charge_points, 0) as in_mart,
        coalesce(indicators.region, 0) as in_indicators,
        coalesce(indicators.provinces, 0) as in_provinces,
        coalesce(indicators.two_provinces, 0) as in_two_provinces,
        coalesce(indicators.each_of_two, 0) as in_each_of_two
    from placed
    full outer join mart on placed.source = mart.source and placed.month = mart.month
    left join indicators
        on
            placed.month = indicators.month
            and indicators.dimensions = '{"source":"' || placed.source || '"}'
)

select * from final
where
    source is null
    or placed <> in_mart
    or placed <> in_indicators
    or placed <> in_provinces
    or in_two_provinces <> in_each_of_two
