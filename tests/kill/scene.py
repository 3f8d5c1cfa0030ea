"""The small run that is killed: land, stage, place, build and publish three deliveries.

The warehouse is filled with a few rows by hand instead of by dbt, which makes a hundred thousand
system calls of its own and none of ours.
"""

import hashlib
import shutil
import sqlite3
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb

from goral_pipeline import clock, ingestion, retention
from goral_pipeline.contracts import Column, published
from goral_pipeline.landing import open_ledger
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.publishing import drop, upkeep, verify
from goral_pipeline.settings import Settings
from goral_pipeline.staging import stage, worker
from goral_pipeline.warehouse import build, placement
from tests import support_files
from tests.support_files import BOUNDARIES, LOCATIONS, REQUESTS, feature, location, request, square

MOMENTS = {"received_at", "staged_at", "moved_at", "published_at", "decided_at", "removed_at"}
GOOD, BAD = 25, 1
_connect = duckdb.connect


def write_boundaries(folder: Path) -> Path:
    """The smallest delivery."""
    folder.mkdir()
    outlines = [feature("GM0228", "Ede"), feature("GM0202", "Arnhem", square(5.8, 51.9))]
    support_files.geojson_file(folder / "DEMO_boundaries.geojson", outlines)
    return folder


def write_deliveries(folder: Path, *, changed: bool = False) -> Path:
    """The files that are delivered; changed ones are what a later run brings."""
    write_boundaries(folder)
    places = [location(f"L{number}") for number in range(3 if changed else 2)]
    support_files.ocpi_file(folder / "DEMO_locations.json.gz", places)
    rows = [request(f"R{number}") for number in range(GOOD + changed)]
    rows += [request(None, Gemeente="nowhere") for _ in range(BAD)]
    support_files.workbook_file(folder / "DEMO_requests.xlsx", rows)
    return folder


# By file; a file that is not there is not delivered.
DELIVERIES = (
    (BOUNDARIES, "2022", "DEMO_boundaries.geojson"),
    (LOCATIONS, "2022-07", "DEMO_locations.json.gz"),
    (REQUESTS, "2022-07", "DEMO_requests.xlsx"),
)


def settings_of(home: Path) -> Settings:
    return support_files.settings(home, duckdb_memory_limit="512MB")


def run(home: Path, deliveries: Path, *, in_worker: bool = False) -> None:
    """Run to the end; whatever is done already is not done again."""
    if not in_worker:
        worker.stage_apart = lambda job, **_: stage.stage(job)  # type: ignore[assignment]
    _judge_nothing()
    # Calls are counted by thread, so all have to be made by one.
    duckdb.connect = _on_one_thread
    settings = settings_of(home)
    with open_ledger(settings) as ledger:
        for dataset, partition, name in DELIVERIES:
            if not (deliveries / name).exists():
                continue
            result = ingestion.deliver(settings, ledger, dataset, partition, deliveries / name)
            if result.state == "failed":
                raise SystemExit(result.message)
        placement.place_all(settings, ledger)
        build_warehouse(settings, ledger)
        drop.publish(settings, ledger)


def remove_old(home: Path) -> None:
    """Remove what has been kept for its time, as it will be when that has passed."""
    then = clock.now() + timedelta(days=5000)
    clock.now = lambda: then  # type: ignore[assignment]
    settings = settings_of(home)
    with open_ledger(settings) as ledger:
        if problems := retention.apply(settings, ledger).problems:
            raise SystemExit("\n".join(problems))


def _judge_nothing() -> None:
    """Plausibility only reads; to judge it for each of a thousand runs would take minutes."""
    worker.load_early = lambda: None
    build._judge = lambda *_: []


def _on_one_thread(*args: Any, config: dict[str, Any] | None = None, **options: Any) -> Any:
    return _connect(*args, config={"threads": 1} | (config or {}), **options)


def build_warehouse(settings: Settings, ledger: Ledger) -> None:
    wanted = build.inputs(settings, ledger)
    if build.is_up_to_date(settings, wanted):
        return
    with build.one_builder(settings):
        with duckdb.connect(str(build.prepare(settings, wanted))) as con:
            con.execute("create schema marts")
            for table in (table for contract in published().values() for table in contract.tables):
                rows = " union all ".join(
                    "select " + ", ".join(_cell(column, row) for column in table.columns)
                    for row in (1, 2)
                )
                con.execute(f"create table marts.{table.name} as {rows}")
        build.swap_in(settings, wanted)


