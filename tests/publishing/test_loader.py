"""Drops loaded into a real PostgreSQL: each load leaves all of it, or nothing."""

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from psycopg import sql

from goral_pipeline.contracts import published
from goral_pipeline.errors import GoralError, SettingsError, VerificationFailed
from goral_pipeline.publishing import loader, manifest, upkeep
from goral_pipeline.publishing.store import FolderStore
from goral_pipeline.publishing.verify import Folder, release
from tests.conftest import GORAL, Demo, Ran, goral
from tests.publishing.made_up import Mart, change_manifest, column, write_drop

Query = Callable[..., list[tuple[Any, ...]]]

MONTH = column("month", key=1, description="Calendar month.")
POINTS = column("points", "BIGINT", required=True, unit="count", description="Charge points.")
POWER = column("power_kw", "DECIMAL(9,3)", unit="kW", description="Power of all.")
AREA = column("area", description="Name of the area.")


@pytest.fixture
def drops() -> Path:
    """The folder of drops that the command line reads."""
    folder = Path(os.environ["GORAL_HOME"]) / "drops"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    """URL of a database with nothing in it."""
    name = f"loaded_{uuid.uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    yield urlsplit(postgres)._replace(path=f"/{name}").geturl()
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def query(url: str) -> Iterator[Query]:
    """Runs SQL in that database; gives the rows, if there are any."""
    with psycopg.connect(url, autocommit=True) as connection:

        def run(statement: str | sql.Composable) -> list[tuple[Any, ...]]:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

        yield run


def load(drops: Path, url: str, drop: str | None = None, **options: Any) -> loader.Loaded:
    return loader.load(FolderStore(drops), url, drop, **{"schema": "goral"} | options)


def counts(version: str, points: int, *columns: dict[str, Any], **values: Any) -> Mart:
    """A mart of two months."""
    rows = [
        {"month": "2022-11", "points": points, **values},
        {"month": "2022-12", "points": points + 1, **values},
    ]
    return Mart(version, [*(columns or (MONTH, POINTS))], [rows])


def everything(query: Query) -> dict[str, list[tuple[Any, ...]]]:
    """Every table and view of the loader's schemas, and each row with the transaction it is of."""
    relations = query(
        "select oid::regclass::text, relkind, oid, relacl::text, obj_description(oid) from pg_class"
        " where relnamespace::regnamespace::text like 'goral%' and relkind in ('r', 'p', 'v')"
        " order by 1"
    )
    rows = {
        name: query(f"select xmin::text, t::text from {name} as t order by 2")
        for name, kind, *_ in relations
        if kind == "r"
    }
    return {"relations": relations} | rows


def view_columns(query: Query, name: str) -> list[str]:
    found = query(
        "select column_name from information_schema.columns where table_schema = 'goral' and "
        f"table_name = '{name}' order by ordinal_position"
    )
    return [column for (column,) in found]


# ── a drop ───────────────────────────────────────────────────────────────────────────────────────


def test_the_demo_has_the_sums_that_duckdb_reads_from_its_files(
    demo_drops: Path, url: str, query: Query
) -> None:
    loaded = load(demo_drops, url, allow_demo=True)
    read = upkeep.verified(Folder(demo_drops))
    assert loaded.rows == {file.dataset: file.rows for file in read.data}
    assert sum(loaded.rows.values()) > 1000
    for file in read.data:
        path = demo_drops / release(read.drop) / file.path
        columns = published()[file.dataset].table(file.dataset).columns
        measures = ["count(*)"]
        for one in columns:
            measures += [f'count("{one.name}")', f'count(distinct "{one.name}")']
            if one.type.startswith(("DECIMAL", "INTEGER", "BIGINT")):
                measures.append(f'sum("{one.name}")')
            elif one.type == "BOOLEAN":
                measures.append(f'sum("{one.name}"::integer)')
            elif one.type == "VARCHAR":
                measures.append(f'sum(length("{one.name}"))')
            else:
                measures += [f'min("{one.name}")::text', f'max("{one.name}")::text']
        select = f"select {', '.join(measures)} from"
        (expected,) = duckdb.sql(f"{select} '{path}'").fetchall()
        (found,) = query(f"{select} goral.{file.dataset}")
        assert found == expected, file.dataset
        assert view_columns(query, file.dataset) == [one.name for one in columns]


