-- A snapshot that was never placed has no figures: zero would be a claim.
with ndw_dotnl as (
    select
        source,
        month,
        false as is_concession,
        bool_or(demo) as demo
    from {{ ref('int_locations') }}
    group by source, month
    having bool_or(placed)
),

rvo as (
    select
        'rvo' as source,
        month,
        false as is_concession,
        bool_or(demo) as demo
    from {{ ref('stg_rvo__charge_point_counts') }}
    group by month
),

concessions as (
    select distinct
        source,
        period as month,
        true as is_concession,
        -- What stands at the end of a month was placed in any other.
        bool_or(demo) over (partition by source) as demo
    from {{ ref('stg_ledger__deliveries') }}
    where dataset = source || '/placements'
)

select * from ndw_dotnl
union all
select * from rvo
union all
select * from concessions
