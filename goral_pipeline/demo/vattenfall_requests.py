"""The monthly workbook of requests, as an export of the Vattenfall concession might look.

Belongs here: its layout, the ways it writes dates and names, and its bad rows. The layout is
invented, since no real export is public; persons in it are invented and say so. Not: the requests
themselves (`vattenfall_lives`).

The export of a month holds each request to which something happened in that month, in its state
at the end of the month. A request is therefore in several exports; the newest knows most.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache

from goral_pipeline.demo import LABEL, persons
from goral_pipeline.demo.export_rows import (
    FORMULA,
    GARBLED_MUNICIPALITY,
    UNKNOWN_MUNICIPALITY,
    BadRow,
    Row,
    always,
    lot,
    municipality_name,
    office_moment,
    official_name,
    spread,
)
from goral_pipeline.demo.months import MONTHS, first_day, last_day
from goral_pipeline.demo.request_lives import (
    DATA_DRIVEN,
    DEMAND_DRIVEN,
    PROACTIVE,
    Request,
    outsiders,
    participants,
)
from goral_pipeline.demo.vattenfall_lives import CONCESSION, requests
from goral_pipeline.demo.workbook import Cell, workbook

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
WORDS = {
    DEMAND_DRIVEN: "Aanvraag bewoner",
    PROACTIVE: "Proactief",
    DATA_DRIVEN: "Datagedreven",
    "own_parking_place": "Eigen parkeergelegenheid",
    "charge_point_nearby": "Laadpaal binnen 250 meter",
    "no_valid_proof": "Geen geldig bewijs elektrische auto",
    "not_in_municipality": "Woont of werkt niet in gemeente",
}
DUTCH_DATE = "%d-%m-%Y"
EXCEL_DAY_ZERO = date(1899, 12, 30)

# Out of a hundred cells or rows.
DATES_AS_TEXT = 8
DATES_AS_SERIAL_NUMBER = 4
ROWS_WITH_REMARK = 6

REMARKS = (
    "DEMO: gebeld met {name}, stuurt bewijs na",
    "DEMO: {name} wil liever een plek aan de overkant",
    "DEMO: buurman van {name} heeft ook aangevraagd",
)

BAD_ROWS = (
    BadRow("no_number", "Aanvraagnummer is empty", always(Aanvraagnummer=None)),
    BadRow("formula", "Aanvraagnummer is the text of a formula", always(Aanvraagnummer=FORMULA)),
    BadRow(
        "unknown_municipality",
        f"Gemeente is {UNKNOWN_MUNICIPALITY!r}",
        always(Gemeente=UNKNOWN_MUNICIPALITY),
    ),
    BadRow(
        "garbled_municipality",
        f"Gemeente is {GARBLED_MUNICIPALITY!r}",
        always(Gemeente=GARBLED_MUNICIPALITY),
    ),
    BadRow(
        "not_taking_part",
        "Gemeente is one of the region that does not take part",
        lambda _: {"Gemeente": official_name(outsiders(CONCESSION)[0])},
    ),
    BadRow("no_occasion", "Aanleiding is empty", always(Aanleiding=None)),
    BadRow(
        "impossible_date",
        "Datum aanvraag is the text '31-02-2022'",
        lambda _: {"Datum aanvraag": "31-02-2022"},
    ),
    BadRow(
        "before_the_concession",
        "Datum aanvraag is 2022-03-15, before requests were taken",
        lambda _: {"Datum aanvraag": date(2022, 3, 15)},
    ),
    BadRow(
        "rejection_without_reason",
        "Datum afwijzing is there, Reden afwijzing is empty",
        lambda asked: {"Datum afwijzing": asked},
    ),
    BadRow(
        "realised_before_requested",
        "Datum realisatie is before Datum aanvraag",
        lambda asked: {
            "Datum goedkeuring": asked,
            "Datum realisatie": asked - timedelta(days=30),
        },
    ),
)
DOUBLED_ROW = 4
FIRST_BAD_PERSON = 9_000


@cache
def export(month: str) -> bytes:
    """The workbook of a month; the same bytes every time; KeyError if it is not published."""
    if month not in PUBLISHED_MONTHS:
        raise KeyError(month)
    above = (PREAMBLE, None, None, f"Peildatum: {last_day(month).strftime(DUTCH_DATE)}")
    rows = [_row(request) for request in published_requests(month)]
    mixed = spread(rows, _bad_rows(month, rows))
    cells = ([row.get(header) for header in HEADERS] for row in mixed)
    return workbook(SHEET, above, HEADERS, cells)


def published_requests(month: str) -> list[Request]:
    """The valid requests in the export of a month, in their state at its end."""
    first, last = first_day(month), last_day(month)
    return [
        request.at_end_of(last)
        for request in requests()
        if any(first <= happened <= last for happened in request.events)
    ]


def _row(request: Request) -> Row:
    person = request.person
    return {
        "Aanvraagnummer": request.number,
        "Gemeente": municipality_name(request.municipality_code, request.number),
        "Naam aanvrager": persons.name(person),
        "E-mailadres": persons.email(person),
        "Telefoonnummer": persons.phone(person),
        "Straat en huisnummer": persons.street(person),
        "Postcode": persons.POSTCODE,
        "Kenteken": persons.plate(person),
        "Aanleiding": WORDS[request.occasion],
        "Datum aanvraag": _date_cell(request, "requested", request.requested),
        "Datum afwijzing": _date_cell(request, "rejected", request.rejected),
        "Reden afwijzing": WORDS.get(request.rejection_reason or ""),
        "Datum intrekking": _date_cell(request, "withdrawn", request.withdrawn),
        "Datum goedkeuring": _date_cell(request, "approved", request.approved),
        "Datum realisatie": _date_cell(request, "realised", request.realised),
        "Laatst gewijzigd": office_moment(max(request.events), request.number),
        "Toelichting": _remark(request),
    }


def _date_cell(request: Request, column: str, day: date | None) -> Cell:
    """Mostly a true date; sometimes text; sometimes a bare serial number."""
    if day is None:
        return None
    drawn = lot(request.number, column)
    if drawn < DATES_AS_TEXT:
        return day.strftime(DUTCH_DATE)
    if drawn < DATES_AS_TEXT + DATES_AS_SERIAL_NUMBER:
        return (day - EXCEL_DAY_ZERO).days
    return day


def _remark(request: Request) -> str | None:
    drawn = lot(request.number, "remark")
    name = persons.name(request.person)
    return REMARKS[drawn % len(REMARKS)].format(name=name) if drawn < ROWS_WITH_REMARK else None


def _bad_rows(month: str, rows: list[Row]) -> Iterator[Row]:
    """The bad rows of a month: each kind, a row that is there twice, and one without a cell."""
    asked = first_day(month) + timedelta(days=9)
    for index, bad_row in enumerate(BAD_ROWS):
        yield _row(_victim(month, index, asked)) | bad_row.cells(asked)
    yield rows[DOUBLED_ROW]
    yield {}


def _victim(month: str, index: int, asked: date) -> Request:
    """A request that exists only to be spoilt; its number is outside the series."""
    return Request(
        requested=asked,
        number=f"VF-2022-9{month[-2:]}{index:03d}",
        municipality_code=participants(CONCESSION)[index],
        person=FIRST_BAD_PERSON + index,
    )
