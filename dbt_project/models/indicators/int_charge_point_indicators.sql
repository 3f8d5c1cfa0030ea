with months as (
    select * from {{ ref('int_counted_months') }}
),

areas as (
    select distinct
        area_type,
        area_code,
        area_name
    from {{ ref('int_area_members') }}
),

kinds (kind) as (
    values
    ('public_regular'),
    ('semi_public_regular'),
    ('unknown_access_regular'),
    ('fast'),
    ('unknown_speed')
),

-- Each charge point is of exactly one kind.
by_area as (
    select
        counts.source,
        counts.month,
        {{ kind_of('counts.access', 'counts.speed') }} as kind,
        members.area_type,
        members.area_code,
        sum(counts.charge_points) as charge_points
    from {{ ref('mart_charge_points') }} as counts
    inner join {{ ref('int_area_members') }} as members
        on counts.municipality_code = members.municipality_code
    group by 1, 2, 3, 4, 5
)

select
    'charge_points_' || kinds.kind as indicator,
    areas.area_type,
    areas.area_code,
    areas.area_name,
    'month' as period_type,
    months.month as period,
    '{"source":"' || months.source || '"}' as dimensions,
    cast(coalesce(by_area.charge_points, 0) as decimal(18, 4)) as value,
    'count' as unit,
    months.demo,
    months.source as origin
from months
cross join areas
-- RVO tells access and speed of all.
inner join kinds on months.source <> 'rvo' or kinds.kind not like 'unknown%'
left join by_area
    on
        months.source = by_area.source
        and months.month = by_area.month
        and kinds.kind = by_area.kind
        and areas.area_type = by_area.area_type
        and areas.area_code = by_area.area_code
