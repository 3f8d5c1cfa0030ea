"""How a workbook is read: columns wherever they stand, dates however written, text as text."""

import csv
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goral_pipeline.contracts import Contract, staged
from goral_pipeline.sources import MAPPINGS, mapping, names, tabular
from goral_pipeline.sources.reading import Reading
from tests.sources.exports import as_read
from tests.support_files import (
    HEADERS,
    RECEIVED_AT,
    REQUESTS,
    Formula,
    Row,
    request,
    requests,
    stage_requests,
    workbook_file,
)

SAMPLE = [
    request("R1"),
    {},
    request("R2", Gemeente="Arnhem", **{"E-mailadres": None}),
    request("bad", Gemeente="Atlantis"),
    *requests(20),
]


def _accepted(home: Path, rows: Iterable[Row], *layout: Any, **layouts: Any) -> list[Row]:
    return stage_requests(home, rows, *layout, **layouts).accepted("requests")


def _by_request(home: Path, column: str, rows: list[Row]) -> list[Any]:
    """The column's values of the accepted rows, in the order of their numbers."""
    return [row[column] for row in _accepted(home, rows)]


def _numbered(header: str, cells: Iterable[Any], **changes: Any) -> list[Row]:
    return [
        request(f"R{place:03}", **changes, **{header: cell}) for place, cell in enumerate(cells)
    ]


USUAL = mapping.load(MAPPINGS / "vattenfall.requests.yaml")


def _contract() -> Contract:
    return staged()["concession/requests"].of_dataset(REQUESTS)


def _raw(file: Path, layout: mapping.Mapping, columns: str = "*") -> list[tuple[Any, ...]]:
    with duckdb.connect() as con, tempfile.TemporaryDirectory() as spill:
        tabular.read(
            Reading(con, file, _contract(), "2022-07", Path(spill), RECEIVED_AT), (layout,)
        )
        return con.execute(
            f"select {columns} from (select {as_read(con, 'requests')} from raw_requests) "
            "order by row_id"
        ).fetchall()


# --- layout ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def in_usual_order(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Row], list[Row]]:
    made = stage_requests(tmp_path_factory.mktemp("usual"), SAMPLE)
    return made.accepted("requests"), made.quarantine("requests")


@settings(max_examples=15, deadline=None)
@given(
    order=st.permutations([*HEADERS, "Onbekende kolom", "Nog een", None, None]),
    content=st.text(max_size=5).filter(lambda text: text.isprintable()),
)
def test_any_order_of_columns_and_any_unknown_ones_give_the_same_rows(
    order: list[str | None], content: str, in_usual_order: tuple[list[Row], list[Row]]
) -> None:
    rows = [row | {"Onbekende kolom": content, "Nog een": 5} if row else row for row in SAMPLE]
    with tempfile.TemporaryDirectory() as home:
        made = stage_requests(Path(home), rows, order)
        found = made.accepted("requests"), made.quarantine("requests")
    assert found == in_usual_order


def test_headers_are_known_in_any_case_and_with_any_blanks(tmp_path: Path) -> None:
    changes = [str.upper, str.title, lambda h: f"  {h}\n", lambda h: h.replace(" ", "\u00a0 ")]
    headers = [changes[place % 4](header) for place, header in enumerate(HEADERS)]
    rows = [{written: request()[header] for written, header in zip(headers, HEADERS, strict=True)}]
    assert _accepted(tmp_path / "odd", rows, headers) == _accepted(tmp_path / "even", [request()])


def test_blank_lines_are_not_counted_and_records_have_the_numbers_of_the_spreadsheet(
    tmp_path: Path,
) -> None:
    blank_cells = dict.fromkeys(HEADERS, "") | {"Gemeente": "  ", "Toelichting": "\u00a0"}
    made = stage_requests(tmp_path, [{}, request("R1"), {}, blank_cells, request("R2"), {}])
    numbers = {row["request_id"]: row["record_number"] for row in made.accepted("requests")}
    assert numbers == {"R1": 4, "R2": 7}
    assert made.counts["requests"] == {"accepted": 2}
    assert made.received["requests"] == 2


def test_blank_rows_above_and_blank_columns_before_do_not_shift_anything(tmp_path: Path) -> None:
    (row,) = _accepted(tmp_path, [request()], [None, None, *HEADERS], preamble=None)
    assert (row["request_id"], row["record_number"]) == ("R1", 3)


