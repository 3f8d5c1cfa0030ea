with ranked as (
    select
        *,
        -- The same outcome whichever delivery came first; delivery_id only settles a tie.
        row_number() over (
            partition by concession, request_id
            order by last_updated desc, received_at desc, delivery_id desc
        ) as version_rank
    from {{ ref('stg_vattenfall__requests') }}
),

final as (
    select
        concession,
        request_id,
        municipality_code,
        occasion,
        requested_on,
        rejected_on,
        rejection_reason,
        withdrawn_on,
        approved_on,
        realised_on,
        last_updated,
        received_at,
        demo,
        delivery_id,
        record_number
    from ranked
    where version_rank = 1
)

select * from final
