with rows_staged as (
    select * from {{ source('staged', 'elaadnl__logistics_outlook') }}
),

-- One delivery an edition, so none is mixed with another.
deliveries as (
    select * from {{ ref('stg_ledger__deliveries') }}
    where dataset = 'elaadnl/logistics_outlook'
),

final as (
    select
        deliveries.period as edition,
        rows_staged.business_park_id,
        rows_staged.business_park_name,
        rows_staged.municipality_code,
        rows_staged.year,
        rows_staged.electric_vans,
        rows_staged.electric_trucks,
        rows_staged.charging_demand_kwh,
        rows_staged.delivery_id,
        rows_staged.record_number,
        deliveries.received_at,
        deliveries.demo
    from rows_staged
    inner join deliveries on rows_staged.delivery_id = deliveries.delivery_id
)

select * from final
