"""The way in for analysts: reads the warehouse's tables, and nothing else of the machine."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from goral_pipeline.errors import GoralError
from goral_pipeline.warehouse import query as warehouse
from tests.conftest import Demo


@pytest.fixture
def con(demo: Demo) -> Iterator[duckdb.DuckDBPyConnection]:
    path = demo.home / "warehouse" / "goral.duckdb"
    with warehouse.connect(path, memory_limit="500MB", threads=1) as opened:
        yield opened


def rows(con: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = warehouse.query(con, sql).to_pylist()
    return found


# ── what works ───────────────────────────────────────────────────────────────────────────────────


def test_marts_are_found_without_their_schema(con: duckdb.DuckDBPyConnection) -> None:
    (row,) = rows(con, "select count(*) as number from dim_municipality")
    assert row == {"number": 77}
    assert rows(con, "from marts.dim_municipality limit 1")


def test_intermediate_models_and_reference_lists_too(con: duckdb.DuckDBPyConnection) -> None:
    assert rows(con, "select status from int_charge_points limit 1")
    assert rows(con, "select * from charge_point_definitions")


@pytest.mark.parametrize(
    "sql",
    [
        "show tables",
        "describe indicator_values",
        "summarize dim_month",
        "explain select 1",
        "with m as (from dim_month) select count(*) from m",
        "pivot mart_location_placement on placement using sum(locations) group by month",
    ],
)
def test_what_an_analyst_types(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    assert rows(con, sql)


def test_moments_are_told_in_utc(con: duckdb.DuckDBPyConnection) -> None:
    assert rows(con, "select current_setting('TimeZone') as zone") == [{"zone": "UTC"}]


def test_columns_of_one_name_are_told_apart(con: duckdb.DuckDBPyConnection) -> None:
    assert rows(con, "select 1 as a, 2 as a, 3 as b, 4 as a_2, 5 as a") == [
        {"a": 1, "a_2": 2, "b": 3, "a_2_2": 4, "a_3": 5}
    ]


def test_staged_rows_are_not_in_the_file(con: duckdb.DuckDBPyConnection) -> None:
    found = rows(con, "select distinct table_schema as name from information_schema.tables")
    assert {row["name"] for row in found} == {"intermediate", "main", "marts", "reference"}


# ── what is refused ──────────────────────────────────────────────────────────────────────────────

FILES = [
    "copy (select 1) to '{folder}/out.csv'",
    "copy dim_month to '{folder}/out.parquet' (format parquet)",
    "select * from read_text('/etc/passwd')",
    "select * from read_blob('/etc/passwd')",
    "select * from read_csv('/etc/passwd')",
    "select * from read_json('{folder}/in.csv')",
    "select * from read_parquet('{folder}/in.csv')",
    "select * from parquet_metadata('{folder}/in.csv')",
    "select * from sniff_csv('{folder}/in.csv')",
    "from '{folder}/in.csv'",
    "from '/etc/passwd'",
    "select * from glob('/etc/*')",
    "select * from query('from read_text(''/etc/passwd'')')",
    "select * from read_csv('http://127.0.0.1:9/x.csv')",
    "attach '{folder}/other.duckdb' as other",
    "attach '{folder}/in.csv' as other (read_only)",
    "export database '{folder}/out'",
    "import database '{folder}/out'",
    "select 1; copy (select 1) to '{folder}/out.csv'",
]
SETTINGS = [
    "set enable_external_access = true",
    "reset enable_external_access",
    "set lock_configuration = false",
    "set allowed_directories = ['/']",
    "set allowed_paths = ['/etc/passwd']",
    "set temp_directory = '{folder}'",
    "set memory_limit = '100GB'",
    "set threads = 64",
    "set global enable_external_access = true",
    "pragma enable_external_access = true",
    "pragma memory_limit = '100GB'",
    "pragma temp_directory = '{folder}'",
]
EXTENSIONS = [
    "install httpfs",
    "force install httpfs",
    "load httpfs",
    "load '{folder}/in.csv'",
    "update extensions",
    "create secret s (type s3, key_id 'a', secret 'b')",
]
WRITING = [
    "create table marts.more as select 1",
    "create or replace table marts.dim_month as select 1",
    "create schema more",
    "create view marts.more as select 1",
    "insert into marts.dim_month from marts.dim_month",
    "update marts.dim_month set year = 1",
    "delete from marts.dim_month",
    "truncate marts.dim_month",
    "drop table marts.dim_month",
    "drop schema marts cascade",
    "alter table marts.dim_month add column more integer",
    "begin; drop table marts.dim_month; commit",
]


@pytest.mark.parametrize("sql", FILES + SETTINGS + EXTENSIONS + WRITING)
def test_is_refused(con: duckdb.DuckDBPyConnection, tmp_path: Path, sql: str) -> None:
    (tmp_path / "in.csv").write_text("a,b\n1,2\n")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(GoralError, match=r"^the query was refused: "):
        warehouse.query(con, sql.format(folder=tmp_path))
    assert sorted(tmp_path.rglob("*")) == before


def test_refused_statements_change_no_byte(demo_home: Path, tmp_path: Path) -> None:
    path = demo_home / "warehouse" / "goral.duckdb"
    before = path.read_bytes()
    with warehouse.connect(path, memory_limit="500MB", threads=1) as con:
        for sql in FILES + SETTINGS + EXTENSIONS + WRITING:
            with pytest.raises(GoralError):
                warehouse.query(con.cursor(), sql.format(folder=tmp_path))
    assert path.read_bytes() == before


def test_variables_of_the_program_cannot_be_queried(con: duckdb.DuckDBPyConnection) -> None:
    secret = warehouse.query(con, "select 1 as a")
    assert secret.num_rows == 1
    for name in ("secret", "sql", "con", "result"):
        with pytest.raises(GoralError, match="does not exist"):
            warehouse.query(con, f"select * from {name}")


@pytest.mark.parametrize("sql", ["", "  ", ";", "-- nothing", "/* nothing */"])
def test_an_empty_query_is_told_so(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    with pytest.raises(GoralError, match=r"^the query is empty$"):
        warehouse.query(con, sql)


def test_a_query_that_does_not_parse_is_answered_in_duckdb_s_words(
    con: duckdb.DuckDBPyConnection,
) -> None:
    with pytest.raises(GoralError, match="Parser Error: syntax error at or near"):
        warehouse.query(con, "selec 1")


def test_more_rows_than_anyone_reads_are_refused(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warehouse, "MOST_ROWS", 10)
    assert len(rows(con, "from range(10)")) == 10
    with pytest.raises(GoralError, match=r"^the query gives 11 rows; ask for 10 at most$"):
        warehouse.query(con, "from range(11)")


def test_without_a_warehouse_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(GoralError, match="there is no warehouse yet; `goral run` builds it"):
        warehouse.connect(tmp_path / "goral.duckdb", memory_limit="1GB", threads=1)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "goral.duckdb"
    path.write_bytes(b"not a database, but as long as one might be" * 1000)
    with pytest.raises(GoralError, match="cannot be read"):
        warehouse.connect(path, memory_limit="1GB", threads=1)
