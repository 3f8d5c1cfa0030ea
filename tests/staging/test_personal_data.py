"""What is personal in a delivery is found in landing and nowhere else, in no form."""

import hashlib
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from goral_pipeline.contracts import staged
from tests.support_files import (
    HEADERS,
    REQUESTS,
    Row,
    request,
    workbook_file,
)

PERSONAL_HEADERS = (
    "Naam aanvrager",
    "E-mailadres",
    "Telefoonnummer",
    "Straat en huisnummer",
    "Postcode",
    "Kenteken",
    "Toelichting",
)


def _applicant(place: int) -> Row:
    return {
        "Naam aanvrager": f"Jozefien Verhulstendonk-{place}",
        "E-mailadres": f"jozefien.{place}@verhulstendonk.example",
        "Telefoonnummer": f"+31 6 8765 43{place:02}",
        "Straat en huisnummer": f"Kwartelkervellaan {300 + place}",
        "Postcode": f"69{place:02} QZ",
        "Kenteken": f"XG-8{place:02}-ZB",
        "Toelichting": f"Belt liever met Diederik Abbenbroekster, huis {place}",
    }


def _personal_values(rows: list[Row]) -> list[str]:
    values = {str(row[header]) for row in rows for header in PERSONAL_HEADERS if row.get(header)}
    # Parts of them must not be found either.
    parts = ("verhulstendonk", "jozefien", "kwartelkervel", "abbenbroek", "diederik")
    hashes = {hashlib.sha256(value.lower().encode()).hexdigest() for value in values}
    return sorted(values | hashes | set(parts))


def _rows(number: int = 60) -> list[Row]:
    return [request(f"R{place}", **_applicant(place)) for place in range(number)]


def _every_row_bad_in_one_way() -> list[Row]:
    """Good applicants, and for each rule that can quote a cell a row that breaks it."""
    rows = _rows()
    for place, header in enumerate(h for h in HEADERS if h not in PERSONAL_HEADERS):
        rows[place][header] = "no such value"
    return [*rows, *[request(f"F{place}") for place in range(160)]]


def _one_personal_value_in(header: str) -> Callable[[], list[Row]]:
    """Rows in which one other column holds what is personal, one kind of it a row."""

    def rows() -> list[Row]:
        made = _rows()
        for place, personal in enumerate(PERSONAL_HEADERS):
            made[place][header] = made[place][personal]
        return [*made, *[request(f"F{place}") for place in range(160)]]

    return rows


def _columns_shifted(by: int) -> Callable[[], list[Row]]:
    """Rows in which every value stands under the header `by` places further on."""

    def rows() -> list[Row]:
        return [
            {HEADERS[(place + by) % len(HEADERS)]: row[name] for place, name in enumerate(HEADERS)}
            for row in _rows()
        ]

    return rows


def _some_rows_shifted() -> list[Row]:
    return [*_columns_shifted(1)()[:8], *[request(f"F{place}") for place in range(160)]]


NOT_FREE_TEXT = [h for h in HEADERS if h not in PERSONAL_HEADERS and h != "Aanvraagnummer"]
DELIVERIES: dict[str, Callable[[], list[Row]]] = {
    "good rows": _rows,
    "rows that break a rule": _every_row_bad_in_one_way,
    "some rows shifted by one": _some_rows_shifted,
    **{f"personal values in {header}": _one_personal_value_in(header) for header in NOT_FREE_TEXT},
    **{f"all columns shifted by {by}": _columns_shifted(by) for by in (1, 2, 5, 16)},
}


