"""Charge points as NDW publishes them in its open data (DOT-NL), invented for each month of 2022.

Belongs here: the array of a month and its compressed file. Not: the stations (`stations`), their
form (`ocpi`), nor the kinds of dirt and their numbers (`charge_point_dirt.DIRT`).
"""

import gzip
import io
import json
from functools import cache

from goral_pipeline.demo import charge_point_dirt
from goral_pipeline.demo.months import MONTHS
from goral_pipeline.demo.ocpi import Json, location, month_of_last_change
from goral_pipeline.demo.stations import Station, standing

PUBLISHED_MONTHS = MONTHS
FIRST_DIRTY_POSITION = 5
POSITIONS_BETWEEN_DIRT = 19
COMPRESSION_LEVEL = 3


def locations(month: str) -> list[Json | str]:
    """The array of a month: OCPI Locations, dirt included; KeyError if it is not published.

    One element is a text instead of an object: that is dirt too.
    """
    array: list[Json | str] = json.loads(_array_text(month))
    return array


@cache
def locations_gz(month: str) -> bytes:
    """The file of a month: the bare array, compressed; the same bytes every time."""
    return compressed(_array_text(month))


def compressed(text: str) -> bytes:
    """A file of DOT-NL, without the clock time that gzip would put into it."""
    buffer = io.BytesIO()
    with gzip.GzipFile("", "wb", COMPRESSION_LEVEL, buffer, mtime=0) as file:
        file.write(text.encode())
    return buffer.getvalue()


def _array_text(month: str) -> str:
    if month not in PUBLISHED_MONTHS:
        raise KeyError(month)
    texts = [_text_of(one, month_of_last_change(one, month)) for one in standing(month)]
    position = FIRST_DIRTY_POSITION
    for dirty in charge_point_dirt.elements(month):
        texts.insert(position, _encode(dirty))
        position += POSITIONS_BETWEEN_DIRT
    return "[" + ",".join(texts) + "]"


@cache
def _text_of(station: Station, changed: str) -> str:
    """A record as text, kept for the months in which it stays the same."""
    return _encode(location(station, changed))


def _encode(element: object) -> str:
    return json.dumps(element, ensure_ascii=False, separators=(",", ":"))
