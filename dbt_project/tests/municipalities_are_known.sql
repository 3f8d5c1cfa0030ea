-- Every municipality of a mart is one of the region's. A request elsewhere is a mistake in the
-- export, or a name that the register of municipality names gets wrong.
with codes as (
    select
        'mart_charge_points' as mart,
        municipality_code
    from {{ ref('mart_charge_points') }}
    union
    select
        'mart_requests' as mart,
        municipality_code
    from {{ ref('mart_requests') }}
),

final as (
    select codes.*
    from codes
    left join {{ ref('dim_municipality') }} as municipalities
        on codes.municipality_code = municipalities.municipality_code
    where municipalities.municipality_code is null
)

select * from final