def test_every_value_arrives_as_it_was(drops: Path, url: str, query: Query) -> None:
    moment = datetime(2022, 3, 27, 1, 30, 0, 123456, tzinfo=UTC)
    texts = [
        "",
        "\\N",
        "NULL",
        "\\.",
        "\n\\.\n",
        'a"b',
        "a,b",
        "a\r\nb",
        "  ",
        "ë€😀",
        "\\x00",
        "\t",
    ]
    rows: list[dict[str, Any]] = [
        {"id": str(number), "text": text} for number, text in enumerate(texts)
    ]
    rows += [
        {"id": "nulls"},
        {
            "id": "values",
            "text": "x",
            "exact": Decimal("12345678901234567.890123456"),
            "day": date(2022, 2, 28),
            "moment": moment,
            "flag": False,
            "bytes": b"\x01\\,\x7f",
            "large": -(2**63),
            "small": 2**31 - 1,
        },
        {"id": "zero", "exact": Decimal("0.000000001"), "bytes": b"", "flag": True, "large": 0},
    ]
    columns = [
        column("id", key=1),
        column("text"),
        column("exact", "DECIMAL(28,9)"),
        column("day", "DATE"),
        column("moment", "TIMESTAMPTZ"),
        column("flag", "BOOLEAN"),
        column("bytes", "BLOB"),
        column("large", "BIGINT"),
        column("small", "INTEGER"),
    ]
    write_drop(drops, "first", 1, {"kinds": Mart("1.0.0", columns, [rows])})
    # What the server thinks of times and dates does not matter.
    query(
        sql.SQL("alter database {} set timezone = 'Asia/Tokyo'").format(
            sql.Identifier(urlsplit(url).path[1:])
        )
    )
    query("alter role postgres set datestyle = 'SQL, DMY'")
    try:
        load(drops, url)
    finally:
        query("alter role postgres reset datestyle")
    names = [one["name"] for one in columns]
    expected = {row["id"]: tuple(row.get(name) for name in names) for row in rows}
    assert {row[0]: row for row in query("select * from goral.kinds")} == expected


def test_a_dataset_of_several_files_and_one_without_rows(
    drops: Path, url: str, query: Query
) -> None:
    files: list[Any] = [[{"month": f"2022-{month:02}", "points": month}] for month in (1, 2, 3)]
    marts = {
        "several": Mart("1.0.0", [MONTH, POINTS], files),
        "empty": Mart("1.0.0", [MONTH, POINTS]),
        "without_key": Mart("1.0.0", [AREA], [[{"area": None}, {"area": None}]]),
    }
    write_drop(drops, "first", 1, marts)
    assert load(drops, url).rows == {"several": 3, "empty": 0, "without_key": 2}
    assert query("select sum(points) from goral.several") == [(6,)]
    assert query("select count(*) from goral.empty") == [(0,)]
    assert query("select * from goral.without_key") == [(None,), (None,)]


def test_types_keys_required_values_and_comments_are_those_of_the_contract(
    drops: Path, url: str, query: Query
) -> None:
    write_drop(drops, "first", 1, {"mart": counts("1.2.3", 5, MONTH, POINTS, POWER)}, demo=True)
    load(drops, url, allow_demo=True)
    ((partition,),) = query("select partition_name from goral_drops.datasets")
    described = query(
        "select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute"
        f" where attrelid = 'goral_drops.{partition}'::regclass and attnum > 0 order by attnum"
    )
    assert described == [
        ("drop_id", "text", True),
        ("month", "text", True),
        ("points", "bigint", True),
        ("power_kw", "numeric(9,3)", False),
    ]
    (key,) = query(
        "select pg_get_constraintdef(oid) from pg_constraint"
        " where conrelid = 'goral_drops.mart_v1'::regclass and contype = 'p'"
    )
    assert key == ("PRIMARY KEY (drop_id, month)",)
    for relation in ("goral.mart", "goral_drops.mart_v1"):
        ((comment,),) = query(f"select obj_description('{relation}'::regclass)")
        assert comment.startswith("What it is. One row a key. Contract published.mart 1.2.3.")
        comments = query(
            f"select a.attname, col_description('{relation}'::regclass, a.attnum) from pg_attribute"
            f" as a where attrelid = '{relation}'::regclass and attnum > 0 order by attnum"
        )
        assert comments[-3:] == [
            ("month", "Calendar month."),
            ("points", "Charge points. Unit: count."),
            ("power_kw", "Power of all. Unit: kW."),
        ]
    ((comment,),) = query("select obj_description('goral.mart'::regclass)")
    assert comment.endswith(f"Latest drop of product kpi. {manifest.DEMO_NOTICE}")


