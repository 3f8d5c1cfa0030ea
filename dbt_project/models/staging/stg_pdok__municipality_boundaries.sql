with rows_staged as (
    select * from {{ source('staged', 'pdok__municipality_boundaries') }}
),

deliveries as (
    select * from {{ ref('stg_ledger__deliveries') }}
    where dataset = 'pdok/municipality_boundaries'
),

final as (
    select
        deliveries.period as edition,
        rows_staged.municipality_code,
        rows_staged.municipality_name,
        rows_staged.geometry,
        rows_staged.delivery_id,
        rows_staged.record_number,
        deliveries.received_at,
        deliveries.demo
    from rows_staged
    inner join deliveries on rows_staged.delivery_id = deliveries.delivery_id
)

select * from final
