-- A delivery may cover several months and then be pointed at by each of them: it counts once.
select
    delivery_id,
    source,
    dataset,
    max(received_at) as received_at,
    bool_or(demo) as demo,
    bool_or(is_new) as is_new
from {{ ref('stg_ledger__deliveries') }}
group by delivery_id, source, dataset