def _everything_outside_landing(home: Path) -> dict[str, bytes]:
    """Name and bytes of each file; of Parquet files and the ledger also every value as text."""
    import sqlite3

    import pyarrow.parquet as pq

    found = {}
    for path in sorted(p for p in home.rglob("*") if p.is_file()):
        name = path.relative_to(home).as_posix()
        if name.startswith("landing/"):
            continue
        content = path.read_bytes()
        if path.suffix == ".parquet":
            file = pq.ParquetFile(path)
            content += repr(file.read().to_pydict()).encode() + repr(file.metadata).encode()
            content += "".join(
                repr(file.metadata.row_group(group).column(column).statistics)
                for group in range(file.metadata.num_row_groups)
                for column in range(file.metadata.num_columns)
            ).encode()
        if path.suffix == ".sqlite":
            with sqlite3.connect(path) as ledger:
                content += "\n".join(ledger.iterdump()).encode()
        found[name] = name.encode() + content
    return found


@pytest.mark.parametrize("name", DELIVERIES)
def test_no_personal_value_is_found_outside_landing(
    name: str, house: Any, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    rows = DELIVERIES[name]()
    file = workbook_file(house.desk / "requests.xlsx", rows)
    values = [value.lower() for value in _personal_values(_rows())]

    result = house.deliver(REQUESTS, file)

    found = _everything_outside_landing(house.settings.home_folder)
    said = capfd.readouterr()
    told = {"message": repr(result), "out": said.out, "err": said.err, "log": caplog.text}
    found |= {key: text.encode() for key, text in told.items()}
    assert any(path.startswith("quarantine/") and "requests" in path for path in found)
    leaks = [
        (path, value)
        for path, content in found.items()
        for value in values
        if value.encode() in content.lower() or value.encode("utf-16-le") in content
    ]
    assert leaks == []


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("good rows", "new"),
        ("rows that break a rule", "new"),
        ("some rows shifted by one", "new"),
        ("all columns shifted by 1", "failed"),
        ("personal values in Gemeente", "new"),
        ("personal values in Datum aanvraag", "new"),
    ],
)
def test_the_deliveries_above_are_what_they_are_meant_to_be(
    name: str, state: str, house: Any
) -> None:
    result = house.deliver(REQUESTS, workbook_file(house.desk / "f.xlsx", DELIVERIES[name]()))
    assert result.state == state
    if name.startswith("personal values"):
        assert result.rows["requests"]["quarantined"] == len(PERSONAL_HEADERS)


def test_the_search_does_find_what_is_there(house: Any) -> None:
    """The search above is worth something: it sees values in Parquet and in the ledger."""
    good = house.deliver(REQUESTS, workbook_file(house.desk / "f.xlsx", _rows()))
    found = _everything_outside_landing(house.settings.home_folder)
    whole = b"".join(found.values())
    assert b"R17" in whole
    assert b"GM0228" in whole
    assert good.delivery_id.encode() in found["ledger.sqlite"]


def test_in_quarantine_only_the_shape_of_a_found_value_is_shown(house: Any) -> None:
    import pyarrow.parquet as pq

    rows = [*[request(f"F{place}") for place in range(40)], request("R1", Gemeente="Hof 12-é b")]
    result = house.deliver(REQUESTS, workbook_file(house.desk / "f.xlsx", rows))
    (folder,) = (house.settings.quarantine / REQUESTS).glob(f"{result.delivery_id}-*")
    (row,) = pq.read_table(folder / "requests.parquet").to_pylist()
    assert (row["found"], row["record_number"]) == ("xxx 99-x x", 43)


def test_columns_that_the_contract_drops_are_in_no_staged_table() -> None:
    for contract in staged().values():
        for table in contract.tables:
            dropped = {c.name for c in table.all_columns if c.personal == "drop"}
            assert dropped.isdisjoint(table.arrow_schema().names)


def test_landing_is_for_its_owner_only_and_holds_nothing_but_deliveries(house: Any) -> None:
    landing = house.settings.landing
    house.deliver(REQUESTS, workbook_file(house.desk / "f.xlsx", _rows()))
    files = {path for path in landing.rglob("*") if path.is_file()}
    assert files == {house.landed(delivery) for delivery in house.ledger.deliveries()}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    folders = [landing, *(path for path in landing.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    # Spilled rows hold clear values too: what they are spilled to goes with the staging.
    assert not [*landing.rglob("*spill*")]
