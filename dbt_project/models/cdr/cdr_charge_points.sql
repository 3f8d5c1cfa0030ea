with charge_points as (
    select * from {{ ref('stg_ocpi__charge_points') }}
),

locations as (
    select * from {{ ref('cdr_locations') }}
),

instructions as (
    select * from {{ ref('stg_instructions') }}
),

final as (
    select
        charge_points.country_code,
        charge_points.party_id,
        charge_points.location_id,
        charge_points.evse_uid,
        locations.municipality_code,
        {{ unless_left_out('charge_points', 'evse_id') }},
        {{ unless_left_out('charge_points', 'status') }},
        charge_points.last_updated,
        locations.origin
    from charge_points
    inner join locations
        on
            charge_points.concession = locations.origin
            and charge_points.month = locations.snapshot_month
            and charge_points.country_code = locations.country_code
            and charge_points.party_id = locations.party_id
            and charge_points.location_id = locations.location_id
    inner join instructions
        on locations.municipality_code = instructions.municipality_code
)

select * from final
