"""How RVO's counts are read: pages of Klimaatmonitor, and workbooks."""

import json
from pathlib import Path
from typing import Any

import pytest

from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.sources import rvo
from goral_pipeline.staging.stage import stage
from tests.support_files import Row, Staged, job_of, quarantine_of, stage_file, workbook_file

COUNTS, VEHICLES, INHABITANTS = "rvo/charge_point_counts", "rvo/vehicles", "rvo/inhabitants"
PUBLIC_REGULAR = "kern342a_lpt_pbreg"
KINDS = {
    PUBLIC_REGULAR: ("public", "regular"),
    "kern342b_lpt_pbsnl": ("public", "fast"),
    "kern342c_lpt_spreg": ("semi_public", "regular"),
    "kern342d_lpt_spsnl": ("semi_public", "fast"),
}


def page(variable: Any, values: list[Any], period: Any = "m11y2022") -> str:
    told = {"page": 1, "offset": 0, "variable": variable, "period": period}
    return json.dumps(told | {"body": {"value": values}}) + "\n"


def value(area: Any = "gemeente_106", text: Any = "12") -> Row:
    return {"ExternalCode": area, "ValueString": text}


def pages_file(tmp_path: Path, *pages: str) -> Path:
    file = tmp_path / "pages.ndjson"
    file.write_text("".join(pages))
    return file


def staged(tmp_path: Path, *pages: str, dataset: str = COUNTS) -> Staged:
    return stage_file(tmp_path, dataset, pages_file(tmp_path, *pages), partition="2022-11")


# ── Klimaatmonitor ───────────────────────────────────────────────────────────────────────────────


def test_each_variable_is_an_access_and_a_speed(tmp_path: Path) -> None:
    pages = [page(code, [value(text=str(n))]) for n, code in enumerate(KINDS, start=1)]
    rows = staged(tmp_path, *pages).accepted("charge_point_counts")
    found = {(row["access"], row["speed"]): row["charge_points"] for row in rows}
    assert found == {kind: n for n, kind in enumerate(KINDS.values(), start=1)}
    assert {(row["municipality_code"], row["month"]) for row in rows} == {("GM0106", "2022-11")}
    assert {row["record_number"] for row in rows} == {1, 2, 3, 4}


def test_all_variables_asked_for_are_known_when_read() -> None:
    assert {
        code: (values["access"], values["speed"])
        for code, values in rvo.CHARGE_POINT_COUNTS.variables.items()
    } == KINDS


@pytest.mark.parametrize(
    ("period", "month"), [("m1y2022", "2022-01"), ("m10y2025", "2025-10"), ("m12y2020", "2020-12")]
)
def test_a_month_of_klimaatmonitor_is_a_month(tmp_path: Path, period: str, month: str) -> None:
    file = pages_file(tmp_path, page(PUBLIC_REGULAR, [value()], period))
    rows = stage_file(tmp_path, COUNTS, file, partition=month).accepted("charge_point_counts")
    assert [row["month"] for row in rows] == [month]


def test_values_of_another_month_than_the_delivery_is_for_are_refused(tmp_path: Path) -> None:
    pages = [page(PUBLIC_REGULAR, [value()], period) for period in ("m11y2022", "m7y2022")]
    with pytest.raises(DeliveryRejected, match="it holds values of 2022-07, expected those of"):
        staged(tmp_path, *pages)


def test_a_municipalitys_code_has_four_digits(tmp_path: Path) -> None:
    areas = ["gemeente_3", "gemeente_1955", "gemeente_0106"]
    rows = staged(tmp_path, page(PUBLIC_REGULAR, [value(area) for area in areas]))
    found = {row["municipality_code"] for row in rows.accepted("charge_point_counts")}
    assert found == {"GM0003", "GM1955", "GM0106"}


def test_whole_numbers_are_read_however_they_are_written(tmp_path: Path) -> None:
    texts: list[tuple[Any, int]] = [
        ("12", 12),
        ("12.0", 12),
        (" 7 ", 7),
        ("0", 0),
        (8, 8),
        (9.0, 9),
    ]
    values = [value(f"gemeente_{n}", text) for n, (text, _) in enumerate(texts)]
    rows = staged(tmp_path, page(PUBLIC_REGULAR, values)).accepted("charge_point_counts")
    assert [row["charge_points"] for row in rows] == [number for _, number in texts]


