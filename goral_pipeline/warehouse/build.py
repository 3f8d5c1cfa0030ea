"""Building the warehouse: a new DuckDB file, filled by dbt, swapped in whole.

Belongs here: which staged files go in, the views dbt reads them by, the swap, and what is kept in
the file of its plausibility. dbt itself is run by the caller between `prepare` and `swap_in`, for
Dagster wants to see its events.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goral_pipeline import durable
from goral_pipeline.checks import plausibility
from goral_pipeline.contracts import Contract, Table, derived, staged
from goral_pipeline.contracts.generate import (
    CONCESSIONS_COLUMNS,
    DELIVERIES_COLUMNS,
    DELIVERY_MONTHS_COLUMNS,
    INSTRUCTIONS_COLUMNS,
    SESSION_MONTHS_BEFORE_COLUMNS,
)
from goral_pipeline.contracts.model import quote
from goral_pipeline.errors import GoralError
from goral_pipeline.landing.ledger import Current, Ledger
from goral_pipeline.settings import DBT_PROJECT
from goral_pipeline.sources import concessions, contracts
from goral_pipeline.staging import worker
from goral_pipeline.warehouse import dbt_command, placement

if TYPE_CHECKING:
    import duckdb

    from goral_pipeline.settings import Settings

FILE = "goral.duckdb"
DBT_FILES = ("*.sql", "*.yml", "*.csv", "*.py", "*.md")
SCHEMAS_OF_THE_BUILD = ("staging", "staged")
SESSION_MONTHS = "intermediate.int_session_month_deliveries"
BUILT_ON = (
    "intermediate.int_locations",
    "intermediate.int_charge_points",
    SESSION_MONTHS,
    "intermediate.int_session_months",
    "intermediate.int_session_quarter_hours",
    "intermediate.int_station_months",
)
"""What dbt makes of new deliveries only; the same models say so of themselves."""
TABLES_OF_THE_BUILD = ("build_info", "build_inputs", "plausibility")


@dataclass(frozen=True)
class InputFile:
    """One Parquet file that the warehouse is made from; `path` is relative to GORAL_HOME."""

    relation: str
    path: str
    sha256: str
    delivery_id: str


@dataclass(frozen=True)
class Inputs:
    """All that decides what the warehouse holds."""

    files: tuple[InputFile, ...]
    deliveries: tuple[dict[str, Any], ...]
    delivery_months: tuple[dict[str, Any], ...]
    """Which months the rows of each delivery fall in: it follows from what was staged."""
    concessions: tuple[dict[str, Any], ...]
    """What the mappings say of the concessions."""
    instructions: tuple[dict[str, Any], ...]
    """Whose single sessions are asked for; nobody's in the warehouse that analysts query."""
    project: str
    """Hash of the dbt project, taken before dbt reads it."""
    fingerprint: str

    @property
    def demo(self) -> bool:
        """Whether any of it is invented."""
        return any(delivery["demo"] for delivery in self.deliveries)


def inputs(
    settings: Settings,
    ledger: Ledger,
    pointed: list[Current] | None = None,
    instructions: tuple[dict[str, Any], ...] = (),
) -> Inputs:
    """What the pointers point at now, or what is given instead; placements included.

    Args:
        settings: where files are.
        ledger: what the pointers point at, and which months that touches.
        pointed: other deliveries than those that the pointers point at now.
        instructions: whose single sessions are asked for.

    Raises:
        GoralError: when there are locations but no boundaries, a dataset's mapping is gone, or
            pseudonyms were made with two keys.
    """
    pointed = ledger.current() if pointed is None else pointed
    _refuse_two_keys(pointed)
    files = [
        InputFile(
            relation=_relation(settings, current, file.table_name),
            path=file.path,
            sha256=file.sha256,
            delivery_id=current.delivery.delivery_id,
        )
        for current in pointed
        for file in current.files
    ]
    months = ledger.months_by_staging()
    for one in placement.placements(settings, pointed, months):
        contract = derived()[one.contract]
        files.append(
            InputFile(
                relation=contract.relation(contract.tables[0]),
                path=one.path.as_posix(),
                # Its name is made of all that it follows from.
                sha256="",
                delivery_id=one.placed.delivery.delivery_id,
            )
        )
    deliveries = tuple(_delivery_row(current) for current in pointed)
    granted = tuple(vars(facts) for facts in concessions(settings.home_folder))
    project = dbt_project_hash()
    made_of = json.dumps(
        [
            [(file.relation, file.path, file.sha256) for file in files],
            [
                {name: str(value) for name, value in row.items() if name != "received_at"}
                for row in deliveries
            ],
            [{name: str(value) for name, value in row.items()} for row in granted],
            # Of equal versions of a row the one received last counts, so the order matters.
            [c.delivery.delivery_id for c in sorted(pointed, key=_received)],
            instructions,
            project,
        ],
        sort_keys=True,
    )
    fingerprint = hashlib.sha256(made_of.encode()).hexdigest()
    touched = tuple(
        {"delivery_id": current.delivery.delivery_id, "month": month}
        for current in pointed
        for month in months.get(current.staging_id, ())
    )
    return Inputs(
        files=tuple(files),
        deliveries=deliveries,
        delivery_months=touched,
        concessions=granted,
        instructions=instructions,
        project=project,
        fingerprint=fingerprint,
    )


