"""What changed between two drops: rows by key, months and indicators."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from goral_pipeline import parquet
from goral_pipeline.contracts import published
from goral_pipeline.publishing import changes, manifest, verify
from goral_pipeline.publishing.manifest import DataFile, Manifest

CHARGE_POINTS, INDICATORS = "mart_charge_points", "indicator_values"
EMPTY = Manifest(
    drop="demo-2022-12-0123456789ab",
    product="kpi",
    sequence=1,
    previous=None,
    fingerprint="",
    demo=True,
    status="demo",
    code_version="",
    lock_sha256=None,
    contracts={},
    deprecated={},
    data=[],
    other=[],
    staged_files=[],
    left_out=[],
    checks={},
)
FILLERS: dict[str, Any] = {"VARCHAR": "x", "BIGINT": 0, "INTEGER": 0, "BOOLEAN": True}


def release(folder: Path, tables: dict[str, list[dict[str, Any]]]) -> changes.Release:
    """The tables of a drop, with fillers in the columns that are not told."""
    data = []
    for dataset, rows in tables.items():
        table = published()[dataset].tables[0]
        schema = table.arrow_schema()
        whole = [
            {c.name: row.get(c.name, FILLERS.get(c.type) if c.required else None)
             for c in table.columns}
            for row in rows
        ]  # fmt: skip
        whole.sort(key=lambda row: [str(row[name]) for name in table.key])
        batch = pa.RecordBatch.from_pylist(whole, schema=schema)
        path = folder / dataset / f"{dataset}.parquet"
        path.parent.mkdir(parents=True)
        digest = verify.ContentHash()
        parquet.write(path, schema, digest.passing([batch]))
        data.append(
            DataFile(
                path=f"{dataset}/{dataset}.parquet",
                dataset=dataset,
                rows=len(rows),
                bytes=0,
                sha256="",
                columns=manifest.columns_of(schema),
                schema_fingerprint="",
                content_hash=digest.hexdigest(),
                months=[],
            )
        )
    return changes.Release(folder, replace(EMPTY, data=data), published())


def compared(before: changes.Release | None, now: changes.Release) -> changes.Report:
    with duckdb.connect() as con:
        return changes.compare(con, before, now)


def counted(source: str, month: str, charge_points: int, code: str = "GM0202") -> dict[str, Any]:
    key = {"source": source, "month": month, "municipality_code": code}
    return key | {"access": "public", "speed": "regular", "charge_points": charge_points}


def indicator(name: str, period: str, value: str | None) -> dict[str, Any]:
    area = {"area_type": "provinces", "area_code": "X", "area_name": "Gelderland + Overijssel"}
    when = {"period_type": "month", "period": period, "dimensions": "{}"}
    worth = None if value is None else Decimal(value)
    return {"indicator": name, "unit": "count", "status": "demo", "value": worth} | area | when


BEFORE = [
    counted("rvo", "2022-10", 5),
    counted("rvo", "2022-11", 6),
    counted("rvo", "2022-11", 7, "GM0228"),
]


def test_rows_are_told_by_key_column_and_month(tmp_path: Path) -> None:
    now = [BEFORE[0], BEFORE[1] | {"charge_points": 9}, counted("rvo", "2022-12", 1)]
    (told,) = compared(
        release(tmp_path / "a", {CHARGE_POINTS: BEFORE}),
        release(tmp_path / "b", {CHARGE_POINTS: now}),
    ).tables
    assert (told.rows_before, told.rows) == (3, 3)
    assert (told.added, told.removed, told.changed) == (1, 1, 1)
    assert told.columns == {"charge_points": 1}
    assert told.months == {"2022-11": 2, "2022-12": 1}


def test_a_column_and_a_key_of_another_type_are_compared_as_text(tmp_path: Path) -> None:
    made = [release(tmp_path / name, {CHARGE_POINTS: BEFORE}) for name in "ab"]
    path = made[1].path(CHARGE_POINTS)
    table = pq.read_table(path)
    for name, of_type in (("charge_points", pa.string()), ("source", pa.large_binary())):
        place = table.schema.get_field_index(name)
        values = table[name].cast(of_type)
        if name == "charge_points":
            values = pa.chunked_array([["many", *values.to_pylist()[1:]]])
        table = table.set_column(place, name, values)
    pq.write_table(table, path)
    (file,) = made[1].data.values()
    columns = manifest.columns_of(table.schema)
    now = replace(made[1].made, data=[replace(file, columns=columns, content_hash="other")])
    (told,) = compared(made[0], replace(made[1], made=now)).tables
    assert (told.added, told.removed, told.changed) == (0, 0, 1)
    assert told.columns == {"charge_points": 1}


def test_the_first_drop_adds_every_row(tmp_path: Path) -> None:
    report = compared(None, release(tmp_path, {CHARGE_POINTS: BEFORE}))
    assert report.previous is None
    (told,) = report.tables
    assert (told.version_before, told.rows_before, told.added, told.removed) == (None, 0, 3, 0)
    assert b"(the first drop: all is new)" in report.to_markdown()


def test_a_dataset_that_is_new_or_gone(tmp_path: Path) -> None:
    report = compared(
        release(tmp_path / "a", {CHARGE_POINTS: BEFORE}),
        release(tmp_path / "b", {INDICATORS: [indicator("a", "2022-11", "1")]}),
    )
    told = {table.dataset: (table.added, table.removed) for table in report.tables}
    assert told == {CHARGE_POINTS: (0, 3), INDICATORS: (1, 0)}


def test_what_is_the_same_changed_nowhere(tmp_path: Path) -> None:
    same = [release(tmp_path / name, {CHARGE_POINTS: BEFORE}) for name in "ab"]
    (told,) = compared(*same).tables
    assert (told.added, told.removed, told.changed, told.months) == (0, 0, 0, {})


def test_indicators_that_shifted_the_most_come_first(tmp_path: Path) -> None:
    before = [("a", "100"), ("b", "10"), ("c", "5"), ("gone", "3"), ("zero", "0")]
    now = [("a", "101"), ("b", "20"), ("c", "5"), ("new", "1"), ("zero", "2")]
    report = compared(
        release(tmp_path / "a", {INDICATORS: [indicator(n, "2022-11", v) for n, v in before]}),
        release(tmp_path / "b", {INDICATORS: [indicator(n, "2022-11", v) for n, v in now]}),
    )
    assert report.indicators_shifted == 5
    told = [(shift.indicator, shift.before, shift.now) for shift in report.shifts]
    assert told[-2:] == [("b", "10.0000", "20.0000"), ("a", "100.0000", "101.0000")]
    assert {shift[0] for shift in told[:3]} == {"gone", "new", "zero"}
    assert json.loads(report.to_json())["indicators_shifted"] == 5
    assert b"| b | Gelderland + Overijssel | 2022-11 | {} | 10.0000 | 20.0000 |" in (
        report.to_markdown()
    )


def test_the_greatest_shifts_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    number = changes.INDICATORS_SHOWN + 20
    names = [f"i{place:03}" for place in range(number)]
    report = compared(
        release(tmp_path / "a", {INDICATORS: [indicator(n, "2022", "1") for n in names]}),
        release(tmp_path / "b", {INDICATORS: [indicator(n, "2022", "2") for n in names]}),
    )
    assert report.indicators_shifted == number
    assert len(report.shifts) == changes.INDICATORS_SHOWN


ROWS = st.dictionaries(
    st.tuples(st.sampled_from(["2022-10", "2022-11"]), st.sampled_from(["GM0202", "GM0228"])),
    st.integers(0, 3),
)


@effort(deadline=None)
@given(before=ROWS, now=ROWS)
def test_counts_are_those_of_plain_sets(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[tuple[str, str], int],
    now: dict[tuple[str, str], int],
) -> None:
    folder = tmp_path_factory.mktemp("changes")
    releases = [
        release(
            folder / name,
            {CHARGE_POINTS: [counted("rvo", m, n, c) for (m, c), n in rows.items()]},
        )
        for name, rows in (("a", before), ("b", now))
    ]
    (told,) = compared(*releases).tables
    assert told.added == len(now.keys() - before.keys())
    assert told.removed == len(before.keys() - now.keys())
    assert told.changed == sum(before[key] != now[key] for key in before.keys() & now.keys())
    assert sum(told.months.values()) == told.added + told.removed + told.changed
