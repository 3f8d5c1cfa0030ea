"""Tariffs of OCPI, read into the columns of `ndw_dotnl.tariffs`, whoever sends them.

Versions 2.1.1, 2.2.1 and 2.3.0 are told apart by their members, record by record.

Belongs here: which member becomes which column. Does not belong here: judging rows, or how the
records came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from goral_pipeline.contracts.model import quote
from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.sources.ocpi import landed

if TYPE_CHECKING:
    import duckdb

    from goral_pipeline.sources.ocpi.party import Party
    from goral_pipeline.sources.reading import Reading

EXPECTED = "OCPI tariffs: pages as they were crawled, an answer with `data`, a list or one tariff"

# A tariff of 2.1.1 names no party; since 2.3.0 it may give its prices with taxes.
_RAW_TARIFFS = """
create temp table raw_tariffs as
select
    row_id,
    null::bigint as parent_row_id,
    record_number,
    coalesce(field[1], {country_code}) as country_code,
    coalesce(field[2], {party_id}) as party_id,
    field[3] as tariff_id,
    field[4] as currency,
    upper(field[5]) as tariff_type,
    field[6] as last_updated,
    coalesce(upper(field[7]) = 'YES', false) as is_with_taxes
from (
    select row_id, record_number, json_extract_string(json, [
        '$.country_code', '$.party_id', '$.id', '$.currency', '$.type', '$.last_updated',
        '$.tax_included'
    ]) as field
    from records
)
"""

# Operators write out what restricts nothing: the whole day, all days of the week, from 0 kWh on.
# What is no list of restrictions is handed on, to be quarantined as no boolean. So is, as a price
# that is missing, one with taxes of which it is not said how much they are.
_RAW_PRICE_COMPONENTS = """
create temp table raw_price_components as
with elements as (
    select tariff_row, unnest(list) as json, generate_subscripts(list, 1) as element
    from (select row_id as tariff_row, json_extract(json, '$.elements[*]') as list from records)
), restrictions as (
    select tariff_row, element, json,
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
    select tariff_row, element, json,
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
    select tariff_row, element, is_restricted, unnest(list) as json,
        generate_subscripts(list, 1) as component
    from (
        select tariff_row, element, is_restricted,
            json_extract(json, '$.price_components[*]') as list
        from judged
    )
)
select
    row_number() over (order by tariff_row, element, component) as row_id,
    tariff_row as parent_row_id,
    tariff.record_number,
    tariff.country_code,
    tariff.party_id,
    tariff.tariff_id,
    element::varchar as element,
    component::varchar as component,
    field[1] as component_type,
    case
        when is_with_taxes and try_cast(field[2] as double) is not null
            then try_cast(
                try_cast(field[2] as double) / (1 + try_cast(field[3] as double) / 100)
                as decimal(12, 5)
            )::varchar
        else field[2]
    end as price,
    field[3] as vat_pct,
    field[4] as step_size,
    is_restricted
from (
    select * exclude (json),
        json_extract_string(json, ['$.type', '$.price', '$.vat', '$.step_size']) as field
    from components
) as components
join raw_tariffs as tariff on tariff.row_id = tariff_row
"""


def read_tariffs(reading: Reading, party: Party) -> None:
    """Read a party's list into `raw_tariffs` and `raw_price_components`.

    Raises:
        DeliveryRejected: when it is nothing that OCPI knows of, or a list of something else.
    """
    landed.read_records(reading, EXPECTED)
    _check_is_of_tariffs(reading.con)
    flatten(reading.con, party)


def _check_is_of_tariffs(con: duckdb.DuckDBPyConnection) -> None:
    """Refuse what has no prices at all: sessions have all else that a tariff must have."""
    query = "select count(*), count(*) filter (where json_exists(json, '$.elements')) from records"
    (number, priced) = con.execute(query).fetchall()[0]
    if number and not priced:
        raise DeliveryRejected(
            f"none of {number} objects has `elements`, expected {EXPECTED}; is it the list of "
            "another module?"
        )


def flatten(con: duckdb.DuckDBPyConnection, party: Party | None = None) -> None:
    """Make the raw tables of `records`, which has the columns row_id, record_number and json.

    Args:
        con: where `records` is.
        party: whose tariffs those are that do not say, as in 2.1.1; None: nobody's.
    """
    con.execute(
        _RAW_TARIFFS.format(
            country_code=quote(party.country_code) if party else "null",
            party_id=quote(party.party_id) if party else "null",
        )
    )
    con.execute(_RAW_PRICE_COMPONENTS)
