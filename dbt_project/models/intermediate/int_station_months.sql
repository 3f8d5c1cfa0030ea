{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ forget_months(ref('int_session_months_to_make')) }}"
) }}

select
    concession,
    month,
    country_code,
    party_id,
    location_id,
    placement,
    municipality_code,
    count(*) as sessions,
    cast(sum(energy_kwh) as decimal(18, 4)) as energy_kwh,
    bool_or(demo) as demo
from {{ ref('int_sessions') }}
group by
    concession, month, country_code, party_id, location_id, placement, municipality_code
