with rows_staged as (
    select * from {{ source('staged', 'elaadnl__passenger_outlook') }}
),

-- One delivery an edition, so none is mixed with another.
deliveries as (
    select * from {{ ref('stg_ledger__deliveries') }}
    where dataset = 'elaadnl/passenger_outlook'
),

final as (
    select
        deliveries.period as edition,
        rows_staged.neighbourhood_code,
        rows_staged.municipality_code,
        rows_staged.year,
        rows_staged.scenario,
        rows_staged.electric_cars,
        rows_staged.public_charge_points,
        rows_staged.square_charge_points,
        rows_staged.destination_charge_points,
        rows_staged.garage_charge_points,
        rows_staged.fast_charge_points,
        rows_staged.delivery_id,
        rows_staged.record_number,
        deliveries.received_at,
        deliveries.demo
    from rows_staged
    inner join deliveries on rows_staged.delivery_id = deliveries.delivery_id
)

select * from final
