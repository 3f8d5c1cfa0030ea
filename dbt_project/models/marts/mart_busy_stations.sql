with thresholds as (
    select * from {{ ref('busy_station_thresholds') }}
),

years as (
    select
        concession,
        cast(left(month, 4) as integer) as year,
        country_code,
        party_id,
        location_id,
        municipality_code,
        sum(sessions) as sessions,
        sum(energy_kwh) as energy_kwh,
        count(distinct month) as months,
        -- A year is judged by what held when it ended.
        left(month, 4) || '-12' as last_month
    from {{ ref('int_station_months') }}
    where placement = 'in_region'
    group by
        concession, left(month, 4), country_code, party_id, location_id, municipality_code
),

-- Of the thresholds that had begun by then the one that began last.
judged as (
    select
        years.concession,
        years.year,
        years.country_code,
        years.party_id,
        years.location_id,
        years.municipality_code,
        years.sessions,
        years.energy_kwh,
        years.months,
        thresholds.energy_kwh_a_year,
        row_number() over (
            partition by
                years.concession,
                years.year,
                years.country_code,
                years.party_id,
                years.location_id,
                years.municipality_code
            order by thresholds.valid_from desc
        ) as threshold_rank
    from years
    left join thresholds on years.last_month >= thresholds.valid_from
),

final as (
    select
        year,
        concession,
        country_code,
        party_id,
        location_id,
        municipality_code,
        cast(sessions as bigint) as sessions,
        cast(energy_kwh as decimal(12, 4)) as energy_kwh,
        cast(months as integer) as months_with_use,
        cast(energy_kwh_a_year as decimal(18, 4)) as threshold_kwh,
        energy_kwh > energy_kwh_a_year as is_busy
    from judged
    where threshold_rank = 1
)

select * from final
order by year, concession, country_code, party_id, location_id, municipality_code
