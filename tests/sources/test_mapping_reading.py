"""The mapping reader: each key of a mapping does what it says, in CSV files and workbooks alike."""

from typing import Any

import pytest

from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.sources import names
from tests.sources.exports import (
    COLUMNS,
    HEADERS,
    PLACEMENTS,
    ROW,
    Cells,
    csv_bytes,
    layout,
    read,
    xlsx_bytes,
)

# --- columns ---------------------------------------------------------------------------------


def test_a_row_comes_out_as_the_contract_names_it() -> None:
    (row,) = read(csv_bytes([HEADERS, ROW]), layout())
    assert row[:4] == (0, None, 2, "R1")
    assert read(csv_bytes([HEADERS, ROW]), layout(), columns="* exclude (row_id, parent_row_id)")
    wanted = "municipality_code, takes_part, in_period, occasion, requested_on, last_updated"
    assert read(csv_bytes([HEADERS, ROW]), layout(), columns=wanted) == [
        ("GM0228", "true", "true", "demand_driven", "2022-07-01", "2022-07-02 10:00:00Z")
    ]


def test_any_of_several_headers_will_do_and_one_must_be_there() -> None:
    either = layout(columns=COLUMNS | {"request_id": {"headers": ["Referentie", "Nummer"]}})
    for header in ("Referentie", "Nummer"):
        assert read(csv_bytes([(header, *HEADERS[1:]), ROW]), either, columns="request_id") == [
            ("R1",)
        ]
    with pytest.raises(DeliveryRejected, match=r"missing column: 'Referentie' \(3 of 4 found"):
        read(csv_bytes([("Iets", *HEADERS[1:]), ROW]), either)
    with pytest.raises(DeliveryRejected, match="column twice: 'Referentie'"):
        read(csv_bytes([("Referentie", "Nummer", *HEADERS[1:]), ("R1", *ROW)]), either)


def test_an_optional_column_may_be_missing() -> None:
    more = layout(columns=COLUMNS | {"rejected_on": {"headers": ["Afgewezen"], "optional": True}})
    assert read(csv_bytes([HEADERS, ROW]), more, columns="rejected_on") == [(None,)]
    given = csv_bytes([(*HEADERS, "Afgewezen"), (*ROW, "03-07-2022")])
    assert read(given, more, columns="rejected_on") == [("2022-07-03",)]


def test_codes_constants_and_the_partition_fill_columns() -> None:
    outlook = layout(
        dataset="rvo/coverage",
        contract="rvo.coverage",
        concession=None,
        decimal=",",
        columns={
            "municipality_code": {"headers": ["Gemeente"], "codes": {"de hoofdstad": "GM0202"}},
            "month": {"from": "partition"},
            "charge_points_per_vehicle": {"headers": ["Waarde"]},
        },
    )
    content = csv_bytes([("Gemeente", "Waarde"), ("De  Hoofdstad", "0,25"), ("GM0228", "0.5")])
    columns = "municipality_code, month, charge_points_per_vehicle"
    assert read(content, outlook, columns=columns) == [
        ("GM0202", "2022-07", "0.25"),
        ("GM0228", "2022-07", "0.5"),
    ]


def test_a_column_is_derived_from_the_text_of_another_and_kept_where_it_has_another_form() -> None:
    derived = layout(
        columns=COLUMNS
        | {
            "municipality_code": {
                "derive": {"from": "request_id", "pattern": "BU([0-9]{4})-.*", "to": "GM\\1"}
            }
        }
    )
    rows = [("BU0228-7", *ROW[1:]), ("BU22-7", *ROW[1:])]
    assert read(csv_bytes([HEADERS, *rows]), derived, columns="municipality_code") == [
        ("GM0228",),
        ("BU22-7",),
    ]


def test_the_latest_of_several_dates_is_taken_at_the_dutch_day() -> None:
    headers = ("Nummer", "Gemeente", "Aangevraagd", "Afgewezen")
    latest = layout(
        columns=COLUMNS
        | {
            "rejected_on": {"headers": ["Afgewezen"]},
            "last_updated": {"latest_of": ["requested_on", "rejected_on"]},
        }
    )
    rows = [(*ROW[:3], "03-08-2022"), (*ROW[:3], ""), (*ROW[:2], "", "")]
    assert read(csv_bytes([headers, *rows]), latest, columns="last_updated") == [
        ("2022-08-02 22:00:00Z",),
        ("2022-06-30 22:00:00Z",),
        (None,),
    ]