def _cell(column: Column, row: int) -> str:
    texts = {"VARCHAR": f"'2022-0{row}'", "DATE": f"'2022-0{row}-01'", "BOOLEAN": f"{row} = 1"}
    return f"cast({texts.get(column.type, row)} as {column.type}) as {column.name}"


# ── what a reader sees ───────────────────────────────────────────────────────────────────────────


def check_reader(home: Path, *, is_published: bool = False) -> None:
    """What must hold at every moment, also while a run is under way or has just been killed."""
    settings = settings_of(home)
    if is_published or (settings.drops / verify.LATEST).exists():
        upkeep.verified(verify.Folder(settings.drops), deep=True)
    if (settings.warehouse / build.FILE).exists():
        assert build.build_info(settings.warehouse / build.FILE)
    for path in settings.landing.rglob("[!.]*"):
        if path.is_file() and "spill" not in path.parts:
            assert path.name.startswith(sha256(path)), f"{path} is not what its name says"
            assert path.stat().st_mode & 0o777 == 0o600
    if settings.landing.exists():
        assert settings.landing.stat().st_mode & 0o777 == 0o700
    for path, expected in pointed_files(home):
        assert sha256(home / path) == expected, f"{path} is not what the ledger says"


def pointed_files(home: Path) -> list[tuple[str, str]]:
    """Path and hash of every staged file that a pointer points at."""
    if not (home / "ledger.sqlite").exists():
        return []
    # On a copy: to read it in place would already mend what a killed writer left.
    with tempfile.TemporaryDirectory() as folder:
        for path in home.glob("ledger.sqlite*"):
            shutil.copy(path, folder)
        con = sqlite3.connect(Path(folder) / "ledger.sqlite")
        try:
            tables = con.execute("select count(*) from sqlite_master where name = 'pointers'")
            if tables.fetchone() == (0,):
                return []
            rows: list[tuple[str, str]] = con.execute(
                # Of those superseded, what retention has not begun to remove.
                "select path, sha256 from staged_files join pointers using (staging_id) "
                "where pointer_id in "
                "(select max(pointer_id) from pointers group by dataset, partition) "
                "or not exists (select * from removals as removed "
                "where staged_files.path like removed.path || '/%')"
            ).fetchall()
            return rows
        finally:
            con.close()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ── what must be the same in the end ─────────────────────────────────────────────────────────────

Result = dict[str, Any]


def result_of(home: Path) -> Result:
    """All that a run leaves, but for moments."""
    return {
        "files": {
            path.relative_to(home).as_posix(): _content(path)
            for path in sorted(home.rglob("*"))
            if path.is_file()
        },
        "folders": {
            path.relative_to(home).as_posix(): oct(path.stat().st_mode & 0o777)
            for path in sorted(home.rglob("*"))
            if path.is_dir()
        },
        "ledger": _ledger(home / "ledger.sqlite"),
        "warehouse": _warehouse(home / "warehouse" / build.FILE),
    }


def _content(path: Path) -> str:
    # Databases are compared by their rows.
    return "" if path.suffix in (".sqlite", ".duckdb") else sha256(path)


def _ledger(path: Path) -> dict[str, Any]:
    con = sqlite3.connect(path)
    con.row_factory = sqlite3.Row
    tables = [row[0] for row in con.execute("select name from sqlite_master where type = 'table'")]
    content = {
        table: [
            {name: row[name] for name in row.keys() if name not in MOMENTS}  # noqa: SIM118
            for row in con.execute(f"select * from {table} order by 1, 2, 3, 4")
        ]
        for table in sorted(tables)
    }
    con.close()
    return content


def _warehouse(path: Path) -> dict[str, Any]:
    with duckdb.connect(str(path), read_only=True) as con:
        tables = con.execute(
            "select schema_name || '.' || table_name from duckdb_tables() order by all"
        ).fetchall()
        return {
            name: con.execute(f"select * from {name} order by all").fetchall() for (name,) in tables
        }


def differences(found: Result, expected: Result) -> list[str]:
    """In which parts two results differ, in words."""
    return [
        f"{part} {name}: {found[part].get(name)} instead of {expected[part].get(name)}"
        for part in expected
        for name in sorted({*expected[part], *found[part]})
        if found[part].get(name) != expected[part].get(name)
    ]
