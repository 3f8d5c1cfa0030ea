-- Which locations single sessions are told with, and what is left out of each. One that two
-- concessions list is taken from the newer list. One whose sessions were in several municipalities,
-- since it moved or they did, lacks what any of these leaves out.
{{ config(schema='intermediate') }}

with locations as (
    select * from {{ ref('stg_ocpi__locations') }}
),

newest_lists as (
    select
        concession,
        max(month) as month
    from locations
    group by concession
),

ranked as (
    select
        locations.*,
        row_number() over (
            partition by locations.country_code, locations.party_id, locations.location_id
            order by locations.month desc, locations.concession asc
        ) as list_rank
    from locations
    inner join newest_lists
        on
            locations.concession = newest_lists.concession
            and locations.month = newest_lists.month
),

listed as (
    select * from ranked
    where list_rank = 1
),

places as (
    select * from {{ ref('stg_derived__location_municipality') }}
),

instructions as (
    select * from {{ ref('stg_instructions') }}
),

places_of_sessions as (
    select distinct
        country_code,
        party_id,
        location_id,
        municipality_code
    from {{ ref('int_sessions') }}
),

left_out_of_sessions as (
    select
        places_of_sessions.country_code,
        places_of_sessions.party_id,
        places_of_sessions.location_id,
        {{ all_in_lists('instructions.left_out') }} as left_out
    from places_of_sessions
    inner join instructions
        on places_of_sessions.municipality_code = instructions.municipality_code
    group by
        places_of_sessions.country_code,
        places_of_sessions.party_id,
        places_of_sessions.location_id
),

final as (
    select
        listed.country_code,
        listed.party_id,
        listed.location_id,
        listed.concession,
        listed.month,
        places.municipality_code,
        instructions.left_out,
        left_out_of_sessions.left_out as left_out_of_sessions
    from listed
    inner join places
        on
            listed.dataset = places.dataset
            and listed.month = places.month
            and listed.country_code = places.country_code
            and listed.party_id = places.party_id
            and listed.location_id = places.location_id
    inner join instructions
        on places.municipality_code = instructions.municipality_code
    left join left_out_of_sessions
        on
            listed.country_code = left_out_of_sessions.country_code
            and listed.party_id = left_out_of_sessions.party_id
            and listed.location_id = left_out_of_sessions.location_id
)

select * from final
