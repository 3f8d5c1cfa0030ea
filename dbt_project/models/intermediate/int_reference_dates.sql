with concessions as (
    select * from {{ ref('stg_mappings__concessions') }}
),

delivered as (
    select
        concessions.concession,
        deliveries.period as last_month,
        bool_or(deliveries.demo) as demo
    from concessions
    inner join {{ ref('stg_ledger__deliveries') }} as deliveries
        on deliveries.dataset = concessions.concession || '/requests'
    group by concessions.concession, deliveries.period
),

-- Delivered up to its end: its requests stand as they were last told, also when it tells no more.
ended as (
    select
        concessions.concession,
        min(delivered.last_month) as last_month
    from concessions
    inner join delivered
        on
            concessions.concession = delivered.concession
            and {{ month_of(dbt.dateadd('day', -1, 'concessions.requests_until')) }}
            <= delivered.last_month
    group by concessions.concession
),

delivered_months as (
    select distinct last_month
    from delivered
),

months as (
    select
        concession,
        last_month,
        true as delivered,
        demo
    from delivered
    union all
    select
        ended.concession,
        others.last_month,
        false as delivered,
        false as demo
    from ended
    inner join delivered_months as others on ended.last_month < others.last_month
    left join delivered as own
        on
            ended.concession = own.concession
            and others.last_month = own.last_month
    where own.last_month is null
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
    from months
),

final as (
    select
        dated.concession,
        concessions.concession_name,
        dated.reference_date,
        dated.last_month,
        dated.delivered,
        dated.demo_delivered
        or coalesce(demo_requests.first_requested_on < dated.reference_date, false) as demo
    from dated
    inner join concessions on dated.concession = concessions.concession
    left join demo_requests on dated.concession = demo_requests.concession
)

select * from final