# ── one drop after another ───────────────────────────────────────────────────────────────────────


def test_loading_twice_changes_nothing(drops: Path, url: str, query: Query) -> None:
    write_drop(drops, "first", 1, {"mart": counts("1.0.0", 5)})
    assert load(drops, url).is_new
    before = everything(query)
    again = load(drops, url)
    assert (again.is_new, again.is_latest, again.rows) == (False, True, {})
    assert everything(query) == before


def test_the_views_show_the_later_of_two_drops_and_the_tables_hold_both(
    drops: Path, url: str, query: Query
) -> None:
    write_drop(drops, "z-first", 1, {"mart": counts("1.0.0", 5)})
    load(drops, url)
    write_drop(drops, "a-second", 2, {"mart": counts("1.0.0", 50)})
    assert load(drops, url).is_latest
    assert query("select sum(points) from goral.mart") == [(101,)]
    assert query(
        "select drop_id, sum(points) from goral_drops.mart_v1 group by drop_id order by drop_id"
    ) == [("a-second", 101), ("z-first", 11)]
    assert query(
        "select drop_id, product, sequence, status, is_latest from goral_drops.drops"
        " order by sequence"
    ) == [
        ("z-first", "kpi", 1, "provisional", False),
        ("a-second", "kpi", 2, "provisional", True),
    ]
    assert not load(drops, url, "z-first").is_new
    assert query("select sum(points) from goral.mart") == [(101,)]


def test_an_older_drop_is_refused_unless_it_is_asked_for(
    drops: Path, url: str, query: Query
) -> None:
    write_drop(drops, "first", 1, {"mart": counts("1.0.0", 5)})
    write_drop(drops, "other", 2, {"mart": counts("1.0.0", 7)})
    newest = {"mart": counts("1.1.0", 50, MONTH, AREA, POINTS, area="Arnhem")}
    write_drop(drops, "second", 2, newest)
    load(drops, url)
    before = everything(query)
    for drop in ("first", "other"):
        with pytest.raises(GoralError, match=rf"^{drop} \(number \d\) is not newer than second "):
            load(drops, url, drop)
    assert everything(query) == before
    for drop in ("first", "other"):
        loaded = load(drops, url, drop, older=True)
        assert (loaded.is_new, loaded.is_latest) == (True, False)
    assert query("select distinct area, sum(points) over () from goral.mart") == [("Arnhem", 101)]
    ((comment,),) = query("select obj_description('goral_drops.mart_v1'::regclass)")
    assert "1.1.0" in comment
    assert query(
        "select drop_id, sum(points), count(area) from goral_drops.mart_v1 group by 1 order by 1"
    ) == [("first", 11, 0), ("other", 15, 0), ("second", 101, 2)]


def test_a_newer_drop_is_the_latest_also_where_older_ones_were_asked_for(
    drops: Path, url: str
) -> None:
    for number, drop in enumerate(("first", "second"), start=1):
        write_drop(drops, drop, number, {"mart": counts("1.0.0", 5)})
        assert load(drops, url, older=True).is_latest


def test_the_same_drop_with_another_manifest_is_refused(
    drops: Path, url: str, query: Query
) -> None:
    write_drop(drops, "first", 1, {"mart": counts("1.0.0", 5)})
    load(drops, url)
    before = everything(query)
    change_manifest(drops, "first", sequence=7)
    with pytest.raises(GoralError, match=r"^first was loaded with another manifest"):
        load(drops, url, older=True)
    assert everything(query) == before


def test_a_drop_that_is_not_right_is_not_loaded(drops: Path, url: str, query: Query) -> None:
    folder = write_drop(drops, "first", 1, {"mart": counts("1.0.0", 5)})
    path = folder / "mart" / "0.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(VerificationFailed, match="changed bytes"):
        load(drops, url)
    assert everything(query) == {"relations": []}


def test_a_demo_is_refused_unless_it_is_allowed(drops: Path, url: str, query: Query) -> None:
    write_drop(drops, "demo-first", 1, {"mart": counts("1.0.0", 5)}, demo=True)
    with pytest.raises(GoralError, match=r"demo-first is a demo drop.*`--allow-demo` loads it"):
        load(drops, url)
    assert everything(query) == {"relations": []}
    assert load(drops, url, allow_demo=True).is_new


