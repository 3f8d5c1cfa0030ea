"""The invented exports of requests, read back from the workbooks as a stranger would."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from datetime import date, timedelta
from functools import cache

import fastexcel
import pytest

from goral_pipeline.demo import vattenfall_requests
from goral_pipeline.demo.export_rows import NAME_VARIANTS
from goral_pipeline.demo.regions import municipalities
from goral_pipeline.demo.request_lives import (
    REJECTION_REASONS,
    Totals,
    count,
    outsiders,
    participants,
)
from goral_pipeline.demo.vattenfall_lives import requests
from goral_pipeline.demo.vattenfall_requests import BAD_ROWS, HEADERS, PUBLISHED_MONTHS

Cells = dict[str, str | None]

DATES = (
    "Datum aanvraag",
    "Datum afwijzing",
    "Datum intrekking",
    "Datum goedkeuring",
    "Datum realisatie",
)
REASONS = {
    "Eigen parkeergelegenheid",
    "Laadpaal binnen 250 meter",
    "Geen geldig bewijs elektrische auto",
    "Woont of werkt niet in gemeente",
}
DOUBLED, EMPTY = "doubled", "empty"
CODE_OF = {one.name: one.code for one in municipalities()} | NAME_VARIANTS


@cache
def sheet(month: str) -> list[Cells]:
    workbook = fastexcel.read_excel(vattenfall_requests.export(month))
    assert workbook.sheet_names == ["Aanvragen"]
    table = workbook.load_sheet(0, header_row=1, skip_rows=0, dtypes="string").to_arrow()
    assert tuple(table.schema.names) == HEADERS
    rows: list[Cells] = table.to_pylist()
    return rows


def day(text: str | None) -> date | None:
    """A date in any of the three ways in which the export writes it; ValueError if it is none."""
    if text is None:
        return None
    if re.fullmatch(r"\d{5}", text):
        return date(1899, 12, 30) + timedelta(days=int(text))
    if re.fullmatch(r"\d\d-\d\d-\d{4}", text):
        return date(int(text[6:]), int(text[3:5]), int(text[:2]))
    return date.fromisoformat(text.removesuffix(" 00:00:00"))


def fault(row: Cells) -> str | None:
    """Which bad row this is, by the rules of the export; None if it is a valid request."""
    if not any(row.values()):
        return EMPTY
    if not row["Aanvraagnummer"]:
        return "no_number"
    if row["Aanvraagnummer"].startswith("="):
        return "formula"
    if row["Gemeente"] not in CODE_OF:
        return "garbled_municipality" if "Ä" in str(row["Gemeente"]) else "unknown_municipality"
    if CODE_OF[row["Gemeente"]] not in participants("vattenfall"):
        return "not_taking_part"
    if not row["Aanleiding"]:
        return "no_occasion"
    try:
        asked, *_, realised = [day(row[column]) for column in DATES]
    except ValueError:
        return "impossible_date"
    if asked and asked < date(2022, 4, 1):
        return "before_the_concession"
    if row["Datum afwijzing"] and row["Reden afwijzing"] not in REASONS:
        return "rejection_without_reason"
    if realised and asked and realised < asked:
        return "realised_before_requested"
    return None


def valid_rows(month: str) -> Iterator[Cells]:
    seen: list[Cells] = []
    for row in sheet(month):
        if fault(row) is None and row not in seen:
            seen.append(row)
            yield row


@cache
def newest() -> dict[str, Cells]:
    """Each valid request as the newest export knows it."""
    return {
        str(row["Aanvraagnummer"]): row for month in PUBLISHED_MONTHS for row in valid_rows(month)
    }


def count_at(reference_date: date) -> Totals:
    """Counted from the workbooks alone."""
    states = Counter(dict.fromkeys((one.name for one in fields(Totals)), 0))
    for row in newest().values():
        asked, rejected, withdrawn, approved, realised = (
            (found := day(row[column])) is not None and found < reference_date for column in DATES
        )
        if not asked:
            continue
        states["received"] += 1
        if rejected:
            states["rejected"] += 1
        elif withdrawn:
            states["withdrawn"] += 1
        elif realised:
            states["realised"] += 1
        else:
            states["in_realisation" if approved else "pending"] += 1
    return Totals(**states)


def test_the_published_totals_hold_in_the_workbooks() -> None:
    found = count_at(date(2022, 12, 1))
    assert (found.received, found.rejected, found.pending) == (2996, 1276, 111)
    assert found.withdrawn + found.in_realisation + found.realised == 1609
    assert found.withdrawn == 150


@pytest.mark.parametrize(
    "reference_date",
    [date(2022, 4, 2), date(2022, 7, 1), date(2022, 11, 30), date(2022, 12, 1), date(2023, 1, 1)],
)
def test_the_workbooks_and_the_generated_requests_agree(reference_date: date) -> None:
    assert count_at(reference_date) == count(requests(), reference_date)


def test_events_fall_on_the_days_that_are_easily_miscounted() -> None:
    for column in ("Datum aanvraag", "Datum afwijzing", "Datum realisatie"):
        days = [day(row[column]) for row in newest().values()]
        assert days.count(date(2022, 11, 30)) > 0
        assert days.count(date(2022, 12, 1)) > 0


def test_requests_go_on_after_the_reference_date() -> None:
    assert count(requests(), date(2023, 1, 1)).received == 2996 + 300


def test_the_export_of_a_month_holds_what_happened_in_it() -> None:
    for month in PUBLISHED_MONTHS:
        for row in valid_rows(month):
            days = [found for column in DATES if (found := day(row[column]))]
            assert max(days).isoformat()[:7] == month
            assert str(row["Laatst gewijzigd"])[:10] == max(days).isoformat()


def test_dates_are_only_ever_added() -> None:
    known: dict[str, Cells] = {}
    for month in PUBLISHED_MONTHS:
        for row in valid_rows(month):
            number = str(row["Aanvraagnummer"])
            earlier = known.get(number, row)
            assert all(row[column] == earlier[column] for column in DATES if earlier[column])
            known[number] = row
    assert len(known) == 3296


def test_lives_are_in_order() -> None:
    for one in requests():
        assert one.requested >= date(2022, 4, 1)
        if one.rejected:
            assert 5 <= (one.rejected - one.requested).days <= 20
            assert one.rejection_reason in dict(REJECTION_REASONS)
            assert {one.approved, one.withdrawn, one.realised} == {None}
        if one.realised:
            assert one.approved
            assert one.requested < one.approved < one.realised
            assert one.realised >= date(2022, 7, 1)
        if one.withdrawn:
            assert one.withdrawn > (one.approved or one.requested)


def test_sixty_nine_municipalities_take_part() -> None:
    province = {one.code: one.province for one in municipalities() if one.in_region}
    taking_part = participants("vattenfall")
    assert Counter(province[code] for code in taking_part) == {
        "Gelderland": 43,
        "Overijssel": 25,
        "Utrecht": 1,
    }
    assert {one.municipality_code for one in requests()} == set(taking_part)
    assert len(outsiders("vattenfall")) == 77 - 69


def test_names_are_official_or_a_listed_variant_and_each_variant_occurs() -> None:
    found = {row["Gemeente"] for month in PUBLISHED_MONTHS for row in sheet(month)} - {None}
    official = {one.name for one in municipalities()}
    assert found - official == NAME_VARIANTS.keys() | {"Onbekend", "Oude Ä²sselstreek"}
    assert not official & NAME_VARIANTS.keys()
    for row in newest().values():
        assert CODE_OF[str(row["Gemeente"])] in participants("vattenfall")


def test_dates_are_written_in_three_ways() -> None:
    def way(text: str) -> str:
        return re.sub(r"\d", "9", text)

    for month in PUBLISHED_MONTHS:
        ways = Counter(way(text) for row in sheet(month) if (text := row["Datum aanvraag"]))
        assert set(ways) == {"9999-99-99 99:99:99", "99-99-9999", "99999"}
        assert ways["9999-99-99 99:99:99"] > 0.8 * ways.total()


@pytest.mark.parametrize("month", PUBLISHED_MONTHS)
def test_bad_rows_are_there_and_few(month: str) -> None:
    faults = Counter(found for row in sheet(month) if (found := fault(row)))
    often = [count for count in Counter(str(row) for row in sheet(month)).values() if count > 1]
    assert often == [2]
    faults[DOUBLED] = len(often)
    assert faults == Counter([*(one.kind for one in BAD_ROWS), DOUBLED, EMPTY])
    assert faults.total() < 0.05 * len(sheet(month))
    assert any(sheet(month)[-1].values()), "the empty row is in the middle"


def test_persons_are_recognisably_invented() -> None:
    persons = Counter(row["Naam aanvrager"] for row in newest().values())
    assert persons.most_common(1)[0][1] > 1
    remarks = [str(row["Toelichting"]) for row in newest().values() if row["Toelichting"]]
    assert 0 < len(remarks) < 0.1 * len(newest())
    assert all(remark.startswith("DEMO: ") and "Demo Persoon" in remark for remark in remarks)
    for row in newest().values():
        assert re.fullmatch(r"Demo Persoon \d{4}", str(row["Naam aanvrager"]))
        assert re.fullmatch(r"persoon\d{4}@example\.invalid", str(row["E-mailadres"]))
        assert re.fullmatch(r"06-0000\d{4}", str(row["Telefoonnummer"]))
        assert re.fullmatch(r"Demostraat \d+", str(row["Straat en huisnummer"]))
        assert row["Postcode"] == "0000 AA"
        assert re.fullmatch(r"X[XYZW]-\d{3}-X", str(row["Kenteken"]))


def test_the_first_row_says_what_it_is() -> None:
    for month, last in (("2022-04", "30-04-2022"), ("2022-12", "31-12-2022")):
        workbook = fastexcel.read_excel(vattenfall_requests.export(month))
        table = workbook.load_sheet(0, header_row=None, n_rows=1, dtypes="string").to_arrow()
        first = list(table.to_pylist()[0].values())
        assert first[0] == "Export aanvragen Vattenfall InCharge – DEMO, verzonnen gegevens"
        assert first[3] == f"Peildatum: {last}"


def test_other_months_are_not_published() -> None:
    for month in ("2022-03", "2023-01", "2022-4", ""):
        with pytest.raises(KeyError):
            vattenfall_requests.export(month)
