"""Parquet files: the one way this project writes them, and for many staged rows another.

The same rows give the same bytes: schema from the contract, sorted by the caller, fixed row groups,
zstd, page index and page checksums, no clock time. Does not belong here: which rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

ROWS_A_GROUP = 500_000
ROWS_A_COPIED_GROUP = 122_880
"""What DuckDB takes where it is not told: each thread writes a group at a time."""


WRITER_OPTIONS = {
    "compression": "zstd",
    "write_page_index": True,
    "write_page_checksum": True,
    "version": "2.6",
}
"""Of pyarrow's writer."""


def write(
    path: Path,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    metadata: dict[str, str] | None = None,
) -> int:
    """Write batches to a new file, in groups of fixed size; gives the number of rows."""
    import pyarrow.parquet as pq

    rows = 0
    described = schema.with_metadata(metadata) if metadata else schema
    with pq.ParquetWriter(path, described, **WRITER_OPTIONS) as writer:
        for group in _groups(batches, described):
            writer.write_table(group, row_group_size=ROWS_A_GROUP)
            rows += group.num_rows
    return rows


def copy(
    con: duckdb.DuckDBPyConnection,
    query: str,
    parameters: dict[str, str],
    path: Path,
    schema: pa.Schema,
) -> int:
    """Write what a sorted query gives to a new file by DuckDB itself; gives the number of rows.

    For many rows: it takes half the time and memory of `write`, on several threads. In turn the
    file has no page checksums, and its schema neither descriptions nor what may not be null; that
    nothing required is null is seen from its statistics.

    Raises:
        ValueError: when a column is missing or out of place, or null where that is not allowed.
    """
    import pyarrow.parquet as pq

    form = f"format parquet, compression zstd, row_group_size {ROWS_A_COPIED_GROUP}"
    con.execute(f"copy ({query}) to {_quoted(path)} ({form})", parameters)
    metadata = pq.read_metadata(path)
    if metadata.schema.names != schema.names:
        raise ValueError(f"columns are {metadata.schema.names}, expected {schema.names}")
    for place, field in enumerate(schema):
        groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
        nulls = sum(group.column(place).statistics.null_count for group in groups)
        if nulls and not field.nullable:
            raise ValueError(f"{nulls} nulls in {field.name}, which requires a value")
    return int(metadata.num_rows)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows in tables of ROWS_A_GROUP, whatever the size of the batches that come."""
    import pyarrow as pa

    waiting: list[pa.RecordBatch] = []
    number = 0
    for batch in batches:
        # The cast checks that nothing required is null, which Arrow does not of itself.
        waiting.append(conform(batch, schema))
        number += batch.num_rows
        while number >= ROWS_A_GROUP:
            together = pa.Table.from_batches(waiting, schema)
            yield _in_one_piece(together.slice(0, ROWS_A_GROUP))
            waiting = together.slice(ROWS_A_GROUP).to_batches()
            number -= ROWS_A_GROUP
    if number:
        yield _in_one_piece(pa.Table.from_batches(waiting, schema))


def _in_one_piece(table: pa.Table) -> pa.Table:
    """The table with one chunk a column, for pages end where chunks do."""
    # A single chunk, too, would be copied.
    return table if len(table.to_batches()) == 1 else table.combine_chunks()


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with exactly this schema.

    Raises:
        ValueError: when a column is missing or out of place, or null where that is not allowed.
    """
    import pyarrow as pa

    if batch.schema.names != schema.names:
        raise ValueError(f"columns are {batch.schema.names}, expected {schema.names}")
    columns = []
    for field, column in zip(schema, batch.columns, strict=True):
        if not field.nullable and column.null_count:
            raise ValueError(f"{column.null_count} nulls in {field.name}, which requires a value")
        columns.append(column.cast(field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
