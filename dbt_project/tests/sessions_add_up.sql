-- What the months that were made in this build come to is what counts of the records: each session in
-- one placement, one station, and its energy and time in the quarter-hours of the region. Of other
-- months this was so when they were made.
with months_to_make as (
    select * from {{ ref('int_session_months_to_make') }}
),

counted as (
    select
        concession,
        month,
        count(*) as sessions,
        sum(energy_kwh) as energy_kwh
    from {{ ref('int_sessions') }}
    group by concession, month
),

summed as (
    select
        concession,
        month,
        sum(sessions) as sessions,
        sum(energy_kwh) as energy_kwh,
        coalesce(sum(energy_kwh) filter (where placement = 'in_region'), 0) as region_kwh,
        coalesce(sum(connected_h) filter (where placement = 'in_region'), 0) as region_h
    from {{ ref('int_session_months') }}
    where month in (select month from months_to_make)
    group by concession, month
),

stations as (
    select
        concession,
        month,
        sum(sessions) as sessions,
        sum(energy_kwh) as energy_kwh
    from {{ ref('int_station_months') }}
    group by concession, month
),

profiles as (
    select
        concession,
        month,
        sum(energy_kwh) as energy_kwh,
        sum(connected_evse_h) as connected_h
    from {{ ref('mart_use_profile') }}
    group by concession, month
),

final as (
    select
        coalesce(counted.concession, summed.concession) as concession,
        coalesce(counted.month, summed.month) as month,
        counted.sessions,
        summed.sessions as in_months,
        stations.sessions as in_stations,
        counted.energy_kwh,
        summed.energy_kwh as in_months_kwh,
        stations.energy_kwh as in_stations_kwh,
        summed.region_kwh,
        coalesce(profiles.energy_kwh, 0) as in_profile_kwh,
        summed.region_h,
        coalesce(profiles.connected_h, 0) as in_profile_h
    from counted
    full outer join summed
        on counted.concession = summed.concession and counted.month = summed.month
    left join stations
        on summed.concession = stations.concession and summed.month = stations.month
    left join profiles
        on summed.concession = profiles.concession and summed.month = profiles.month
)

select * from final
where
    sessions is distinct from in_months
    or sessions is distinct from in_stations
    or energy_kwh is distinct from in_months_kwh
    or energy_kwh is distinct from in_stations_kwh
    or region_kwh is distinct from in_profile_kwh
    or region_h is distinct from in_profile_h
