{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ forget_new_deliveries(ref('stg_ndw_dotnl__charge_points')) }}"
) }}

with charge_points as (
    select * from {{ ref('stg_ndw_dotnl__charge_points') }}
    {% if is_incremental() %}
        where is_new
    {% endif %}
),

locations as (
    select * from {{ ref('int_locations') }}
),

-- A charge point serves one car at a time, so its power is that of its strongest connector.
powers as (
    select
        month,
        country_code,
        party_id,
        location_id,
        evse_uid,
        count(*) as connectors,
        max(power_kw) as power_kw,
        -- Of the strongest connector; declared where both kinds are equally strong.
        case
            when max(power_kw) = max(case when power_origin = 'declared' then power_kw end)
                then 'declared'
            when max(power_kw) is not null then 'computed'
        end as power_origin
    from {{ ref('stg_ndw_dotnl__connectors') }}
    {% if is_incremental() %}
        where is_new
    {% endif %}
    group by month, country_code, party_id, location_id, evse_uid
),

-- Joined by month only once per month, not per charge point.
fast_from as (
    select
        months.month,
        definitions.fast_from_kw
    from (select distinct month from locations) as months
    inner join {{ ref('charge_point_definitions') }} as definitions
        on {{ holds_in('definitions', 'months.month') }}
),

final as (
    select
        locations.source,
        locations.month,
        locations.country_code,
        locations.party_id,
        locations.location_id,
        charge_points.evse_uid,
        charge_points.evse_id,
        charge_points.status,
        locations.placement,
        locations.municipality_code,
        locations.near_border,
        locations.access,
        coalesce(powers.connectors, 0) as connectors,
        powers.power_kw,
        powers.power_origin,
        {{ speed_of('powers.power_kw', 'fast_from.fast_from_kw') }} as speed,
        locations.publish and charge_points.status not in ('PLANNED', 'REMOVED') as counted,
        locations.demo,
        charge_points.delivery_id,
        charge_points.record_number
    from charge_points
    inner join locations
        on
            charge_points.month = locations.month
            and charge_points.country_code = locations.country_code
            and charge_points.party_id = locations.party_id
            and charge_points.location_id = locations.location_id
    left join powers
        on
            charge_points.month = powers.month
            and charge_points.country_code = powers.country_code
            and charge_points.party_id = powers.party_id
            and charge_points.location_id = powers.location_id
            and charge_points.evse_uid = powers.evse_uid
    left join fast_from on charge_points.month = fast_from.month
)

select * from final
