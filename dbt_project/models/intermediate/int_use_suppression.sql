-- Which figures of use are not told, and why. They are published by municipality and concession,
-- with the totals of each concession and of the region. A total less all that is told below it is
-- the sum of the cells that are hidden there: one of those must have drivers enough by itself, for
-- how many drivers they have together is not known from their numbers.
with cells as (
    select
        month,
        concession,
        municipality_code,
        drivers,
        drivers_of_concession,
        drivers_of_all,
        drivers < {{ var('fewest_told') }} as is_small
    from {{ ref('int_session_months') }}
    where placement = 'in_region'
),

-- Where all cells are small, none of them could hide the others in the total.
concessions as (
    select
        month,
        concession,
        max(drivers_of_concession) as drivers,
        max(drivers_of_all) as drivers_of_all,
        bool_and(is_small) as all_small
    from cells
    group by month, concession
),

-- Such a total hides itself in that of the region, with the total of another concession.
hidden_concessions as (
    select
        *,
        {{ suppression('all_small', ['month'], 'drivers, concession') }} as hidden_as
    from concessions
),

regions as (
    select
        month,
        max(drivers_of_all) as drivers,
        bool_and(all_small) as all_small
    from concessions
    group by month
),

-- That other total would be told by its cells, if it hid none of them.
hidden_cells as (
    select
        cells.*,
        bool_or(cells.is_small) over (partition by cells.month, cells.concession)
        or hidden_concessions.hidden_as = 'complementary' as one_more
    from cells
    inner join hidden_concessions
        on
            cells.month = hidden_concessions.month
            and cells.concession = hidden_concessions.concession
),

final as (
    select
        'municipality' as area_type,
        month,
        concession,
        municipality_code,
        drivers,
        {{ suppression(
            'is_small', ['month', 'concession'], 'drivers, municipality_code', needed='one_more'
        ) }} as suppression
    from hidden_cells
    union all
    select
        'concession' as area_type,
        month,
        concession,
        cast(null as {{ dbt.type_string() }}) as municipality_code,
        drivers,
        case
            when drivers < {{ var('fewest_told') }} then 'small'
            when hidden_as <> 'none' then 'complementary'
            else 'none'
        end as suppression
    from hidden_concessions
    union all
    select
        'nal_region' as area_type,
        month,
        cast(null as {{ dbt.type_string() }}) as concession,
        cast(null as {{ dbt.type_string() }}) as municipality_code,
        drivers,
        case
            when drivers < {{ var('fewest_told') }} then 'small'
            when all_small then 'complementary'
            else 'none'
        end as suppression
    from regions
)

select * from final