def test_products_have_a_latest_drop_each(drops: Path, url: str, query: Query) -> None:
    write_drop(drops, "kpi-first", 5, {"mart": counts("1.0.0", 5)})
    load(drops, url)
    write_drop(drops, "cdr-first", 1, {"sessions": counts("1.0.0", 1)}, product="cdr")
    assert load(drops, url).is_latest
    assert query("select sum(points) from goral.mart") == [(11,)]
    assert query("select sum(points) from goral.sessions") == [(3,)]
    write_drop(drops, "cdr-second", 2, {"mart": counts("1.0.0", 1)}, product="cdr")
    with pytest.raises(GoralError, match=r"goral\.mart shows the product kpi, and cdr has"):
        load(drops, url)
    assert load(drops, url, schema="goral_cdr").is_latest


def test_a_drop_is_removed_as_the_page_says(drops: Path, url: str, query: Query) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/load-into-postgresql.md").read_text()
    (removal,) = [
        block.split("```")[0] for block in page.split("```sql\n")[1:] if "\\gexec" in block
    ]
    for number, drop in enumerate(("2022-11-0123456789ab", "2022-12-0123456789ab"), start=1):
        write_drop(drops, drop, number, {"mart": counts("1.0.0", 5)})
        load(drops, url)
    making, delete = removal.split("\\gexec")
    for (statement,) in query(making):
        query(statement)
    query(delete)
    assert query("select distinct drop_id from goral_drops.mart_v1") == [("2022-12-0123456789ab",)]
    assert query("select drop_id from goral_drops.datasets") == [("2022-12-0123456789ab",)]
    assert load(drops, url, "2022-11-0123456789ab", older=True).is_new


# ── versions of a contract ───────────────────────────────────────────────────────────────────────


def two_drops(drops: Path, url: str, first: Mart, second: Mart) -> None:
    """Load one, and write the other beside it."""
    write_drop(drops, "first", 1, {"mart": first})
    load(drops, url)
    write_drop(drops, "second", 2, {"mart": second})


def test_a_minor_version_adds_columns_where_the_contract_has_them(
    drops: Path, url: str, query: Query
) -> None:
    later = counts("1.1.0", 50, AREA, MONTH, POWER, POINTS, power_kw=Decimal("1.5"), area="Epe")
    two_drops(drops, url, counts("1.0.0", 5), later)
    query("create role analyst")
    query("grant select on goral.mart to analyst with grant option")
    query("grant select on goral.mart to public")
    try:
        load(drops, url)
        assert view_columns(query, "mart") == ["area", "month", "power_kw", "points"]
        assert query("select area, sum(power_kw), sum(points) from goral.mart group by area") == [
            ("Epe", Decimal("3.000"), 101)
        ]
        assert query(
            "select drop_id, count(*), count(power_kw) from goral_drops.mart_v1"
            " group by drop_id order by drop_id"
        ) == [("first", 2, 0), ("second", 2, 2)]
        # What was granted still is.
        assert query(
            "select grantee, is_grantable from information_schema.role_table_grants"
            " where table_name = 'mart' and privilege_type = 'SELECT' and grantee <> grantor"
            " order by grantee"
        ) == [("PUBLIC", "NO"), ("analyst", "YES")]
    finally:
        query("drop owned by analyst")
        query("drop role analyst")


@pytest.mark.parametrize(("before", "after"), [(True, False), (False, True)])
def test_a_column_may_become_required_or_cease_to_be(
    drops: Path, url: str, query: Query, before: bool, after: bool
) -> None:
    def mart(version: str, required: bool) -> Mart:
        points = column("points", "BIGINT", required=required)
        rows = [{"month": "2022-11", "points": 1 if required else None}]
        return Mart(version, [MONTH, points], [rows])

    two_drops(drops, url, mart("1.0.0", before), mart("1.1.0", after))
    load(drops, url)
    assert query(
        "select d.drop_id, a.attnotnull, t.points from goral_drops.datasets as d"
        " join goral_drops.mart_v1 as t using (drop_id) join pg_attribute as a"
        " on a.attrelid = ('goral_drops.' || partition_name)::regclass and attname = 'points'"
        " order by drop_id"
    ) == [
        ("first", before, 1 if before else None),
        ("second", after, 1 if after else None),
    ]


