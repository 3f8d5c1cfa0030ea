-- Only of the months that are made in this build; a view, so that single sessions are kept nowhere.
{{ config(materialized='view', schema='staging') }}

with months_to_make as (
    select * from {{ ref('int_session_months_to_make') }}
),

made_of as (
    select
        deliveries.month,
        deliveries.delivery_id
    from {{ ref('int_session_month_deliveries') }} as deliveries
    inner join months_to_make on deliveries.month = months_to_make.month
),

opened as (
    select distinct delivery_id
    from made_of
),

records as (
    select sessions.*
    from {{ ref('stg_concession__sessions') }} as sessions
    inner join opened on sessions.delivery_id = opened.delivery_id
),

versions as (
    {{ latest_versions('records', ['country_code', 'party_id', 'cdr_id'], 'last_updated') }}
),

credits as (
    select distinct
        country_code,
        party_id,
        credited_cdr_id
    from versions
    where is_credit
),

counted as (
    select
        versions.*,
        {{ month_of(local_time('versions.started_at')) }} as month
    from versions
    left join credits
        on
            versions.cdr_id = credits.credited_cdr_id
            and versions.party_id = credits.party_id
            and versions.country_code = credits.country_code
    where not versions.is_credit and credits.credited_cdr_id is null
),

-- A figure rests on all that its month was made of, also on what took a session out of it.
demo_months as (
    select distinct
        made_of.month,
        deliveries.source as concession
    from made_of
    inner join {{ ref('stg_ledger__distinct_deliveries') }} as deliveries
        on made_of.delivery_id = deliveries.delivery_id
    where deliveries.demo
),

places as (
    select * from {{ ref('stg_derived__session_location_municipality') }}
),

municipalities as (
    select * from {{ ref('municipalities') }}
    where in_region
),

final as (
    select
        counted.concession,
        counted.month,
        counted.country_code,
        counted.party_id,
        counted.cdr_id,
        counted.started_at,
        counted.ended_at,
        counted.token_pseudonym,
        counted.location_id,
        counted.evse_uid,
        case
            when places.municipality_code is null then 'outside'
            when municipalities.municipality_code is null then 'other_municipality'
            else 'in_region'
        end as placement,
        places.municipality_code,
        counted.energy_kwh,
        counted.connected_h,
        counted.parked_h,
        counted.demo
        or demo_months.month is not null
        or coalesce(places.boundaries_demo, false) as demo,
        counted.delivery_id,
        counted.record_number
    from counted
    inner join months_to_make on counted.month = months_to_make.month
    left join demo_months
        on
            counted.month = demo_months.month
            and counted.concession = demo_months.concession
    left join places
        on
            counted.month = places.month
            and counted.delivery_id = places.delivery_id
            and counted.country_code = places.country_code
            and counted.party_id = places.party_id
            and counted.location_id = places.location_id
            and counted.latitude = places.latitude
            and counted.longitude = places.longitude
    left join municipalities
        on places.municipality_code = municipalities.municipality_code
)

select * from final
