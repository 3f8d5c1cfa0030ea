"""DOT-NL: the public charging locations and their tariffs that NDW gives out as open data.

Each is one bare JSON array of OCPI 2.2.1 objects (Location, Tariff), without envelope, in gzip.

Does not belong here: what the objects' members mean, which is OCPI's (`ocpi`).
"""

from __future__ import annotations

from goral_pipeline.sources.asking import Answer, Question, at_partition, download
from goral_pipeline.sources.hostile import check_json, unreadable_is_rejected
from goral_pipeline.sources.ocpi import locations, tariffs
from goral_pipeline.sources.reading import Reading

LOCATIONS_FILE = "charging_point_locations_ocpi.json.gz"
TARIFFS_FILE = "charging_point_tariffs_ocpi.json.gz"

# 16 MiB is DuckDB's own limit for one object; a location or tariff of that size is not one. A
# record is known by its place in the array, from 1.
_READ_RECORDS = """
create temp table given as
select json from read_json_objects($path, format = 'array', maximum_object_size = 16777216)
"""
_NUMBER_RECORDS = """
create temp view records as
select rowid + 1 as row_id, rowid + 1 as record_number, json from given
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
    locations.flatten(reading.con)


def fetch_tariffs(question: Question) -> Answer | None:
    """Ask for the snapshot of all tariffs; None when it has not changed."""
    return _fetch(question, TARIFFS_FILE)


def read_tariffs(reading: Reading) -> None:
    """Read the array into `raw_tariffs` and `raw_price_components`.

    Raises:
        DeliveryRejected: when it is not a JSON array in gzip, or nests absurdly deep.
    """
    _read_records(reading, "a JSON array of OCPI tariffs in gzip")
    tariffs.flatten(reading.con)


def _fetch(question: Question, file: str) -> Answer | None:
    base = at_partition(question.settings.ndw_dotnl_url, "month", question)
    return download(question, f"{base.rstrip('/')}/{file}")


def _read_records(reading: Reading, expected: str) -> None:
    check_json(reading.path, expected, gzipped=True)
    with unreadable_is_rejected(expected):
        reading.con.execute(_READ_RECORDS, {"path": str(reading.path)})
    reading.con.execute(_NUMBER_RECORDS)