def test_a_patch_changes_comments_alone(drops: Path, url: str, query: Query) -> None:
    clearer = column("points", "BIGINT", required=True, unit="count", description="Counted.")
    two_drops(drops, url, counts("1.0.0", 5), counts("1.0.1", 6, MONTH, clearer))
    oid = query("select 'goral.mart'::regclass::oid, 'goral_drops.mart_v1'::regclass::oid")
    load(drops, url)
    assert query("select 'goral.mart'::regclass::oid, 'goral_drops.mart_v1'::regclass::oid") == oid
    for relation, place in (("goral.mart", 2), ("goral_drops.mart_v1", 3)):
        assert query(f"select col_description('{relation}'::regclass, {place})") == [
            ("Counted. Unit: count.",)
        ]
    assert query("select dataset, version from goral_drops.datasets order by drop_id") == [
        ("mart", "1.0.0"),
        ("mart", "1.0.1"),
    ]


def test_a_major_version_has_a_table_of_its_own(drops: Path, url: str, query: Query) -> None:
    number = column("points", "DECIMAL(9,1)", required=True)
    later = counts("2.0.0", 50, column("month", key=1), number)
    two_drops(drops, url, counts("1.4.0", 5, MONTH, AREA, POINTS), later)
    load(drops, url)
    assert view_columns(query, "mart") == ["month", "points"]
    assert query("select sum(points) from goral.mart") == [(Decimal("101.0"),)]
    assert query("select sum(points) from goral_drops.mart_v1") == [(11,)]
    assert query("select sum(points) from goral_drops.mart_v2") == [(Decimal("101.0"),)]
    # And back, should it be withdrawn.
    write_drop(drops, "third", 3, {"mart": counts("1.4.0", 7, MONTH, AREA, POINTS)})
    load(drops, url)
    assert query("select sum(points) from goral.mart") == [(15,)]


def test_a_type_or_key_that_changes_within_a_major_version_is_refused(
    drops: Path, url: str, query: Query
) -> None:
    number = column("points", "DECIMAL(9,1)", required=True)
    two_drops(drops, url, counts("1.0.0", 5), counts("1.1.0", 5, MONTH, number))
    before = everything(query)
    with pytest.raises(
        GoralError, match=r"^mart 1\.1\.0: column points is numeric\(9,1\), and bigint in the table"
    ):
        load(drops, url)
    key = column("points", "BIGINT", key=2)
    write_drop(drops, "third", 3, {"mart": counts("1.1.0", 5, MONTH, key)})
    with pytest.raises(GoralError, match=r"^mart 1\.1\.0: its key is not that of the table"):
        load(drops, url)
    assert everything(query) == before


def test_a_dataset_that_is_gone_has_no_view_and_keeps_its_rows(
    drops: Path, url: str, query: Query
) -> None:
    both = {"mart": counts("1.0.0", 5), "other": counts("1.0.0", 7)}
    write_drop(drops, "first", 1, both)
    load(drops, url)
    write_drop(drops, "second", 2, {"mart": counts("1.0.0", 50)})
    said: list[str] = []
    load(drops, url, progress=said.append)
    assert "other is not in the drop any more: its view was dropped" in said
    assert view_columns(query, "other") == []
    assert query("select sum(points) from goral_drops.other_v1") == [(15,)]
    write_drop(drops, "third", 3, both)
    load(drops, url)
    assert query("select sum(points) from goral.other") == [(15,)]


# ── what others built ────────────────────────────────────────────────────────────────────────────


def test_a_minor_version_leaves_what_was_built_on_a_view(
    drops: Path, url: str, query: Query
) -> None:
    later = counts("1.1.0", 50, MONTH, AREA, POINTS, area="Epe")
    two_drops(drops, url, counts("1.0.0", 5), later)
    query("create view public.report as select * from goral.mart")
    load(drops, url)
    assert query("select sum(points) from public.report") == [(101,)]
    # What was added stands at the end, as PostgreSQL can have it no other way.
    assert view_columns(query, "mart") == ["month", "points", "area"]
    query("drop view public.report")
    write_drop(drops, "third", 3, {"mart": later})
    load(drops, url)
    assert view_columns(query, "mart") == ["month", "area", "points"]


@pytest.mark.parametrize(
    "later",
    [
        counts("2.0.0", 50, MONTH, column("points", "DECIMAL(9,1)", required=True)),
        Mart("2.0.0", [MONTH, AREA], [[{"month": "2022-12", "area": "Epe"}]]),
    ],
    ids=["another type", "a column less"],
)
def test_what_breaks_a_view_of_others_is_refused_and_the_view_named(
    drops: Path, url: str, query: Query, later: Mart
) -> None:
    two_drops(drops, url, counts("1.0.0", 5), later)
    query("create view public.report as select sum(points) as points from goral.mart")
    before = everything(query)
    with pytest.raises(GoralError, match=r"these columns as they were: points; .*public\.report"):
        load(drops, url)
    assert everything(query) == before
    assert query("select * from public.report") == [(11,)]
    query("drop view public.report")
    assert load(drops, url).is_latest


