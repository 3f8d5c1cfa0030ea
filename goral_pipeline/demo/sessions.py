"""Charging sessions as the OCPI server of the Vattenfall concession lists them, from July 2022.

Belongs here: the list, in the order in which records were last changed, and the part of it that a
month's file holds. Not: who charged where (`drivers`), the form of a record (`ocpi_cdr`), the kinds
of dirt (`session_dirt.DIRT`), nor paging, which is the server's.
"""

import json
from datetime import datetime
from functools import cache

from goral_pipeline.demo import LABEL
from goral_pipeline.demo.drivers import MONTHS_OF_USE, visits
from goral_pipeline.demo.ocpi import Json
from goral_pipeline.demo.ocpi_cdr import cdr
from goral_pipeline.demo.session_dirt import DIRT, Dirt

PUBLISHED_MONTHS = MONTHS_OF_USE


@cache
def cdrs() -> tuple[tuple[datetime, Json], ...]:
    """Every record with when it was last changed, in that order; some of them in January 2023."""
    clean = [cdr(number, visit) for number, visit in enumerate(visits(), start=1)]
    spoilt = _spoilt(clean)
    records = [
        record
        for one in clean
        for record in (spoilt[one["id"]].make(one) if one["id"] in spoilt else [one])
    ]
    records.sort(key=lambda record: (record["last_updated"], record["id"]))
    return tuple((datetime.fromisoformat(one["last_updated"]), one) for one in records)


def cdrs_of(month: str) -> list[Json]:
    """The records that were last changed in a month (UTC); KeyError if it is not published."""
    if month not in PUBLISHED_MONTHS:
        raise KeyError(month)
    return [record for changed, record in cdrs() if f"{changed:%Y-%m}" == month]


def file_of(month: str) -> bytes:
    """A month's records as one answer of the server, the same bytes every time."""
    content = {"description": LABEL, "data": cdrs_of(month)}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _spoilt(clean: list[Json]) -> dict[str, Dirt]:
    """Which kind of dirt each spoilt record has, by id.

    They are in the middle of a month: what is put right later is so in the next month.
    """
    found = {}
    for place, dirt in enumerate(DIRT):
        known = [one["id"] for one in clean if one["last_updated"].startswith(dirt.month)]
        found[known[len(known) // 2 + place]] = dirt
    return found