def test_a_date_taken_back_in_a_later_export_does_not_make_the_row_older() -> None:
    headers = ("Nummer", "Gemeente", "Aangevraagd", "Afgewezen")
    latest = layout(
        columns=COLUMNS
        | {
            "rejected_on": {"headers": ["Afgewezen"], "optional": True},
            "last_updated": {"latest_of": ["partition", "requested_on", "rejected_on"]},
        }
    )
    for partition, rejected, moment in (
        ("2022-07", "20-07-2022", "2022-07-19 22:00:00Z"),
        ("2022-08", "", "2022-07-31 22:00:00Z"),
        ("2022-08", "03-08-2022", "2022-08-02 22:00:00Z"),
    ):
        file = csv_bytes([headers, (*ROW[:3], rejected)])
        assert read(file, latest, columns="last_updated", partition=partition) == [(moment,)]


WIDE = {
    "dataset": "rvo/charge_point_counts",
    "contract": "rvo.charge_point_counts",
    "concession": None,
    "unpivot": [
        {"in": "regulier", "set": {"access": "public", "speed": "regular"}},
        {"in": "snel", "set": {"access": "public", "speed": "fast"}},
    ],
    "columns": {
        "municipality_code": {"headers": ["Code"]},
        "month": {"from": "partition"},
        "charge_points": {"headers": ["Laadpunten {in}"]},
    },
}


def test_groups_of_columns_become_rows_that_share_a_record() -> None:
    content = csv_bytes(
        [
            ("Code", "Laadpunten regulier", "Laadpunten snel"),
            ("GM0228", "10", "2"),
            ("GM0202", "0", ""),
        ]
    )
    columns = "row_id, record_number, municipality_code, speed, charge_points"
    assert read(content, layout(**WIDE), columns=columns) == [
        (0, 2, "GM0228", "regular", "10"),
        (1, 2, "GM0228", "fast", "2"),
        (2, 3, "GM0202", "regular", "0"),
        # What is not given is no zero: staging says that it is required.
        (3, 3, "GM0202", "fast", None),
    ]
    with pytest.raises(DeliveryRejected, match="missing column: 'Laadpunten snel'"):
        read(csv_bytes([("Code", "Laadpunten regulier"), ("GM0228", "1")]), layout(**WIDE))


STATIONS = {
    "dataset": PLACEMENTS,
    "contract": "concession.placements",
    "columns": {
        "placement_id": {"headers": ["Paal"]},
        "municipality_code": {"headers": ["Gemeente"], "register": "municipality_names"},
        "occasion": {"constant": "proactive"},
        "charge_points": {"headers": ["Aantal"]},
        "realised_on": {"headers": ["In bedrijf"], "optional": True},
        "last_updated": {"headers": ["Gewijzigd"]},
    },
    "children": {
        "charge_points": {
            "evse_id": {"headers": ["EVSE's"], "separator": ",", "optional": True},
        }
    },
}
STATION_HEADERS = ("Paal", "Gemeente", "Aantal", "Gewijzigd", "EVSE's")


def test_several_values_of_a_cell_become_rows_of_the_child_table() -> None:
    content = csv_bytes(
        [
            STATION_HEADERS,
            ("P1", "Ede", "2", "01-07-2022", "NL*NUO*E1, nl*nuo*e2 ,,"),
            ("P2", "Ede", "1", "01-07-2022", ""),
            ("P3", "Ede", "1", "01-07-2022", "NLNUOE3"),
        ]
    )
    found = read(content, layout(**STATIONS), table="charge_points")
    assert found == [
        (1, 0, 2, "P1", "NLNUOE1"),
        (2, 0, 2, "P1", "NLNUOE2"),
        (3, 2, 4, "P3", "NLNUOE3"),
    ]
    without = csv_bytes([STATION_HEADERS[:4], ("P1", "Ede", "2", "01-07-2022")])
    assert read(without, layout(**STATIONS), table="charge_points") == []


def test_a_contracts_child_table_is_there_also_when_no_mapping_fills_it() -> None:
    bare = layout(**{key: value for key, value in STATIONS.items() if key != "children"})
    content = csv_bytes([STATION_HEADERS[:4], ("P1", "Ede", "2", "01-07-2022")])
    assert read(content, bare, table="charge_points", columns="evse_id") == []


