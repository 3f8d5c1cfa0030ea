-- Of int_sessions, which in the build of these tables holds every month there is.
with sessions as (
    select * from {{ ref('int_sessions') }}
),

details as (
    select * from {{ ref('stg_concession__session_details') }}
),

instructions as (
    select * from {{ ref('stg_instructions') }}
),

final as (
    select
        sessions.country_code,
        sessions.party_id,
        sessions.cdr_id as id,
        sessions.month,
        sessions.municipality_code,
        sessions.started_at as start_date_time,
        sessions.ended_at as end_date_time,
        {{ unless_left_out('details', 'session_id') }},
        {{ unless_left_out('sessions', 'token_pseudonym') }},
        {{ unless_left_out('details', 'token_type') }},
        {{ unless_left_out('details', 'auth_method') }},
        sessions.location_id,
        {{ unless_left_out('details', 'address') }},
        {{ unless_left_out('details', 'city') }},
        {{ unless_left_out('details', 'postal_code') }},
        {{ unless_left_out('details', 'latitude') }},
        {{ unless_left_out('details', 'longitude') }},
        sessions.evse_uid,
        {{ unless_left_out('details', 'evse_id') }},
        details.connector_id,
        {{ unless_left_out('details', 'connector_standard') }},
        {{ unless_left_out('details', 'connector_power_type', 'details.power_type') }},
        {{ unless_left_out('details', 'tariff_id') }},
        {{ unless_left_out('details', 'currency') }},
        {{ unless_left_out('details', 'total_cost') }},
        {{ unless_left_out('details', 'total_fixed_cost') }},
        {{ unless_left_out('details', 'total_energy_cost') }},
        sessions.energy_kwh as total_energy,
        sessions.connected_h as total_time,
        {{ unless_left_out('sessions', 'total_parking_time', 'sessions.parked_h') }},
        details.last_updated,
        sessions.concession as origin
    from sessions
    inner join details
        on
            sessions.delivery_id = details.delivery_id
            -- Not by its place: where a list moved while it was read, two records can have one.
            and sessions.country_code = details.country_code
            and sessions.party_id = details.party_id
            and sessions.cdr_id = details.cdr_id
    inner join instructions
        on sessions.municipality_code = instructions.municipality_code
)

select * from final
