-- The charge points of a source and month are as many in mart_charge_points as in the indicators of
-- the region and of its provinces together; as many of DOT-NL as were placed in the region; as many
-- as in mart_charge_point_comparison; and as many of RVO as in mart_coverage.
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
    where indicator like 'charge_points%' and period_type = 'month' and unit = 'count'
    group by dimensions, period
),

compared as (
    select
        month,
        sum(rvo) filter (where kind = 'total') as rvo,
        sum(rvo) filter (where kind <> 'total') as rvo_kinds,
        sum(ndw_dotnl) filter (where kind = 'total') as ndw_dotnl,
        sum(ndw_dotnl) filter (where kind <> 'total') as ndw_dotnl_kinds,
        sum(concessions) filter (where kind = 'total') as concessions,
        sum(concessions) filter (where kind <> 'total') as concessions_kinds
    from {{ ref('mart_charge_point_comparison') }}
    group by month
),

covered as (
    select
        month,
        sum(charge_points) as charge_points
    from {{ ref('mart_coverage') }}
    where vehicle_base = 'end_user'
    group by month
),

by_month as (
    select
        month,
        sum(charge_points) filter (where source = 'rvo') as rvo,
        sum(charge_points) filter (where source = 'ndw_dotnl') as ndw_dotnl,
        sum(charge_points) filter (where source not in ('rvo', 'ndw_dotnl')) as concessions
    from mart
    group by month
),

final as (
    select
        'indicators' as finding,
        months.source || ' ' || months.month as detail
    from {{ ref('int_counted_months') }} as months
    left join mart on months.source = mart.source and months.month = mart.month
    left join indicators
        on
            months.month = indicators.month
            and indicators.dimensions = '{"source":"' || months.source || '"}'
    where
        coalesce(mart.charge_points, 0) <> coalesce(indicators.region, -1)
        or coalesce(indicators.provinces, -1) <> indicators.region
        or indicators.two_provinces <> indicators.each_of_two
    union all
    select
        'placement' as finding,
        placed.source || ' ' || placed.month as detail
    from placed
    left join mart on placed.source = mart.source and placed.month = mart.month
    where coalesce(placed.charge_points, 0) <> coalesce(mart.charge_points, 0)
    union all
    select
        'comparison' as finding,
        by_month.month as detail
    from by_month
    left join compared on by_month.month = compared.month
    where
        by_month.rvo is distinct from compared.rvo
        or by_month.rvo is distinct from compared.rvo_kinds
        or coalesce(by_month.ndw_dotnl, 0) <> coalesce(compared.ndw_dotnl, 0)
        or coalesce(by_month.ndw_dotnl, 0) <> coalesce(compared.ndw_dotnl_kinds, 0)
        or coalesce(by_month.concessions, 0) <> coalesce(compared.concessions, 0)
        or coalesce(by_month.concessions, 0) <> coalesce(compared.concessions_kinds, 0)
    union all
    select
        'coverage' as finding,
        by_month.month as detail
    from by_month
    left join covered on by_month.month = covered.month
    where by_month.rvo is distinct from covered.charge_points
)

select * from final
