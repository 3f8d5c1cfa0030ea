with rows_staged as (
    select * from {{ source('staged', 'rvo__charge_point_counts') }}
),

deliveries as (
    select * from {{ ref('stg_ledger__distinct_deliveries') }}
),

final as (
    select
        rows_staged.municipality_code,
        rows_staged.month,
        rows_staged.access,
        rows_staged.speed,
        rows_staged.charge_points,
        rows_staged.delivery_id,
        rows_staged.record_number,
        deliveries.received_at,
        deliveries.demo
    from rows_staged
    inner join deliveries on rows_staged.delivery_id = deliveries.delivery_id
)

{{ latest_versions('final', ['municipality_code', 'month', 'access', 'speed']) }}