WRONG_VALUES: list[tuple[Row, str]] = [
    (value(text=None), "charge_points_required"),
    (value(text=""), "charge_points_required"),
    (value(text=" "), "charge_points_required"),
    ({"ExternalCode": "gemeente_106"}, "charge_points_required"),
    (value(text="12.5"), "charge_points_type"),
    (value(text="1.234"), "charge_points_type"),
    (value(text="126.000"), "charge_points_type"),
    (value(text="1,0"), "charge_points_type"),
    (value(text="x"), "charge_points_type"),
    (value(text="NaN"), "charge_points_type"),
    (value(text=True), "charge_points_type"),
    (value(text={"a": 1}), "charge_points_type"),
    (value(text="-1"), "charge_points_range"),
    (value(text="1000001"), "charge_points_range"),
    *(
        (value(area), "municipality_code_pattern")
        for area in ("nederland_1", "provincie_25", "gemeente_12345", "gemeente_", 106)
    ),
    (value(None), "municipality_code_required"),
]


def test_what_is_no_count_of_a_municipality_is_quarantined_and_never_zero(tmp_path: Path) -> None:
    good = [value(f"gemeente_{place}") for place in range(1000, 2000)]
    wrong = [one for one, _ in WRONG_VALUES]
    made = staged(tmp_path, page(PUBLIC_REGULAR, [*wrong, *good]))
    assert made.counts["charge_point_counts"] == {"accepted": 1000, "quarantined": len(wrong)}
    found = [(row["record_number"], row["rule"]) for row in made.quarantine("charge_point_counts")]
    assert found == [(n, rule) for n, (_, rule) in enumerate(WRONG_VALUES, start=1)]


@pytest.mark.parametrize(
    ("variable", "period", "rules"),
    [
        ("inwoners", "m11y2022", {"access_required", "speed_required", "charge_points_required"}),
        (None, "m11y2022", {"access_required", "speed_required", "charge_points_required"}),
        (PUBLIC_REGULAR, "m13y2022", {"month_pattern"}),
        (PUBLIC_REGULAR, "2022", {"month_pattern"}),
        (PUBLIC_REGULAR, None, {"month_required"}),
    ],
)
def test_a_page_of_something_else_is_rejected(
    tmp_path: Path, variable: Any, period: Any, rules: set[str]
) -> None:
    file = pages_file(tmp_path, page(variable, [value()], period))
    job = job_of(tmp_path, COUNTS, file, partition="2022-11")
    with pytest.raises(DeliveryRejected, match="1 of 1 charge_point_counts break a rule"):
        stage(job)
    assert {row["rule"] for row in quarantine_of(job, "charge_point_counts")} == rules


def test_a_municipality_twice_in_a_list_is_kept_once_where_both_say_the_same(
    tmp_path: Path,
) -> None:
    others = [value(f"gemeente_{place}") for place in range(1000, 1100)]
    twice = [value(text="1"), value(text="1.0")]
    differing = [value("gemeente_3", "1"), value("gemeente_3", "2")]
    made = staged(tmp_path, page(PUBLIC_REGULAR, [*twice, *differing, *others]))
    assert made.counts["charge_point_counts"] == {"accepted": 101, "duplicate": 1, "quarantined": 2}
    rules = {row["rule"] for row in made.quarantine("charge_point_counts")}
    assert rules == {"conflicting_key"}


def test_vehicles_and_inhabitants_are_of_a_year(tmp_path: Path) -> None:
    kinds = {
        "pers_autos_herv_ev": "passenger_cars_end_user",
        "elekvoert_bev": "bev_owner",
        "elekvoert_phev": "phev_owner",
    }
    pages = [page(code, [value(text="1234")], "2022") for code in kinds]
    rows = staged_year(tmp_path / "vehicles", VEHICLES, *pages)
    assert {(r["kind"], r["year"], r["vehicles"]) for r in rows.accepted("vehicles")} == {
        (kind, 2022, 1234) for kind in kinds.values()
    }
    people = page("inwoners", [value(text="70000")], "2022")
    (row,) = staged_year(tmp_path / "people", INHABITANTS, people).accepted("inhabitants")
    assert (row["municipality_code"], row["year"], row["inhabitants"]) == ("GM0106", 2022, 70000)


def staged_year(folder: Path, dataset: str, *pages: str) -> Staged:
    folder.mkdir()
    return stage_file(folder, dataset, pages_file(folder, *pages), partition="2022")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html/>",
        b"{}",
        b"[]",
        b'{"value": [{"ExternalCode": "gemeente_106", "ValueString": "1"}]}',
        page(PUBLIC_REGULAR, []).encode(),
        page(PUBLIC_REGULAR, [value()]).encode()[:-9],
        b'{"variable": "x", "body": {"value": [' + b"[" * 90_000 + b"]" * 90_000 + b"]}}",
        b'{"variable": "kern342a_lpt_pbreg", "body": {"value": ["\xff\xfe"]}}',
        b"PK\x03\x04 no workbook at all",
        b"\x1f\x8b no gzip",
        b"\x00" * 1000,
    ],
    ids=range(12),
)
@pytest.mark.parametrize("dataset", [COUNTS, VEHICLES, INHABITANTS])
def test_what_is_neither_pages_nor_a_workbook_is_rejected(
    tmp_path: Path, content: bytes, dataset: str
) -> None:
    file = tmp_path / "bad.ndjson"
    file.write_bytes(content)
    with pytest.raises(DeliveryRejected):
        stage_file(tmp_path, dataset, file, partition="2022-11")


