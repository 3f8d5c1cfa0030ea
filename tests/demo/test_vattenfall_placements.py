"""The invented exports of placements, read back from the workbooks as a stranger would."""

import re
from collections import Counter
from datetime import date, datetime
from functools import cache

import fastexcel
import pytest

from goral_pipeline.demo import vattenfall_placements
from goral_pipeline.demo.export_rows import NAME_VARIANTS
from goral_pipeline.demo.regions import municipalities
from goral_pipeline.demo.request_lives import participants
from goral_pipeline.demo.vattenfall_lives import requests
from goral_pipeline.demo.vattenfall_placements import BAD_ROWS, HEADERS, PUBLISHED_MONTHS, STEPS

Cells = dict[str, str | None]

CODE_OF = {one.name: one.code for one in municipalities()} | NAME_VARIANTS
TAKEN = [header for header in STEPS if header != "Realisatie gepland"]
DOUBLED, EMPTY = "doubled", "empty"


@cache
def sheet(month: str) -> list[Cells]:
    workbook = fastexcel.read_excel(vattenfall_placements.export(month))
    assert workbook.sheet_names == ["Locaties"]
    table = workbook.load_sheet(0, header_row=1, skip_rows=0, dtypes="string").to_arrow()
    assert tuple(table.schema.names) == HEADERS
    rows: list[Cells] = table.to_pylist()
    return rows


def moment(text: str | None) -> datetime | None:
    """A step as the export writes it; ValueError if it is none."""
    return datetime.fromisoformat(text) if text else None


def fault(row: Cells) -> str | None:
    """Which bad row this is, by the rules of the export; None if it is a valid placement."""
    if not any(row.values()):
        return EMPTY
    if not row["Locatienummer"]:
        return "no_number"
    if (row["Aanvraagnummer"] or "").startswith("="):
        return "formula"
    if row["Gemeente"] not in CODE_OF:
        return "garbled_municipality" if "Ä" in str(row["Gemeente"]) else "unknown_municipality"
    if CODE_OF[row["Gemeente"]] not in participants("vattenfall"):
        return "not_taking_part"
    if row["Aantal laadpunten"] == "0":
        return "no_charge_points"
    try:
        steps = {header: moment(row[header]) for header in TAKEN}
    except ValueError:
        return "impossible_date"
    realised = steps["In bedrijf"]
    if realised and realised.date() < date(2022, 7, 1):
        return "before_the_concession"
    published, final = steps["Publicatie verkeersbesluit"], steps["Verkeersbesluit definitief"]
    if published and final and final < published:
        return "negative_duration"
    return "realised_and_stopped" if realised and steps["Gestopt"] else None


@cache
def newest() -> dict[str, Cells]:
    """Each valid placement as the newest export knows it."""
    return {
        str(row["Locatienummer"]): row
        for month in PUBLISHED_MONTHS
        for row in sheet(month)
        if fault(row) is None
    }


@pytest.mark.parametrize("month", PUBLISHED_MONTHS)
def test_bad_rows_are_there_and_few(month: str) -> None:
    faults = Counter(found for row in sheet(month) if (found := fault(row)))
    often = [count for count in Counter(str(row) for row in sheet(month)).values() if count > 1]
    assert often == [2]
    faults[DOUBLED] = len(often)
    assert faults == Counter([*(one.kind for one in BAD_ROWS), DOUBLED, EMPTY])
    assert faults.total() < 0.05 * len(sheet(month))


def test_realised_requests_and_their_placements_agree() -> None:
    realised = {
        row["Aanvraagnummer"]: str(row["In bedrijf"])[:10]
        for row in newest().values()
        if row["Aanvraagnummer"] and row["In bedrijf"]
    }
    asked = {one.number: one.realised.isoformat() for one in requests() if one.realised}
    assert realised == asked


def test_approved_requests_are_being_placed_where_they_were_made() -> None:
    placed = {row["Aanvraagnummer"]: row for row in newest().values() if row["Aanvraagnummer"]}
    approved = {one.number: one for one in requests() if one.approved}
    approved_on = {one.number: one.approved for one in requests() if one.approved}
    assert placed.keys() <= approved.keys()
    assert {
        number for number, day in approved_on.items() if day < date(2022, 12, 15)
    } <= placed.keys()
    for number, row in placed.items():
        assert CODE_OF[str(row["Gemeente"])] == approved[str(number)].municipality_code
        assert bool(row["Gestopt"]) == bool(approved[str(number)].withdrawn)


def test_stations_placed_before_anybody_asks_have_no_request() -> None:
    unasked = [row for row in newest().values() if not row["Aanvraagnummer"]]
    assert len(unasked) == 90
    assert {row["Aanleiding"] for row in unasked} == {"Proactief", "Datagedreven"}


def test_steps_come_in_order_and_before_the_last_change() -> None:
    for row in newest().values():
        begun, *steps = [found for header in TAKEN if (found := moment(row[header]))]
        assert all(begun <= step for step in steps)
        changed = moment(row["Laatst gewijzigd"])
        assert changed
        assert max([begun, *steps]) < changed
        grid = [moment(row[f]) for f in ("Aanvraag netaansluiting", "Netaansluiting gereed")]
        assert not grid[1] or (grid[0] and grid[0] <= grid[1])


def test_charge_points_are_named_once_the_station_is_in_use() -> None:
    seen: set[str] = set()
    for row in newest().values():
        names = str(row["EVSE-ID's"]).split(", ") if row["EVSE-ID's"] else []
        assert bool(names) == bool(row["In bedrijf"])
        assert all(re.fullmatch(r"NL\*NUO\*EDEMO\d{5}\*\d", name) for name in names)
        assert not names or len(names) == int(str(row["Aantal laadpunten"]))
        assert not seen & set(names)
        seen |= set(names)


def test_the_first_row_says_what_it_is() -> None:
    workbook = fastexcel.read_excel(vattenfall_placements.export("2022-07"))
    table = workbook.load_sheet(0, header_row=None, n_rows=1, dtypes="string").to_arrow()
    first = list(table.to_pylist()[0].values())
    assert first[0] == "Locatievoorstellen Vattenfall InCharge – DEMO, verzonnen gegevens"
    assert first[3] == "Peildatum: 31-07-2022"


def test_placing_begins_in_july() -> None:
    realised = [
        date.fromisoformat(str(row["In bedrijf"])[:10])
        for row in newest().values()
        if row["In bedrijf"]
    ]
    assert min(realised) >= date(2022, 7, 1)
    for month in ("2022-06", "2023-01", ""):
        with pytest.raises(KeyError):
            vattenfall_placements.export(month)
