with suppressed as (
    select * from {{ ref('int_use_suppression') }}
    where area_type = 'municipality'
),

-- Where nobody charged there is nobody to hide. What is not judged is not told.
judged as (
    select
        use_months.*,
        coalesce(suppressed.drivers, 0) as drivers,
        coalesce(
            suppressed.suppression, case when use_months.sessions = 0 then 'none' else 'small' end
        ) as suppression
    from {{ ref('mart_use') }} as use_months
    left join suppressed
        on
            use_months.month = suppressed.month
            and use_months.concession = suppressed.concession
            and use_months.municipality_code = suppressed.municipality_code
),

final as (
    select
        month,
        concession,
        municipality_code,
        is_delivered,
        {% for measure in [
            'sessions',
            'energy_kwh',
            'connected_evse_h',
            'charged_h',
            'charged_h_known_sessions',
            'charge_points_used',
            'occupancy_pct',
        ] %}
        case when suppression = 'none' then {{ measure }} end as {{ measure }},
        {% endfor %}
        cast(
            case when suppression = 'none' then {{ rounded_persons('drivers') }} end as bigint
        ) as drivers,
        evse_hours_in_service,
        suppression,
        -- Which charge points were in service is known from DOT-NL.
        case
            when evse_hours_in_service is null then concession
            else {{ origin_of_two('concession', "'ndw_dotnl'") }}
        end as origin
    from judged
)

select * from final
order by month, concession, municipality_code
