{{ config(severity='warn') }}
-- What does not make a figure wrong by itself but must be seen by whoever uses it.
with not_placed as (
    select
        'snapshot without boundaries: no charge point figures' as finding,
        month as detail
    from {{ ref('int_locations') }}
    group by month
    having not bool_or(placed)
),

old_boundaries as (
    select distinct
        'placed with boundaries that are no longer current' as finding,
        locations.month as detail
    from {{ ref('int_locations') }} as locations
    left join {{ ref('stg_ledger__deliveries') }} as deliveries
        on locations.boundaries_delivery_id = deliveries.delivery_id
    where locations.placed and deliveries.delivery_id is null
),

missing_boundaries as (
    select
        'edition of the boundaries without a municipality of the region' as finding,
        editions.edition || ' ' || municipalities.municipality_code as detail
    from (select distinct edition from {{ ref('stg_pdok__municipality_boundaries') }}) as editions
    cross join {{ ref('dim_municipality') }} as municipalities
    left join {{ ref('stg_pdok__municipality_boundaries') }} as boundaries
        on
            editions.edition = boundaries.edition
            and municipalities.municipality_code = boundaries.municipality_code
    where boundaries.municipality_code is null
),

too_early as (
    select
        'request from before the concession' as finding,
        requests.concession || ' ' || requests.request_id as detail
    from {{ ref('int_requests') }} as requests
    inner join {{ ref('concessions') }} as concessions
        on requests.concession = concessions.concession
    where requests.requested_on < concessions.requests_from
),

final as (
    select * from not_placed
    union all
    select * from old_boundaries
    union all
    select * from missing_boundaries
    union all
    select * from too_early
)

select * from final
