"""Locations of OCPI, read into the columns of `ndw_dotnl.locations`, whoever sends them.

Versions 2.1.1, 2.2.1 and 2.3.0 are told apart by their members, record by record.

Belongs here: which member becomes which column. Does not belong here: judging rows, or how the
records came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from goral_pipeline.contracts.model import quote
from goral_pipeline.sources import postal_code
from goral_pipeline.sources.ocpi import landed

if TYPE_CHECKING:
    import duckdb

    from goral_pipeline.sources.ocpi.party import Party
    from goral_pipeline.sources.reading import Reading

EXPECTED = (
    "OCPI locations: pages as they were crawled, an answer with `data`, a list or one location"
)

# A location of 2.1.1 names no party, is always public, and has `type` for `parking_type`.
_RAW_LOCATIONS = """
create temp table raw_locations as
select
    row_id,
    null::bigint as parent_row_id,
    record_number,
    coalesce(field[1], {country_code}) as country_code,
    coalesce(field[2], {party_id}) as party_id,
    field[3] as location_id,
    coalesce(field[4], if(is_without_party, {publish}, null)) as publish,
    field[5] as address,
    field[6] as city,
    {postal_code} as postal_code,
    field[8] as latitude,
    field[9] as longitude,
    coalesce(
        field[10],
        if(is_without_party and field[13] not in ('OTHER', 'UNKNOWN'), field[13], null)
    ) as parking_type,
    field[11] as operator_name,
    field[12] as last_updated
from (
    select *, field[1] is null and field[2] is null as is_without_party
    from (
        select row_id, record_number, json_extract_string(json, [
            '$.country_code', '$.party_id', '$.id', '$.publish', '$.address', '$.city',
            '$.postal_code', '$.coordinates.latitude', '$.coordinates.longitude',
            '$.parking_type', '$.operator.name', '$.last_updated', '$.type'
        ]) as field
        from records
    )
)
"""

# A charge point's row id is unique over the delivery: connectors refer to it.
_RAW_CHARGE_POINTS = """
create temp table evses as
select row_number() over (order by location_row, place) as row_id, location_row, json
from (
    select location_row, unnest(list) as json, generate_subscripts(list, 1) as place
    from (select row_id as location_row, json_extract(json, '$.evses[*]') as list from records)
);
create temp table raw_charge_points as
select
    evse.row_id,
    location.row_id as parent_row_id,
    location.record_number,
    location.country_code,
    location.party_id,
    location.location_id,
    field[1] as evse_uid,
    upper(replace(field[2], '*', '')) as evse_id,
    upper(field[3]) as status,
    field[4] as last_updated
from (
    select row_id, location_row,
        json_extract_string(json, ['$.uid', '$.evse_id', '$.status', '$.last_updated']) as field
    from evses
) as evse
join raw_locations as location on location.row_id = location_row
"""

# Zero watts is how some operators say "not known". 2.1.1 says voltage and amperage.
_RAW_CONNECTORS = """
create temp table raw_connectors as
with parts as (
    select row_id as charge_point_row, unnest(list) as json, generate_subscripts(list, 1) as place
    from (select row_id, json_extract(json, '$.connectors[*]') as list from evses)
), fields as (
    select charge_point_row, place, json_extract_string(json, [
        '$.id', '$.standard', '$.power_type', '$.max_electric_power', '$.last_updated',
        '$.max_voltage', '$.voltage', '$.max_amperage', '$.amperage'
    ]) as field
    from parts
), named as (
    select charge_point_row, place, field[1] as connector_id, field[2] as standard,
        field[3] as power_type, field[4] as watts, field[5] as last_updated,
        coalesce(field[6], field[7]) as max_voltage_v,
        coalesce(field[8], field[9]) as max_amperage_a
    from fields
), powers as (
    select *,
        watts is not null and coalesce(try_cast(watts as double) <> 0, true) as is_declared,
        try_cast(max_voltage_v as decimal(9, 2)) * try_cast(max_amperage_a as decimal(9, 2))
        * case power_type
            when 'AC_3_PHASE' then 3
            when 'AC_2_PHASE' then 2
            when 'AC_2_PHASE_SPLIT' then 2
            else 1
        end as computed_w
    from named
)
select
    row_number() over (order by charge_point_row, place) as row_id,
    charge_point_row as parent_row_id,
    charge_point.record_number,
    charge_point.country_code,
    charge_point.party_id,
    charge_point.location_id,
    charge_point.evse_uid,
    connector_id,
    upper(standard) as standard,
    power_type,
    max_voltage_v,
    max_amperage_a,
    case
        when is_declared
            then coalesce(
                (try_cast(watts as decimal(18, 3)) / 1000)::decimal(18, 3)::varchar, watts
            )
        else (computed_w / 1000)::decimal(18, 3)::varchar
    end as power_kw,
    case when is_declared then 'declared' else 'computed' end as power_origin,
    powers.last_updated
from powers
join raw_charge_points as charge_point on charge_point.row_id = charge_point_row
"""


def read_locations(reading: Reading, party: Party) -> None:
    """Read a party's list into `raw_locations`, `raw_charge_points` and `raw_connectors`.

    Raises:
        DeliveryRejected: when it is nothing that OCPI knows of.
    """
    landed.read_records(reading, EXPECTED)
    flatten(reading.con, party)


def flatten(con: duckdb.DuckDBPyConnection, party: Party | None = None) -> None:
    """Make the raw tables of `records`, which has the columns row_id, record_number and json.

    Args:
        con: where `records` is.
        party: whose locations those are that do not say, as in 2.1.1; None: nobody's.
    """
    con.execute(
        _RAW_LOCATIONS.format(
            country_code=quote(party.country_code) if party else "null",
            party_id=quote(party.party_id) if party else "null",
            publish="'true'" if party else "null",
            postal_code=postal_code.in_one_form("field[7]"),
        )
    )
    con.execute(_RAW_CHARGE_POINTS)
    con.execute(_RAW_CONNECTORS)
