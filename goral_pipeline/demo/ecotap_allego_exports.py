"""The exports of requests and placements, as those of the Ecotap/Allego concession might look.

Belongs here: their layout and their bad rows. It is as different from Vattenfall's as exports are:
text in Windows-1252 with `;`, lines above the headers, subtotals by month and a total at the end,
other headers and other words. The layouts are invented, since no real export is public. Not: the
requests and placements themselves (`ecotap_allego_lives`, `placement_lives`).

An export holds what happened since the one before; the first one holds all that went before.
"""

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from functools import cache
from itertools import groupby

from goral_pipeline.demo import LABEL, persons
from goral_pipeline.demo.ecotap_allego_lives import CONCESSION, requests
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
from goral_pipeline.demo.months import first_day, last_day
from goral_pipeline.demo.placement_lives import Placement, ecotap_allego
from goral_pipeline.demo.request_lives import (
    DATA_DRIVEN,
    DEMAND_DRIVEN,
    PROACTIVE,
    Request,
    outsiders,
    participants,
)
from goral_pipeline.demo.workbook import Cell

ENCODING = "cp1252"
# Few on purpose: only months in which something happened, and the one before the reference date.
REQUEST_MONTHS = (
    *("2022-01", "2022-02", "2022-03", "2022-04", "2022-05", "2022-06", "2022-07"),
    "2022-11",
)
PLACEMENT_MONTHS = ("2022-01", "2022-03", "2022-06")

REQUEST_HEADERS = (
    *("Aanvraagnr", "Binnengekomen", "Plaats", "Aanvrager", "E-mail", "Tel.", "Adres", "PC"),
    *("Kenteken voertuig", "Herkomst", "Afgewezen d.d.", "Reden", "Ingetrokken d.d."),
    *("Akkoord d.d.", "In gebruik d.d.", "Afstand tot laadpaal (km)", "Coördinator"),
    "Opmerkingen",
)
PLACEMENT_STEPS = {
    "Aanvraag": "requested",
    "Voorstel": "proposed",
    "Akkoord": "agreed",
    "Besluit": "decision_published",
    "Besluit definitief": "decision_final",
    "Netaanvraag": "grid_requested",
    "Netaansluiting": "grid_connected",
    "Planning": "planned",
    "Geïnstalleerd": "realised",
    "Vervallen": "withdrawn",
}
PLACEMENT_HEADERS = (
    *("Paalcode", "Aanvraagnr", "Plaats", "Straat", "Coördinator", "Soort plaatsing", "Aantal"),
    *("kW", *PLACEMENT_STEPS, "Oorzaak vertraging", "Laadpunten (EVSE)"),
    *("Investering (€)", "Mutatie", "Opmerkingen"),
)
WORDS = {
    DEMAND_DRIVEN: "Particulier",
    PROACTIVE: "Vóór de vraag uit",
    DATA_DRIVEN: "Op basis van gebruik",
    "own_parking_place": "Eigen oprit of carport",
    "charge_point_nearby": "Paal < 250 m",
    "no_valid_proof": "Bewijs ontbreekt – geïnformeerd",
    "not_in_municipality": "Niet woon- of werkzaam in gemeente",
    "grid_connection": "Netcapaciteit",
    "objection": "Bezwaar/zienswijze",
    "traffic_decision": "Besluit verlaat",
    "location": "Ondergrond – kabels en leidingen",
    "supply": "Levertijd paal",
    "other": "Overig",
}
FIRST_NAMES = ("Zoë", "René", "Anaïs", "Jörg", "Chloé", "Daniël", "Noëlle", "Françoise")
REMARKS = (
    "DEMO: {name} gebeld; stuurt bewijs na",
    'DEMO: {name} noemt het "de paal om de hoek"',
    "DEMO: {name} is geïnformeerd;\nwacht op de buren",
)
MONTH_NAMES = (
    *("januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus"),
    *("september", "oktober", "november", "december"),
)
ROWS_WITH_REMARK = 8
EMAILS_IN_CAPITALS = 10
FIRST_COORDINATOR, COORDINATORS = 9_600, 4
FIRST_BAD_PERSON = 9_200

# The first exports are long, so most bad rows are there: of none may too large a part be bad.
FIRST = ("2022-01",)

