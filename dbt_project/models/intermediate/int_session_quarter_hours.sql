-- An estimate: energy is spread evenly over the time that the car is taken to charge, from when it
-- was connected. In whole tenths of a watt-hour, and as differences of sums rounded down: what is
-- rounded off one quarter-hour is in the next, so that they add up to just what was charged.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ forget_months(ref('int_session_months_to_make')) }}"
) }}

with sessions as (
    select
        concession,
        month,
        demo,
        {{ seconds('started_at') }} as begun_s,
        {{ seconds('ended_at', up=true) }} - {{ seconds('started_at') }} as connected_s,
        -- All of it where it is not known how long it was parked.
        cast((connected_h - coalesce(parked_h, 0)) * 3600 as bigint) as charging_s,
        cast(energy_kwh * 10000 as bigint) as energy_units,
        cast(connected_h * 10000 as bigint) as connected_units
    from {{ ref('int_sessions') }}
    where placement = 'in_region'
),

-- Of a session of more than a year nothing is known by the hour; it counts where it began. The
-- products below then stay within 64 bits, whatever a record says that was accepted.
limited as (
    select
        concession,
        month,
        demo,
        begun_s,
        begun_s % 900 as into_quarter_s,
        case when connected_s <= 366 * 86400 then connected_s else 1 end as connected_s,
        least(
            charging_s, case when connected_s <= 366 * 86400 then connected_s else 1 end
        ) as charging_s,
        energy_units,
        connected_units
    from sessions
),

quarters as (
    select
        *,
        {{ numbers_to(whole_quotient('into_quarter_s + connected_s - 1', '900')) }}
            as quarter_number
    from limited
),

-- How much of the session lies before a quarter-hour begins, and before it ends.
bounded as (
    select
        concession,
        month,
        demo,
        connected_s,
        charging_s,
        energy_units,
        connected_units,
        quarter_number,
        begun_s - into_quarter_s + quarter_number * 900 as quarter_begin_s,
        greatest(quarter_number * 900 - into_quarter_s, 0) as before_s,
        least((quarter_number + 1) * 900 - into_quarter_s, connected_s) as up_to_s,
        least(greatest(quarter_number * 900 - into_quarter_s, 0), charging_s) as charged_before_s,
        least((quarter_number + 1) * 900 - into_quarter_s, charging_s) as charged_up_to_s
    from quarters
),

spread as (
    select
        concession,
        month,
        demo,
        quarter_begin_s,
        case
            -- Parked all the time, it is said, and yet it charged.
            when charging_s = 0 then case when quarter_number = 0 then energy_units else 0 end
            else
                {{ whole_quotient('energy_units * charged_up_to_s', 'charging_s') }}
                - {{ whole_quotient('energy_units * charged_before_s', 'charging_s') }}
        end as energy_units,
        {{ whole_quotient('connected_units * up_to_s', 'connected_s') }}
        - {{ whole_quotient('connected_units * before_s', 'connected_s') }} as connected_units
    from bounded
),

-- By quarter-hour first: what clocks showed is then asked once for all sessions in it.
summed as (
    select
        concession,
        month,
        {{ local_time(moment_of('quarter_begin_s')) }} as local_begin,
        sum(energy_units) as energy_units,
        sum(connected_units) as connected_units,
        bool_or(demo) as demo
    from spread
    group by concession, month, quarter_begin_s
),

final as (
    select
        concession,
        month,
        cast(
            extract(hour from local_begin) * 4 + extract(minute from local_begin) / 15 as integer
        ) as quarter_hour,
        cast(cast(sum(energy_units) as decimal(18, 0)) * 0.0001 as decimal(18, 4)) as energy_kwh,
        cast(cast(sum(connected_units) as decimal(18, 0)) * 0.0001 as decimal(18, 4))
            as connected_h,
        bool_or(demo) as demo
    from summed
    group by 1, 2, 3
)

select * from final
