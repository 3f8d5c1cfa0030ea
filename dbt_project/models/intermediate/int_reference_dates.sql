with concessions as (
    select * from {{ ref('concessions') }}
),

delivered_months as (
    select
        concessions.concession,
        concessions.concession_name,
        deliveries.period as last_month,
        bool_or(deliveries.demo) as demo
    from concessions
    inner join {{ ref('stg_ledger__deliveries') }} as deliveries
        on deliveries.dataset = concessions.concession || '/requests'
    group by concessions.concession, concessions.concession_name, deliveries.period
),

-- The earliest request whose accepted version is invented: counts from then on rest on it.
demo_requests as (
    select
        concession,
        min(requested_on) as first_requested_on
    from {{ ref('int_requests') }}
    where demo
    group by concession
),

dated as (
    select
        *,
        {{ next_month_start(first_day_of('last_month')) }} as reference_date,
        bool_or(demo) over (
            partition by concession
            order by last_month
            rows between unbounded preceding and current row
        ) as demo_delivered
    from delivered_months
),

final as (
    select
        dated.concession,
        dated.concession_name,
        dated.reference_date,
        dated.last_month,
        dated.demo_delivered
        or coalesce(demo_requests.first_requested_on < dated.reference_date, false) as demo
    from dated
    left join demo_requests on dated.concession = demo_requests.concession
)

select * from final
