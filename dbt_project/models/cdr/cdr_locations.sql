with locations as (
    select * from {{ ref('stg_ocpi__locations') }}
),

told as (
    select * from {{ ref('int_cdr_locations') }}
),

final as (
    select
        locations.country_code,
        locations.party_id,
        locations.location_id,
        told.municipality_code,
        told.month as snapshot_month,
        locations.publish,
        {{ unless_left_out_of_location('locations', 'address') }},
        {{ unless_left_out_of_location('locations', 'city') }},
        {{ unless_left_out_of_location('locations', 'postal_code') }},
        {{ unless_left_out_of_location('locations', 'latitude') }},
        {{ unless_left_out_of_location('locations', 'longitude') }},
        {{ unless_left_out_of_location('locations', 'parking_type') }},
        {{ unless_left_out_of_location('locations', 'operator_name') }},
        locations.last_updated,
        told.concession as origin
    from locations
    inner join told
        on
            locations.concession = told.concession
            and locations.month = told.month
            and locations.country_code = told.country_code
            and locations.party_id = told.party_id
            and locations.location_id = told.location_id
)

select * from final
