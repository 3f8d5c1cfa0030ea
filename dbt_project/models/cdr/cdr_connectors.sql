with connectors as (
    select * from {{ ref('stg_ocpi__connectors') }}
),

locations as (
    select * from {{ ref('cdr_locations') }}
),

instructions as (
    select * from {{ ref('stg_instructions') }}
),

final as (
    select
        connectors.country_code,
        connectors.party_id,
        connectors.location_id,
        connectors.evse_uid,
        connectors.connector_id,
        locations.municipality_code,
        {{ unless_left_out('connectors', 'standard') }},
        {{ unless_left_out('connectors', 'power_type') }},
        {{ unless_left_out('connectors', 'max_voltage_v') }},
        {{ unless_left_out('connectors', 'max_amperage_a') }},
        {{ unless_left_out('connectors', 'power_kw') }},
        {{ unless_left_out('connectors', 'power_origin') }},
        connectors.last_updated,
        locations.origin
    from connectors
    inner join locations
        on
            connectors.concession = locations.origin
            and connectors.month = locations.snapshot_month
            and connectors.country_code = locations.country_code
            and connectors.party_id = locations.party_id
            and connectors.location_id = locations.location_id
    inner join instructions
        on locations.municipality_code = instructions.municipality_code
)

select * from final
