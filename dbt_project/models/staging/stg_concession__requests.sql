with rows_staged as (
    select * from {{ source('staged', 'concession__requests') }}
),

deliveries as (
    select * from {{ ref('stg_ledger__distinct_deliveries') }}
),

final as (
    select
        deliveries.source as concession,
        rows_staged.request_id,
        rows_staged.municipality_code,
        rows_staged.occasion,
        rows_staged.requested_on,
        rows_staged.rejected_on,
        rows_staged.rejection_reason,
        rows_staged.withdrawn_on,
        rows_staged.approved_on,
        rows_staged.realised_on,
        rows_staged.applicant_pseudonym,
        rows_staged.last_updated,
        rows_staged.delivery_id,
        rows_staged.record_number,
        deliveries.received_at,
        deliveries.demo
    from rows_staged
    inner join deliveries on rows_staged.delivery_id = deliveries.delivery_id
)

select * from final
