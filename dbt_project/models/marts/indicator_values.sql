with every_value_told as (
    select * from {{ ref('int_charge_point_indicators') }}
    union all
    select * from {{ ref('int_request_indicators') }}
    union all
    select * from {{ ref('int_coverage_indicators') }}
    union all
    select * from {{ ref('int_forecast_indicators') }}
    union all
    select * from {{ ref('int_region_indicators') }}
),

indicators as (
    select
        *,
        'none' as suppression
    from every_value_told
    union all
    select * from {{ ref('int_use_indicators') }}
),

final as (
    select
        indicator,
        area_type,
        area_code,
        area_name,
        period_type,
        period,
        dimensions,
        value,
        unit,
        case when demo then 'demo' else 'provisional' end as status,
        suppression,
        origin
    from indicators
)

select * from final
order by indicator, area_type, area_code, period_type, period, dimensions
