-- Periods are put on the grid of monthly reference dates and counted before they are joined to the
-- dates, so that the join is over cells, not over requests.
with cells as (
    select
        concession,
        {{ month_of('requested_on') }} as request_month,
        municipality_code,
        state,
        reason,
        {{ next_month_start('begun_on') }} as first_reference_date,
        {{ next_month_start('ended_on') }} as end_reference_date,
        {{ next_month_start('repeated_on') }} as repeated_reference_date,
        count(*) as requests
    from {{ ref('int_request_states') }}
    group by 1, 2, 3, 4, 5, 6, 7, 8
),

reference_dates as (
    select * from {{ ref('int_reference_dates') }}
),

final as (
    select
        cells.concession,
        reference_dates.reference_date,
        cells.request_month,
        cells.municipality_code,
        cells.state,
        cells.reason,
        cast(sum(cells.requests) as bigint) as requests,
        cast(sum(
            case
                when cells.repeated_reference_date <= reference_dates.reference_date
                    then cells.requests
                else 0
            end
        ) as bigint) as repeated
    from cells
    inner join reference_dates
        on
            cells.concession = reference_dates.concession
            and cells.first_reference_date <= reference_dates.reference_date
            and (
                cells.end_reference_date is null
                or cells.end_reference_date > reference_dates.reference_date
            )
    group by
        cells.concession,
        reference_dates.reference_date,
        cells.request_month,
        cells.municipality_code,
        cells.state,
        cells.reason
)

select * from final
order by concession, reference_date, request_month, municipality_code, state, reason
