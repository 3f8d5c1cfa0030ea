"""Whatever reads a drop reads the same: rows and exact sums."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.conftest import REPOSITORY, Demo

SUMS = {
    "indicator_values": "value",
    "mart_charge_points": "charge_points",
    "mart_coverage": "vehicles",
    "mart_forecast": "forecast",
}
SPARK = REPOSITORY / ".venv-spark" / "bin" / "python"
Sums = dict[str, tuple[int, Decimal]]


def files(demo: Demo) -> dict[str, Path]:
    return {name: demo.release / name / f"{name}.parquet" for name in SUMS}


@pytest.fixture
def expected(demo: Demo) -> Sums:
    """By pyarrow."""
    found = {}
    for name, path in files(demo).items():
        table = pq.ParquetFile(path).read()
        found[name] = (table.num_rows, Decimal(pc.sum(table[SUMS[name]]).as_py()))
    assert all(rows > 0 and total > 0 for rows, total in found.values())
    return found


def by_duckdb(path: Path, column: str) -> tuple[int, Decimal]:
    with duckdb.connect() as con:
        row = con.execute(f"select count(*), sum({column}) from '{path}'").fetchone()
    assert row
    return row[0], Decimal(row[1])


def by_polars(path: Path, column: str) -> tuple[int, Decimal]:
    rows, total = (
        pl.scan_parquet(path).select(pl.len(), pl.col(column).sum().alias("of")).collect().row(0)
    )
    return rows, Decimal(total)


def by_pandas(path: Path, column: str) -> tuple[int, Decimal]:
    read = pd.read_parquet(path)
    return len(read), Decimal(str(read[column].dropna().sum()))


@pytest.mark.parametrize("reader", [by_duckdb, by_polars, by_pandas])
def test_readers_of_one_machine(
    demo: Demo, expected: Sums, reader: Callable[[Path, str], tuple[int, Decimal]]
) -> None:
    assert {name: reader(path, SUMS[name]) for name, path in files(demo).items()} == expected


@pytest.mark.slow
def test_spark(demo: Demo, expected: Sums) -> None:
    if not SPARK.exists() or not shutil.which("java"):
        assert "GORAL_REQUIRE_TRACER" not in os.environ, "Spark is mandatory in CI"
        pytest.skip("there is no Spark: `make .venv-spark/.installed` installs it; it needs Java")
    asked = [str(part) for name, path in files(demo).items() for part in (path, SUMS[name])]
    done = subprocess.run(
        [str(SPARK), str(Path(__file__).with_name("spark_sums.py")), *asked],
        env=os.environ | {"SPARK_LOCAL_IP": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert (
        dict(zip(SUMS, ((rows, Decimal(total)) for rows, total in told), strict=True)) == expected
    )
