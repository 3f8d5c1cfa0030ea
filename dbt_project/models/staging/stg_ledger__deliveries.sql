select
    delivery_id,
    source,
    dataset,
    partition as period,
    received_at,
    demo
from {{ source('staged', 'deliveries') }}