def _refuse_two_keys(pointed: list[Current]) -> None:
    """Persons are matched by their pseudonyms, which two keys make different."""
    by_key: dict[str, list[Current]] = {}
    for current in pointed:
        if current.key_id is not None:
            by_key.setdefault(current.key_id, []).append(current)
    if len(by_key) < 2:
        return
    told = "; ".join(f"{len(of)} under {key_id}: {_named(of)}" for key_id, of in by_key.items())
    first = min(current.delivery.partition for of in by_key.values() for current in of)
    datasets = sorted({current.delivery.dataset for of in by_key.values() for current in of})
    only = " ".join(f"--only {dataset}" for dataset in datasets)
    raise GoralError(
        f"deliveries in use were staged under {len(by_key)} keys, so that their pseudonyms cannot "
        f"be compared ({told}). Set GORAL_PSEUDONYM_KEY to the key that all shall have and stage "
        f'them again: goral run --no-fetch --from {first} --to "$(date +%Y-%m)" {only}'
    )


def _named(of: list[Current]) -> str:
    first = f"{of[0].delivery.dataset} {of[0].delivery.partition}"
    return f"{first} and {len(of) - 1} more" if len(of) > 1 else first


def dbt_project_hash() -> str:
    """Hash of every file that makes the dbt project, and of what its build is wrapped in."""
    digest = hashlib.sha256()
    paths = [path for pattern in DBT_FILES for path in DBT_PROJECT.rglob(pattern)]
    own = [path for path in paths if not _is_made(path.relative_to(DBT_PROJECT))]
    for path in [*sorted(own), Path(__file__)]:
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def current_fingerprint(path: Path) -> str | None:
    """Fingerprint of the inputs a warehouse was built from; None where there is no warehouse."""
    info = build_info(path)
    return info["fingerprint"] if info else None


def build_info(path: Path) -> dict[str, Any] | None:
    """What a warehouse file says of itself; None where there is none.

    `fingerprint` is of its inputs, `judged_by` of the checks of plausibility; `demo`.
    """
    rows = _read(path, "from main.build_info")
    return rows[0] if rows else None


def findings(path: Path) -> list[dict[str, Any]]:
    """What was found implausible in a warehouse, and what was judged; none where there is none."""
    return _read(path, "from main.plausibility") or []


def _read(path: Path, sql: str) -> list[dict[str, Any]] | None:
    import duckdb

    if not path.is_file():
        return None
    try:
        with duckdb.connect(str(path), read_only=True) as con:
            result = con.execute(sql)
            names = [column[0] for column in result.description or ()]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    except duckdb.Error as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: Exception) -> GoralError:
    """What to say of a warehouse file that DuckDB refuses."""
    return GoralError(
        f"the warehouse {path.name} cannot be read ({type(error).__name__}); "
        "delete it and run again, it is made from staging"
    )


def building_file(settings: Settings) -> Path:
    """The file that dbt fills, before it is the warehouse."""
    return settings.warehouse / dbt_command.BUILDING


@contextmanager
def one_builder(settings: Settings) -> Iterator[None]:
    """Let one process build at a time; a second one is told so.

    Raises:
        GoralError: when another process is building.
    """
    durable.make_folder(settings.warehouse)
    with (settings.warehouse / "building.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise GoralError(
                "another process is building the warehouse; run again when it is done"
            ) from None
        yield


