select
    month,
    delivery_id
from {{ source('staged', 'session_months_before') }}
