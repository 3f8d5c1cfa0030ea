-- At every reference date: each request made before it is in exactly one state, in the mart and in
-- the indicators; received = pending assessment + rejected + withdrawn + approved; approved = in
-- realisation + realised; the provinces add up to the whole; and the region's gross is that of the
-- concessions together, its net the same without what was repeated.
with received as (
    select
        reference_dates.concession,
        reference_dates.reference_date,
        reference_dates.delivered,
        count(requests.request_id) as requests,
        count(requests.request_id) filter (
            where requests.repeated_on < reference_dates.reference_date
        ) as repeated
    from {{ ref('int_reference_dates') }} as reference_dates
    left join {{ ref('int_requests') }} as requests
        on
            reference_dates.concession = requests.concession
            and reference_dates.reference_date > requests.requested_on
    group by
        reference_dates.concession, reference_dates.reference_date, reference_dates.delivered
),

mart as (
    select
        concession,
        reference_date,
        sum(requests) as requests,
        sum(repeated) as repeated
    from {{ ref('mart_requests') }}
    group by concession, reference_date
),

indicators as (
    select
        case area_type
            when 'concession' then '{"concession":"' || area_code || '"}' else dimensions
        end as dimensions,
        period,
        case when area_type = 'province' then 'provinces' else 'whole' end as area_type,
        sum(value) filter (where indicator = 'requests_received') as received,
        sum(value) filter (where indicator = 'requests_pending_assessment') as pending_assessment,
        sum(value) filter (where indicator = 'requests_rejected') as rejected,
        sum(value) filter (where indicator = 'requests_withdrawn') as withdrawn,
        sum(value) filter (where indicator = 'requests_approved') as approved,
        sum(value) filter (where indicator = 'requests_in_realisation') as in_realisation,
        sum(value) filter (where indicator = 'requests_realised') as realised
    from {{ ref('indicator_values') }}
    where
        indicator like 'requests%'
        and period_type = 'reference_date'
        -- Gelderland + Overijssel are among the provinces.
        and area_type <> 'provinces'
    group by 1, 2, 3
),

regional as (
    select distinct
        dimensions,
        period
    from indicators
    where dimensions like '%counting%'
),

-- What the indicators should come to. The region has a figure at those dates at which it has any.
expected as (
    select
        '{"concession":"' || concession || '"}' as dimensions,
        cast(reference_date as {{ dbt.type_string() }}) as period,
        requests
    from received
    where delivered
    union all
    select
        regional.dimensions,
        regional.period,
        sum(received.requests)
        - case when regional.dimensions like '%net%' then sum(received.repeated) else 0 end
            as requests
    from received
    inner join regional
        on cast(received.reference_date as {{ dbt.type_string() }}) = regional.period
    group by regional.dimensions, regional.period
),

-- Both must be there, also where nothing was requested.
area_types as (
    select 'whole' as area_type
    union all
    select 'provinces' as area_type
),

final as (
    select
        'indicators' as finding,
        expected.dimensions || ' ' || expected.period || ' ' || area_types.area_type as detail
    from expected
    cross join area_types
    left join indicators
        on
            area_types.area_type = indicators.area_type
            and expected.dimensions = indicators.dimensions
            and expected.period = indicators.period
    where
        coalesce(indicators.received, -1) <> expected.requests
        or coalesce(
            indicators.pending_assessment
            + indicators.rejected
            + indicators.withdrawn
            + indicators.approved,
            -1
        ) <> expected.requests
        or coalesce(indicators.in_realisation + indicators.realised, -1) <> indicators.approved
    union all
    select
        'mart' as finding,
        received.concession || ' ' || received.reference_date as detail
    from received
    left join mart
        on
            received.concession = mart.concession
            and received.reference_date = mart.reference_date
    where
        coalesce(mart.requests, 0) <> received.requests
        or coalesce(mart.repeated, 0) <> received.repeated
)

select * from final
