with definitions as (
    select * from {{ ref('charge_point_definitions') }}
),

ndw_dotnl as (
    select
        source,
        month,
        municipality_code,
        access,
        speed,
        count(*) as charge_points
    from {{ ref('int_charge_points') }}
    where placement = 'in_region' and counted
    group by source, month, municipality_code, access, speed
),

-- RVO counts all of the Netherlands. Its zeros are facts.
rvo as (
    select
        'rvo' as source,
        counts.month,
        counts.municipality_code,
        counts.access,
        counts.speed,
        counts.charge_points
    from {{ ref('stg_rvo__charge_point_counts') }} as counts
    inner join {{ ref('dim_municipality') }} as municipalities
        on counts.municipality_code = municipalities.municipality_code
),

-- What stands at the end of a month, of all that was placed up to then.
concessions as (
    select
        months.source,
        months.month,
        placements.municipality_code,
        'public' as access,
        {{ speed_of('placements.power_kw', 'definitions.fast_from_kw') }} as speed,
        sum(placements.charge_points) as charge_points
    from {{ ref('int_counted_months') }} as months
    inner join {{ ref('int_placements') }} as placements
        on
            months.source = placements.concession
            and {{ next_month_start(first_day_of('months.month')) }} > placements.realised_on
            and (
                placements.withdrawn_on is null
                or {{ next_month_start(first_day_of('months.month')) }} <= placements.withdrawn_on
            )
    inner join definitions on {{ holds_in('definitions', 'months.month') }}
    where months.is_concession
    group by 1, 2, 3, 4, 5
),

counts as (
    select * from ndw_dotnl
    union all
    select * from rvo
    union all
    select * from concessions
),

final as (
    select
        counts.source,
        counts.month,
        counts.municipality_code,
        counts.access,
        counts.speed,
        cast(counts.charge_points as bigint) as charge_points,
        definitions.definition,
        definitions.note as definition_note,
        counts.source as origin
    from counts
    -- A month without a definition must not disappear: the contract wants one.
    left join definitions on {{ holds_in('definitions', 'counts.month') }}
)

select * from final
order by source, month, municipality_code, access, speed
