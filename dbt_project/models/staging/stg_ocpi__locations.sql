with rows_staged as (
    select * from {{ source('staged', 'ocpi__locations') }}
),

deliveries as (
    select * from {{ ref('stg_ledger__deliveries') }}
    where dataset = source || '/locations'
),

final as (
    select
        deliveries.source as concession,
        deliveries.dataset,
        deliveries.period as month,
        rows_staged.country_code,
        rows_staged.party_id,
        rows_staged.location_id,
        rows_staged.publish,
        rows_staged.address,
        rows_staged.city,
        rows_staged.postal_code,
        rows_staged.latitude,
        rows_staged.longitude,
        rows_staged.parking_type,
        rows_staged.operator_name,
        rows_staged.last_updated,
        rows_staged.delivery_id,
        deliveries.demo
    from rows_staged
    inner join deliveries on rows_staged.delivery_id = deliveries.delivery_id
)

select * from final
