-- Totals by province and state are exact in indicator_values, at every reference date; so what was
-- received in a month is too. In no combination of province, month of request and state, the finest
-- that these can come to, do the cells that are hidden tell one another.
with newest as (
    select
        concession,
        max(reference_date) as reference_date
    from {{ ref('mart_requests') }}
    group by concession
),

municipalities as (
    select * from {{ ref('dim_municipality') }}
),

cells as (
    select
        requests.concession,
        requests.reference_date,
        requests.request_month,
        municipalities.province,
        requests.municipality_code,
        requests.state,
        requests.reason,
        requests.requests,
        requests.requests < {{ var('fewest_told') }} as is_small
    from {{ ref('mart_requests') }} as requests
    inner join newest
        on
            requests.concession = newest.concession
            and requests.reference_date = newest.reference_date
    inner join municipalities
        on requests.municipality_code = municipalities.municipality_code
),

summed as (
    select
        *,
        sum(requests) over (
            partition by concession, request_month, province, state
        ) as all_requests,
        sum(requests) over (
            partition by concession, request_month, province, state, is_small
        ) < {{ var('fewest_told') }} as is_small_together
    from cells
),

-- Requests add up: small cells that together are enough hide one another.
hidden as (
    select
        *,
        {{ suppression(
            'is_small',
            ['concession', 'request_month', 'province', 'state'],
            'requests, municipality_code, reason',
            needed='bool_or(is_small_together) over (
                partition by concession, request_month, province, state
            )'
        ) }} as suppression
    from summed
),

-- Where even all together are too few it is not told in which municipalities and for which reasons
-- they were: any could be.
few as (
    select distinct
        concession,
        reference_date,
        request_month,
        province,
        state
    from hidden
    where all_requests < {{ var('fewest_told') }}
),

reasons as (
    select distinct
        concession,
        state,
        reason
    from cells
),

told as (
    select
        concession,
        reference_date,
        request_month,
        municipality_code,
        state,
        reason,
        case when suppression = 'none' then requests end as requests,
        suppression
    from hidden
    where all_requests >= {{ var('fewest_told') }}
    union all
    select
        few.concession,
        few.reference_date,
        few.request_month,
        municipalities.municipality_code,
        few.state,
        reasons.reason,
        null as requests,
        'small' as suppression
    from few
    inner join municipalities on few.province = municipalities.province
    inner join reasons
        on few.concession = reasons.concession and few.state = reasons.state
),

final as (
    select
        concession,
        request_month,
        municipality_code,
        state,
        reason,
        reference_date,
        requests,
        suppression,
        concession as origin
    from told
)

select * from final
order by concession, request_month, municipality_code, state, reason
