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

-- Where even all together are too few, or each hidden cell must be the least or the most that it
-- can be, it is not told in which municipalities and for which reasons they were: any could be.
groups as (
    select
        concession,
        reference_date,
        request_month,
        province,
        state,
        max(all_requests) as all_requests,
        sum(case when suppression <> 'none' then requests else 0 end) as hidden_requests,
        sum(case when suppression = 'small' then 1 else 0 end) as small_cells,
        sum(case when suppression = 'complementary' then 1 else 0 end) as large_cells
    from hidden
    group by concession, reference_date, request_month, province, state
),

spread as (
    select * from groups
    where
        all_requests < {{ var('fewest_told') }}
        or small_cells > 0
        and (
            hidden_requests = small_cells + {{ var('fewest_told') }} * large_cells
            or large_cells = 0
            and hidden_requests = ({{ var('fewest_told') }} - 1) * small_cells
        )
),

reasons as (
    select distinct
        concession,
        state,
        reason
    from cells
),

anywhere as (
    select
        spread.concession,
        spread.reference_date,
        spread.request_month,
        municipalities.municipality_code,
        spread.state,
        reasons.reason
    from spread
    inner join municipalities on spread.province = municipalities.province
    inner join reasons
        on spread.concession = reasons.concession and spread.state = reasons.state
),

told as (
    select
        hidden.concession,
        hidden.reference_date,
        hidden.request_month,
        hidden.municipality_code,
        hidden.state,
        hidden.reason,
        case when hidden.suppression = 'none' then hidden.requests end as requests,
        hidden.suppression
    from hidden
    left join spread
        on
            hidden.concession = spread.concession
            and hidden.request_month = spread.request_month
            and hidden.province = spread.province
            and hidden.state = spread.state
    where spread.state is null or hidden.suppression <> 'small'
    union all
    select
        anywhere.*,
        null as requests,
        'small' as suppression
    from anywhere
    left join hidden
        on
            anywhere.concession = hidden.concession
            and anywhere.request_month = hidden.request_month
            and anywhere.municipality_code = hidden.municipality_code
            and anywhere.state = hidden.state
            and anywhere.reason = hidden.reason
            and hidden.suppression <> 'small'
    where hidden.state is null
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
