with municipalities as (
    select * from {{ ref('dim_municipality') }}
),

area_members as (
    select
        'nal_region' as area_type,
        'nal_oost' as area_code,
        'NAL-regio Oost' as area_name,
        municipality_code
    from municipalities
    union all
    -- The base of RVO's figures: without Veenendaal, which lies in Utrecht.
    select
        'provinces' as area_type,
        'gelderland_overijssel' as area_code,
        'Gelderland + Overijssel' as area_name,
        municipality_code
    from municipalities
    where province in ('Gelderland', 'Overijssel')
    union all
    select
        'province' as area_type,
        province as area_code,
        province as area_name,
        municipality_code
    from municipalities
),

areas as (
    select distinct
        area_type,
        area_code,
        area_name
    from area_members
),

-- Charge points --------------------------------------------------------------------------------

-- A snapshot that was never placed has no figures: zero would be a claim.
snapshots as (
    select
        source,
        month,
        bool_or(demo) as demo
    from {{ ref('int_locations') }}
    group by source, month
    having bool_or(placed)
),

charge_point_indicators (indicator) as (
    values
    ('charge_points_public_regular'),
    ('charge_points_semi_public_regular'),
    ('charge_points_unknown_access_regular'),
    ('charge_points_fast'),
    ('charge_points_unknown_speed')
),

-- Each charge point is in exactly one of them.
charge_point_counts as (
    select
        source,
        month,
        municipality_code,
        case
            when speed = 'fast' then 'charge_points_fast'
            when speed = 'unknown' then 'charge_points_unknown_speed'
            when access = 'public' then 'charge_points_public_regular'
            when access = 'semi_public' then 'charge_points_semi_public_regular'
            else 'charge_points_unknown_access_regular'
        end as indicator,
        sum(charge_points) as counted
    from {{ ref('mart_charge_points') }}
    group by 1, 2, 3, 4
),

charge_points_by_area as (
    select
        counts.source,
        counts.month,
        counts.indicator,
        area_members.area_type,
        area_members.area_code,
        sum(counts.counted) as counted
    from charge_point_counts as counts
    inner join area_members on counts.municipality_code = area_members.municipality_code
    group by 1, 2, 3, 4, 5
),

charge_points as (
    select
        charge_point_indicators.indicator,
        areas.area_type,
        areas.area_code,
        areas.area_name,
        'month' as period_type,
        snapshots.month as period,
        '{"source":"' || snapshots.source || '"}' as dimensions,
        by_area.counted,
        snapshots.demo
    from snapshots
    cross join areas
    cross join charge_point_indicators
    left join charge_points_by_area as by_area
        on
            snapshots.source = by_area.source
            and snapshots.month = by_area.month
            and charge_point_indicators.indicator = by_area.indicator
            and areas.area_type = by_area.area_type
            and areas.area_code = by_area.area_code
),

-- Requests -------------------------------------------------------------------------------------

reference_dates as (
    select * from {{ ref('int_reference_dates') }}
),

states_of_indicators (indicator, state) as (
    values
    ('requests_received', 'pending_assessment'),
    ('requests_received', 'rejected'),
    ('requests_received', 'withdrawn'),
    ('requests_received', 'in_realisation'),
    ('requests_received', 'realised'),
    ('requests_pending_assessment', 'pending_assessment'),
    ('requests_rejected', 'rejected'),
    ('requests_withdrawn', 'withdrawn'),
    ('requests_approved', 'in_realisation'),
    ('requests_approved', 'realised'),
    ('requests_in_realisation', 'in_realisation'),
    ('requests_realised', 'realised')
),

request_indicators as (
    select distinct indicator
    from states_of_indicators
),

request_areas as (
    select distinct
        concession,
        'concession' as area_type,
        concession as area_code,
        concession_name as area_name,
        '{}' as dimensions
    from reference_dates
    union all
    select distinct
        reference_dates.concession,
        areas.area_type,
        areas.area_code,
        areas.area_name,
        '{"concession":"' || reference_dates.concession || '"}' as dimensions
    from reference_dates
    cross join areas
    where areas.area_type = 'province'
),

request_counts as (
    select
        mart.concession,
        mart.reference_date,
        municipalities.province,
        mart.state,
        sum(mart.requests) as counted
    from {{ ref('mart_requests') }} as mart
    left join municipalities on mart.municipality_code = municipalities.municipality_code
    group by mart.concession, mart.reference_date, municipalities.province, mart.state
),

requests_by_area as (
    select
        counts.concession,
        counts.reference_date,
        states_of_indicators.indicator,
        request_areas.area_type,
        request_areas.area_code,
        sum(counts.counted) as counted
    from request_counts as counts
    inner join request_areas
        on
            counts.concession = request_areas.concession
            and (
                request_areas.area_type = 'concession'
                or counts.province = request_areas.area_code
            )
    inner join states_of_indicators on counts.state = states_of_indicators.state
    group by 1, 2, 3, 4, 5
),

-- Also where nothing is in that state: a missing row could as well be a missing delivery.
requests as (
    select
        request_indicators.indicator,
        request_areas.area_type,
        request_areas.area_code,
        request_areas.area_name,
        'reference_date' as period_type,
        cast(reference_dates.reference_date as {{ dbt.type_string() }}) as period,
        request_areas.dimensions,
        by_area.counted,
        reference_dates.demo
    from reference_dates
    inner join request_areas on reference_dates.concession = request_areas.concession
    cross join request_indicators
    left join requests_by_area as by_area
        on
            reference_dates.concession = by_area.concession
            and reference_dates.reference_date = by_area.reference_date
            and request_indicators.indicator = by_area.indicator
            and request_areas.area_type = by_area.area_type
            and request_areas.area_code = by_area.area_code
),

-- The region itself ----------------------------------------------------------------------------

years as (
    select distinct left(period, 4) as period
    from {{ ref('stg_ledger__deliveries') }}
),

region_by_area as (
    select
        area_members.area_type,
        area_members.area_code,
        area_members.area_name,
        count(*) as municipalities_total,
        count(distinct municipalities.res_region) as res_regions
    from area_members
    inner join municipalities on area_members.municipality_code = municipalities.municipality_code
    where area_members.area_type in ('nal_region', 'province')
    group by area_members.area_type, area_members.area_code, area_members.area_name
),

-- Reference data: real, whatever was delivered.
region as (
    select
        'municipalities_total' as indicator,
        region_by_area.area_type,
        region_by_area.area_code,
        region_by_area.area_name,
        'year' as period_type,
        years.period,
        '{}' as dimensions,
        region_by_area.municipalities_total as counted,
        false as demo
    from region_by_area
    cross join years
    union all
    -- Foodvalley is reported with Gelderland, so Utrecht has none of its own.
    select
        'res_regions' as indicator,
        region_by_area.area_type,
        region_by_area.area_code,
        region_by_area.area_name,
        'year' as period_type,
        years.period,
        '{}' as dimensions,
        region_by_area.res_regions as counted,
        false as demo
    from region_by_area
    cross join years
    where region_by_area.area_code <> 'Utrecht'
),

counts as (
    select * from charge_points
    union all
    select * from requests
    union all
    select * from region
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
        cast(coalesce(counted, 0) as decimal(18, 4)) as value,
        'count' as unit,
        case when demo then 'demo' else 'provisional' end as status
    from counts
)

select * from final
order by indicator, area_type, area_code, period_type, period, dimensions