def test_a_dataset_that_others_built_on_does_not_go_silently(
    drops: Path, url: str, query: Query
) -> None:
    write_drop(drops, "first", 1, {"mart": counts("1.0.0", 5), "other": counts("1.0.0", 7)})
    load(drops, url)
    query("create materialized view public.report as select * from goral.other")
    write_drop(drops, "second", 2, {"mart": counts("1.0.0", 50)})
    before = everything(query)
    with pytest.raises(GoralError, match=r"^other is not in the drop any more.*public\.report"):
        load(drops, url)
    assert everything(query) == before


@pytest.mark.parametrize(
    "kind", ["table goral.mart (x int)", "view goral.mart as select 1 as month"]
)
def test_what_others_put_in_the_place_of_a_view_is_not_replaced(
    drops: Path, url: str, query: Query, kind: str
) -> None:
    query("create schema goral")
    query(f"create {kind}")
    write_drop(drops, "first", 1, {"mart": counts("1.0.0", 5)})
    with pytest.raises(GoralError, match=r"goral\.mart"):
        load(drops, url)
    assert query("select to_regnamespace('goral_drops')") == [(None,)]


# ── what a drop from elsewhere may hold ──────────────────────────────────────────────────────────


def test_hostile_names_are_names(drops: Path, url: str, query: Query) -> None:
    query("create table public.kept (x int)")
    names = ['x"; drop table public.kept; --', "select", "%s {} %(x)s", "ë 😀", "\\", "user"]
    columns = [column(f"k{names[0]}", key=1), *(column(name) for name in names)]
    row = {one["name"]: f"{one['name']}'" for one in columns}
    for one in columns:
        one["description"] = f"It's {{}} %s \\ {one['name']}"
    drop = "d'; drop table public.kept; --"
    marts = {
        name: Mart("1.0.0", columns, [[row]], description="'; drop table public.kept; --")
        for name in ("select", "user")
    }
    write_drop(drops, drop, 1, marts)
    load(drops, url, schema='s"; drop table public.kept; --')
    assert query("select count(*) from public.kept") == [(0,)]
    for name in marts:
        view = sql.Identifier('s"; drop table public.kept; --', name)
        assert query(sql.SQL("select * from {}").format(view)) == [tuple(row.values())]
    assert not load(drops, url, schema='s"; drop table public.kept; --').is_new


@pytest.mark.parametrize(
    "name", ['x"; drop table public.kept; --', "%s {}", "Mart", "ë", "mart-2", "m" * 64]
)
def test_what_can_be_no_dataset_is_refused(drops: Path, url: str, query: Query, name: str) -> None:
    marts = {"mart": Mart("1.0.0", [MONTH, POINTS], [[{"month": "2022-11", "points": 1}]])}
    write_drop(drops, "first", 1, marts | {name: marts["mart"]})
    with pytest.raises(VerificationFailed) as told:
        load(drops, url)
    (problem,) = told.value.problems
    assert problem.startswith("no contract: ")
    assert problem.endswith(f"is of {name!r}, which is no dataset")
    assert everything(query) == {"relations": []}


@pytest.mark.parametrize(
    ("mart", "problem"),
    [
        (Mart("1.0.0", [column("c" * 64)]), "'c{64}' cannot be a name in PostgreSQL"),
        (Mart("1.0.0", [column("a\nb")]), r"'a\\nb' cannot be a name in PostgreSQL"),
        (Mart("1.0.0", [column("")]), "'' cannot be a name in PostgreSQL"),
        (Mart("1.0.0", [column("drop_id")]), "has a column drop_id"),
        (Mart("one", [column("a")]), "has version 'one', expected major"),
        (Mart("1.0.0", [column("xmin")]), 'column name "xmin" conflicts with a system column'),
    ],
)
def test_names_that_postgresql_cannot_have_are_refused(
    drops: Path, url: str, query: Query, mart: Mart, problem: str
) -> None:
    write_drop(drops, "first", 1, {"mart": mart})
    with pytest.raises(GoralError, match=problem):
        load(drops, url)
    assert everything(query) == {"relations": []}


