-- Nothing that is published tells of fewer persons than may be told: neither a figure by itself, nor
-- a total less all that is told below it. Of use the cells that are hidden in a total must have among
-- them one of drivers enough; requests, which add up, must be enough together and in two cells,
-- unless there are too few in all of the province: then any of its municipalities could have had
-- them.
with use_truth as (
    select
        month,
        concession,
        municipality_code,
        drivers
    from {{ ref('int_session_months') }}
    where placement = 'in_region'
),

use_cells as (
    select
        use_truth.*,
        coalesce(
            told.sessions,
            told.energy_kwh,
            told.connected_evse_h,
            told.charged_h,
            told.charged_h_known_sessions,
            told.charge_points_used,
            told.occupancy_pct,
            told.drivers
        ) is not null as is_told
    from use_truth
    left join {{ ref('kpi_use') }} as told
        on
            use_truth.month = told.month
            and use_truth.concession = told.concession
            and use_truth.municipality_code = told.municipality_code
),

use_values as (
    select
        area_type,
        area_code,
        period as month,
        dimensions,
        bool_or(value is not null) as is_told
    from {{ ref('indicator_values') }}
    where indicator like 'use%'
    group by area_type, area_code, period, dimensions
),

told_concessions as (
    select
        month,
        area_code as concession
    from use_values
    where area_type = 'concession' and is_told
),

-- What is left of a total: the hidden cells of a concession, and those of the region's concessions
-- whose own totals are hidden.
left_of_totals as (
    select
        cells.month,
        cells.concession as total,
        max(cells.drivers) as drivers
    from use_cells as cells
    inner join told_concessions
        on cells.month = told_concessions.month and cells.concession = told_concessions.concession
    where not cells.is_told
    group by cells.month, cells.concession
    union all
    select
        cells.month,
        'nal_oost' as total,
        max(cells.drivers) as drivers
    from use_cells as cells
    inner join use_values as regions
        on cells.month = regions.month and regions.area_type = 'nal_region' and regions.is_told
    left join told_concessions
        on cells.month = told_concessions.month and cells.concession = told_concessions.concession
    where not cells.is_told and told_concessions.month is null
    group by cells.month
),

request_cells as (
    select
        requests.concession,
        requests.request_month,
        municipalities.province,
        requests.state,
        requests.municipality_code,
        requests.reason,
        requests.requests,
        told.requests is not null as is_told,
        sum(requests.requests) over (
            partition by
                requests.concession, requests.request_month, municipalities.province, requests.state
        ) as all_requests
    from {{ ref('mart_requests') }} as requests
    inner join {{ ref('dim_municipality') }} as municipalities
        on requests.municipality_code = municipalities.municipality_code
    inner join {{ ref('kpi_requests') }} as told
        on
            requests.concession = told.concession
            and requests.reference_date = told.reference_date
            and requests.request_month = told.request_month
            and requests.municipality_code = told.municipality_code
            and requests.state = told.state
            and requests.reason = told.reason
),

-- How many rows are hidden is told too; and that each is of at least one request, unless there are
-- rows also where there was none.
request_rows as (
    select
        told.concession,
        told.request_month,
        municipalities.province,
        told.state,
        count(*) as all_rows,
        sum(case when told.suppression = 'small' then 1 else 0 end) as small_rows,
        sum(case when told.suppression = 'complementary' then 1 else 0 end) as large_rows
    from {{ ref('kpi_requests') }} as told
    inner join {{ ref('dim_municipality') }} as municipalities
        on told.municipality_code = municipalities.municipality_code
    group by told.concession, told.request_month, municipalities.province, told.state
),

-- Where every municipality of a province has a row for every reason, there is nobody else to hide
-- among, and the total by province is exact by decision.
possible_rows as (
    select
        reasons.concession,
        municipalities.province,
        reasons.state,
        count(*) as all_rows
    from (
        select distinct
            concession,
            state,
            reason
        from {{ ref('kpi_requests') }}
    ) as reasons
    cross join {{ ref('dim_municipality') }} as municipalities
    group by reasons.concession, municipalities.province, reasons.state
),

hidden_requests as (
    select
        concession,
        request_month,
        province,
        state,
        count(*) as hidden_cells,
        sum(requests) as requests
    from request_cells
    where not is_told and all_requests >= {{ var('fewest_told') }}
    group by concession, request_month, province, state
),

final as (
    select
        'use of few drivers' as finding,
        concession || ' ' || month || ' ' || municipality_code as detail
    from use_cells
    where drivers < {{ var('fewest_told') }} and is_told
    union all
    select
        'use that is hidden in kpi_use' as finding,
        told.dimensions || ' ' || told.month || ' ' || told.area_code as detail
    from use_values as told
    inner join use_cells as cells
        on
            told.month = cells.month
            and told.area_code = cells.municipality_code
            and told.dimensions = '{"concession":"' || cells.concession || '"}'
    where told.area_type = 'municipality' and told.is_told and not cells.is_told
    union all
    select
        'total of use less what is told' as finding,
        total || ' ' || month as detail
    from left_of_totals
    where drivers < {{ var('fewest_told') }}
    union all
    select
        'few requests' as finding,
        concession || ' ' || request_month || ' ' || municipality_code || ' ' || state as detail
    from request_cells
    where requests < {{ var('fewest_told') }} and is_told
    union all
    select
        'total of requests less what is told' as finding,
        concession || ' ' || request_month || ' ' || province || ' ' || state as detail
    from request_cells
    where not is_told and all_requests >= {{ var('fewest_told') }}
    group by concession, request_month, province, state
    having sum(requests) < {{ var('fewest_told') }} or count(*) < 2
    union all
    select
        'requests that follow from the number of rows' as finding,
        hidden.concession || ' ' || hidden.request_month || ' ' || hidden.province || ' '
        || hidden.state as detail
    from hidden_requests as hidden
    inner join request_rows as told
        on
            hidden.concession = told.concession
            and hidden.request_month = told.request_month
            and hidden.province = told.province
            and hidden.state = told.state
    inner join possible_rows as possible
        on
            hidden.concession = possible.concession
            and hidden.province = possible.province
            and hidden.state = possible.state
    where
        told.small_rows > 0
        and told.all_rows < possible.all_rows
        and told.small_rows + told.large_rows = hidden.hidden_cells
        and (
            hidden.requests = told.small_rows + {{ var('fewest_told') }} * told.large_rows
            or told.large_rows = 0
            and hidden.requests = ({{ var('fewest_told') }} - 1) * told.small_rows
        )
)

select * from final