def prepare(
    settings: Settings, wanted: Inputs, onto: Path | None = None, at: Path | None = None
) -> Path:
    """Make the new file with a view for each staged table; dbt fills the rest.

    Args:
        settings: where it is made.
        wanted: what it is made from.
        onto: a warehouse to build on, if it was built by the same dbt project: dbt then makes anew
            only what follows from deliveries that are new to it, where a model knows how to.
        at: another path than the usual one, for tables that nobody judges.

    Raises:
        GoralError: when a staged file is gone.
    """
    import duckdb

    lost = [file.path for file in wanted.files if not (settings.home_folder / file.path).is_file()]
    if lost:
        raise GoralError(
            f"{len(lost)} staged files are gone, {lost[0]} the first; `goral run --no-fetch` over "
            "their months stages them again from landing"
        )
    path = at or building_file(settings)
    _remove(path)
    if at is None:
        # What the plausibility is judged with loads while dbt is at work.
        worker.load_early()
    held = _build_on(onto, path, wanted) if onto else {}
    files = _by_delivery((f.delivery_id, f.relation, f.path, f.sha256) for f in wanted.files)
    deliveries = tuple(
        row | {"is_new": files.get(of := row["delivery_id"], set()) != held.get(of)}
        for row in wanted.deliveries
    )
    with duckdb.connect(str(path)) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute("create schema staged")
        alike = _by_form(con, settings, wanted)
        for contract in (*staged().values(), *derived().values()):
            for table in contract.tables:
                con.execute(_view(contract, table, alike.get(contract.relation(table), [])))
        _create_table(con, "deliveries", DELIVERIES_COLUMNS, deliveries)
        _create_table(con, "delivery_months", DELIVERY_MONTHS_COLUMNS, wanted.delivery_months)
        _create_table(con, "concessions", CONCESSIONS_COLUMNS, wanted.concessions)
        _create_table(con, "instructions", INSTRUCTIONS_COLUMNS, wanted.instructions)
        # dbt makes the table anew from it, and no model may read what is made of it.
        _create_table(con, "session_months_before", SESSION_MONTHS_BEFORE_COLUMNS, ())
        if held:
            con.execute(
                "insert into staged.session_months_before by name "
                f"select month, delivery_id from {SESSION_MONTHS}"
            )
    return path


def swap_in(settings: Settings, wanted: Inputs, goal: Path | None = None) -> Path:
    """Finish the file that dbt filled and let it take the warehouse's name in one step.

    Raises:
        GoralError: when its plausibility could not be judged.
    """
    import duckdb

    path = building_file(settings)
    goal = goal or settings.warehouse / FILE
    found = _judge(settings, path)
    with duckdb.connect(str(path)) as con:
        for schema in SCHEMAS_OF_THE_BUILD:
            # Views on files that a locked-down reader may not open, under paths of this machine.
            con.execute(f"drop schema if exists {schema} cascade")
        con.execute(
            "create table main.build_info as select $fingerprint as fingerprint, $demo as demo, "
            "$judged_by as judged_by, $built_by as built_by",
            {
                "fingerprint": wanted.fingerprint,
                "demo": wanted.demo,
                "built_by": wanted.project,
                "judged_by": plausibility.fingerprint(),
            },
        )
        _keep_findings(con, found)
        con.execute(
            "create table main.build_inputs (relation varchar, path varchar, sha256 varchar, "
            "delivery_id varchar, demo boolean)"
        )
        invented = {row["delivery_id"]: row["demo"] for row in wanted.deliveries}
        con.executemany(
            "insert into main.build_inputs values (?, ?, ?, ?, ?)",
            [
                [f.relation, f.path, f.sha256, f.delivery_id, invented.get(f.delivery_id)]
                for f in wanted.files
            ]
            or [[None] * 5],
        )
        con.execute("delete from main.build_inputs where relation is null")
        con.execute("checkpoint")
    durable.flush_file(path)
    durable.put(path, goal)
    return goal


def is_up_to_date(settings: Settings, wanted: Inputs) -> bool:
    """Whether the warehouse was built from just these inputs, and judged as it would be now."""
    # What it is judged by is no input: another threshold asks for a build, not for another drop.
    info = build_info(settings.warehouse / FILE) or {}
    return (info.get("fingerprint"), info.get("judged_by")) == (
        wanted.fingerprint,
        plausibility.fingerprint(),
    )


def _build_on(before: Path, building: Path, wanted: Inputs) -> dict[str, set[tuple[str, str, str]]]:
    """Copy a warehouse, if the same project built it; the files it was made from, by delivery.

    What is told of the build itself is left out of the copy, for it will be told anew. One that is
    damaged is not built on, nor one in which something is real that is now invented, or was.
    """
    import duckdb

    try:
        info = build_info(before)
        if info is None or info.get("built_by") != wanted.project:
            return {}
        rows = _read(before, "from main.build_inputs") or []
        invented = {row["delivery_id"]: row["demo"] for row in wanted.deliveries}
        if any(invented.get(row["delivery_id"], row["demo"]) != row["demo"] for row in rows):
            return {}
        shutil.copyfile(before, building)
        with duckdb.connect(str(building)) as con:
            for table in BUILT_ON:
                # Read whole: a damaged block would be handed on from file to file.
                con.execute(f"select bit_xor(hash(t)) from {table} as t").fetchall()
            for table in TABLES_OF_THE_BUILD:
                con.execute(f"drop table main.{table}")
    except (duckdb.Error, GoralError):
        _remove(building)
        return {}
    return _by_delivery(
        (row["delivery_id"], row["relation"], row["path"], row["sha256"]) for row in rows
    )


