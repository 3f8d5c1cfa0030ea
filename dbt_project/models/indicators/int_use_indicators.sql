-- Of months that a concession delivered; of the region where each concession that has sessions of
-- the month did: what came late with another month would be taken for all of it.
with delivered as (
    select * from {{ ref('int_delivered_months') }}
),

session_months as (
    select * from {{ ref('int_session_months') }}
    where placement = 'in_region'
),

suppressed as (
    select * from {{ ref('int_use_suppression') }}
),

not_whole as (
    select distinct session_months.month
    from session_months
    left join delivered
        on
            session_months.concession = delivered.concession
            and session_months.month = delivered.month
    where delivered.month is null
),

concessions as (
    select
        delivered.concession,
        delivered.month,
        coalesce(sum(session_months.sessions), 0) as sessions,
        coalesce(sum(session_months.energy_kwh), 0) as energy_kwh,
        delivered.demo or coalesce(bool_or(session_months.demo), false) as demo
    from delivered
    left join session_months
        on
            delivered.concession = session_months.concession
            and delivered.month = session_months.month
    group by delivered.concession, delivered.month, delivered.demo
),

regions as (
    select
        month,
        sum(sessions) as sessions,
        sum(energy_kwh) as energy_kwh,
        bool_or(demo) as demo,
        {{ dbt.listagg('concession', "'+'", 'order by concession') }} as origin
    from concessions
    where month not in (select not_whole.month from not_whole)
    group by month
),

totals as (
    select
        'concession' as area_type,
        concessions.concession as area_code,
        coalesce(names.concession_name, concessions.concession) as area_name,
        concessions.month,
        concessions.sessions,
        concessions.energy_kwh,
        concessions.demo,
        concessions.concession as origin,
        coalesce(suppressed.drivers, 0) as drivers,
        coalesce(suppressed.suppression, 'none') as suppression
    from concessions
    -- One that is known by its OCPI server alone has no name in a mapping.
    left join {{ ref('stg_mappings__concessions') }} as names
        on concessions.concession = names.concession
    left join suppressed
        on
            concessions.concession = suppressed.concession
            and concessions.month = suppressed.month
            and suppressed.area_type = 'concession'
    union all
    select
        'nal_region' as area_type,
        'nal_oost' as area_code,
        'NAL-regio Oost' as area_name,
        regions.month,
        regions.sessions,
        regions.energy_kwh,
        regions.demo,
        regions.origin,
        coalesce(suppressed.drivers, 0) as drivers,
        coalesce(suppressed.suppression, 'none') as suppression
    from regions
    left join suppressed
        on
            regions.month = suppressed.month
            and suppressed.area_type = 'nal_region'
),

areas as (
    select
        area_type,
        area_code,
        area_name,
        '{}' as dimensions,
        month,
        case when suppression = 'none' then sessions end as sessions,
        case when suppression = 'none' then energy_kwh end as energy_kwh,
        case when suppression = 'none' then {{ rounded_persons('drivers') }} end as drivers,
        suppression,
        demo,
        origin
    from totals
    union all
    -- As they are published beside.
    select
        'municipality' as area_type,
        use_months.municipality_code as area_code,
        municipalities.municipality_name as area_name,
        '{"concession":"' || use_months.concession || '"}' as dimensions,
        use_months.month,
        use_months.sessions,
        use_months.energy_kwh,
        use_months.drivers,
        use_months.suppression,
        concessions.demo,
        use_months.concession as origin
    from {{ ref('kpi_use') }} as use_months
    inner join {{ ref('dim_municipality') }} as municipalities
        on use_months.municipality_code = municipalities.municipality_code
    inner join concessions
        on
            use_months.concession = concessions.concession
            and use_months.month = concessions.month
    where use_months.is_delivered
),

quantities (indicator, unit) as (
    values
    ('use_sessions', 'count'),
    ('use_energy_kwh', 'kWh'),
    ('use_drivers', 'count')
)

select
    quantities.indicator,
    areas.area_type,
    areas.area_code,
    areas.area_name,
    'month' as period_type,
    areas.month as period,
    areas.dimensions,
    cast(
        case quantities.indicator
            when 'use_sessions' then areas.sessions
            when 'use_energy_kwh' then areas.energy_kwh
            else areas.drivers
        end as decimal(18, 4)
    ) as value,
    quantities.unit,
    areas.demo,
    areas.origin,
    areas.suppression
from areas
cross join quantities