# ── workbooks ────────────────────────────────────────────────────────────────────────────────────

COLUMNS = {
    "Publiek regulier": ("public", "regular"),
    "Publiek snel": ("public", "fast"),
    "Semi-publiek regulier": ("semi_public", "regular"),
    "Semi-publiek snel": ("semi_public", "fast"),
}


def workbook(tmp_path: Path, rows: list[Row], *headers: str) -> Path:
    names = ("Gemeentecode", "Gemeente", *headers)
    return workbook_file(tmp_path / "rvo.xlsx", rows, names, header_row=1)


def test_a_workbook_gives_the_rows_that_pages_give(tmp_path: Path) -> None:
    row = {"Gemeentecode": "GM0106", "Gemeente": "Assen"} | {
        header: n for n, header in enumerate(COLUMNS, start=1)
    }
    total = row | {"Gemeentecode": "Totaal", "Gemeente": None}
    file = workbook(tmp_path, [row, total], *COLUMNS)
    made = stage_file(tmp_path / "workbook", COUNTS, file, partition="2022-11")
    assert made.counts == {"charge_point_counts": {"accepted": 4}}
    pages = [page(code, [value(text=str(n))]) for n, code in enumerate(KINDS, start=1)]

    def told(staged: Staged) -> list[Row]:
        rows = staged.accepted("charge_point_counts")
        return [{k: v for k, v in one.items() if k != "record_number"} for one in rows]

    assert told(made) == told(staged(tmp_path, *pages))
    assert {one["record_number"] for one in made.accepted("charge_point_counts")} == {2}


def test_a_workbook_of_vehicles_and_one_of_inhabitants(tmp_path: Path) -> None:
    headers = {
        "Personenauto's BEV en PHEV bij eindgebruiker": "passenger_cars_end_user",
        "BEV bij eigenaar": "bev_owner",
        "PHEV bij eigenaar": "phev_owner",
    }
    row = {"Gemeentecode": "GM0106"} | dict.fromkeys(headers, 5)
    file = workbook(tmp_path, [row], *headers)
    made = stage_file(tmp_path / "vehicles", VEHICLES, file, partition="2022")
    assert {(r["kind"], r["year"], r["vehicles"]) for r in made.accepted("vehicles")} == {
        (kind, 2022, 5) for kind in headers.values()
    }
    file = workbook(tmp_path, [{"Gemeentecode": "GM0106", "Inwoners": 70000}], "Inwoners")
    made = stage_file(tmp_path / "people", INHABITANTS, file, partition="2022")
    assert made.accepted("inhabitants")[0]["inhabitants"] == 70000


def test_coverage_comes_by_name_of_the_municipality(tmp_path: Path) -> None:
    header = "Laadpunten per elektrisch voertuig"
    rows: list[Row] = [
        {"Gemeente": "Ede", header: 0.5},
        {"Gemeente": "Hengelo (O)", header: 0.123456},
    ]
    file = workbook_file(tmp_path / "rvo.xlsx", rows, ("Gemeente", header), header_row=1)
    made = stage_file(tmp_path / "coverage", "rvo/coverage", file, partition="2022-11")
    assert {
        (r["municipality_code"], r["month"], str(r["charge_points_per_vehicle"]))
        for r in made.accepted("coverage")
    } == {("GM0228", "2022-11", "0.500000"), ("GM0164", "2022-11", "0.123456")}


def test_a_cell_that_holds_no_count_is_quarantined_alone(tmp_path: Path) -> None:
    fine = dict.fromkeys(COLUMNS, 1)
    rows: list[Row] = [{"Gemeentecode": f"GM{n}"} | fine for n in range(1000, 1060)]
    rows.append({"Gemeentecode": "GM0106"} | fine | {"Publiek snel": "geheim"})
    rows.append({"Gemeentecode": "GM0107"} | fine | {"Publiek snel": None})
    made = stage_file(
        tmp_path / "workbook", COUNTS, workbook(tmp_path, rows, *COLUMNS), partition="2022-11"
    )
    assert made.counts == {"charge_point_counts": {"accepted": 246, "quarantined": 2}}
    found = made.quarantine("charge_point_counts")
    assert [(row["record_number"], row["rule"]) for row in found] == [
        (62, "charge_points_type"),
        (63, "charge_points_required"),
    ]
