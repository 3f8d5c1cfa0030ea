select
    municipality_code,
    left_out
from {{ source('staged', 'instructions') }}
