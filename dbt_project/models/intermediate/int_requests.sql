with versions as (
    {{ latest_versions(
        ref('stg_concession__requests'), ['concession', 'request_id'], 'last_updated'
    ) }}
),

concessions as (
    select * from {{ ref('stg_mappings__concessions') }}
),

-- The days on which two concessions both took requests, each pair in both orders.
shared_periods as (
    select
        one.concession,
        other.concession as other_concession,
        -- Which of two requests made on one day is the later one.
        other.requests_from > one.requests_from
        or (other.requests_from = one.requests_from and other.concession > one.concession)
            as other_is_newer,
        greatest(one.requests_from, other.requests_from) as first_day,
        -- least() passes over nulls: the first end there is.
        least(one.requests_until, other.requests_until) as end_day
    from concessions as one
    inner join concessions as other on one.concession <> other.concession
),

-- Requests that the same applicant made again, in the same municipality and another concession.
-- The pseudonym of the applicant is used here and kept nowhere.
repeats as (
    select
        earlier.concession,
        earlier.request_id,
        later.concession as repeated_in,
        later.requested_on as repeated_on,
        row_number() over (
            partition by earlier.concession, earlier.request_id
            order by later.requested_on, later.concession, later.request_id
        ) as repeat_number
    from versions as earlier
    inner join versions as later
        on
            earlier.applicant_pseudonym = later.applicant_pseudonym
            and earlier.municipality_code = later.municipality_code
    inner join shared_periods
        on
            earlier.concession = shared_periods.concession
            and later.concession = shared_periods.other_concession
            and earlier.requested_on >= shared_periods.first_day
            and later.requested_on < coalesce(shared_periods.end_day, later.requested_on + 1)
    where
        later.requested_on > earlier.requested_on
        or (later.requested_on = earlier.requested_on and shared_periods.other_is_newer)
),

final as (
    select
        versions.concession,
        versions.request_id,
        versions.municipality_code,
        versions.occasion,
        versions.requested_on,
        versions.rejected_on,
        versions.rejection_reason,
        versions.withdrawn_on,
        versions.approved_on,
        versions.realised_on,
        repeats.repeated_in,
        repeats.repeated_on,
        versions.last_updated,
        versions.received_at,
        versions.demo,
        versions.delivery_id,
        versions.record_number
    from versions
    left join repeats
        on
            versions.concession = repeats.concession
            and versions.request_id = repeats.request_id
            and repeats.repeat_number = 1
)

select * from final
