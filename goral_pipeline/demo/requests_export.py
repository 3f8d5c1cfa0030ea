"""The monthly workbook of requests, as an export of the Vattenfall concession might look.

Belongs here: its layout, the ways it writes dates and names, and its bad rows. The layout is
invented, since no real export is public; persons in it are invented and say so. Not: the requests
themselves and their totals (`request_lives`).

The export of a month holds each request to which something happened in that month, in its state
at the end of the month. A request is therefore in several exports; the newest knows most.
"""

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING

from goral_pipeline.demo import LABEL
from goral_pipeline.demo.months import MONTHS, first_day, last_day
from goral_pipeline.demo.regions import municipalities
from goral_pipeline.demo.request_lives import Request, participants, requests

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

PUBLISHED_MONTHS = MONTHS[3:]
SHEET = "Aanvragen"
PREAMBLE = f"Export aanvragen Vattenfall InCharge – {LABEL}"
HEADERS = (
    "Aanvraagnummer",
    "Gemeente",
    "Naam aanvrager",
    "E-mailadres",
    "Telefoonnummer",
    "Straat en huisnummer",
    "Postcode",
    "Kenteken",
    "Aanleiding",
    "Datum aanvraag",
    "Datum afwijzing",
    "Reden afwijzing",
    "Datum intrekking",
    "Datum goedkeuring",
    "Datum realisatie",
    "Laatst gewijzigd",
    "Toelichting",
)
FIRST_ROW = 2
DUTCH_DATE = "%d-%m-%Y"
EXCEL_DAY_ZERO = date(1899, 12, 30)
CREATED = datetime(2023, 1, 1, tzinfo=UTC)

# Municipalities as the export sometimes writes them; everything else is the official name.
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

# Out of a hundred cells or rows.
NAMES_IN_A_VARIANT = 25
DATES_AS_TEXT = 8
DATES_AS_SERIAL_NUMBER = 4
ROWS_WITH_REMARK = 6

REMARKS = (
    "DEMO: gebeld met {name}, stuurt bewijs na",
    "DEMO: {name} wil liever een plek aan de overkant",
    "DEMO: buurman van {name} heeft ook aangevraagd",
)

Cell = str | int | date | datetime | None
Row = list[Cell]


@dataclass(frozen=True)
class BadRow:
    """A row that must not be taken for a valid request, and the exports that hold one."""

    kind: str
    description: str
    months: tuple[str, ...] = PUBLISHED_MONTHS


BAD_ROWS = (
    BadRow("no_number", "Aanvraagnummer is empty"),
    BadRow("unknown_municipality", f"Gemeente is {UNKNOWN_MUNICIPALITY!r}"),
    BadRow("impossible_date", "Datum aanvraag is the text '31-02-2022'"),
    BadRow("rejection_without_reason", "Datum afwijzing is there, Reden afwijzing is empty"),
    BadRow("realised_before_requested", "Datum realisatie is before Datum aanvraag"),
    BadRow("duplicate", "the fifth row once more, cell by cell"),
    BadRow("empty", "no cell is filled"),
)
ROWS_BETWEEN_BAD_ROWS = 20
FIRST_BAD_PERSON = 9_000


@cache
def export(month: str) -> bytes:
    """The workbook of a month; the same bytes every time; KeyError if it is not published."""
    if month not in PUBLISHED_MONTHS:
        raise KeyError(month)
    import xlsxwriter  # heavy, and only this export needs it

    buffer = io.BytesIO()
    workbook = xlsxwriter.Workbook(buffer, {"in_memory": True})
    workbook.set_properties({"created": CREATED, "title": LABEL})
    sheet = workbook.add_worksheet(SHEET)
    sheet.set_column(0, len(HEADERS) - 1, 18)
    sheet.write_string(0, 0, PREAMBLE)
    sheet.write_string(0, 3, f"Peildatum: {last_day(month).strftime(DUTCH_DATE)}")
    sheet.write_row(1, 0, HEADERS, workbook.add_format({"bold": True}))
    day_format = workbook.add_format({"num_format": "dd-mm-yyyy"})
    moment_format = workbook.add_format({"num_format": "dd-mm-yyyy hh:mm"})
    for index, row in enumerate(_rows(month), start=FIRST_ROW):
        _write(sheet, index, row, day_format, moment_format)
    workbook.close()
    return buffer.getvalue()


def published_requests(month: str) -> list[Request]:
    """The valid requests in the export of a month, in their state at its end."""
    first, last = first_day(month), last_day(month)
    return [
        request.at_end_of(last)
        for request in requests()
        if any(first <= happened <= last for happened in request.events)
    ]


