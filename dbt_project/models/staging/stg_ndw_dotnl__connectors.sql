with rows_staged as (
    select * from {{ source('staged', 'ndw_dotnl__connectors') }}
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
        rows_staged.evse_uid,
        rows_staged.connector_id,
        rows_staged.standard,
        rows_staged.power_type,
        rows_staged.max_voltage_v,
        rows_staged.max_amperage_a,
        rows_staged.power_kw,
        rows_staged.power_origin,
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
