"""The store of deliveries: content-addressed, immutable, for the pipeline's own user only.

Belongs here: taking in bytes and keeping them under their SHA-256. Does not belong here: what the
bytes mean, or which delivery is the current one (`ledger`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from goral_pipeline import durable
from goral_pipeline.errors import DeliveryRejected

MIB = 1024 * 1024


class Incoming:
    """A delivery while it comes in: bytes written to a temporary file, hashed as they pass."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Write to `path`, at most `max_bytes`."""
        self.path = path
        self.size = 0
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self._file = path.open("wb")
        path.chmod(0o600)

    def write(self, content: bytes) -> None:
        """Take in more of the delivery.

        Raises:
            DeliveryRejected: when it grows beyond the limit.
        """
        self.size += len(content)
        if self.size > self._max_bytes:
            raise DeliveryRejected(
                f"the delivery is larger than {self._max_bytes // MIB} MiB "
                "(setting GORAL_MAX_DELIVERY_MIB); it was not kept"
            )
        self._hash.update(content)
        self._file.write(content)

    @property
    def sha256(self) -> str:
        """SHA-256 of what came in so far, hexadecimal."""
        return self._hash.hexdigest()

    def close(self) -> None:
        """Flush to the disk; nothing can be written afterwards."""
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()


@contextmanager
def receiving(landing: Path, max_mib: int) -> Iterator[Incoming]:
    """Room for one delivery to come in; what is not kept in the block is removed after it."""
    durable.make_folder(landing, durable.PRIVATE)
    incoming = Incoming(durable.temporary_beside(landing / "incoming"), max_mib * MIB)
    try:
        yield incoming
    finally:
        incoming.close()
        incoming.path.unlink(missing_ok=True)


def keep(landing: Path, dataset: str, extension: str, incoming: Incoming) -> Path:
    """Give a delivery its lasting place; content already kept is left as it is."""
    incoming.close()
    goal = place(landing, dataset, incoming.sha256, extension)
    durable.make_folder(goal.parent, durable.PRIVATE)
    if not goal.exists():
        durable.put(incoming.path, goal)
    return goal


def place(landing: Path, dataset: str, sha256: str, extension: str) -> Path:
    """Where content of that hash lies, or would."""
    return landing / dataset / f"{sha256}{extension}"
