select
    delivery_id,
    month
from {{ source('staged', 'delivery_months') }}