def _by_delivery(
    files: Iterable[tuple[str, str, str, str]],
) -> dict[str, set[tuple[str, str, str]]]:
    """Relation, path and hash of files, by their delivery, which stands first."""
    found: dict[str, set[tuple[str, str, str]]] = {}
    for delivery_id, relation, path, sha256 in files:
        found.setdefault(delivery_id, set()).add((relation, path, sha256))
    return found


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(path.name + ".wal").unlink(missing_ok=True)


def _by_form(
    con: duckdb.DuckDBPyConnection, settings: Settings, wanted: Inputs
) -> dict[str, list[list[str]]]:
    """The files of each relation, in lists of those that have the same columns and types.

    They were staged under one version of its contract. Read as one list, their columns need not be
    compared: with a file a month that takes most of the time of a query.
    """
    paths = {str(settings.home_folder / file.path): file.relation for file in wanted.files}
    if not paths:
        return {}
    rows = con.execute(
        "select list(file_name order by file_name) from (select file_name, "
        "list((name, duckdb_type)) as form from parquet_schema($paths) group by file_name) "
        "group by form, $relations[list_position($paths, file_name)] order by 1",
        {"paths": list(paths), "relations": list(paths.values())},
    ).fetchall()
    found: dict[str, list[list[str]]] = {}
    for (alike,) in rows:
        found.setdefault(paths[alike[0]], []).append(alike)
    return found


def _view(contract: Contract, table: Table, files: list[list[str]]) -> str:
    """The rows of a staged table with the contract's columns.

    By name, for files staged under an earlier version of the contract may have others.
    """
    typed = ", ".join(f"null::{column.type} as {column.name}" for column in table.columns)
    rows = f"select {typed} where false"
    for alike in files:
        listed = ", ".join(map(quote, alike))
        rows += (
            f" union all by name select * from read_parquet([{listed}], hive_partitioning = false)"
        )
    return f"create view staged.{contract.relation(table)} as {rows}"


def _create_table(
    con: duckdb.DuckDBPyConnection,
    name: str,
    columns: dict[str, tuple[str, str]],
    rows: tuple[dict[str, Any], ...],
) -> None:
    """A table of what is not staged: a few rows, with the columns that dbt is told of."""
    typed = ", ".join(f'"{column}" {sql_type}' for column, (sql_type, _) in columns.items())
    con.execute(f"create table staged.{name} ({typed})")
    if rows:
        marks = ", ".join("?" for _ in columns)
        values = [[row[column] for column in columns] for row in rows]
        con.executemany(f"insert into staged.{name} values ({marks})", values)


def _judge(settings: Settings, path: Path) -> list[plausibility.Finding]:
    """Judge plausibility where the libraries for it are loaded: in a process apart."""
    with ProcessPoolExecutor(1, mp_context=worker.process_context()) as apart:
        judged = apart.submit(
            plausibility.find, path, settings.duckdb_memory_limit, settings.duckdb_threads
        )
        try:
            return judged.result()
        except BrokenProcessPool:
            raise GoralError(
                "the process that judges the warehouse's plausibility ended without an answer: "
                "killed from outside, or out of memory; run again"
            ) from None


def _keep_findings(con: duckdb.DuckDBPyConnection, found: Sequence[plausibility.Finding]) -> None:
    con.execute(
        "create table main.plausibility (check_name varchar, dataset varchar, period varchar, "
        "area_code varchar, severity varchar, passed boolean, observed double, expected varchar, "
        "message varchar)"
    )
    if found:
        con.executemany(
            "insert into main.plausibility values ($check_name, $dataset, $period, $area_code, "
            "$severity, $passed, $observed, $expected, $message)",
            [asdict(finding) for finding in found],
        )


def _received(current: Current) -> tuple[datetime, str]:
    return current.delivery.received_at, current.delivery.delivery_id


def _delivery_row(current: Current) -> dict[str, Any]:
    delivery = current.delivery
    return {
        "delivery_id": delivery.delivery_id,
        "source": delivery.dataset.split("/", 1)[0],
        "dataset": delivery.dataset,
        "partition": delivery.partition,
        "received_at": delivery.received_at,
        "demo": delivery.demo,
    }


def _relation(settings: Settings, current: Current, table_name: str) -> str:
    dataset = current.delivery.dataset
    contract = contracts(settings.home_folder).get(dataset)
    if contract is None:
        raise GoralError(
            f"{dataset} was delivered, but no mapping describes it any more: put its mapping back "
            "into the folder `mappings` of GORAL_HOME"
        )
    return contract.relation(contract.table(table_name))


def _is_made(path: Path) -> bool:
    return path.parts[0] in ("target", "logs", "dbt_packages") or path.name == ".user.yml"