def test_a_line_filled_in_an_unknown_column_only_is_accounted_for(tmp_path: Path) -> None:
    rows = [*requests(20), {"Onbekende kolom": "x"}]
    made = stage_requests(tmp_path, rows, [*HEADERS, "Onbekende kolom"])
    assert made.counts["requests"] == {"accepted": 20, "quarantined": 1}


# --- dates -----------------------------------------------------------------------------------


def test_a_date_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    ways = [
        date(2022, 7, 1),
        datetime(2022, 7, 1, 13, 30),  # noqa: DTZ001
        "01-07-2022",
        "1-7-2022",
        "01/07/2022",
        "2022-07-01",
        " 01-07-2022 ",
        "\u00a001-07-2022",
        "01-07-2022 13:30",
        44743,
        44743.5,
        "44743",
        Formula("=DATE(2022,7,1)", 44743),
        Formula('="01-07-"&2022', "01-07-2022"),
    ]
    assert _by_request(tmp_path, "requested_on", _numbered("Datum aanvraag", ways)) == (
        [date(2022, 7, 1)] * len(ways)
    )


@pytest.mark.parametrize(
    "header",
    [
        "Datum aanvraag",
        "Datum afwijzing",
        "Datum intrekking",
        "Datum goedkeuring",
        "Datum realisatie",
    ],
)
def test_dates_that_do_not_exist_are_quarantined_and_not_moved(header: str, tmp_path: Path) -> None:
    impossible = [
        "31-02-2022",
        "29-02-2022",
        "31-04-2022",
        "00-01-2022",
        "01-13-2022",
        "2022-02-30",
        "2022-03-01 noon",
        "2022-03-01T25:00",
    ]
    bare = {"Datum goedkeuring": None, "Datum realisatie": None}
    bare.pop(header, None)
    rows = [row | bare for row in _numbered(header, impossible)]
    made = stage_requests(tmp_path, [*rows, *requests(20 * len(rows))])
    found = [row for row in made.quarantine("requests") if row["rule"].endswith("_type")]
    assert [row["record_number"] for row in found] == [*range(3, 3 + len(impossible))]
    shapes = {"99-99-9999", "9999-99-99", "9999-99-99 xxxx", "9999-99-99x99:99"}
    assert {row["found"] for row in found} == shapes
    assert made.counts["requests"]["quarantined"] == len(impossible)


def test_the_leap_day_of_a_leap_year_is_a_date(tmp_path: Path) -> None:
    leap = _numbered("Datum aanvraag", ["29-02-2024"])
    later = {"Datum goedkeuring": None, "Datum realisatie": None}
    rows = [row | later | {"Laatst gewijzigd": "01-03-2024 00:00"} for row in leap]
    assert _by_request(tmp_path, "requested_on", rows) == [date(2024, 2, 29)]


def test_empty_dates_stay_empty(tmp_path: Path) -> None:
    empty = dict.fromkeys(["Datum goedkeuring", "Datum realisatie"])
    (row,) = _accepted(tmp_path, [request(**empty)])
    assert [row[c] for c in ("rejected_on", "withdrawn_on", "approved_on", "realised_on")] == (
        [None] * 4
    )


def test_words_and_years_that_only_a_database_reads_are_no_dates(tmp_path: Path) -> None:
    odd = ["infinity", "-infinity", "12022-07-01", "2022-07-01 (BC)", "now", "today"]
    rows = _numbered("Laatst gewijzigd", odd)
    made = stage_requests(tmp_path, [*rows, *requests(20 * len(odd))])
    assert [row["rule"] for row in made.quarantine("requests")] == ["last_updated_type"] * len(odd)


# --- moments ---------------------------------------------------------------------------------


def _utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def test_moments_are_read_as_dutch_local_time_on_days_that_the_clock_changes_too(
    tmp_path: Path,
) -> None:
    moments = {
        "15-02-2022 12:00:00": _utc(2022, 2, 15, 11),
        "15-07-2022 12:00:00": _utc(2022, 7, 15, 10),
        # Forward: after 01:59:59 comes 03:00:00.
        "27-03-2022 01:59:59": _utc(2022, 3, 27, 0, 59, 59),
        "27-03-2022 03:00:00": _utc(2022, 3, 27, 1),
        # An hour that was not: as clocks that had not been set yet showed it.
        "27-03-2022 02:30:00": _utc(2022, 3, 27, 1, 30),
        # Back: 02:00:00 to 02:59:59 came twice; the second time is taken.
        "30-10-2022 01:59:59": _utc(2022, 10, 29, 23, 59, 59),
        "30-10-2022 02:30:00": _utc(2022, 10, 30, 1, 30),
        "30-10-2022 03:00:00": _utc(2022, 10, 30, 2),
        "01-12-2022": _utc(2022, 11, 30, 23),
    }
    rows = _numbered("Laatst gewijzigd", moments)
    file = workbook_file(tmp_path / "file.xlsx", rows)
    found = [datetime.fromisoformat(moment) for (moment,) in _raw(file, USUAL, "last_updated")]
    assert found == [*moments.values()]


