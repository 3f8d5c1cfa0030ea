"""The monthly workbook of placements, as an export of the Vattenfall concession might look.

Belongs here: its layout, modelled on workbooks of location proposals in public use (headers on the
second row, one column of moments a step), and its bad rows. The layout is invented, since no real
export is public. Not: the placements themselves (`placement_lives`).

The export of a month holds each placement to which something happened in that month, in its state
at the end of the month; the first one also holds what began before.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
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
from goral_pipeline.demo.placement_lives import Placement, vattenfall
from goral_pipeline.demo.request_lives import (
    DATA_DRIVEN,
    DEMAND_DRIVEN,
    PROACTIVE,
    outsiders,
    participants,
)
from goral_pipeline.demo.vattenfall_lives import CONCESSION
from goral_pipeline.demo.workbook import workbook

PUBLISHED_MONTHS = MONTHS[6:]
SHEET = "Locaties"
PREAMBLE = f"Locatievoorstellen Vattenfall InCharge – {LABEL}"
STEPS = {
    "Aangemaakt": "requested",
    "Locatievoorstel": "proposed",
    "Akkoord gemeente": "agreed",
    "Publicatie verkeersbesluit": "decision_published",
    "Verkeersbesluit definitief": "decision_final",
    "Aanvraag netaansluiting": "grid_requested",
    "Netaansluiting gereed": "grid_connected",
    "Realisatie gepland": "planned",
    "In bedrijf": "realised",
    "Gestopt": "withdrawn",
}
HEADERS = (
    "Locatienummer",
    "Aanvraagnummer",
    "Gemeente",
    "Adres",
    "Contactpersoon",
    "Aanleiding",
    "Aantal laadpunten",
    "Vermogen per laadpunt (kW)",
    "EVSE-ID's",
    *STEPS,
    "Reden vertraging",
    "Toelichting",
    "Laatst gewijzigd",
)
WORDS = {
    DEMAND_DRIVEN: "Paal volgt auto",
    PROACTIVE: "Proactief",
    DATA_DRIVEN: "Datagedreven",
    "grid_connection": "Netaansluiting",
    "objection": "Bezwaar",
    "traffic_decision": "Verkeersbesluit",
    "location": "Locatie ongeschikt",
    "supply": "Levering laadpaal",
    "other": "Overig",
}
FIRST_CONTACT, CONTACTS = 9_500, 12

BAD_ROWS = (
    BadRow("no_number", "Locatienummer is empty", always(Locatienummer=None)),
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
        lambda _: {"Gemeente": official_name(outsiders(CONCESSION)[1])},
    ),
    BadRow("no_charge_points", "Aantal laadpunten is 0", lambda _: {"Aantal laadpunten": 0}),
    BadRow(
        "impossible_date",
        "Locatievoorstel is the text '31-09-2022'",
        always(Locatievoorstel="31-09-2022"),
    ),
    BadRow(
        "before_the_concession",
        "In bedrijf is 2022-06-15, before stations were placed",
        lambda _: {"Aangemaakt": date(2022, 6, 1), "In bedrijf": date(2022, 6, 15)},
    ),
    BadRow(
        "negative_duration",
        "Verkeersbesluit definitief is before Publicatie verkeersbesluit",
        lambda begun: {
            "Publicatie verkeersbesluit": begun + timedelta(days=8),
            "Verkeersbesluit definitief": begun + timedelta(days=2),
        },
    ),
    BadRow(
        "realised_and_stopped",
        "In bedrijf and Gestopt are both there",
        lambda begun: {
            "In bedrijf": begun + timedelta(days=5),
            "Gestopt": begun + timedelta(days=8),
        },
    ),
)
DOUBLED_ROW = 4


@cache
def export(month: str) -> bytes:
    """The workbook of a month; the same bytes every time; KeyError if it is not published."""
    if month not in PUBLISHED_MONTHS:
        raise KeyError(month)
    above = (PREAMBLE, None, None, f"Peildatum: {last_day(month).strftime('%d-%m-%Y')}")
    rows = [_row(placement) for placement in published_placements(month)]
    mixed = spread(rows, _bad_rows(month, rows))
    cells = ([row.get(header) for header in HEADERS] for row in mixed)
    return workbook(SHEET, above, HEADERS, cells)


def published_placements(month: str) -> list[Placement]:
    """The valid placements in the export of a month, in their state at its end."""
    first = date.min if month == PUBLISHED_MONTHS[0] else first_day(month)
    last = last_day(month)
    return [
        placement.at_end_of(last)
        for placement in vattenfall()
        if any(first <= taken <= last for taken in placement.events)
    ]


def _row(placement: Placement) -> Row:
    number = placement.number
    place = lot(number, "place")
    return {
        "Locatienummer": number,
        "Aanvraagnummer": placement.request_number,
        "Gemeente": municipality_name(placement.municipality_code, number),
        "Adres": persons.street(place),
        "Contactpersoon": persons.name(FIRST_CONTACT + place % CONTACTS),
        "Aanleiding": WORDS[placement.occasion],
        "Aantal laadpunten": placement.charge_points,
        "Vermogen per laadpunt (kW)": placement.power_kw,
        "EVSE-ID's": _evse_ids(placement) if placement.realised else None,
        **{header: _moment(placement, step) for header, step in STEPS.items()},
        "Reden vertraging": WORDS.get(placement.delay_reason or ""),
        "Laatst gewijzigd": office_moment(placement.last_event, number) + timedelta(hours=1),
    }


def _moment(placement: Placement, step: str) -> datetime | None:
    day: date | None = getattr(placement, step)
    return office_moment(day, placement.number) if day else None


def _evse_ids(placement: Placement) -> str:
    return ", ".join(
        f"NL*NUO*EDEMO{placement.number[-5:]}*{socket}"
        for socket in range(1, placement.charge_points + 1)
    )


def _bad_rows(month: str, rows: list[Row]) -> Iterator[Row]:
    """The bad rows of a month: each kind, a row that is there twice, and one without a cell."""
    begun = first_day(month) + timedelta(days=9)
    updated = {"Laatst gewijzigd": office_moment(begun + timedelta(days=15), month)}
    for index, bad_row in enumerate(BAD_ROWS):
        yield _row(_victim(month, index, begun)) | updated | bad_row.cells(begun)
    yield rows[DOUBLED_ROW]
    yield {}


def _victim(month: str, index: int, begun: date) -> Placement:
    """A placement that exists only to be spoilt; its number is outside the series."""
    return Placement(
        number=f"VP-2022-9{month[-2:]}{index:02d}",
        municipality_code=participants(CONCESSION)[index],
        occasion=PROACTIVE,
        charge_points=2,
        power_kw=11.0,
        requested=begun,
    )
