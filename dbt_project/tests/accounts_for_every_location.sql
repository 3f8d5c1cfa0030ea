-- Every accepted location and charge point of a snapshot is in mart_location_placement exactly
-- once, and a snapshot is placed as a whole or not at all.
-- Distinct: a file that is read twice must not pass for two locations. Of a snapshot that is not new
-- this was so when it was.
with new_months as (
    select distinct month
    from {{ ref('stg_ndw_dotnl__locations') }}
    where is_new
),

distinct_locations as (
    select distinct
        month,
        country_code,
        party_id,
        location_id
    from {{ ref('stg_ndw_dotnl__locations') }}
    where is_new
),

staged_locations as (
    select
        month,
        count(*) as locations
    from distinct_locations
    group by month
),

distinct_charge_points as (
    select distinct
        month,
        country_code,
        party_id,
        location_id,
        evse_uid
    from {{ ref('stg_ndw_dotnl__charge_points') }}
    where is_new
),

staged_charge_points as (
    select
        month,
        count(*) as charge_points
    from distinct_charge_points
    group by month
),

placed as (
    select
        month,
        sum(locations) as locations,
        sum(charge_points + charge_points_not_counted) as charge_points
    from {{ ref('mart_location_placement') }}
    where source = 'ndw_dotnl' and month in (select month from new_months)
    group by month
),

partly_placed as (
    select
        month,
        count(*) filter (where not placed) as not_placed
    from {{ ref('int_locations') }}
    where month in (select month from new_months)
    group by month
    having bool_or(placed)
),

final as (
    select
        coalesce(staged_locations.month, placed.month, staged_charge_points.month) as month,
        coalesce(staged_locations.locations, 0) as locations_accepted,
        coalesce(placed.locations, 0) as locations_in_mart,
        coalesce(staged_charge_points.charge_points, 0) as charge_points_accepted,
        coalesce(placed.charge_points, 0) as charge_points_in_mart,
        coalesce(partly_placed.not_placed, 0) as locations_not_placed
    from staged_locations
    full outer join placed on staged_locations.month = placed.month
    full outer join staged_charge_points on staged_locations.month = staged_charge_points.month
    left join partly_placed on staged_locations.month = partly_placed.month
)

select * from final
where
    locations_accepted <> locations_in_mart
    or charge_points_accepted <> charge_points_in_mart
    or locations_not_placed > 0
