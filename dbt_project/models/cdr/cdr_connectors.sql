with connectors as (
    select * from {{ ref('stg_ocpi__connectors') }}
),

told as (
    select * from {{ ref('int_cdr_locations') }}
),

final as (
    select
        connectors.country_code,
        connectors.party_id,
        connectors.location_id,
        connectors.evse_uid,
        connectors.connector_id,
        told.municipality_code,
        {{ unless_left_out_of_location('connectors', 'standard') }},
        {{ unless_left_out_of_location('connectors', 'power_type') }},
        {{ unless_left_out_of_location('connectors', 'max_voltage_v') }},
        {{ unless_left_out_of_location('connectors', 'max_amperage_a') }},
        {{ unless_left_out_of_location('connectors', 'power_kw') }},
        {{ unless_left_out_of_location('connectors', 'power_origin') }},
        connectors.last_updated,
        told.concession as origin
    from connectors
    inner join told
        on
            connectors.concession = told.concession
            and connectors.month = told.month
            and connectors.country_code = told.country_code
            and connectors.party_id = told.party_id
            and connectors.location_id = told.location_id
)

select * from final
