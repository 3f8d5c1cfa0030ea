with concession_months as (
    select distinct
        concession,
        month
    from {{ ref('int_session_quarter_hours') }}
),

-- Each quarter-hour of the day has a row, also the one in which nothing was charged.
quarter_hours as (
    select
        concession,
        month,
        {{ numbers_to('95') }} as quarter_hour
    from concession_months
),

final as (
    select
        quarter_hours.month,
        quarter_hours.concession,
        cast(quarter_hours.quarter_hour as integer) as quarter_hour,
        cast(coalesce(spread.energy_kwh, 0) as decimal(12, 4)) as energy_kwh,
        cast(coalesce(spread.connected_h, 0) as decimal(18, 4)) as connected_evse_h,
        true as is_estimate
    from quarter_hours
    left join {{ ref('int_session_quarter_hours') }} as spread
        on
            quarter_hours.concession = spread.concession
            and quarter_hours.month = spread.month
            and quarter_hours.quarter_hour = spread.quarter_hour
)

select * from final
order by month, concession, quarter_hour
