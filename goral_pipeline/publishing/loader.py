"""Loading a drop into PostgreSQL: the reference for who takes drops into a database of their own.

Belongs here: which drop may be loaded and the order of things: verify, lock, decide, copy, switch;
reading the drop. Does not belong here: what makes a drop good (`verify`), SQL (`postgresql`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from goral_pipeline.errors import GoralError, SettingsError
from goral_pipeline.publishing import conformance, upkeep, verify

if TYPE_CHECKING:
    import pyarrow as pa

    from goral_pipeline.publishing.manifest import Manifest
    from goral_pipeline.publishing.postgresql import Database, Dataset
    from goral_pipeline.publishing.products import Product
    from goral_pipeline.publishing.store import Store

ROWS_A_PIECE = 65_536
"""Rows read, written as CSV and sent at a time; memory goes by it, not by the size of a drop."""


@dataclass(frozen=True)
class Loaded:
    """A drop that is in the database, and what this load had to do with it."""

    drop: str
    is_new: bool
    """False: it was there before, and nothing was changed."""
    is_latest: bool
    """Whether the views show it."""
    rows: dict[str, int]
    """Rows that were loaded, by dataset."""


def load(
    drops: Store,
    url: str,
    drop: str | None = None,
    *,
    product: Product | None = None,
    schema: str,
    older: bool = False,
    allow_demo: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Loaded:
    """Load a drop, by default the one the pointer points at, in one transaction.

    Views stand in `schema`, the tables of all drops in `<schema>_drops`. A drop that is there
    already is not loaded again. Killed at any moment, it leaves the database as it was.

    Args:
        drops: where they lie.
        url: `postgresql://…`; what is missing in it, libpq takes from the environment.
        drop: id of a drop there.
        product: what it has to be of; None where it may be of any.
        schema: name of the schema of the views.
        older: load a drop that is not newer than the latest one, beside it.
        allow_demo: load a drop of invented data.
        progress: is told what is done, in words.

    Raises:
        SettingsError: when the URL or schema cannot be one, or psycopg is not installed.
        VerificationFailed: when the drop is not what its manifest says; nothing was changed.
        GoralError: when the drop may not be loaded, or PostgreSQL refuses; nothing was changed.
    """
    try:
        from goral_pipeline.publishing import postgresql
    except ImportError:
        raise SettingsError(
            "psycopg, the driver for PostgreSQL, is missing: install this project with its extra "
            "`postgresql`"
        ) from None
    postgresql.check_target(url, schema)
    progress("verifying the drop")
    read = upkeep.verified(drops.place, drop)
    if product:
        product.refuse_other(read)
    if read.demo and not allow_demo:
        raise GoralError(
            f"{read.drop} is a demo drop, its figures rest on invented data; `--allow-demo` loads "
            "it all the same"
        )
    if read.left_out:
        progress(f"left out of this drop: {'; '.join(read.left_out)}")
    with drops.local(read.drop) as folder, postgresql.transaction(url, schema) as database:
        datasets = _datasets(folder, read)
        if not database.is_my_turn():
            progress("another load is under way; waiting for its end")
            database.wait_for_my_turn()
        database.prepare()
        latest = database.latest(read.product)
        manifest_sha256 = read.pointer().manifest_sha256
        if _is_loaded(database, read, manifest_sha256):
            is_shown = latest is not None and latest[0] == read.drop
            return Loaded(read.drop, is_new=False, is_latest=is_shown, rows={})
        is_latest = _is_newer(read, latest, older=older)
        for dataset in datasets:
            database.check(dataset, read.product)
        rows = {}
        for dataset in datasets:
            rows[dataset.name] = _copy(database, folder, read, dataset)
            progress(f"loaded {dataset.name}: {rows[dataset.name]} rows")
        # From here on readers may have to wait, so there is nothing left to be done but names.
        database.record(read, manifest_sha256, is_latest=is_latest)
        for dataset in datasets:
            database.attach(dataset, read.drop, rows[dataset.name], is_latest=is_latest)
        if is_latest:
            for dataset in datasets:
                database.show(dataset, read.product, read.notice)
            for name in database.withdraw(read.product, set(rows)):
                progress(f"{name} is not in the drop any more: its view was dropped")
    return Loaded(read.drop, is_new=True, is_latest=is_latest, rows=rows)


def _is_loaded(database: Database, read: Manifest, manifest_sha256: str) -> bool:
    before = database.manifest_of(read.drop)
    if before not in (None, manifest_sha256):
        raise GoralError(
            f"{read.drop} was loaded with another manifest (SHA-256 {before}, and now "
            f"{manifest_sha256}); a drop never changes, so one of the two is not what was "
            "published: ask GO-RAL which"
        )
    return before is not None


def _is_newer(read: Manifest, latest: tuple[str, int] | None, *, older: bool) -> bool:
    if latest is None or read.sequence > latest[1]:
        return True
    if not older:
        raise GoralError(
            f"{read.drop} (number {read.sequence}) is not newer than {latest[0]} (number "
            f"{latest[1]}), the latest loaded; `--older` loads it beside, and the views stay"
        )
    return False


def _datasets(folder: Path, read: Manifest) -> list[Dataset]:
    """The datasets of a drop by its own contracts; each may have several files."""
    from goral_pipeline.publishing.postgresql import Dataset

    contracts = conformance.contracts_of(verify.Folder(folder), "", read)
    datasets = [Dataset(name, contract) for name, contract in contracts.items()]
    for dataset in datasets:
        dataset.check(read.drop)
    return datasets


def _copy(database: Database, folder: Path, read: Manifest, dataset: Dataset) -> int:
    files = [file for file in read.data if file.dataset == dataset.name]
    pieces = (piece for file in files for piece in _pieces(folder / file.path))
    rows, expected = database.copy(dataset, read.drop, pieces), sum(file.rows for file in files)
    if rows != expected:
        raise GoralError(
            f"{dataset.name}: PostgreSQL took {rows} rows, the manifest says {expected}; nothing "
            "was changed"
        )
    return rows


def _pieces(path: Path) -> Iterator[memoryview]:
    """The rows of a Parquet file as CSV, in pieces: nulls bare, every text in quotes."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv

    options = csv.WriteOptions(include_header=False)
    # Without reading ahead: that would hold more of the file than is sent.
    with pq.ParquetFile(path, pre_buffer=False, page_checksum_verification=True) as file:
        for batch in file.iter_batches(ROWS_A_PIECE):
            sink = pa.BufferOutputStream()
            columns = [_writable(column) for column in batch.columns]
            csv.write_csv(pa.RecordBatch.from_arrays(columns, batch.schema.names), sink, options)
            yield memoryview(sink.getvalue())


def _writable(column: pa.Array) -> pa.Array:
    """The column in a form whose text PostgreSQL reads as the same value."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        # Without the zone, which would need a time zone database; the session's is UTC.
        return column.view(pa.timestamp("us"))
    if pa.types.is_binary(column.type):
        return pa.array(
            [None if value is None else f"\\x{value.hex()}" for value in column.to_pylist()],
            pa.string(),
        )
    return column
