with rows_staged as (
    select * from {{ source('staged', 'vattenfall__requests') }}
),

-- An export may cover several months and then be pointed at by each of them: it counts once.
deliveries as (
    select
        delivery_id,
        max(received_at) as received_at,
        bool_or(demo) as demo
    from {{ ref('stg_ledger__deliveries') }}
    where dataset = 'vattenfall/requests'
    group by delivery_id
),

final as (
    select
        'vattenfall' as concession,
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
