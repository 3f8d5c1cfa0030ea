with reference_dates as (
    select * from {{ ref('int_reference_dates') }}
),

dates as (
    select distinct reference_date
    from reference_dates
),

-- The region has a figure only where each concession that had begun is known up to that date.
region_dates as (
    select
        dates.reference_date,
        bool_or(known.demo) as demo,
        {{ dbt.listagg('known.concession', "'+'", 'order by known.concession') }} as origin
    from dates
    inner join {{ ref('stg_mappings__concessions') }} as concessions
        on dates.reference_date > concessions.requests_from
    left join reference_dates as known
        on
            concessions.concession = known.concession
            and dates.reference_date = known.reference_date
    group by dates.reference_date
    having count(*) = count(known.concession)
),

-- What is counted together: a concession's own requests; those of all, each or once.
scopes as (
    select
        concession as scope,
        reference_date,
        '{"concession":"' || concession || '"}' as dimensions,
        demo,
        concession as origin
    from reference_dates
    where delivered
    union all
    select
        'region:' || countings.counting as scope,
        region_dates.reference_date,
        '{"counting":"' || countings.counting || '"}' as dimensions,
        region_dates.demo,
        region_dates.origin
    from region_dates
    cross join (values ('gross'), ('net')) as countings (counting)
),

members as (
    select * from {{ ref('int_area_members') }}
    union all
    select
        'concession' as area_type,
        concessions.concession as area_code,
        concessions.concession_name as area_name,
        municipalities.municipality_code
    from {{ ref('stg_mappings__concessions') }} as concessions
    cross join {{ ref('dim_municipality') }} as municipalities
),

-- The whole of a concession is an area of its own, that of all is the region.
scope_areas as (
    select distinct
        scopes.scope,
        members.area_type,
        members.area_code,
        members.area_name
    from scopes
    inner join members
        on
            members.area_type = 'province'
            or scopes.scope = members.area_code
            or (members.area_type <> 'concession' and scopes.scope like 'region:%')
),

counts as (
    select
        concession as scope,
        reference_date,
        municipality_code,
        state,
        requests
    from {{ ref('mart_requests') }}
    union all
    select
        'region:gross' as scope,
        reference_date,
        municipality_code,
        state,
        requests
    from {{ ref('mart_requests') }}
    union all
    select
        'region:net' as scope,
        reference_date,
        municipality_code,
        state,
        requests - repeated as requests
    from {{ ref('mart_requests') }}
),

states_of_indicators (indicator, state) as (
    values
    ('requests_received', 'pending_assessment'),
    ('requests_received', 'rejected'),
    ('requests_received', 'withdrawn'),
    ('requests_received', 'in_realisation'),
    ('requests_received', 'realised'),
    ('requests_pending_assessment', 'pending_assessment'),
    ('requests_rejected', 'rejected'),
    ('requests_withdrawn', 'withdrawn'),
    ('requests_approved', 'in_realisation'),
    ('requests_approved', 'realised'),
    ('requests_in_realisation', 'in_realisation'),
    ('requests_realised', 'realised')
),

indicators as (
    select distinct indicator
    from states_of_indicators
),

by_municipality as (
    select
        scope,
        reference_date,
        municipality_code,
        state,
        sum(requests) as requests
    from counts
    group by scope, reference_date, municipality_code, state
),

by_area as (
    select
        counts.scope,
        counts.reference_date,
        states_of_indicators.indicator,
        members.area_type,
        members.area_code,
        sum(counts.requests) as requests
    from by_municipality as counts
    inner join members on counts.municipality_code = members.municipality_code
    inner join states_of_indicators on counts.state = states_of_indicators.state
    group by 1, 2, 3, 4, 5
)

-- Also where nothing is in that state: a missing row could as well be a missing delivery.
select
    indicators.indicator,
    scope_areas.area_type,
    scope_areas.area_code,
    scope_areas.area_name,
    'reference_date' as period_type,
    cast(scopes.reference_date as {{ dbt.type_string() }}) as period,
    case when scope_areas.area_type = 'concession' then '{}' else scopes.dimensions end
        as dimensions,
    cast(coalesce(by_area.requests, 0) as decimal(18, 4)) as value,
    'count' as unit,
    scopes.demo,
    scopes.origin
from scopes
inner join scope_areas on scopes.scope = scope_areas.scope
cross join indicators
left join by_area
    on
        scopes.scope = by_area.scope
        and scopes.reference_date = by_area.reference_date
        and indicators.indicator = by_area.indicator
        and scope_areas.area_type = by_area.area_type
        and scope_areas.area_code = by_area.area_code
