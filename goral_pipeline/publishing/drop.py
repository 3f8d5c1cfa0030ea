"""Publishing a drop: from the warehouse's marts to a release that the pointer points at.

Belongs here: what goes into a drop and the order of things: write, verify, point. Does not belong
here: what makes a drop good (`verify`), how its manifest looks (`manifest`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from goral_pipeline import __version__, durable, parquet
from goral_pipeline.contracts import Contract, Table, published
from goral_pipeline.contracts import generate as generated
from goral_pipeline.errors import GoralError, VerificationFailed
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.publishing import content, manifest, verify
from goral_pipeline.publishing.manifest import DataFile, Manifest, OtherFile
from goral_pipeline.settings import PROJECT_ROOT
from goral_pipeline.sources import registry
from goral_pipeline.warehouse import build

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from goral_pipeline.settings import Settings

LOCK_FILE = PROJECT_ROOT / "requirements.lock"
STATUS = "provisional"


@dataclass(frozen=True)
class Published:
    """A drop, and whether it is new."""

    drop: str
    folder: Path
    is_new: bool
    demo: bool
    files: int
    rows: int


def publish(
    settings: Settings,
    ledger: Ledger,
    *,
    allow_incomplete: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Published:
    """Publish what the warehouse holds; the drop that the pointer points at is not made again.

    Raises:
        GoralError: when there is no warehouse, or it is not made of what the ledger points at.
        VerificationFailed: when what was written is not what should have been; the pointer stays.
    """
    left_out = incomplete(ledger)
    if left_out and not allow_incomplete:
        unknown = {d.dataset for d in ledger.deliveries()} - set(registry(settings.home_folder))
        raise GoralError(
            "not published, for the newest delivery of these partitions is not in the warehouse:\n"
            + "\n".join(left_out)
            + "".join(
                f"\nno mapping tells of {dataset} any more: put it back into "
                f"{settings.home_folder / 'mappings'}"
                for dataset in sorted(unknown)
            )
            + "\nmend them, or publish without them by `goral drop publish --allow-incomplete`"
        )
    wanted = _check_warehouse(settings, ledger)
    drops = settings.drops
    fingerprint = _fingerprint(wanted.fingerprint, left_out)
    before = manifest.latest(drops)
    if before and _is_release(drops, before, fingerprint):
        return _published(drops, before["drop"], is_new=False)
    durable.make_folder(drops / manifest.RELEASES)
    durable.sweep(drops)
    drop, manifest_sha256 = _write_release(settings, wanted, fingerprint, left_out, progress)
    progress(f"verifying {drop}")
    if problems := verify.release_problems(drops, drop, manifest_sha256):
        # Left standing, every later run would take it for written.
        durable.remove_folder(manifest.release(drops, drop))
        mend = f"{drop} was removed; publishing again writes it anew"
        raise VerificationFailed([*problems, mend])
    # Recorded first: a run that is killed here points at it the next time, and records no second.
    ledger.add_drop(drop, manifest_sha256, fingerprint, wanted.demo)
    durable.write_bytes(drops / manifest.LATEST, manifest.pointer(drop, manifest_sha256))
    return _published(drops, drop, is_new=True)


def is_up_to_date(settings: Settings, ledger: Ledger) -> bool:
    """Whether warehouse and published drop are of just what the ledger points at now."""
    wanted = build.inputs(settings, ledger)
    if not build.is_up_to_date(settings, wanted):
        return False
    fingerprint = _fingerprint(wanted.fingerprint, incomplete(ledger))
    before = manifest.latest(settings.drops)
    return before is not None and _is_release(settings.drops, before, fingerprint)


def incomplete(ledger: Ledger) -> list[str]:
    """The partitions whose newest delivery did not pass, with the reason, sorted."""
    pointed = {
        (current.delivery.dataset, current.delivery.partition): current.delivery.delivery_id
        for current in ledger.current()
    }
    newest = {(d.dataset, d.partition): d for d in ledger.deliveries()}
    return sorted(
        f"{dataset} {partition}: {delivery.problem or 'received and not yet staged'}"
        for (dataset, partition), delivery in newest.items()
        if pointed.get((dataset, partition)) != delivery.delivery_id
    )


def published_tables() -> list[tuple[Contract, Table]]:
    """The tables of a drop, by name."""
    return [(c, c.tables[0]) for c in published().values() if c.is_published]


def _check_warehouse(settings: Settings, ledger: Ledger) -> build.Inputs:
    wanted = build.inputs(settings, ledger)
    if not wanted.deliveries:
        raise GoralError(
            "there is nothing to publish: no delivery was accepted yet. `goral run` asks the "
            "publishers, `goral deliver` takes a file, `goral demo run` shows how it looks"
        )
    if build.current_fingerprint(settings.warehouse / build.FILE) is None:
        raise GoralError("there is no warehouse to publish from; `goral run` builds it")
    if not build.is_up_to_date(settings, wanted):
        raise GoralError(
            "the warehouse is not made of what the ledger points at now; `goral run --no-fetch` "
            "builds it anew"
        )
    return wanted


def _fingerprint(warehouse_fingerprint: str, left_out: list[str]) -> str:
    """Name of all that decides a drop's bytes."""
    parts = [warehouse_fingerprint, *left_out, _lock_sha256() or ""]
    for contract, _ in published_tables():
        parts.append(hashlib.sha256(contract.path.read_bytes()).hexdigest())
    for module in (__file__, content.__file__, manifest.__file__, parquet.__file__):
        parts.append(hashlib.sha256(Path(module).read_bytes()).hexdigest())
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def _lock_sha256() -> str | None:
    return parquet.sha256(LOCK_FILE) if LOCK_FILE.is_file() else None


