-- What single sessions are published with besides what figures are made of.
with rows_staged as (
    select * from {{ source('staged', 'concession__sessions') }}
),

final as (
    select
        delivery_id,
        country_code,
        party_id,
        cdr_id,
        session_id,
        token_type,
        auth_method,
        address,
        city,
        postal_code,
        latitude,
        longitude,
        evse_id,
        connector_id,
        connector_standard,
        power_type,
        tariff_id,
        currency,
        total_cost,
        total_fixed_cost,
        total_energy_cost,
        last_updated
    from rows_staged
)

select * from final
