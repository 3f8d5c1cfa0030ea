with rows_derived as (
    select * from {{ source('staged', 'derived__session_location_municipality') }}
),

-- The file of one edition can serve several years.
boundaries as (
    select
        delivery_id,
        bool_or(demo) as demo
    from {{ ref('stg_ledger__deliveries') }}
    where dataset = 'pdok/municipality_boundaries'
    group by delivery_id
),

final as (
    select
        rows_derived.month,
        rows_derived.country_code,
        rows_derived.party_id,
        rows_derived.location_id,
        rows_derived.latitude,
        rows_derived.longitude,
        rows_derived.municipality_code,
        rows_derived.near_border,
        rows_derived.delivery_id,
        rows_derived.boundaries_delivery_id,
        -- Boundaries that are no longer pointed at may have been invented: never shown as real.
        coalesce(boundaries.demo, true) as boundaries_demo
    from rows_derived
    left join boundaries on rows_derived.boundaries_delivery_id = boundaries.delivery_id
)

select * from final
