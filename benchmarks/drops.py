"""Drops: publishing many rows, and verifying them.

Beside a bare sorted write by pyarrow with the same options, and beside sha256 alone. Does not
belong here: building marts.
"""

from __future__ import annotations

import hashlib
import shutil
from functools import partial
from pathlib import Path
from unittest.mock import patch

import duckdb
import pyarrow.parquet as pq

from benchmarks.measuring import Result, in_turn, median_ratio, peak, result
from goral_pipeline import parquet
from goral_pipeline.contracts import published
from goral_pipeline.publishing import drop, manifest, verify
from goral_pipeline.publishing.products import KPI, MEMORY, open_tables
from goral_pipeline.publishing.store import FolderStore
from goral_pipeline.settings import Settings

DATASET = "mart_charge_points"
ROWS = 10_000_000
THREADS = 2


def measure(folder: Path, rows: int = ROWS, runs: int = 5) -> list[Result]:
    """Publish a table of many rows, and verify the drop."""
    path = folder / "goral.duckdb"
    write_warehouse(path, rows)
    sides = in_turn(
        {
            "ours": partial(publish, path, folder / "drops"),
            "bare": partial(write_bare, path, folder / "bare.parquet"),
        },
        runs,
    )
    publish(path, folder / "drops")
    (file,) = (folder / "drops").rglob("*.parquet")
    verified = in_turn(
        {
            "ours": partial(verify_drop, folder / "drops"),
            "bare": partial(hash_file, file),
            "deep": partial(verify_drop, folder / "drops", deep=True),
        },
        runs,
    )
    figure = partial(result, rows=rows, runs=runs)
    speed = 100 / median_ratio(verified["ours"], verified["bare"])
    deep = 100 / median_ratio(verified["deep"], verified["bare"])
    return [
        figure("publish_10m", median_ratio(sides["ours"], sides["bare"]), "times", goal=1.2),
        figure("publish_peak_10m_gib", peak(sides["ours"]) / 1024, "GiB", goal=1.0),
        figure("verify", speed, "% of sha256 alone", goal=90, better="higher"),
        figure("verify_deep", deep, "% of sha256 alone", better="higher"),
    ]


def write_warehouse(path: Path, rows: int) -> None:
    """A warehouse with a mart of so many rows, in no order."""
    table = published()[DATASET].tables[0]
    made = {
        "source": "['rvo', 'vattenfall', 'ecotap_allego'][1 + (i % 3)::int]",
        "month": "strftime(date '2020-11-01' + interval (i // 3 % 72) month, '%Y-%m')",
        "municipality_code": "'GM' || lpad((i // 216 % 9973)::varchar, 4, '0')",
        "access": "['public', 'semi_public', 'unknown'][1 + (i // 2154168 % 3)::int]",
        "speed": "['regular', 'fast', 'unknown'][1 + (i // 6462504 % 3)::int]",
        "charge_points": "hash(i) % 1000",
        "definition": "'demo'",
        # Another in each row, as ids are in those of sessions: what is all alike takes no bytes.
        "definition_note": "'DEMO: invented, row ' || hash(i)",
    }
    columns = ", ".join(
        f"cast({made.get(column.name, repr('demo'))} as {column.type}) as {column.name}"
        for column in table.columns
    )
    with duckdb.connect(str(path)) as con:
        con.execute("create schema marts")
        con.execute(
            f"create table marts.{table.name} as select {columns} from range({rows}) as t(i) "
            "order by hash(i)"
        )


def publish(path: Path, drops: Path) -> None:
    """Write, verify and point at a drop of the one table."""
    shutil.rmtree(drops, ignore_errors=True)
    contract = published()[DATASET]
    settings = Settings.load(home=path.parent, duckdb_threads=THREADS)
    store = FolderStore(drops)
    planned = manifest.Manifest(
        drop="demo-2026-10-benchmark",
        product="kpi",
        sequence=1,
        previous=None,
        fingerprint="0" * 64,
        demo=True,
        status="demo",
        code_version="",
        lock_sha256=None,
        contracts={DATASET: contract.version},
        deprecated={},
        data=[],
        other=[],
        staged_files=[],
        left_out=[],
        checks={},
        notice=manifest.DEMO_NOTICE,
    )
    only = patch.object(KPI, "tables", lambda: [(contract, contract.tables[0])])
    with only, open_tables(settings, path) as con:
        rows = drop.rows_as_built(KPI)
        made = drop.write_release(store, con, planned, None, rows, lambda _: None)
    if problems := verify.problems(store.place, made.drop, made.pointer().manifest_sha256):
        raise SystemExit("\n".join(problems))
    store.point(made.pointer().to_bytes(), store.seen())


def write_bare(path: Path, goal: Path) -> None:
    """The same rows, sorted, by pyarrow with the same options, and nothing else."""
    table = published()[DATASET].tables[0]
    schema = table.arrow_schema()
    with duckdb.connect(str(path), read_only=True) as con:
        con.execute(f"set threads = {THREADS}")
        con.execute(f"set memory_limit = '{MEMORY}'")
        columns = ", ".join(column.name for column in table.columns)
        query = f"select {columns} from marts.{table.name} order by {', '.join(table.key)}"
        reader = con.execute(query).to_arrow_reader(parquet.ROWS_A_GROUP)
        with pq.ParquetWriter(goal, schema, **parquet.WRITER_OPTIONS) as writer:
            for batch in reader:
                writer.write_batch(batch.cast(schema), row_group_size=parquet.ROWS_A_GROUP)


def verify_drop(drops: Path, *, deep: bool = False) -> None:
    """Verify the drop that is there."""
    place = verify.Folder(drops)
    pointed = verify.latest(place)
    assert pointed is not None  # noqa: S101
    found = verify.problems(place, pointed["drop"], pointed["manifest_sha256"], deep=deep)
    if found:
        raise SystemExit("\n".join(found))


def hash_file(path: Path) -> None:
    """SHA-256 of the file alone."""
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256").hexdigest()
