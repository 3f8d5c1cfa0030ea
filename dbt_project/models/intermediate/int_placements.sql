with versions as (
    {{ latest_versions(
        ref('stg_concession__placements'), ['concession', 'placement_id'], 'last_updated'
    ) }}
)

select
    concession,
    placement_id,
    request_id,
    municipality_code,
    occasion,
    charge_points,
    power_kw,
    requested_on,
    proposed_on,
    agreed_on,
    decision_published_on,
    decision_final_on,
    grid_requested_on,
    grid_connected_on,
    planned_on,
    realised_on,
    withdrawn_on,
    delay_reason,
    last_updated,
    received_at,
    demo,
    delivery_id,
    record_number
from versions
