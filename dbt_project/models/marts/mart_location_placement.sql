with locations as (
    select
        source,
        month,
        placement,
        near_border,
        count(*) as locations
    from {{ ref('int_locations') }}
    group by source, month, placement, near_border
),

charge_points as (
    select
        source,
        month,
        placement,
        near_border,
        count(*) filter (where counted) as counted,
        count(*) filter (where not counted) as not_counted
    from {{ ref('int_charge_points') }}
    group by source, month, placement, near_border
),

final as (
    select
        locations.source,
        locations.month,
        locations.placement,
        locations.near_border,
        locations.locations,
        coalesce(charge_points.counted, 0) as charge_points,
        coalesce(charge_points.not_counted, 0) as charge_points_not_counted
    from locations
    left join charge_points
        on
            locations.source = charge_points.source
            and locations.month = charge_points.month
            and locations.placement = charge_points.placement
            and locations.near_border = charge_points.near_border
)

select * from final
order by source, month, placement, near_border