def test_a_moment_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    ways = [
        datetime(2022, 8, 2, 14, 30, 15),  # noqa: DTZ001
        "02-08-2022 14:30:15",
        "2022-08-02 14:30:15",
        "2022-08-02T14:30:15",
        "2022-08-02T12:30:15Z",
        "2022-08-02T14:30:15+02:00",
        44775 + (14 * 3600 + 30 * 60 + 15) / 86400,
        "44775.604340",
    ]
    found = _by_request(tmp_path, "last_updated", _numbered("Laatst gewijzigd", ways))
    assert found == [_utc(2022, 8, 2, 12, 30, 15)] * len(ways)


def test_fractions_of_a_second_are_kept_and_do_not_change_the_zone(tmp_path: Path) -> None:
    ways = [
        datetime(2022, 8, 2, 14, 30, 15, 250000),  # noqa: DTZ001
        "2022-08-02 14:30:15.25",
        "2022-08-02T14:30:15.250000",
    ]
    found = _by_request(tmp_path, "last_updated", _numbered("Laatst gewijzigd", ways))
    assert found == [_utc(2022, 8, 2, 12, 30, 15, 250000)] * len(ways)


def test_the_last_change_counts_by_the_dutch_day(tmp_path: Path) -> None:
    # 00:30 on the first of August is still July in UTC.
    row = request(**{"Datum realisatie": "01-08-2022", "Laatst gewijzigd": "01-08-2022 00:30:00"})
    (found,) = _accepted(tmp_path, [row])
    assert found["last_updated"] == _utc(2022, 7, 31, 22, 30)


# --- names and codes -------------------------------------------------------------------------


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [*csv.DictReader(file)]


def test_every_spelling_of_the_register_is_known_in_any_case_and_with_any_blanks(
    tmp_path: Path,
) -> None:
    listed = [
        (row["municipality_name"], row["municipality_code"])
        for row in _csv(names.MUNICIPALITIES)
        if row["in_region"] == "true"
    ]
    listed += [
        (row["name"], row["municipality_code"])
        for row in _csv(names.MUNICIPALITY_NAMES)
        if row["kind"] != "former name"
    ]
    written = [
        (spelling, code)
        for name, code in listed
        for spelling in (name, name.upper(), f" {name.lower()}  ", name.replace(" ", "\u00a0"))
    ]
    assert len(listed) > 77
    file = workbook_file(
        tmp_path / "file.xlsx", _numbered("Gemeente", [name for name, _ in written])
    )
    assert _raw(file, USUAL, "municipality_code") == [(code,) for _, code in written]


def test_an_unknown_municipality_is_quarantined_and_only_its_shape_is_shown(
    tmp_path: Path,
) -> None:
    unknown = ["Atlantis", "Nieuw-Café 9", "ede@example.nl", "GM 0228"]
    made = stage_requests(tmp_path, [*_numbered("Gemeente", unknown), *requests(80)])
    found = [(r["rule"], r["column_name"], r["found"]) for r in made.quarantine("requests")]
    assert found == [
        ("municipality_code_pattern", "municipality_code", shape)
        for shape in ("xxxxxxxx", "xxxxx-xxxx 9", "xxx@xxxxxxx.xx", "xx 9999")
    ]


def test_codes_are_known_in_any_case_and_with_any_blanks(tmp_path: Path) -> None:
    ways = {
        "aanvraag bewoner": "demand_driven",
        "Aanvraag  Bewoner": "demand_driven",
        " PROACTIEF": "proactive",
        "Datagedreven\u00a0": "data_driven",
    }
    assert _by_request(tmp_path, "occasion", _numbered("Aanleiding", ways)) == [*ways.values()]


# --- cells -----------------------------------------------------------------------------------


