-- Before a month is over its delivery holds part of it. One without any session of the month is of
-- records that began before and were changed in it, and not of a month in which nobody charged.
with deliveries as (
    select
        source as concession,
        period as month,
        bool_or(demo) as demo
    from {{ ref('stg_ledger__deliveries') }}
    where
        dataset = source || '/sessions'
        and {{ month_of(local_time('received_at')) }} > period
    group by source, period
),

used as (
    select distinct
        concession,
        month
    from {{ ref('int_session_months') }}
)

select
    deliveries.concession,
    deliveries.month,
    deliveries.demo
from deliveries
inner join used
    on deliveries.concession = used.concession and deliveries.month = used.month
