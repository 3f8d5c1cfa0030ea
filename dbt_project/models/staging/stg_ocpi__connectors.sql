with rows_staged as (
    select * from {{ source('staged', 'ocpi__connectors') }}
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
        deliveries.demo
    from rows_staged
    inner join deliveries on rows_staged.delivery_id = deliveries.delivery_id
)

select * from final
