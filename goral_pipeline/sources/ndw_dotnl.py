"""DOT-NL: the public charging locations and their tariffs that NDW gives out as open data.

Each is one bare JSON array of OCPI 2.2.1 objects (Location, Tariff), without envelope, in gzip.
"""

from __future__ import annotations

from goral_pipeline.sources.asking import Answer, Question, at_partition, download
from goral_pipeline.sources.hostile import check_json, unreadable_is_rejected
from goral_pipeline.sources.reading import Reading

LOCATIONS_FILE = "charging_point_locations_ocpi.json.gz"
TARIFFS_FILE = "charging_point_tariffs_ocpi.json.gz"

# 16 MiB is DuckDB's own limit for one object; a location or tariff of that size is not one.
_READ_RECORDS = """
create temp table records as
select json from read_json_objects($path, format = 'array', maximum_object_size = 16777216)
"""

_RAW_LOCATIONS = """
create temp table raw_locations as
select
    record_number as row_id,
    null::bigint as parent_row_id,
    record_number,
    field[1] as country_code,
    field[2] as party_id,
    field[3] as location_id,
    field[4] as publish,
    field[5] as address,
    field[6] as city,
    case
        when regexp_full_match(replace(field[7], ' ', ''), '[0-9]{4}[A-Za-z]{2}')
            then upper(
                left(replace(field[7], ' ', ''), 4) || ' ' || right(replace(field[7], ' ', ''), 2)
            )
        else field[7]
    end as postal_code,
    field[8] as latitude,
    field[9] as longitude,
    field[10] as parking_type,
    field[11] as operator_name,
    field[12] as last_updated
from (
    select rowid + 1 as record_number, json_extract_string(json, [
        '$.country_code', '$.party_id', '$.id', '$.publish', '$.address', '$.city',
        '$.postal_code', '$.coordinates.latitude', '$.coordinates.longitude', '$.parking_type',
        '$.operator.name', '$.last_updated'
    ]) as field
    from records
)
"""

# A charge point's row id is unique over the delivery: connectors refer to it.
_RAW_CHARGE_POINTS = """
create temp table evses as
select
    row_number() over (order by record_number, place) as row_id, record_number, json
from (
    select record_number, unnest(list) as json, generate_subscripts(list, 1) as place
    from (select rowid + 1 as record_number, json_extract(json, '$.evses[*]') as list from records)
);
create temp table raw_charge_points as
select
    evse.row_id,
    location.row_id as parent_row_id,
    evse.record_number,
    location.country_code,
    location.party_id,
    location.location_id,
    field[1] as evse_uid,
    upper(replace(field[2], '*', '')) as evse_id,
    upper(field[3]) as status,
    field[4] as last_updated
from (
    select row_id, record_number,
        json_extract_string(json, ['$.uid', '$.evse_id', '$.status', '$.last_updated']) as field
    from evses
) as evse
join raw_locations as location using (record_number)
"""

# Zero watts is how some operators say "not known".
_RAW_CONNECTORS = """
create temp table raw_connectors as
with parts as (
    select row_id as charge_point_row, record_number, unnest(list) as json,
        generate_subscripts(list, 1) as place
    from (select row_id, record_number, json_extract(json, '$.connectors[*]') as list from evses)
), fields as (
    select charge_point_row, record_number, place, json_extract_string(json, [
        '$.id', '$.standard', '$.power_type', '$.max_voltage', '$.max_amperage',
        '$.max_electric_power', '$.last_updated'
    ]) as field
    from parts
), powers as (
    select *,
        field[6] is not null and coalesce(try_cast(field[6] as double) <> 0, true) as is_declared,
        try_cast(field[4] as decimal(9, 2)) * try_cast(field[5] as decimal(9, 2))
        * case field[3]
            when 'AC_3_PHASE' then 3
            when 'AC_2_PHASE' then 2
            when 'AC_2_PHASE_SPLIT' then 2
            else 1
        end as computed_w
    from fields
)
select
    row_number() over (order by charge_point_row, place) as row_id,
    charge_point_row as parent_row_id,
    powers.record_number,
    charge_point.country_code,
    charge_point.party_id,
    charge_point.location_id,
    charge_point.evse_uid,
    field[1] as connector_id,
    upper(field[2]) as standard,
    field[3] as power_type,
    field[4] as max_voltage_v,
    field[5] as max_amperage_a,
    case
        when is_declared
            then coalesce(
                (try_cast(field[6] as decimal(18, 3)) / 1000)::decimal(18, 3)::varchar, field[6]
            )
        else (computed_w / 1000)::decimal(18, 3)::varchar
    end as power_kw,
    case when is_declared then 'declared' else 'computed' end as power_origin,
    field[7] as last_updated
from powers
join raw_charge_points as charge_point on charge_point.row_id = charge_point_row
"""