@pytest.mark.parametrize(
    "rows",
    [
        [{"month": "2022-11", "points": 1}, {"month": "2022-11", "points": 2}],
        [{"month": "secret\0", "points": 1}],
    ],
    ids=["a key twice", "a text with NUL"],
)
def test_values_that_postgresql_does_not_take_are_not_shown(
    drops: Path, url: str, query: Query, rows: list[dict[str, Any]]
) -> None:
    write_drop(drops, "first", 1, {"mart": Mart("1.0.0", [MONTH, POINTS], [rows])})
    with pytest.raises(GoralError, match=r"^mart cannot be loaded: PostgreSQL does not") as told:
        load(drops, url)
    assert "secret" not in str(told.value)
    assert everything(query) == {"relations": []}


# ── failures, and several at a time ──────────────────────────────────────────────────────────────


def many(number: int) -> pa.Table:
    """Rows of four columns, too many to be loaded in no time."""
    ids = pa.array(range(number), pa.int64())
    return pa.table(
        {
            "month": pc.cast(ids, pa.string()),
            "points": ids,
            "power_kw": pa.nulls(number, pa.decimal128(9, 3)),
            "area": pa.repeat("a place with a name", number),
        }
    )


def large(version: str, number: int = 1_000_000) -> dict[str, Mart]:
    return {"mart": Mart(version, [MONTH, POINTS, POWER, AREA], [many(number)])}


def started(url: str, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(GORAL), "drop", "load", url, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_rows(query: Query, process: subprocess.Popen[str]) -> int:
    """Wait until rows are being copied; gives the process of the server that does so."""
    for _ in range(6000):
        copying = query("select pid from pg_stat_progress_copy where tuples_processed > 1000")
        if copying:
            return int(copying[0][0])
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("no rows were copied within a minute")


@pytest.mark.kill
@pytest.mark.parametrize("is_first", [True, False], ids=["the first drop", "a later one"])
def test_killed_while_rows_are_copied_it_leaves_what_was_there(
    drops: Path, url: str, query: Query, is_first: bool
) -> None:
    if not is_first:
        write_drop(drops, "first", 1, {"mart": counts("1.0.0", 5, MONTH, POINTS)})
        load(drops, url)
    before = everything(query)
    write_drop(drops, "second", 2, large("1.1.0"))
    process = started(url)
    pid = wait_for_rows(query, process)
    # A reader waits for nothing and sees nothing of it.
    if not is_first:
        assert query("select sum(points) from goral.mart") == [(11,)]
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    while query(f"select 1 from pg_stat_activity where pid = {pid}"):
        time.sleep(0.01)
    assert everything(query) == before
    assert load(drops, url).is_latest
    assert query("select count(*) from goral.mart") == [(1_000_000,)]


def test_a_lost_connection_is_told_and_nothing_is_there(
    drops: Path, url: str, query: Query
) -> None:
    write_drop(drops, "first", 1, large("1.0.0"))
    process = started(url)
    query(f"select pg_terminate_backend({wait_for_rows(query, process)})")
    _, said = process.communicate()
    assert process.returncode == 1
    first, last = said.splitlines()
    assert first == "verifying the drop"
    assert last.startswith("goral: the connection to PostgreSQL was lost (")
    assert everything(query) == {"relations": []}


def test_of_several_loaders_one_goes_after_the_other(drops: Path, url: str, query: Query) -> None:
    for number in range(1, 5):
        write_drop(drops, f"drop-{number}", number, {"mart": counts("1.0.0", number)})
    names = [f"drop-{number}" for number in (1, 2, 3, 4)] * 2
    with ThreadPoolExecutor(len(names)) as pool:
        loaded = list(pool.map(lambda name: load(drops, url, name, older=True), names))
    assert sorted(one.drop for one in loaded if one.is_new) == sorted(set(names))
    assert query("select drop_id from goral_drops.drops where is_latest") == [("drop-4",)]
    assert query("select sum(points) from goral.mart") == [(9,)]
    assert query("select count(*) from goral_drops.mart_v1") == [(8,)]


def test_who_waits_is_told(drops: Path, url: str, query: Query) -> None:
    write_drop(drops, "first", 1, large("1.0.0"))
    write_drop(drops, "second", 2, {"mart": counts("1.0.0", 5, MONTH, POINTS, POWER, AREA)})
    process = started(url, "first")
    wait_for_rows(query, process)
    said: list[str] = []
    load(drops, url, "second", progress=said.append)
    assert "another load is under way; waiting for its end" in said
    assert process.wait() == 0
    process.communicate()
    assert query("select count(*) from goral.mart") == [(2,)]


def test_without_the_right_to_make_schemas_it_says_so(
    drops: Path, url: str, query: Query, postgres: str
) -> None:
    write_drop(drops, "first", 1, {"mart": counts("1.0.0", 5)})
    role = f"reader_{uuid.uuid4().hex[:8]}"
    query(f"create role {role} login")
    own = url.replace("postgres:@", f"{role}:@")
    try:
        with pytest.raises(GoralError, match=r"^PostgreSQL refuses: permission denied for d"):
            load(drops, own)
        # Schemas of its own are enough.
        query(f"create schema goral authorization {role}")
        query(f"create schema goral_drops authorization {role}")
        assert load(drops, own).is_new
    finally:
        query(f"drop owned by {role}")
        query(f"drop role {role}")


@pytest.fixture
def with_password(query: Query) -> Iterator[str]:
    """A user that PostgreSQL asks for a password."""
    ((file,),) = query("show hba_file")
    role = f"asked_{uuid.uuid4().hex[:8]}"
    path = Path(file)
    before = path.read_text()
    path.write_text(f"local all {role} scram-sha-256\n{before}")
    query(f"create role {role} login superuser password 'right'")
    query("select pg_reload_conf()")
    yield role
    path.write_text(before)
    query("select pg_reload_conf()")
    query(f"drop owned by {role}")
    query(f"drop role {role}")


def test_a_wrong_password_is_told_without_it(drops: Path, url: str, with_password: str) -> None:
    write_drop(drops, "first", 1, {"mart": counts("1.0.0", 5)})
    own = url.replace("postgres:@", f"{with_password}:very-secret@")
    ran = goral("drop", "load", own)
    assert ran.code == 1, ran.said
    assert f'password authentication failed for user "{with_password}"' in ran.err
    assert "very-secret" not in ran.said
    assert "Traceback" not in ran.err
    # Better than in the URL, which others can see while the command runs.
    ran = goral("drop", "load", own.replace(":very-secret", ""), PGPASSWORD="right")
    assert ran.code == 0, ran.said


def test_a_server_that_is_not_there(drops: Path) -> None:
    write_drop(drops, "first", 1, {"mart": counts("1.0.0", 5)})
    ran = goral("drop", "load", "postgresql://me:very-secret@127.0.0.1:1/x")
    assert ran.code == 1, ran.said
    assert ran.err.splitlines()[-1].startswith("goral: cannot connect to PostgreSQL: ")
    assert "refused" in ran.err
    assert "very-secret" not in ran.said


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sqlite:///x",
        "postgresql+psycopg://me@host/x",
        "host=x dbname=y password=very-secret",
        "postgresql://me:very-secret@host:port/x",
        "postgresql://me:very-sec/ret@host/x",
        "postgresql://me:very-sec@ret@host/x",
        "postgresql://me:12/very-secret@host/x",
        "postgresql://me:very-secret%zz@host/x",
        "postgresql://me:very-secret@host/x?nosuch=1",
    ],
)
def test_what_is_no_url_is_told_without_showing_it(drops: Path, url: str) -> None:
    with pytest.raises(SettingsError, match=r"^that is no URL of a PostgreSQL database") as told:
        load(drops, url)
    assert "very-sec" not in str(told.value)