BAD_REQUESTS = (
    BadRow("no_number", "Aanvraagnr is empty", always(Aanvraagnr=None), FIRST),
    BadRow("formula", "Aanvraagnr is the text of a formula", always(Aanvraagnr=FORMULA), FIRST),
    BadRow(
        "unknown_municipality",
        f"Plaats is {UNKNOWN_MUNICIPALITY!r}",
        always(Plaats=UNKNOWN_MUNICIPALITY),
        (*FIRST, "2022-05"),
    ),
    BadRow(
        "garbled_municipality",
        f"Plaats is {GARBLED_MUNICIPALITY!r}",
        always(Plaats=GARBLED_MUNICIPALITY),
        FIRST,
    ),
    BadRow(
        "not_taking_part",
        "Plaats is one of the region that does not take part",
        lambda _: {"Plaats": official_name(outsiders(CONCESSION)[0])},
        (*FIRST, "2022-04"),
    ),
    BadRow("no_origin", "Herkomst is empty", always(Herkomst=None), FIRST),
    BadRow(
        "impossible_date",
        "Binnengekomen is '29-02-2022'",
        always(Binnengekomen="29-02-2022"),
        ("2022-03",),
    ),
    BadRow(
        "after_the_concession",
        "Binnengekomen is 2022-07-04, when no requests were taken any more",
        always(Binnengekomen=date(2022, 7, 4)),
        ("2022-07",),
    ),
    BadRow(
        "rejection_without_reason",
        "Afgewezen d.d. is there, Reden is empty",
        lambda asked: {"Afgewezen d.d.": asked},
        (*FIRST, "2022-06"),
    ),
    BadRow(
        "realised_before_requested",
        "In gebruik d.d. is before Binnengekomen",
        lambda asked: {"Akkoord d.d.": asked, "In gebruik d.d.": asked - timedelta(days=30)},
        FIRST,
    ),
)
BAD_PLACEMENTS = (
    BadRow("no_number", "Paalcode is empty", always(Paalcode=None), FIRST),
    BadRow("formula", "Aanvraagnr is the text of a formula", always(Aanvraagnr=FORMULA), FIRST),
    BadRow(
        "unknown_municipality",
        f"Plaats is {UNKNOWN_MUNICIPALITY!r}",
        always(Plaats=UNKNOWN_MUNICIPALITY),
        (*FIRST, "2022-03"),
    ),
    BadRow(
        "not_taking_part",
        "Plaats is one of the region that does not take part",
        lambda _: {"Plaats": official_name(outsiders(CONCESSION)[1])},
        FIRST,
    ),
    BadRow("negative_power", "kW is '-11,0'", always(kW=-11.0), FIRST),
    BadRow(
        "impossible_date", "Voorstel is '31-06-2022'", always(Voorstel="31-06-2022"), ("2022-06",)
    ),
    BadRow(
        "negative_duration",
        "Netaansluiting is before Netaanvraag",
        lambda begun: {
            "Netaanvraag": begun + timedelta(days=8),
            "Netaansluiting": begun + timedelta(days=2),
            "Mutatie": datetime.combine(begun + timedelta(days=9), time(9)),
        },
        FIRST,
    ),
)


@cache
def requests_export(month: str) -> bytes:
    """The file of requests of a month; the same bytes every time; KeyError if there is none."""
    good = [_request_row(one) for one in published_requests(month)]
    bad = [
        _request_row(_bad_request(month, index)) | bad_row.cells(_bad_day(month))
        for index, bad_row in _bad(BAD_REQUESTS, month)
    ]
    return _file("aanvragen", month, REQUEST_HEADERS, "Binnengekomen", spread(good, bad))


@cache
def placements_export(month: str) -> bytes:
    """The file of placements of a month; the same bytes every time; KeyError if there is none."""
    good = [_placement_row(one) for one in published_placements(month)]
    bad = [
        _placement_row(_bad_placement(month, index)) | bad_row.cells(_bad_day(month))
        for index, bad_row in _bad(BAD_PLACEMENTS, month)
    ]
    return _file("plaatsingen", month, PLACEMENT_HEADERS, "Aanvraag", spread(good, bad))


def published_requests(month: str) -> list[Request]:
    """The valid requests in the export of a month, in their state at its end."""
    first, last = _span(REQUEST_MONTHS, month)
    return [
        one.at_end_of(last)
        for one in requests()
        if any(first <= happened <= last for happened in one.events)
    ]


def published_placements(month: str) -> list[Placement]:
    """The valid placements in the export of a month, in their state at its end."""
    first, last = _span(PLACEMENT_MONTHS, month)
    return [
        one.at_end_of(last)
        for one in ecotap_allego()
        if any(first <= taken <= last for taken in one.events)
    ]


def _span(published: tuple[str, ...], month: str) -> tuple[date, date]:
    """The days that an export covers: those since the one before."""
    if month not in published:
        raise KeyError(month)
    place = published.index(month)
    first = last_day(published[place - 1]) + timedelta(days=1) if place else date.min
    return first, last_day(month)


def _bad(kinds: tuple[BadRow, ...], month: str) -> Iterator[tuple[int, BadRow]]:
    """The kinds of bad rows in the export of a month, numbered."""
    return ((index, kind) for index, kind in enumerate(kinds) if month in kind.months)


def _bad_day(month: str) -> date:
    return first_day(month) + timedelta(days=9)


def _bad_request(month: str, index: int) -> Request:
    """A request that exists only to be spoilt; its number is outside the series."""
    return Request(
        requested=_bad_day(month),
        number=f"EA/2022/9{month[-2:]}{index}",
        municipality_code=participants(CONCESSION)[index],
        person=FIRST_BAD_PERSON + index,
    )


