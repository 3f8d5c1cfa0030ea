select
    concession,
    name as concession_name,
    -- A mapping may leave the beginning open.
    coalesce(requests_from, date '1900-01-01') as requests_from,
    requests_until
from {{ source('staged', 'concessions') }}
