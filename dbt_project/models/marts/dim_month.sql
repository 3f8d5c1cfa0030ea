with bounds as (
    select
        date '2020-11-01' as first_day,
        -- Yearly editions say nothing about months.
        max({{ first_day_of('period') }}) as last_day
    from {{ ref('stg_ledger__deliveries') }}
    where length(period) = 7
),

months as (
    {{ month_series('bounds.first_day', 'bounds.last_day') }}
    from bounds
),

final as (
    select
        {{ month_of('first_day') }} as month,
        cast(extract(year from first_day) as integer) as year,
        cast(extract(year from first_day) as {{ dbt.type_string() }})
        || '-Q'
        || cast(extract(quarter from first_day) as {{ dbt.type_string() }}) as quarter,
        first_day,
        last_day(first_day) as last_day,
        'goral' as origin
    from months
)

select * from final
order by month
