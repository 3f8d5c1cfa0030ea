-- A record can be told of again in any later month, even as one of another month, and a credit can
-- take back what began long before. So a new delivery changes the months of its own records, and
-- those of every record that one of its records is another version of, or takes back, or took back.
{{ config(materialized='table', schema='staging') }}

-- Records are named by their model each time: a CTE used thrice is written out first, all of it.
with deliveries as (
    select * from {{ ref('stg_ledger__distinct_deliveries') }}
    where dataset = source || '/sessions'
),

gone_or_anew as (
    select held.month
    from {{ ref('stg_ledger__session_months_before') }} as held
    left join deliveries on held.delivery_id = deliveries.delivery_id
    where coalesce(deliveries.is_new, true)
),

their_own as (
    select months.month
    from {{ ref('stg_ledger__delivery_months') }} as months
    inner join deliveries on months.delivery_id = deliveries.delivery_id
    where deliveries.is_new
),

new_records as (
    select distinct
        country_code,
        party_id,
        cdr_id
    from {{ ref('stg_concession__sessions') }}
    where is_new
),

-- By any version of them, for one that no longer takes something back gives it back.
taken_back as (
    select distinct
        records.country_code,
        records.party_id,
        records.credited_cdr_id as cdr_id
    from {{ ref('stg_concession__sessions') }} as records
    inner join new_records
        on
            records.cdr_id = new_records.cdr_id
            and records.party_id = new_records.party_id
            and records.country_code = new_records.country_code
    where records.is_credit
),

touched as (
    select * from new_records
    union
    select * from taken_back
),

-- Only among what is not new: the months of what is new are all there already.
of_earlier_versions as (
    select distinct {{ month_of(local_time('records.started_at')) }} as month
    from {{ ref('stg_concession__sessions') }} as records
    inner join touched
        on
            records.cdr_id = touched.cdr_id
            and records.party_id = touched.party_id
            and records.country_code = touched.country_code
    where not records.is_new
),

final as (
    select month from gone_or_anew
    union
    select month from their_own
    union
    select month from of_earlier_versions
)

select month
from final