def _bad_placement(month: str, index: int) -> Placement:
    """A placement that exists only to be spoilt; its number is outside the series."""
    return Placement(
        number=f"P9{month[-2:]}{index}",
        municipality_code=participants(CONCESSION)[index],
        occasion=PROACTIVE,
        charge_points=2,
        power_kw=11.0,
        requested=_bad_day(month),
    )


def _request_row(request: Request) -> Row:
    person, number = request.person, request.number
    return {
        "Aanvraagnr": number,
        "Binnengekomen": request.requested,
        "Plaats": municipality_name(request.municipality_code, number),
        "Aanvrager": _name(person),
        "E-mail": _email(person, number),
        "Tel.": persons.phone(person),
        "Adres": persons.street(person),
        "PC": persons.POSTCODE,
        "Kenteken voertuig": persons.plate(person),
        "Herkomst": WORDS[request.occasion],
        "Afgewezen d.d.": request.rejected,
        "Reden": WORDS.get(request.rejection_reason or ""),
        "Ingetrokken d.d.": request.withdrawn,
        "Akkoord d.d.": request.approved,
        "In gebruik d.d.": request.realised,
        "Afstand tot laadpaal (km)": lot(number, "distance") / 100,
        "Coördinator": _name(FIRST_COORDINATOR + person % COORDINATORS),
        "Opmerkingen": _remark(number, person),
    }


def _placement_row(placement: Placement) -> Row:
    number = placement.number
    place = lot(number, "place")
    return {
        "Paalcode": number,
        "Aanvraagnr": placement.request_number,
        "Plaats": municipality_name(placement.municipality_code, number),
        "Straat": persons.street(place),
        "Coördinator": _name(FIRST_COORDINATOR + place % COORDINATORS),
        "Soort plaatsing": WORDS[placement.occasion],
        "Aantal": placement.charge_points,
        "kW": placement.power_kw,
        **{header: getattr(placement, step) for header, step in PLACEMENT_STEPS.items()},
        "Oorzaak vertraging": WORDS.get(placement.delay_reason or ""),
        "Laadpunten (EVSE)": _evse_ids(placement) if placement.realised else None,
        "Investering (€)": 2_950.0 + 12.5 * place,
        "Mutatie": office_moment(placement.last_event + timedelta(days=1), number),
        "Opmerkingen": _remark(number, FIRST_COORDINATOR),
    }


def _name(person: int) -> str:
    return f"{persons.name(person)} {FIRST_NAMES[person % len(FIRST_NAMES)]}"


def _email(person: int, number: str) -> str:
    """The same address as in the other concession, though not always in small letters."""
    address = persons.email(person)
    return address.upper() if lot(number, "e-mail") < EMAILS_IN_CAPITALS else address


def _remark(number: str, person: int) -> str | None:
    drawn = lot(number, "remark")
    if drawn >= ROWS_WITH_REMARK:
        return None
    return REMARKS[drawn % len(REMARKS)].format(name=_name(person))


def _evse_ids(placement: Placement) -> str:
    return " | ".join(
        f"NLALLEGODEMO{placement.number}{socket}"
        for socket in range(1, placement.charge_points + 1)
    )


def _file(what: str, month: str, headers: tuple[str, ...], dated: str, rows: list[Row]) -> bytes:
    """The file: two lines about it, a blank one, headers, rows with subtotals, a total."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow([f"Ecotap/Allego – rapportage {what}"])
    writer.writerow([LABEL, f"Periode t/m {_text(last_day(month))}"])
    writer.writerow([])
    writer.writerow(headers)
    for name, group in groupby(rows, key=lambda row: _month_of(row.get(dated))):
        of_month = list(group)
        writer.writerows([_text(row.get(header)) for header in headers] for row in of_month)
        writer.writerow(_total(f"Subtotaal {name}", len(of_month), headers))
    writer.writerow(_total("Totaal", len(rows), headers))
    return text.getvalue().encode(ENCODING)


def _total(label: str, number: int, headers: tuple[str, ...]) -> list[str]:
    return [label, str(number), *[""] * (len(headers) - 2)]


def _month_of(cell: Cell) -> str:
    if isinstance(cell, date):
        return f"{MONTH_NAMES[cell.month - 1]} {cell.year}"
    return "onbekend"


def _text(cell: Cell) -> str:
    if isinstance(cell, datetime):
        return cell.strftime("%d-%m-%Y %H:%M")
    if isinstance(cell, date):
        return cell.strftime("%d-%m-%Y")
    if isinstance(cell, float):
        return _decimal_comma(cell)
    return "" if cell is None else str(cell)


def _decimal_comma(number: float) -> str:
    return f"{number:,.2f}".removesuffix("0").translate(str.maketrans(",.", ".,"))
