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

-- RVO counts every municipality; without one the count of an area is too low.
missing_counts as (
    select
        'month of RVO without a municipality of the region' as finding,
        months.month || ' ' || municipalities.municipality_code as detail
    from {{ ref('int_counted_months') }} as months
    cross join {{ ref('dim_municipality') }} as municipalities
    left join {{ ref('mart_coverage') }} as counted
        on
            months.month = counted.month
            and municipalities.municipality_code = counted.municipality_code
    where months.source = 'rvo' and counted.month is null
),

other_charge_points as (
    select
        'station that names another number of charge points than it says' as finding,
        placements.concession || ' ' || placements.placement_id as detail
    from {{ ref('int_placements') }} as placements
    inner join {{ ref('stg_concession__charge_points') }} as named
        on
            placements.concession = named.concession
            and placements.placement_id = named.placement_id
            and placements.delivery_id = named.delivery_id
    group by placements.concession, placements.placement_id, placements.charge_points
    having count(*) <> placements.charge_points
),

final as (
    select * from not_placed
    union all
    select * from old_boundaries
    union all
    select * from missing_boundaries
    union all
    select * from missing_counts
    union all
    select * from other_charge_points
)

select * from final
