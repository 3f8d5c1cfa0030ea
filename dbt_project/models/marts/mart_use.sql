with session_months as (
    select * from {{ ref('int_session_months') }}
    where placement = 'in_region'
),

-- Months that a concession delivered: in these no session is a fact.
delivered as (
    select * from {{ ref('int_delivered_months') }}
),

operators as (
    select distinct
        concession,
        country_code,
        party_id
    from {{ ref('int_station_months') }}
),

in_service as (
    select
        operators.concession,
        charge_points.month,
        charge_points.municipality_code,
        count(*) as charge_points
    from {{ ref('int_charge_points') }} as charge_points
    inner join operators
        on
            charge_points.country_code = operators.country_code
            and charge_points.party_id = operators.party_id
    inner join delivered
        on
            operators.concession = delivered.concession
            and charge_points.month = delivered.month
    where charge_points.placement = 'in_region' and charge_points.counted
    group by operators.concession, charge_points.month, charge_points.municipality_code
),

-- Sessions of months that were not delivered came late, with another: part of a month.
joined as (
    select
        coalesce(session_months.month, in_service.month) as month,
        coalesce(session_months.concession, in_service.concession) as concession,
        coalesce(session_months.municipality_code, in_service.municipality_code)
            as municipality_code,
        coalesce(session_months.sessions, 0) as sessions,
        coalesce(session_months.energy_kwh, 0) as energy_kwh,
        coalesce(session_months.connected_h, 0) as connected_h,
        coalesce(session_months.charged_h, 0) as charged_h,
        coalesce(session_months.charged_h_known_sessions, 0) as charged_h_known_sessions,
        coalesce(session_months.charge_points_used, 0) as charge_points_used,
        in_service.charge_points
        * {{ hours_of_month('coalesce(session_months.month, in_service.month)') }}
            as evse_hours_in_service
    from session_months
    full outer join in_service
        on
            session_months.concession = in_service.concession
            and session_months.month = in_service.month
            and session_months.municipality_code = in_service.municipality_code
),

final as (
    select
        joined.month,
        joined.concession,
        joined.municipality_code,
        delivered.month is not null as is_delivered,
        cast(joined.sessions as bigint) as sessions,
        cast(joined.energy_kwh as decimal(12, 4)) as energy_kwh,
        cast(joined.connected_h as decimal(18, 4)) as connected_evse_h,
        cast(
            case when joined.charged_h_known_sessions = joined.sessions then joined.charged_h end
            as decimal(18, 4)
        ) as charged_h,
        cast(joined.charged_h_known_sessions as bigint) as charged_h_known_sessions,
        cast(joined.charge_points_used as bigint) as charge_points_used,
        cast(joined.evse_hours_in_service as bigint) as evse_hours_in_service,
        cast(100 * joined.connected_h / joined.evse_hours_in_service as decimal(12, 4))
            as occupancy_pct
    from joined
    left join delivered
        on joined.concession = delivered.concession and joined.month = delivered.month
)

select * from final
order by month, concession, municipality_code
