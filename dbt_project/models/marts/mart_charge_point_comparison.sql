with months as (
    select
        counted.month,
        min(definitions.definition) as definition,
        bool_or(counted.source = 'ndw_dotnl') as has_ndw_dotnl,
        {{ dbt.listagg(
            "case when counted.is_concession then counted.source end", "','", "order by counted.source"
        ) }} as concessions_counted,
        {{ dbt.listagg('counted.source', "'+'", 'order by counted.source') }} as origin
    from {{ ref('int_counted_months') }} as counted
    left join {{ ref('charge_point_definitions') }} as definitions
        on {{ holds_in('definitions', 'counted.month') }}
    group by counted.month
),

kinds (kind, placed_by_concessions) as (
    values
    ('public_regular', true),
    ('semi_public_regular', false),
    ('fast', true),
    ('unknown_access_regular', false),
    ('unknown_speed', true),
    ('total', true)
),

counts as (
    select
        source,
        month,
        municipality_code,
        {{ kind_of('access', 'speed') }} as kind,
        sum(charge_points) as charge_points
    from {{ ref('mart_charge_points') }}
    group by 1, 2, 3, 4
),

counts_and_total as (
    select * from counts
    union all
    select
        source,
        month,
        municipality_code,
        'total' as kind,
        sum(charge_points) as charge_points
    from counts
    group by source, month, municipality_code
),

by_source as (
    select
        month,
        municipality_code,
        kind,
        sum(charge_points) filter (where source = 'rvo') as rvo,
        sum(charge_points) filter (where source = 'ndw_dotnl') as ndw_dotnl,
        sum(charge_points) filter (where source not in ('rvo', 'ndw_dotnl')) as concessions
    from counts_and_total
    group by month, municipality_code, kind
),

side_by_side as (
    select
        months.month,
        municipalities.municipality_code,
        kinds.kind,
        -- RVO gives its own zeros.
        cast(by_source.rvo as bigint) as rvo,
        cast(
            case when months.has_ndw_dotnl then coalesce(by_source.ndw_dotnl, 0) end as bigint
        ) as ndw_dotnl,
        cast(
            case
                when months.concessions_counted is not null and kinds.placed_by_concessions
                    then coalesce(by_source.concessions, 0)
            end as bigint
        ) as concessions,
        months.concessions_counted,
        months.definition,
        months.origin
    from months
    cross join {{ ref('dim_municipality') }} as municipalities
    cross join kinds
    left join by_source
        on
            months.month = by_source.month
            and municipalities.municipality_code = by_source.municipality_code
            and kinds.kind = by_source.kind
),

final as (
    select
        month,
        municipality_code,
        kind,
        rvo,
        ndw_dotnl,
        concessions,
        ndw_dotnl - rvo as ndw_dotnl_minus_rvo,
        concessions - rvo as concessions_minus_rvo,
        concessions_counted,
        definition,
        origin
    from side_by_side
)

select * from final
order by month, municipality_code, kind
