"""Rows of the concessions' exports, and how bad ones come among them.

Belongs here: what all these exports share: rows by header, spellings of municipalities, bad rows.
Not: the layout or the words of any of them.
"""

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache

from goral_pipeline.demo.regions import municipalities
from goral_pipeline.demo.workbook import Cell

Row = dict[str, Cell]

# Municipalities as exports sometimes write them; everything else is the official name.
NAME_VARIANTS = {
    "Hengelo (O)": "GM0164",
    "Hengelo (O.)": "GM0164",
    "Gemeente Hengelo": "GM0164",
    "Nijmegen ": "GM0268",
    " Apeldoorn": "GM0200",
    "ARNHEM": "GM0202",
    "RIJSSEN-HOLTEN": "GM1742",
    "Rijssen Holten": "GM1742",
    "Hof Van Twente": "GM1735",
    "West Maas & Waal": "GM0668",
    "Oude-IJsselstreek": "GM1509",
    "Olst/Wijhe": "GM1773",
    "Gem. Ede": "GM0228",
}
UNKNOWN_MUNICIPALITY = "Onbekend"
# 'Oude IJsselstreek' with the ligature, written as UTF-8 and read as Windows-1252.
GARBLED_MUNICIPALITY = "Oude Ä²sselstreek"
FORMULA = '=HYPERLINK("http://example.invalid/";"DEMO")'

# Out of a hundred names.
NAMES_IN_A_VARIANT = 25

ROWS_BETWEEN_BAD_ROWS = 20


@dataclass(frozen=True)
class BadRow:
    """A row that must not be taken for a valid one: what is wrong, and the cells that make it so.

    The cells may depend on the first day of what the row tells of.
    """

    kind: str
    description: str
    cells: Callable[[date], Row]
    months: tuple[str, ...] = ()
    """The exports that hold such a row; none named: all of them."""


def always(**cells: Cell) -> Callable[[date], Row]:
    """The same cells whatever the day."""
    return lambda _: dict(cells)


def spread(rows: list[Row], bad_rows: Iterable[Row]) -> list[Row]:
    """The bad rows among the good ones, at a distance from each other."""
    mixed = list(rows)
    for position, bad_row in enumerate(bad_rows, start=1):
        mixed.insert(position * ROWS_BETWEEN_BAD_ROWS, bad_row)
    return mixed


def municipality_name(code: str, lot_of: str) -> str:
    """A municipality as an export writes it."""
    variants = _variants(code)
    if variants and lot(lot_of, "name") < NAMES_IN_A_VARIANT:
        return variants[lot(lot_of, "variant") % len(variants)]
    return official_name(code)


def official_name(code: str) -> str:
    """The name of a municipality."""
    return _official_names()[code]


def office_moment(day: date, lot_of: str) -> datetime:
    """Local Dutch time, in office hours of a day."""
    return datetime.combine(day, time()) + timedelta(minutes=8 * 60 + lot(lot_of, "moment") * 6)


def lot(lot_of: str, purpose: str) -> int:
    """A number from 0 to 99 that depends on nothing but what it is for."""
    return zlib.crc32(f"{lot_of} {purpose}".encode()) % 100


@cache
def _official_names() -> dict[str, str]:
    return {one.code: one.name for one in municipalities()}


@cache
def _variants(code: str) -> tuple[str, ...]:
    return tuple(name for name, of in NAME_VARIANTS.items() if of == code)
