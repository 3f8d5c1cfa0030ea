"""The invented exports of Ecotap/Allego, read back as a stranger would."""

import csv
import io
import re
from collections import Counter
from dataclasses import fields
from datetime import date
from functools import cache

import pytest

from goral_pipeline.demo import ecotap_allego_exports, vattenfall_requests
from goral_pipeline.demo.ecotap_allego_exports import (
    BAD_PLACEMENTS,
    BAD_REQUESTS,
    PLACEMENT_HEADERS,
    PLACEMENT_MONTHS,
    PLACEMENT_STEPS,
    REQUEST_HEADERS,
    REQUEST_MONTHS,
)
from goral_pipeline.demo.ecotap_allego_lives import overlapping, requests
from goral_pipeline.demo.export_rows import NAME_VARIANTS
from goral_pipeline.demo.regions import municipalities
from goral_pipeline.demo.request_lives import Totals, count, outsiders, participants

Cells = dict[str, str]

CODE_OF = {one.name: one.code for one in municipalities()} | NAME_VARIANTS
DATES = ("Binnengekomen", "Afgewezen d.d.", "Ingetrokken d.d.", "Akkoord d.d.", "In gebruik d.d.")


def lines(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("cp1252"), newline=""), delimiter=";"))


def records(content: bytes, headers: tuple[str, ...]) -> list[Cells]:
    """The rows below the headers, without subtotals and total."""
    _, _, blank, found, *rows = lines(content)
    assert blank == []
    assert tuple(found) == headers
    return [dict(zip(headers, row, strict=True)) for row in rows if "totaal" not in row[0].lower()]


@cache
def asked(month: str) -> list[Cells]:
    return records(ecotap_allego_exports.requests_export(month), REQUEST_HEADERS)


@cache
def placed(month: str) -> list[Cells]:
    return records(ecotap_allego_exports.placements_export(month), PLACEMENT_HEADERS)


def day(text: str) -> date | None:
    """A date as the export writes it; ValueError if it is none."""
    if not text:
        return None
    assert re.fullmatch(r"\d\d-\d\d-\d{4}", text)
    return date(int(text[6:]), int(text[3:5]), int(text[:2]))


def fault_of_place(name: str) -> str | None:
    if name not in CODE_OF:
        return "garbled_municipality" if "Ä" in name else "unknown_municipality"
    return None if CODE_OF[name] in participants("ecotap_allego") else "not_taking_part"


def fault_of_request(row: Cells) -> str | None:
    """Which bad row this is, by the rules of the export; None if it is a valid request."""
    if not row["Aanvraagnr"]:
        return "no_number"
    if row["Aanvraagnr"].startswith("="):
        return "formula"
    if found := fault_of_place(row["Plaats"]):
        return found
    if not row["Herkomst"]:
        return "no_origin"
    try:
        first, *_, realised = [day(row[column]) for column in DATES]
    except ValueError:
        return "impossible_date"
    if not first or not date(2020, 11, 1) <= first < date(2022, 7, 1):
        return "after_the_concession"
    if row["Afgewezen d.d."] and not row["Reden"]:
        return "rejection_without_reason"
    return "realised_before_requested" if realised and realised < first else None


def fault_of_placement(row: Cells) -> str | None:
    """Which bad row this is, by the rules of the export; None if it is a valid placement."""
    if not row["Paalcode"]:
        return "no_number"
    if row["Aanvraagnr"].startswith("="):
        return "formula"
    if found := fault_of_place(row["Plaats"]):
        return found
    if row["kW"].startswith("-"):
        return "negative_power"
    try:
        steps = {header: day(row[header]) for header in PLACEMENT_STEPS}
    except ValueError:
        return "impossible_date"
    begun, done = steps["Netaanvraag"], steps["Netaansluiting"]
    return "negative_duration" if begun and done and done < begun else None


@cache
def newest() -> dict[str, Cells]:
    """Each valid request as the newest export knows it."""
    return {
        row["Aanvraagnr"]: row
        for month in REQUEST_MONTHS
        for row in asked(month)
        if fault_of_request(row) is None
    }


def count_at(reference_date: date) -> Totals:
    """Counted from the files alone."""
    states = Counter(dict.fromkeys((one.name for one in fields(Totals)), 0))
    for row in newest().values():
        first, rejected, withdrawn, approved, realised = (
            (found := day(row[column])) is not None and found < reference_date for column in DATES
        )
        if not first:
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


def test_the_published_totals_hold_in_the_files() -> None:
    assert count_at(date(2022, 12, 1)) == Totals(
        received=564, rejected=549, withdrawn=3, pending=8, in_realisation=0, realised=4
    )


@pytest.mark.parametrize("reference_date", [date(2022, 2, 1), date(2022, 8, 1), date(2022, 12, 1)])
def test_the_files_and_the_generated_requests_agree(reference_date: date) -> None:
    assert count_at(reference_date) == count(requests(), reference_date)


def test_the_first_export_holds_what_went_before_and_the_last_what_was_left_lying() -> None:
    first = [found for row in asked(REQUEST_MONTHS[0]) if (found := day(row["Binnengekomen"]))]
    assert min(first) < date(2020, 12, 1)
    last = [row["Afgewezen d.d."] for row in asked(REQUEST_MONTHS[-1])]
    assert last == ["30-11-2022"] * 4


