with rows_staged as (
    select * from {{ source('staged', 'ndw_dotnl__locations') }}
),

deliveries as (
    select * from {{ ref('stg_ledger__deliveries') }}
    where dataset = 'ndw_dotnl/locations'
),

final as (
    select
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
        rows_staged.record_number,
        deliveries.received_at,
        deliveries.demo,
        deliveries.is_new
    from rows_staged
    inner join deliveries on rows_staged.delivery_id = deliveries.delivery_id
)

select * from final