_RAW_TARIFFS = """
create temp table raw_tariffs as
select
    record_number as row_id,
    null::bigint as parent_row_id,
    record_number,
    field[1] as country_code,
    field[2] as party_id,
    field[3] as tariff_id,
    field[4] as currency,
    upper(field[5]) as tariff_type,
    field[6] as last_updated
from (
    select rowid + 1 as record_number, json_extract_string(json, [
        '$.country_code', '$.party_id', '$.id', '$.currency', '$.type', '$.last_updated'
    ]) as field
    from records
)
"""

# Operators write out what restricts nothing: the whole day, all days of the week, from 0 kWh on.
# What is no list of restrictions is handed on, to be quarantined as no boolean.
_RAW_PRICE_COMPONENTS = """
create temp table raw_price_components as
with elements as (
    select record_number, unnest(list) as json, generate_subscripts(list, 1) as element
    from (
        select rowid + 1 as record_number, json_extract(json, '$.elements[*]') as list from records
    )
), restrictions as (
    select record_number, element, json,
        json_type(json, '$.restrictions') as kind,
        json_extract_string(json, '$.restrictions') as text,
        json_extract_string(json, [
            '$.restrictions.start_time', '$.restrictions.end_time',
            '$.restrictions.start_date', '$.restrictions.end_date',
            '$.restrictions.max_kwh', '$.restrictions.max_current', '$.restrictions.max_power',
            '$.restrictions.max_duration', '$.restrictions.reservation'
        ]) as field,
        json_extract_string(json, [
            '$.restrictions.min_kwh', '$.restrictions.min_current', '$.restrictions.min_power',
            '$.restrictions.min_duration'
        ]) as least,
        list_unique(json_extract_string(json, '$.restrictions.day_of_week[*]')) as days
    from elements
), judged as (
    select record_number, element, json,
        case
            when kind is null or kind in ('NULL', 'OBJECT') then (
                coalesce(field[1] <> '00:00', false)
                or coalesce(field[2] not in ('23:59', '00:00'), false)
                or len(list_filter(field[3:], entry -> entry is not null)) > 0
                or len(list_filter(
                    least, entry -> coalesce(try_cast(entry as double) <> 0, entry is not null)
                )) > 0
                or days between 1 and 6
            )::varchar
            else text
        end as is_restricted
    from restrictions
), components as (
    select record_number, element, is_restricted, unnest(list) as json,
        generate_subscripts(list, 1) as component
    from (
        select record_number, element, is_restricted,
            json_extract(json, '$.price_components[*]') as list
        from judged
    )
)
select
    row_number() over (order by record_number, element, component) as row_id,
    record_number as parent_row_id,
    components.record_number,
    tariff.country_code,
    tariff.party_id,
    tariff.tariff_id,
    element::varchar as element,
    component::varchar as component,
    field[1] as component_type,
    field[2] as price,
    field[3] as vat_pct,
    field[4] as step_size,
    is_restricted
from (
    select * exclude (json),
        json_extract_string(json, ['$.type', '$.price', '$.vat', '$.step_size']) as field
    from components
) as components
join raw_tariffs as tariff using (record_number)
"""


def fetch_locations(question: Question) -> Answer | None:
    """Ask for the snapshot of all locations; None when it has not changed."""
    return _fetch(question, LOCATIONS_FILE)


def read_locations(reading: Reading) -> None:
    """Read the array into `raw_locations`, `raw_charge_points` and `raw_connectors`.

    Raises:
        DeliveryRejected: when it is not a JSON array in gzip, or nests absurdly deep.
    """
    _read_records(reading, "a JSON array of OCPI locations in gzip")
    reading.con.execute(_RAW_LOCATIONS)
    reading.con.execute(_RAW_CHARGE_POINTS)
    reading.con.execute(_RAW_CONNECTORS)


def fetch_tariffs(question: Question) -> Answer | None:
    """Ask for the snapshot of all tariffs; None when it has not changed."""
    return _fetch(question, TARIFFS_FILE)


def read_tariffs(reading: Reading) -> None:
    """Read the array into `raw_tariffs` and `raw_price_components`.

    Raises:
        DeliveryRejected: when it is not a JSON array in gzip, or nests absurdly deep.
    """
    _read_records(reading, "a JSON array of OCPI tariffs in gzip")
    reading.con.execute(_RAW_TARIFFS)
    reading.con.execute(_RAW_PRICE_COMPONENTS)


def _fetch(question: Question, file: str) -> Answer | None:
    base = at_partition(question.settings.ndw_dotnl_url, "month", question)
    return download(question, f"{base.rstrip('/')}/{file}")


def _read_records(reading: Reading, expected: str) -> None:
    check_json(reading.path, expected, gzipped=True)
    with unreadable_is_rejected(expected):
        reading.con.execute(_READ_RECORDS, {"path": str(reading.path)})