# --- the concession --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("concession", "takes_part"),
    [
        ({"municipalities": "all"}, ["true", "true"]),
        ({"municipalities": ["GM0202"]}, ["false", "true"]),
        # No list for this concession: nobody takes part.
        ({}, ["false", "false"]),
        (None, ["false", "false"]),
    ],
)
def test_who_takes_part_is_told_by_the_mapping_or_the_list(
    concession: Any, takes_part: list[str]
) -> None:
    rows = [ROW, ("R2", "Arnhem", *ROW[2:]), ("R3", "Atlantis", *ROW[2:])]
    content = csv_bytes([HEADERS, *rows])
    found = read(content, layout(concession=concession), columns="takes_part")
    assert found == [*((part,) for part in takes_part), (None,)]


def test_a_request_counts_from_the_first_day_until_before_the_last() -> None:
    import datetime

    day = datetime.date.fromisoformat
    bounded = layout(
        concession={"from": day("2022-07-01"), "until": day("2022-08-01"), "municipalities": "all"}
    )
    days = ["30-06-2022", "01-07-2022", "31-07-2022", "01-08-2022", ""]
    rows = [(f"R{n}", "Ede", text, ROW[3]) for n, text in enumerate(days)]
    assert [
        flag for (flag,) in read(csv_bytes([HEADERS, *rows]), bounded, columns="in_period")
    ] == [
        "false",
        "true",
        "true",
        "false",
        None,
    ]


def test_a_placement_counts_by_the_day_it_was_realised() -> None:
    content = csv_bytes(
        [
            (*STATION_HEADERS[:4], "In bedrijf"),
            ("P1", "Ede", "2", "01-07-2022", "01-06-2022"),
            ("P2", "Ede", "2", "01-07-2022", ""),
        ]
    )
    import datetime

    bounded = layout(
        **STATIONS | {"concession": {"from": datetime.date(2022, 7, 1), "municipalities": "all"}}
    )
    assert read(content, bounded, columns="in_period") == [("false",), (None,)]


# --- names -----------------------------------------------------------------------------------


def _code(name: str, partition: str = "2022-07") -> str:
    ((code,),) = read(
        csv_bytes([HEADERS, ("R1", name, *ROW[2:])]),
        layout(),
        columns="municipality_code",
        partition=partition,
    )
    return str(code)


@pytest.mark.parametrize(
    ("partition", "code"),
    [
        ("2020-11", "GM0299"),
        ("2022-12", "GM0299"),
        ("2023-01", "Rijnwaarden"),
        ("2022", "GM0299"),
        ("2023", "Rijnwaarden"),
        ("2022Q4", "GM0299"),
        ("2023Q1", "Rijnwaarden"),
    ],
)
def test_a_former_name_is_known_for_as_long_as_the_register_says(partition: str, code: str) -> None:
    assert _code("Rijnwaarden", partition) == code


def test_a_misspelling_is_known_when_the_register_has_it_and_never_guessed() -> None:
    assert _code("Barnevelt") == "GM0203"
    for unknown in ("Barneveldt", "Hengelo (Gld)", "Nijmege", "Rhenen", "BarneveldÃ©"):
        assert _code(unknown) == unknown


@pytest.mark.parametrize("sign", "'\u2018\u2019\u0060\u00b4")
def test_any_apostrophe_is_one(sign: str) -> None:
    import duckdb

    with duckdb.connect() as con:
        query = f"select {names.plain_name('$name')}"
        (found,) = con.execute(query, {"name": f" {sign}s-Heerenberg\u00a0 "}).fetchone() or ()
    assert found == "'s-heerenberg"


def test_the_register_names_only_municipalities_that_there_are_and_each_name_once() -> None:
    import csv
    from datetime import date

    with names.MUNICIPALITIES.open() as file:
        codes = {row["municipality_code"] for row in csv.DictReader(file)}
    with names.MUNICIPALITY_NAMES.open() as file:
        rows = [*csv.DictReader(file)]
    assert {row["municipality_code"] for row in rows} <= codes
    assert {row["kind"] for row in rows} == {"other spelling", "misspelling", "former name"}
    assert len({row["name"].lower() for row in rows}) == len(rows)
    for row in rows:
        assert bool(row["valid_until"]) == (row["kind"] == "former name")
        assert not row["valid_until"] or date.fromisoformat(row["valid_until"])


# --- numbers and dates -----------------------------------------------------------------------


def _numbers(content: bytes, **how: str) -> list[str]:
    numbers = layout(
        dataset="rvo/coverage",
        contract="rvo.coverage",
        concession=None,
        columns={
            "municipality_code": {"constant": "GM0228"},
            "month": {"from": "partition"},
            "charge_points_per_vehicle": {"headers": ["Waarde"]},
        },
        file={"type": "xlsx" if content.startswith(b"PK") else "csv"},
        **how,
    )
    return [value for (value,) in read(content, numbers, columns="charge_points_per_vehicle")]


