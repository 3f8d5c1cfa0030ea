select
    delivery_id,
    source,
    dataset,
    partition as period,
    received_at,
    demo,
    is_new
from {{ source('staged', 'deliveries') }}
