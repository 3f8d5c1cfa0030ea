with charge_points as (
    select * from {{ ref('stg_ocpi__charge_points') }}
),

told as (
    select * from {{ ref('int_cdr_locations') }}
),

final as (
    select
        charge_points.country_code,
        charge_points.party_id,
        charge_points.location_id,
        charge_points.evse_uid,
        told.municipality_code,
        {{ unless_left_out_of_location('charge_points', 'evse_id') }},
        {{ unless_left_out_of_location('charge_points', 'status') }},
        charge_points.last_updated,
        told.concession as origin
    from charge_points
    inner join told
        on
            charge_points.concession = told.concession
            and charge_points.month = told.month
            and charge_points.country_code = told.country_code
            and charge_points.party_id = told.party_id
            and charge_points.location_id = told.location_id
)

select * from final