def test_forty_municipalities_take_part() -> None:
    assert len(participants("ecotap_allego")) == 40
    assert len(outsiders("ecotap_allego")) == 77 - 40


def test_some_asked_in_both_concessions_while_both_took_requests() -> None:
    """Counted from the files alone: the same address, however written, and municipality."""

    def asking(rows: list[tuple[str, str, date | None]]) -> set[tuple[str, str]]:
        window = (date(2022, 4, 1), date(2022, 6, 30))
        return {
            (email.lower(), CODE_OF[place])
            for email, place, first in rows
            if first and window[0] <= first <= window[1]
        }

    here = asking(
        [(row["E-mail"], row["Plaats"], day(row["Binnengekomen"])) for row in newest().values()]
    )
    there = asking(
        [
            (f"persoon{one.person:04d}@example.invalid", place, one.requested)
            for month in vattenfall_requests.PUBLISHED_MONTHS
            for one in vattenfall_requests.published_requests(month)
            if (place := next(n for n, code in CODE_OF.items() if code == one.municipality_code))
        ]
    )
    assert len(here & there) == len(overlapping()) == 45
    assert 2996 + 564 - 45 == 3515


def test_nobody_else_asked_in_both() -> None:
    both = {one.person for one in overlapping()}
    assert {one.person for one in requests() if one.person < 5000} == both
    assert Counter(one.person for one in requests() if one.person in both).most_common(1)[0][1] == 1
    assert any(row["E-mail"].isupper() for row in newest().values())


@pytest.mark.parametrize("month", REQUEST_MONTHS)
def test_bad_requests_are_there_and_few(month: str) -> None:
    faults = Counter(found for row in asked(month) if (found := fault_of_request(row)))
    assert faults == Counter(one.kind for one in BAD_REQUESTS if month in one.months)
    assert faults.total() < 0.05 * len(asked(month))


@pytest.mark.parametrize("month", PLACEMENT_MONTHS)
def test_bad_placements_are_there_and_few(month: str) -> None:
    faults = Counter(found for row in placed(month) if (found := fault_of_placement(row)))
    assert faults == Counter(one.kind for one in BAD_PLACEMENTS if month in one.months)
    assert faults.total() < 0.05 * len(placed(month))


def test_each_kind_of_bad_row_is_in_some_export() -> None:
    assert all(set(one.months) & set(REQUEST_MONTHS) for one in BAD_REQUESTS)
    assert all(set(one.months) & set(PLACEMENT_MONTHS) for one in BAD_PLACEMENTS)


def test_realised_requests_and_their_placements_agree() -> None:
    found = {
        row["Aanvraagnr"]: day(row["Geïnstalleerd"])
        for month in PLACEMENT_MONTHS
        for row in placed(month)
        if row["Aanvraagnr"] and not row["Aanvraagnr"].startswith("=")
    }
    assert found == {one.number: one.realised for one in requests() if one.realised}


def test_subtotals_and_the_total_add_up() -> None:
    for month in REQUEST_MONTHS:
        below = lines(ecotap_allego_exports.requests_export(month))[4:]
        subtotals = [int(row[1]) for row in below if row[0].startswith("Subtotaal ")]
        assert below[-1][:2] == ["Totaal", str(len(asked(month)))]
        assert sum(subtotals) == len(asked(month))


def test_the_encoding_matters() -> None:
    for content in (
        ecotap_allego_exports.requests_export("2022-01"),
        ecotap_allego_exports.placements_export("2022-01"),
    ):
        with pytest.raises(UnicodeDecodeError):
            content.decode("utf-8")
        assert "–" not in content.decode("latin-1"), "Windows-1252, not ISO 8859-1"
        assert content.startswith("Ecotap/Allego – rapportage".encode("cp1252"))
        assert b"DEMO, verzonnen gegevens" in content
    assert {row["Soort plaatsing"] for row in placed("2022-01")} == {
        "Particulier",
        "Vóór de vraag uit",
        "Op basis van gebruik",
    }


def test_cells_hold_what_breaks_careless_readers() -> None:
    remarks = [row["Opmerkingen"] for month in REQUEST_MONTHS for row in asked(month)]
    for inconvenient in (";", '"', "\n"):
        assert any(inconvenient in remark for remark in remarks)
    investments = [row["Investering (€)"] for row in placed("2022-01")]
    assert all(re.fullmatch(r"\d\.\d{3},\d{1,2}", cell) for cell in investments)
    assert "11,0" in {row["kW"] for row in placed("2022-01")}


def test_persons_are_recognisably_invented() -> None:
    for row in newest().values():
        assert re.fullmatch(r"Demo Persoon \d{4} \w+", row["Aanvrager"])
        assert re.fullmatch(r"persoon\d{4}@example\.invalid", row["E-mail"].lower())
        assert row["PC"] == "0000 AA"
    remarks = [row["Opmerkingen"] for row in newest().values() if row["Opmerkingen"]]
    assert all(remark.startswith("DEMO: ") for remark in remarks)


def test_other_months_are_not_published() -> None:
    for month in ("2021-12", "2022-08", "2022-12", ""):
        with pytest.raises(KeyError):
            ecotap_allego_exports.requests_export(month)
        with pytest.raises(KeyError):
            ecotap_allego_exports.placements_export(month)
