"""The content hash of a table: of its rows alone, however they are stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

SEPARATOR = "\x1f"
NULL = "\x00"


class ContentHash:
    """SHA-256 over the values of a table as text, row by row, in the order they pass."""

    def __init__(self) -> None:
        """Start with no rows."""
        self._digest = hashlib.sha256()

    def passing(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Hand on the batches, hashing them on the way."""
        for batch in batches:
            self.update(batch)
            yield batch

    def update(self, batch: pa.RecordBatch) -> None:
        """Take in more rows."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if batch.num_rows == 0:
            return
        large = pa.large_string()
        texts = [pc.fill_null(_text(column).cast(large), NULL) for column in batch.columns]
        rows = pc.binary_join_element_wise(
            *texts, pa.scalar("\n", large), pa.scalar(SEPARATOR, large)
        )
        self._digest.update(_bytes(rows))

    def hexdigest(self) -> str:
        """The hash of all rows so far."""
        return self._digest.hexdigest()


def _text(column: pa.Array) -> pa.Array:
    import pyarrow as pa

    # Moments as a number: text of them needs a time zone database.
    return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column


def _bytes(rows: pa.Array) -> memoryview:
    """The values of a text array one after the other, without copying."""
    import numpy as np

    offsets = np.frombuffer(rows.buffers()[1], dtype=np.int64)
    start, stop = offsets[rows.offset], offsets[rows.offset + len(rows)]
    return memoryview(rows.buffers()[2])[int(start) : int(stop)]