@pytest.mark.parametrize("schema", ["", "pg_x", "x" * 58, "a\nb"])
def test_what_is_no_name_of_a_schema(drops: Path, schema: str) -> None:
    with pytest.raises(SettingsError, match="cannot be the name of a schema"):
        load(drops, "postgresql://", schema=schema)


def test_the_command_line_tells_what_was_done(demo: Demo, url: str, query: Query) -> None:
    def run(*options: str) -> Ran:
        return goral("drop", "load", url, *options, home=demo.home)

    refused = run()
    assert (refused.code, refused.out) == (1, ""), refused.said
    assert f"goral: {demo.drop} is a demo drop" in refused.err
    first = run("--allow-demo", "--schema", "charging")
    assert first.code == 0, first.said
    assert "loaded dim_municipality: 77 rows" in first.err
    assert first.err.splitlines()[-1].endswith("rows; views in charging show it")
    again = run("--allow-demo", "--schema", "charging")
    assert again.code == 0, again.said
    assert again.err.splitlines()[-1] == (
        f"{demo.drop} is loaded already; views in charging show it"
    )
    assert query("select count(*) from charging.dim_municipality") == [(77,)]
    assert goral("drop", "load", "nonsense", home=demo.home).code == 2
    assert goral("drop", "load", url, "no-such-drop", home=demo.home).code == 1