@pytest.mark.parametrize(
    ("how", "written", "meant"),
    [
        ({"decimal": ","}, "12,5", "12.5"),
        ({"decimal": ","}, "-0,25", "-0.25"),
        ({"decimal": ","}, "12.5", "12.5"),
        ({"decimal": ",", "thousands": "."}, "1.234,5", "1234.5"),
        ({"decimal": ",", "thousands": "."}, "1.234.567", "1234567"),
        ({"decimal": ",", "thousands": "."}, "12.5", "12.5"),
        ({"decimal": ",", "thousands": "."}, "0.375", "0.375"),
        ({"decimal": ",", "thousands": "."}, "00.500", "00.500"),
        ({"decimal": ",", "thousands": "."}, "1.23,4", "1.23,4"),
        ({"decimal": ",", "thousands": " "}, "1\u00a0234,5", "1234.5"),
        ({"thousands": ","}, "1,234.5", "1234.5"),
        ({}, "1,5", "1,5"),
        ({"decimal": ","}, "veel", "veel"),
    ],
)
def test_numbers_are_read_with_the_separators_of_the_mapping(
    how: dict[str, str], written: str, meant: str
) -> None:
    assert _numbers(csv_bytes([("Waarde",), (written,)]), **how) == [meant]
    assert _numbers(xlsx_bytes([("Waarde",), (written,)]), **how) == [meant]


def test_a_cell_that_is_a_number_is_not_taken_for_text_with_thousands() -> None:
    content = xlsx_bytes([("Waarde",), (1.234,), ("1.234",), (11075,), (0.5,), ("0,5",)])
    assert _numbers(content, decimal=",", thousands=".") == [
        "1.234",
        "1234",
        "11075",
        "0.5",
        "0.5",
    ]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2022-07-01T21:59:59Z", "2022-07-01"),
        ("2022-07-01T22:30:00Z", "2022-07-02"),
        ("2022-07-01 22:30:00.123+00:00", "2022-07-02"),
        ("2022-07-01T23:30+02", "2022-07-01"),
        ("2022-07-01T22:30Z", "2022-07-02"),
        ("2022-07-02T00:30:00+05:30", "2022-07-01"),
        ("2022-12-01T23:30:00Z", "2022-12-02"),
    ],
)
def test_the_day_of_a_moment_with_a_zone_is_that_of_the_mappings_zone(text: str, day: str) -> None:
    rows = [HEADERS, ("R1", "Ede", text, "31-12-2022 12:00")]
    assert read(csv_bytes(rows), layout(), columns="requested_on") == [(day,)]


def test_a_date_that_does_not_exist_stays_as_it_was() -> None:
    days = ["29-02-2018", "2018-02-29", "31-04-2022", "44743", "2022-07-01", "1-7-2022", "infinity"]
    rows = [(f"R{n}", "Ede", text, ROW[3]) for n, text in enumerate(days)]
    found = [day for (day,) in read(csv_bytes([HEADERS, *rows]), layout(), columns="requested_on")]
    assert found == [*days[:3], *["2022-07-01"] * 3, "infinity"]


def test_cells_that_look_like_formulas_are_text() -> None:
    rows = [(text, *ROW[1:]) for text in ("=1+1", "=HYPERLINK(A1)", "@SUM(A1)", "+1", "-1")]
    found = read(csv_bytes([HEADERS, *rows]), layout(), columns="request_id")
    assert [text for (text,) in found] == ["=1+1", "=HYPERLINK(A1)", "@SUM(A1)", "+1", "-1"]


# --- rows of the file ------------------------------------------------------------------------

TYPES = [("csv", csv_bytes), ("xlsx", xlsx_bytes)]


@pytest.mark.parametrize(("kind", "made"), TYPES)
def test_preamble_blank_and_totals_rows_are_no_records_and_rows_keep_their_numbers(
    kind: str, made: Any
) -> None:
    rows: list[Cells] = [
        ("Export van 1 juli", "", "", ""),
        ("", "", "", ""),
        HEADERS,
        ROW,
        ("", " ", "\u00a0", ""),
        ("R2", *ROW[1:]),
        (" TOTAAL 2022", "2", "", ""),
        ("Totaalnummer", *ROW[1:]),
    ]
    skipping = layout(
        file={"type": kind, "header_row": 3},
        skip_rows=[{"header": "Nummer", "matches": "totaal( .*)?"}],
    )
    found = read(made(rows), skipping, columns="record_number, request_id")
    assert found == [(4, "R1"), (6, "R2"), (8, "Totaalnummer")]


