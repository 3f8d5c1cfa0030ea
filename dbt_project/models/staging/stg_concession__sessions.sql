with rows_staged as (
    select * from {{ source('staged', 'concession__sessions') }}
),

deliveries as (
    select * from {{ ref('stg_ledger__distinct_deliveries') }}
),

final as (
    select
        deliveries.source as concession,
        rows_staged.country_code,
        rows_staged.party_id,
        rows_staged.cdr_id,
        rows_staged.started_at,
        rows_staged.ended_at,
        rows_staged.token_pseudonym,
        rows_staged.location_id,
        rows_staged.latitude,
        rows_staged.longitude,
        rows_staged.evse_uid,
        rows_staged.energy_kwh,
        rows_staged.connected_h,
        rows_staged.parked_h,
        rows_staged.is_credit,
        -- Named by any other record it takes nothing back.
        case when rows_staged.is_credit then rows_staged.credited_cdr_id end as credited_cdr_id,
        rows_staged.last_updated,
        rows_staged.delivery_id,
        rows_staged.record_number,
        deliveries.received_at,
        deliveries.demo,
        deliveries.is_new
    from rows_staged
    inner join deliveries on rows_staged.delivery_id = deliveries.delivery_id
)

select * from final