def test_of_a_formula_the_value_that_the_spreadsheet_left_is_read(tmp_path: Path) -> None:
    cells = [Formula('="R"&1', "R1"), Formula("=1+1", 2), Formula('=HYPERLINK("x")', "R/3")]
    rows = [request() | {"Aanvraagnummer": cell} for cell in cells]
    assert [row["request_id"] for row in _accepted(tmp_path, rows)] == ["2", "R/3", "R1"]


def test_a_cell_with_an_error_is_no_blank_one(tmp_path: Path) -> None:
    error = Formula("=NA()", "#N/A")
    rows = [
        request("R1") | {"Datum intrekking": error},
        dict.fromkeys(HEADERS, error),
        *requests(60),
    ]
    made = stage_requests(tmp_path, rows)
    assert made.counts["requests"] == {"accepted": 60, "quarantined": 2}
    found = {(row["record_number"], row["rule"]) for row in made.quarantine("requests")}
    assert {(3, "withdrawn_on_type"), (4, "requested_on_type"), (4, "last_updated_type")} <= found


def test_text_that_begins_like_a_formula_stays_text_and_is_no_request_number(
    tmp_path: Path,
) -> None:
    cells = [
        "=1+1",
        "=cmd|' /C calc'!A0",
        "+1",
        "@SUM(A1)",
        Formula('="="&"1+1"', "=1+1"),
        Formula("=1/0", "#DIV/0!"),
    ]
    rows = [request() | {"Aanvraagnummer": cell} for cell in cells]
    made = stage_requests(tmp_path, [*rows, *requests(20 * len(cells))])
    found = [(row["column_name"], row["found"]) for row in made.quarantine("requests")]
    assert found == [
        ("request_id", shape)
        for shape in ("=9+9", "=xxx|' /x xxxx'!x9", "+9", "@xxx(x9)", "=9+9", "#xxxxx")
    ]
    assert {row["request_id"][:6] for row in made.accepted("requests")} == {"filler"}


def test_numbers_in_cells_are_read_as_they_are_shown(tmp_path: Path) -> None:
    rows = [request() | {"Aanvraagnummer": cell} for cell in (20220001, 7.5, 12345678901)]
    found = [row["request_id"] for row in _accepted(tmp_path, rows)]
    assert found == ["12345678901", "20220001", "7.5"]


# --- the mapping -----------------------------------------------------------------------------


def test_the_mapping_speaks_of_each_delivered_column_and_of_no_other() -> None:
    table = _contract().table("requests")
    delivered = {c.name for c in table.all_columns if not (c.is_provenance or c.is_transient)}
    assert set(USUAL.columns) == delivered
    mapping.check(USUAL, _contract())


def test_columns_that_the_contract_drops_are_not_even_read(tmp_path: Path) -> None:
    file = workbook_file(tmp_path / "file.xlsx", [request(Kenteken="AB-123-C")])
    with duckdb.connect() as con:
        tabular.read(Reading(con, file, _contract(), "2022-07", tmp_path, RECEIVED_AT), (USUAL,))
        read = {
            name for (name,) in con.execute("select column_name from duckdb_columns()").fetchall()
        }
        values = con.execute("select raw_requests::varchar from raw_requests").fetchall()
    assert {"request_id", "applicant_pseudonym"} <= read
    dropped = {c.name for c in _contract().tables[0].all_columns if c.personal == "drop"}
    assert dropped
    assert dropped.isdisjoint(read)
    assert "AB-123-C" not in str(values)


def test_another_layout_needs_another_mapping_and_no_code(tmp_path: Path) -> None:
    columns = USUAL.columns | {
        "request_id": replace(USUAL.columns["request_id"], headers=("Referentie", "Nummer")),
        "occasion": replace(USUAL.columns["occasion"], codes={"b": "demand_driven"}),
    }
    other = replace(
        USUAL,
        layout=replace(USUAL.layout, sheet="Blad 1", header_rows=(5,)),
        time_zone="UTC",
        date_formats=("%Y%m%d",),
        columns=columns,
    )
    row = request() | {"Nummer": "N1", "Aanleiding": "B", "Datum aanvraag": "20220701"}
    headers = ["Nummer", *HEADERS[1:]]
    file = workbook_file(tmp_path / "file.xlsx", [row], headers, header_row=5, sheet="Blad 1")
    found = _raw(file, other, "request_id, occasion, requested_on, last_updated, record_number")
    assert found == [("N1", "demand_driven", "2022-07-01", "2022-08-02 12:00:00Z", 6)]
