"""Locations and tariffs as the OCPI server of the Vattenfall concession lists them.

Belongs here: the lists of a month, without dirt, in the order in which their objects were last
changed. They are of the stations that the demo's drivers use, and say of them what DOT-NL says.
Not: the stations (`stations`), the form of an object (`ocpi`, `tariffs`), nor paging, which is the
server's.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from functools import cache

from goral_pipeline.demo import LABEL, tariffs
from goral_pipeline.demo.drivers import used_stations
from goral_pipeline.demo.ocpi import Json, location, without_nulls
from goral_pipeline.demo.stations import VATTENFALL

PUBLISHED_MONTHS = tariffs.PUBLISHED_MONTHS
KINDS = ("locations", "tariffs")


@cache
def listed(kind: str, month: str) -> tuple[tuple[datetime, Json], ...]:
    """Every object with when it was last changed; KeyError if the month is not published."""
    if month not in PUBLISHED_MONTHS:
        raise KeyError(month)
    objects = [without_nulls(one) for one in _objects(kind, month)]
    objects.sort(key=lambda one: (one["last_updated"], one["id"]))
    return tuple((datetime.fromisoformat(one["last_updated"]), one) for one in objects)


def file_of(kind: str, month: str) -> bytes:
    """A month's list as one answer of the server, the same bytes every time."""
    content = {"description": LABEL, "data": [one for _, one in listed(kind, month)]}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _objects(kind: str, month: str) -> Iterable[Json]:
    if kind == "locations":
        return (location(station, month) for station in used_stations())
    return tariffs.tariffs_of(VATTENFALL, month)
