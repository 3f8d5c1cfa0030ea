-- At every reference date: each request made before it is in exactly one state, in the mart and in
-- the indicators; received = pending assessment + rejected + withdrawn + approved; approved = in
-- realisation + realised; and the provinces add up to the concession.
with received as (
    select
        reference_dates.concession,
        reference_dates.reference_date,
        count(requests.request_id) as requests
    from {{ ref('int_reference_dates') }} as reference_dates
    left join {{ ref('int_requests') }} as requests
        on
            reference_dates.concession = requests.concession
            and reference_dates.reference_date > requests.requested_on
    group by reference_dates.concession, reference_dates.reference_date
),

mart as (
    select
        concession,
        reference_date,
        sum(requests) as requests
    from {{ ref('mart_requests') }}
    group by concession, reference_date
),

-- Both must be there, also where nothing was requested.
area_types as (
    select 'concession' as area_type
    union all
    select 'province' as area_type
),

indicators as (
    select
        case area_type
            when 'concession' then '{"concession":"' || area_code || '"}' else dimensions
        end as dimensions,
        period,
        area_type,
        sum(value) filter (where indicator = 'requests_received') as received,
        sum(value) filter (where indicator = 'requests_pending_assessment') as pending_assessment,
        sum(value) filter (where indicator = 'requests_rejected') as rejected,
        sum(value) filter (where indicator = 'requests_withdrawn') as withdrawn,
        sum(value) filter (where indicator = 'requests_approved') as approved,
        sum(value) filter (where indicator = 'requests_in_realisation') as in_realisation,
        sum(value) filter (where indicator = 'requests_realised') as realised
    from {{ ref('indicator_values') }}
    where indicator like 'requests%' and period_type = 'reference_date'
    group by 1, 2, 3
),

final as (
    select
        received.concession,
        received.reference_date,
        area_types.area_type,
        received.requests as requests_made,
        coalesce(mart.requests, 0) as in_mart,
        indicators.received,
        indicators.pending_assessment,
        indicators.rejected,
        indicators.withdrawn,
        indicators.approved,
        indicators.in_realisation,
        indicators.realised
    from received
    cross join area_types
    left join mart
        on
            received.concession = mart.concession
            and received.reference_date = mart.reference_date
    left join indicators
        on
            area_types.area_type = indicators.area_type
            and indicators.dimensions = '{"concession":"' || received.concession || '"}'
            and indicators.period = cast(received.reference_date as {{ dbt.type_string() }})
)

select * from final
where
    requests_made <> in_mart
    or coalesce(received, -1) <> requests_made
    or coalesce(pending_assessment + rejected + withdrawn + approved, -1) <> requests_made
    or in_realisation + realised <> approved
