-- Periods instead of one row a reference date: they stay as few as the requests however long
-- history gets, and any past reference date can be asked.
with requests as (
    select * from {{ ref('int_requests') }}
),

-- By falling precedence: a state ends when one of those above it begins, never the other way round.
states as (
    select 'realised' as state
    union all
    select 'withdrawn' as state
    union all
    select 'rejected' as state
    union all
    select 'in_realisation' as state
    union all
    select 'pending_assessment' as state
),

events as (
    select
        requests.concession,
        requests.request_id,
        requests.municipality_code,
        requests.requested_on,
        requests.rejection_reason,
        requests.repeated_on,
        requests.demo,
        requests.delivery_id,
        requests.record_number,
        states.state,
        case states.state
            when 'realised' then requests.realised_on
            when 'withdrawn' then requests.withdrawn_on
            when 'rejected' then requests.rejected_on
            when 'in_realisation' then requests.approved_on
            else requests.requested_on
        end as begun_on,
        -- least() passes over nulls: the first of the events that did happen.
        case states.state
            when 'withdrawn' then requests.realised_on
            when 'rejected' then least(requests.realised_on, requests.withdrawn_on)
            when 'in_realisation'
                then least(requests.realised_on, requests.withdrawn_on, requests.rejected_on)
            when 'pending_assessment'
                then least(
                    requests.realised_on,
                    requests.withdrawn_on,
                    requests.rejected_on,
                    requests.approved_on
                )
        end as ended_on
    from requests
    cross join states
),

final as (
    select
        concession,
        request_id,
        municipality_code,
        requested_on,
        state,
        case
            when state = 'rejected' then coalesce(rejection_reason, 'none')
            else 'none'
        end as reason,
        -- There is no request before it was made.
        greatest(begun_on, requested_on) as begun_on,
        ended_on,
        repeated_on,
        demo,
        delivery_id,
        record_number
    from events
    where
        begun_on is not null
        and (ended_on is null or ended_on > greatest(begun_on, requested_on))
)

select * from final
