{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ forget_new_deliveries(ref('stg_ndw_dotnl__locations')) }}"
) }}

with locations as (
    select * from {{ ref('stg_ndw_dotnl__locations') }}
    {% if is_incremental() %}
        where is_new
    {% endif %}
),

placements as (
    select * from {{ ref('stg_derived__location_municipality') }}
    where dataset = 'ndw_dotnl/locations'
),

municipalities as (
    select * from {{ ref('municipalities') }}
    where in_region
),

access_classes as (
    select * from {{ ref('access_by_parking_type') }}
),

final as (
    select
        'ndw_dotnl' as source,
        locations.month,
        locations.country_code,
        locations.party_id,
        locations.location_id,
        locations.operator_name,
        locations.latitude,
        locations.longitude,
        case
            when placements.municipality_code is null then 'outside'
            when municipalities.municipality_code is null then 'other_municipality'
            else 'in_region'
        end as placement,
        placements.municipality_code,
        coalesce(placements.near_border, false) as near_border,
        placements.border_distance_m,
        locations.parking_type,
        coalesce(access_classes.access, 'unknown') as access,
        locations.publish,
        placements.location_id is not null as placed,
        locations.demo or coalesce(placements.boundaries_demo, false) as demo,
        locations.delivery_id,
        locations.record_number,
        placements.boundaries_delivery_id
    from locations
    left join placements
        on
            locations.month = placements.month
            and locations.country_code = placements.country_code
            and locations.party_id = placements.party_id
            and locations.location_id = placements.location_id
    left join municipalities
        on placements.municipality_code = municipalities.municipality_code
    left join access_classes
        on coalesce(locations.parking_type, 'none') = access_classes.parking_type
)

select * from final
