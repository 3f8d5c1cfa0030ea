{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ forget_months(ref('int_session_months_to_make')) }}"
) }}

with sessions as (
    select * from {{ ref('int_sessions') }}
),

charge_points as (
    select distinct
        concession,
        month,
        placement,
        municipality_code,
        country_code,
        party_id,
        location_id,
        evse_uid
    from sessions
),

charge_points_used as (
    select
        concession,
        month,
        placement,
        municipality_code,
        count(*) as charge_points_used
    from charge_points
    group by concession, month, placement, municipality_code
),

-- Whoever charges in two municipalities is in both: drivers do not add up.
drivers_of_concession as (
    select
        concession,
        month,
        placement,
        count(distinct token_pseudonym) as drivers
    from sessions
    group by concession, month, placement
),

drivers_of_all as (
    select
        month,
        placement,
        count(distinct token_pseudonym) as drivers
    from sessions
    group by month, placement
),

summed as (
    select
        concession,
        month,
        placement,
        municipality_code,
        count(*) as sessions,
        cast(sum(energy_kwh) as decimal(18, 4)) as energy_kwh,
        cast(sum(connected_h) as decimal(18, 4)) as connected_h,
        -- Of the sessions whose parking time is known; how many that are stands beside it.
        cast(coalesce(sum(parked_h), 0) as decimal(18, 4)) as parked_h,
        cast(
            coalesce(sum(case when parked_h is not null then connected_h - parked_h end), 0)
            as decimal(18, 4)
        ) as charged_h,
        count(parked_h) as charged_h_known_sessions,
        count(distinct token_pseudonym) as drivers,
        bool_or(demo) as demo
    from sessions
    group by concession, month, placement, municipality_code
),

final as (
    select
        summed.concession,
        summed.month,
        summed.placement,
        summed.municipality_code,
        summed.sessions,
        summed.energy_kwh,
        summed.connected_h,
        summed.parked_h,
        summed.charged_h,
        summed.charged_h_known_sessions,
        summed.drivers,
        drivers_of_concession.drivers as drivers_of_concession,
        drivers_of_all.drivers as drivers_of_all,
        charge_points_used.charge_points_used,
        summed.demo
    from summed
    inner join charge_points_used
        on
            summed.concession = charge_points_used.concession
            and summed.month = charge_points_used.month
            and summed.placement = charge_points_used.placement
            -- Null outside of all known municipalities.
            and summed.municipality_code is not distinct from charge_points_used.municipality_code
    inner join drivers_of_concession
        on
            summed.concession = drivers_of_concession.concession
            and summed.month = drivers_of_concession.month
            and summed.placement = drivers_of_concession.placement
    inner join drivers_of_all
        on
            summed.month = drivers_of_all.month
            and summed.placement = drivers_of_all.placement
)

select * from final