def _write(
    sheet: "Worksheet", index: int, row: Row, day_format: "Format", moment_format: "Format"
) -> None:
    for column, cell in enumerate(row):
        if isinstance(cell, datetime):
            sheet.write_datetime(index, column, cell, moment_format)
        elif isinstance(cell, date):
            sheet.write_datetime(index, column, cell, day_format)
        elif isinstance(cell, int):
            sheet.write_number(index, column, cell)
        elif cell:
            sheet.write_string(index, column, cell)


def _rows(month: str) -> list[Row]:
    rows = [_row(request) for request in published_requests(month)]
    for position, bad_row in enumerate(list(_bad_rows(month, rows)), start=1):
        rows.insert(position * ROWS_BETWEEN_BAD_ROWS, bad_row)
    return rows


def _row(request: Request) -> Row:
    name = f"Demo Persoon {request.person:04d}"
    return [
        request.number,
        _municipality_name(request),
        name,
        f"persoon{request.person:04d}@example.invalid",
        f"06-{request.person:08d}",
        f"Demostraat {1 + request.person % 150}",
        "0000 AA",
        f"X{'XYZW'[request.person // 1000 % 4]}-{request.person % 1000:03d}-X",
        request.occasion,
        _date_cell(request, "requested", request.requested),
        _date_cell(request, "rejected", request.rejected),
        request.rejection_reason,
        _date_cell(request, "withdrawn", request.withdrawn),
        _date_cell(request, "approved", request.approved),
        _date_cell(request, "realised", request.realised),
        _last_changed(request),
        _remark(request, name),
    ]


@cache
def _official_names() -> dict[str, str]:
    return {one.code: one.name for one in municipalities()}


@cache
def _variants(municipality_code: str) -> tuple[str, ...]:
    return tuple(name for name, code in NAME_VARIANTS.items() if code == municipality_code)


def _municipality_name(request: Request) -> str:
    variants = _variants(request.municipality_code)
    if variants and _lot(request, "name") < NAMES_IN_A_VARIANT:
        return variants[_lot(request, "variant") % len(variants)]
    return _official_names()[request.municipality_code]


def _date_cell(request: Request, column: str, day: date | None) -> Cell:
    """Mostly a true date; sometimes text; sometimes a bare serial number."""
    if day is None:
        return None
    lot = _lot(request, column)
    if lot < DATES_AS_TEXT:
        return day.strftime(DUTCH_DATE)
    if lot < DATES_AS_TEXT + DATES_AS_SERIAL_NUMBER:
        return (day - EXCEL_DAY_ZERO).days
    return day


def _last_changed(request: Request) -> datetime:
    """Local Dutch time, in office hours of the day of the last event."""
    minutes = 8 * 60 + _lot(request, "moment") * 6
    return datetime.combine(max(request.events), time()) + timedelta(minutes=minutes)


def _remark(request: Request, name: str) -> str | None:
    lot = _lot(request, "remark")
    return REMARKS[lot % len(REMARKS)].format(name=name) if lot < ROWS_WITH_REMARK else None


def _lot(request: Request, purpose: str) -> int:
    """A number from 0 to 99 that depends on nothing but the request and the purpose."""
    return zlib.crc32(f"{request.number} {purpose}".encode()) % 100


def _bad_rows(month: str, rows: list[Row]) -> Iterator[Row]:
    """The bad rows of a month, in the order of BAD_ROWS."""
    for index, bad_row in enumerate(BAD_ROWS):
        if month not in bad_row.months:
            continue
        if bad_row.kind == "duplicate":
            yield list(rows[4])
        elif bad_row.kind == "empty":
            yield [None] * len(HEADERS)
        else:
            yield _spoilt(bad_row.kind, _victim(month, index))


def _victim(month: str, index: int) -> Request:
    """A request that exists only to be spoilt; its number is outside the series."""
    return Request(
        requested=first_day(month) + timedelta(days=9),
        number=f"VF-2022-9{month[-2:]}{index:03d}",
        municipality_code=participants()[index],
        person=FIRST_BAD_PERSON + index,
    )


def _spoilt(kind: str, request: Request) -> Row:
    if kind == "rejection_without_reason":
        return _row(replace(request, rejected=request.requested + timedelta(days=8)))
    if kind == "realised_before_requested":
        too_early = request.requested - timedelta(days=30)
        return _row(replace(request, approved=request.requested, realised=too_early))
    row = _row(request)
    column, cell = {
        "no_number": (HEADERS.index("Aanvraagnummer"), None),
        "unknown_municipality": (HEADERS.index("Gemeente"), UNKNOWN_MUNICIPALITY),
        "impossible_date": (HEADERS.index("Datum aanvraag"), "31-02-2022"),
    }[kind]
    row[column] = cell
    return row