def _is_release(drops: Path, pointer: dict[str, str], fingerprint: str) -> bool:
    path = manifest.release(drops, pointer["drop"]) / manifest.MANIFEST
    return path.is_file() and manifest.read(path).fingerprint == fingerprint


def _write_release(
    settings: Settings,
    wanted: build.Inputs,
    fingerprint: str,
    left_out: list[str],
    progress: Callable[[str], None],
) -> tuple[str, str]:
    """Write the release whole; gives its name and the hash of its manifest."""
    import duckdb

    drop = f"{'demo-' if wanted.demo else ''}{_last_period(wanted)}-{fingerprint[:12]}"
    goal = manifest.release(settings.drops, drop)
    path = settings.warehouse / build.FILE
    with durable.new_folder(goal) as folder, duckdb.connect(str(path), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"set threads = {settings.duckdb_threads}")
        con.execute("set memory_limit = $limit", {"limit": settings.duckdb_memory_limit})
        data = []
        for contract, table in published_tables():
            progress(f"writing {contract.dataset}")
            data.append(_write_table(con, folder, contract, table, demo=wanted.demo))
        made = Manifest(
            drop=drop,
            fingerprint=fingerprint,
            demo=wanted.demo,
            notice=manifest.DEMO_NOTICE if wanted.demo else "",
            status="demo" if wanted.demo else STATUS,
            code_version=__version__,
            lock_sha256=_lock_sha256(),
            contracts={contract.dataset: contract.version for contract, _ in published_tables()},
            data=data,
            other=_write_descriptions(folder),
            staged_files=[
                {"relation": f.relation, "path": f.path, "sha256": f.sha256} for f in wanted.files
            ],
            left_out=left_out,
            checks={"dbt": "passed", "reconciliation": "passed"},
        )
        (folder / manifest.MANIFEST).write_bytes(made.to_bytes())
    return drop, parquet.sha256(goal / manifest.MANIFEST)


def _last_period(wanted: build.Inputs) -> str:
    """The last month with a delivery; the last edition where there are but editions."""
    periods = [str(delivery["partition"]) for delivery in wanted.deliveries]
    months = [period for period in periods if len(period) == len("2022-12")]
    return max(months or periods)


def _write_table(
    con: duckdb.DuckDBPyConnection, folder: Path, contract: Contract, table: Table, *, demo: bool
) -> DataFile:
    path = folder / contract.dataset / f"{table.name}.parquet"
    path.parent.mkdir()
    schema = table.arrow_schema()
    described = {
        "contract": contract.id,
        "contract_version": contract.version,
        **({"notice": manifest.DEMO_NOTICE} if demo else {}),
    }
    digest = content.ContentHash()
    rows = parquet.write(path, schema, digest.passing(_rows(con, table)), described)
    return DataFile(
        path=path.relative_to(folder).as_posix(),
        dataset=contract.dataset,
        rows=rows,
        bytes=path.stat().st_size,
        sha256=parquet.sha256(path),
        schema_fingerprint=manifest.schema_fingerprint(schema),
        content_hash=digest.hexdigest(),
        months=_months(con, table),
    )


def _rows(con: duckdb.DuckDBPyConnection, table: Table) -> pa.RecordBatchReader:
    columns = ", ".join(column.name for column in table.columns)
    query = f"select {columns} from marts.{table.name} order by {', '.join(table.key)}"
    return con.execute(query).to_arrow_reader(parquet.ROWS_A_GROUP)


def _months(con: duckdb.DuckDBPyConnection, table: Table) -> list[str]:
    if "month" not in [column.name for column in table.columns]:
        return []
    rows = con.execute(f"select distinct month from marts.{table.name} order by month").fetchall()
    return [str(row[0]) for row in rows]


def _write_descriptions(folder: Path) -> list[OtherFile]:
    """The contracts and the dictionary, for who reads the drop without this project."""
    (folder / "contracts").mkdir()
    written = {
        f"contracts/{contract.path.name}": contract.path.read_bytes()
        for contract, _ in published_tables()
    } | {"dictionary.md": generated.dictionary().encode()}
    for name, text in written.items():
        (folder / name).write_bytes(text)
    return [
        OtherFile(name, len(text), hashlib.sha256(text).hexdigest())
        for name, text in sorted(written.items())
    ]


def _published(drops: Path, drop: str, *, is_new: bool) -> Published:
    folder = manifest.release(drops, drop)
    read = manifest.read(folder / manifest.MANIFEST)
    return Published(
        drop=drop,
        folder=folder,
        is_new=is_new,
        demo=read.demo,
        files=len(read.data),
        rows=sum(file.rows for file in read.data),
    )


def list_drops(drops: Path) -> list[dict[str, object]]:
    """The releases there are, by name, and which one the pointer points at."""
    pointed = manifest.latest(drops)
    folders = sorted((drops / manifest.RELEASES).glob("[!.]*/" + manifest.MANIFEST))
    return [
        {
            "drop": (read := manifest.read(path)).drop,
            "latest": pointed is not None and pointed["drop"] == read.drop,
            "demo": read.demo,
            "status": read.status,
            "rows": sum(file.rows for file in read.data),
            "left_out": len(read.left_out),
        }
        for path in folders
    ]
