with locations as (
    select * from {{ ref('stg_ocpi__locations') }}
),

latest_snapshots as (
    select
        concession,
        max(month) as month
    from locations
    group by concession
),

places as (
    select * from {{ ref('stg_derived__location_municipality') }}
),

instructions as (
    select * from {{ ref('stg_instructions') }}
),

final as (
    select
        locations.country_code,
        locations.party_id,
        locations.location_id,
        places.municipality_code,
        locations.month as snapshot_month,
        locations.publish,
        {{ unless_left_out('locations', 'address') }},
        {{ unless_left_out('locations', 'city') }},
        {{ unless_left_out('locations', 'postal_code') }},
        {{ unless_left_out('locations', 'latitude') }},
        {{ unless_left_out('locations', 'longitude') }},
        {{ unless_left_out('locations', 'parking_type') }},
        {{ unless_left_out('locations', 'operator_name') }},
        locations.last_updated,
        locations.concession as origin
    from locations
    inner join latest_snapshots
        on
            locations.concession = latest_snapshots.concession
            and locations.month = latest_snapshots.month
    inner join places
        on
            locations.dataset = places.dataset
            and locations.month = places.month
            and locations.country_code = places.country_code
            and locations.party_id = places.party_id
            and locations.location_id = places.location_id
    inner join instructions
        on places.municipality_code = instructions.municipality_code
)

select * from final
