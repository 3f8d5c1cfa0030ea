with rows_staged as (
    select * from {{ source('staged', 'concession__charge_points') }}
),

deliveries as (
    select * from {{ ref('stg_ledger__distinct_deliveries') }}
),

final as (
    select
        deliveries.source as concession,
        rows_staged.placement_id,
        rows_staged.evse_id,
        rows_staged.delivery_id,
        rows_staged.record_number,
        deliveries.received_at,
        deliveries.demo
    from rows_staged
    inner join deliveries on rows_staged.delivery_id = deliveries.delivery_id
)

select * from final
