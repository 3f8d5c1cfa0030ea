"""DOT-NL: the public charging locations that NDW gives out as open data.

One bare JSON array of OCPI 2.2.1 Location objects, without envelope, in gzip.
"""

from __future__ import annotations

from goral_pipeline.sources.asking import Answer, Question, at_partition, download
from goral_pipeline.sources.hostile import check_json, unreadable_is_rejected
from goral_pipeline.sources.reading import Reading

LOCATIONS_FILE = "charging_point_locations_ocpi.json.gz"

# 16 MiB is DuckDB's own limit for one object; a location of that size is not one.
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


def fetch_locations(question: Question) -> Answer | None:
    """Ask for the snapshot of all locations; None when it has not changed."""
    base = at_partition(question.settings.ndw_dotnl_url, "month", question)
    return download(question, f"{base.rstrip('/')}/{LOCATIONS_FILE}")


def read_locations(reading: Reading) -> None:
    """Read the array into `raw_locations`, `raw_charge_points` and `raw_connectors`.

    Raises:
        DeliveryRejected: when it is not a JSON array in gzip, or nests absurdly deep.
    """
    expected = "a JSON array of OCPI locations in gzip"
    check_json(reading.path, expected, gzipped=True)
    con = reading.con
    with unreadable_is_rejected(expected):
        con.execute(_READ_RECORDS, {"path": str(reading.path)})
    con.execute(_RAW_LOCATIONS)
    con.execute(_RAW_CHARGE_POINTS)
    con.execute(_RAW_CONNECTORS)


def fetch_tariffs(question: Question) -> Answer | None:
    """Ask for the snapshot of all tariffs; None when it has not changed."""
    raise NotImplementedError


def read_tariffs(reading: Reading) -> None:
    """Read the array into `raw_tariffs` and `raw_price_components`."""
    raise NotImplementedError
