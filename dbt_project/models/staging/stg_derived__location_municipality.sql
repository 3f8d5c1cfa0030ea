with rows_derived as (
    select * from {{ source('staged', 'derived__location_municipality') }}
),

deliveries as (
    select * from {{ ref('stg_ledger__deliveries') }}
),

-- The file of one edition can serve several years.
boundaries as (
    select
        delivery_id,
        bool_or(demo) as demo
    from deliveries
    where dataset = 'pdok/municipality_boundaries'
    group by delivery_id
),

final as (
    select
        snapshots.dataset,
        snapshots.period as month,
        rows_derived.country_code,
        rows_derived.party_id,
        rows_derived.location_id,
        rows_derived.municipality_code,
        rows_derived.near_border,
        rows_derived.border_distance_m,
        rows_derived.delivery_id,
        rows_derived.boundaries_delivery_id,
        -- Boundaries that are no longer pointed at may have been invented: never shown as real.
        coalesce(boundaries.demo, true) as boundaries_demo
    from rows_derived
    inner join deliveries as snapshots on rows_derived.delivery_id = snapshots.delivery_id
    left join boundaries on rows_derived.boundaries_delivery_id = boundaries.delivery_id
)

select * from final