@pytest.mark.parametrize(("kind", "made"), TYPES)
def test_several_header_rows_are_one_header_and_merged_texts_go_to_the_right(
    kind: str, made: Any
) -> None:
    rows: list[Cells] = [
        ("Nummer", "Gemeente", "Datum", "", "Station", ""),
        ("", "", "aanvraag", "wijziging", "", "naam"),
        (*ROW, "", "x"),
    ]
    merged = layout(
        file={"type": kind, "header_row": [1, 2]},
        columns=COLUMNS
        | {
            "requested_on": {"headers": ["Datum aanvraag"]},
            "last_updated": {"headers": ["Wijziging"]},
            "rejection_reason": {"headers": ["Station naam"]},
        },
    )
    columns = "record_number, request_id, requested_on, last_updated, rejection_reason"
    assert read(made(rows), merged, columns=columns) == [
        (3, "R1", "2022-07-01", "2022-07-02 10:00:00Z", "x")
    ]


@pytest.mark.parametrize(("kind", "made"), TYPES)
def test_a_row_with_something_in_an_unread_column_only_is_a_record(kind: str, made: Any) -> None:
    rows = [(*HEADERS, "Overig"), (*ROW, ""), ("", "", "", "", "x"), ("", "", "", "", "")]
    found = read(made(rows), layout(file={"type": kind}), columns="record_number, request_id")
    assert found == [(2, "R1"), (3, None)]


# --- which layout ----------------------------------------------------------------------------


def test_a_file_is_read_by_the_first_layout_that_it_has() -> None:
    old = layout(columns=COLUMNS | {"request_id": {"headers": ["Referentie"]}})
    book = layout(file={"type": "xlsx", "sheet": "Blad1"})
    other_sheet = layout(file={"type": "xlsx", "sheet": "Ander"})
    layouts = (old, other_sheet, book, layout())
    for content in (csv_bytes([HEADERS, ROW]), xlsx_bytes([HEADERS, ROW])):
        assert read(content, *layouts, columns="request_id") == [("R1",)]


def test_of_the_layouts_that_do_not_fit_the_nearest_is_named_with_what_is_missing() -> None:
    far = layout(file={"type": "xlsx"})
    near = layout(personal=["Naam"], ignored=["Volgnr"])
    content = csv_bytes([("Nummer", "Plaats", "Aangevraagd", "Gewijzigd", "Naam", "Volgnr"), ROW])
    with pytest.raises(DeliveryRejected) as rejection:
        read(content, far, near)
    said = str(rejection.value)
    # Of unknown headers only the number: the file may have none, and then they are cells.
    assert "missing column: 'Gemeente' (3 of 4 found, and 1 that it does not know)" in said
    assert "third.yaml (the nearest of 2) of third/requests" in said
    assert "Plaats" not in said


@pytest.mark.parametrize(
    ("content", "file", "words"),
    [
        (b"", {"type": "csv"}, "found an empty file"),
        (b"<html>", {"type": "csv"}, "found HTML or XML"),
        (b'{"a": 1}', {"type": "csv"}, "found JSON"),
        (xlsx_bytes([HEADERS]), {"type": "csv"}, "found a zip file or workbook"),
        (csv_bytes([HEADERS]), {"type": "xlsx"}, "found something else, expected a workbook"),
        (b"PK\x03\x04 cut", {"type": "xlsx"}, "damaged or cut off"),
        (csv_bytes([HEADERS]), {"type": "csv", "header_row": 5}, r"ends after 1 row\(s\)"),
        (b"\n\n\n", {"type": "csv", "header_row": 2}, "row 2 is blank"),
        (xlsx_bytes([HEADERS]), {"type": "xlsx", "header_row": 5}, r"the sheet has 1 row\(s\)"),
        (xlsx_bytes([HEADERS]), {"type": "xlsx", "sheet": "Ander"}, "sheet.* other names"),
    ],
)
def test_a_file_of_another_make_is_refused_with_words(
    content: bytes, file: dict[str, Any], words: str
) -> None:
    with pytest.raises(DeliveryRejected, match=words):
        read(content, layout(file=file))


def test_without_a_sheets_name_the_workbook_may_have_only_one() -> None:
    import io

    import xlsxwriter

    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        book.add_worksheet("Een")
        book.add_worksheet("Twee")
    with pytest.raises(DeliveryRejected, match="it has 2 sheets, expected a workbook with one"):
        read(out.getvalue(), layout(file={"type": "xlsx"}))
