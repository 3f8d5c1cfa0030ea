-- Records are named by their model each time: a CTE used thrice is written out first, all of it.
with months_to_make as (
    select * from {{ ref('int_session_months_to_make') }}
),

-- The ledger tells which deliveries have to be opened for a month: others are not read.
touching as (
    select distinct months.delivery_id
    from {{ ref('stg_ledger__delivery_months') }} as months
    inner join months_to_make on months.month = months_to_make.month
),

of_the_months as (
    select distinct
        months_to_make.month,
        records.country_code,
        records.party_id,
        records.cdr_id
    from {{ ref('stg_concession__sessions') }} as records
    inner join touching on records.delivery_id = touching.delivery_id
    inner join months_to_make
        on {{ month_of(local_time('records.started_at')) }} = months_to_make.month
),

takes_back as (
    select distinct
        of_the_months.month,
        records.country_code,
        records.party_id,
        records.cdr_id
    from {{ ref('stg_concession__sessions') }} as records
    inner join of_the_months
        on
            records.credited_cdr_id = of_the_months.cdr_id
            and records.party_id = of_the_months.party_id
            and records.country_code = of_the_months.country_code
    where records.is_credit
),

asked as (
    select * from of_the_months
    union
    select * from takes_back
),

made as (
    select distinct
        asked.month,
        records.delivery_id
    from {{ ref('stg_concession__sessions') }} as records
    inner join asked
        on
            records.cdr_id = asked.cdr_id
            and records.party_id = asked.party_id
            and records.country_code = asked.country_code
),

kept as (
    select
        held.month,
        held.delivery_id
    from {{ ref('stg_ledger__session_months_before') }} as held
    left join months_to_make on held.month = months_to_make.month
    where months_to_make.month is null
),

final as (
    select * from made
    union all
    select * from kept
)

select * from final
