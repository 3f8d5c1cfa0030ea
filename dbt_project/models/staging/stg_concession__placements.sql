with rows_staged as (
    select * from {{ source('staged', 'concession__placements') }}
),

deliveries as (
    select * from {{ ref('stg_ledger__distinct_deliveries') }}
),

final as (
    select
        deliveries.source as concession,
        rows_staged.placement_id,
        rows_staged.request_id,
        rows_staged.municipality_code,
        rows_staged.occasion,
        rows_staged.charge_points,
        rows_staged.power_kw,
        rows_staged.requested_on,
        rows_staged.proposed_on,
        rows_staged.agreed_on,
        rows_staged.decision_published_on,
        rows_staged.decision_final_on,
        rows_staged.grid_requested_on,
        rows_staged.grid_connected_on,
        rows_staged.planned_on,
        rows_staged.realised_on,
        rows_staged.withdrawn_on,
        rows_staged.delay_reason,
        rows_staged.last_updated,
        rows_staged.delivery_id,
        rows_staged.record_number,
        deliveries.received_at,
        deliveries.demo
    from rows_staged
    inner join deliveries on rows_staged.delivery_id = deliveries.delivery_id
)

select * from final
