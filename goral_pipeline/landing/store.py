"""The store of deliveries: content-addressed, immutable, for the pipeline's own user only.

Belongs here: taking in bytes and keeping them under their SHA-256. Does not belong here: what the
bytes mean, or which delivery is the current one (`ledger`).

What lies here is removed by one process at a time, while no other takes in or reads a delivery:
`shared` and `alone` are the two sides of that.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from goral_pipeline import durable
from goral_pipeline.errors import DeliveryRejected, GoralError

MIB = 1024 * 1024


class Incoming:
    """A delivery while it comes in: bytes written to a file that is not kept, hashed as they pass.

    The file is a temporary one, unless `continue_at` makes it one that outlasts a failure.
    """

    def __init__(self, landing: Path, max_bytes: int) -> None:
        """Write to a temporary file in `landing`, at most `max_bytes`."""
        self.landing = landing
        self.path = durable.temporary_beside(landing / "incoming")
        self.size = 0
        self.outlasts_failure = False
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self._lock: int | None = None
        self._file = self.path.open("wb")
        self.path.chmod(0o600)

    def continue_at(self, part: Path, seconds: float, take: Callable[[bytes], bool]) -> None:
        """Go on in the file where a try before stopped; it stays if this one stops too.

        `take` is shown each of its lines, and says whether it is one: it and all that follows goes
        if not, as does half a line, and a whole file that nobody wrote to for so many seconds.
        While another process is at the file, this delivery comes in from its start, by itself.
        """
        with shared(self.landing):
            durable.make_folder(part.parent, durable.PRIVATE)
            descriptor = _alone_at(part)
        if descriptor is None:
            return
        # A second descriptor holds the lock on until the file has its lasting place or is gone:
        # `keep` closes the first before that.
        self._lock = os.dup(descriptor)
        self._file.close()
        self.path.unlink()
        self.path, self.outlasts_failure = part, True
        self._file = os.fdopen(descriptor, "ab")
        if time.time() - part.stat().st_mtime <= seconds:
            with part.open("rb") as before:
                for line in before:
                    if not line.endswith(b"\n") or not take(line):
                        break
                    self._count(line)
        self._file.truncate(self.size)

    def write(self, content: bytes) -> None:
        """Take in more of the delivery.

        Raises:
            DeliveryRejected: when it grows beyond the limit.
        """
        self._count(content)
        self._file.write(content)

    def flush(self) -> None:
        """Hand over to the system what came in, so that it is there if this process is killed."""
        self._file.flush()

    def start_anew(self) -> None:
        """Forget what came in."""
        self._file.seek(0)
        self._file.truncate(0)
        self.size, self._hash = 0, hashlib.sha256()

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

    def release(self) -> None:
        """Let other processes at the file."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _count(self, content: bytes) -> None:
        self.size += len(content)
        if self.size > self._max_bytes:
            raise DeliveryRejected(
                f"the delivery is larger than {self._max_bytes // MIB} MiB "
                "(setting GORAL_MAX_DELIVERY_MIB); it was not kept"
            )
        self._hash.update(content)


@contextmanager
def receiving(landing: Path, max_mib: int) -> Iterator[Incoming]:
    """Room for one delivery to come in; what is not kept in the block is removed after it.

    Only what can be continued stays when the block fails.
    """
    durable.make_folder(landing, durable.PRIVATE)
    incoming = Incoming(landing, max_mib * MIB)
    has_failed = True
    try:
        yield incoming
        has_failed = False
    finally:
        try:
            incoming.close()
            if not (has_failed and incoming.outlasts_failure and incoming.size):
                incoming.path.unlink(missing_ok=True)
        finally:
            incoming.release()


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


def remove_left(folder: Path, names: str, seconds: float) -> None:
    """Remove the files of such names that nobody wrote to for so many seconds, nor is at now."""
    for part in folder.glob(names):
        # Another process may be removing them too.
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > seconds:
                remove_part(part)


def remove_part(part: Path) -> bool:
    """Remove what came in of a delivery, unless another process is at it; whether it is gone."""
    descriptor = _alone_at(part)
    if descriptor is None:
        return False
    durable.remove_file(part)
    os.close(descriptor)
    return True


@contextmanager
def shared(landing: Path) -> Iterator[None]:
    """While in the block, nothing is removed from landing; others may be in it too.

    Where there is no landing yet there is nothing to be removed.
    """
    if not landing.is_dir():
        yield
        return
    descriptor = os.open(landing, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def alone(landing: Path, seconds: float = 60.0) -> Iterator[None]:
    """Be the only one at landing and what is staged from it.

    Raises:
        GoralError: when others are at it for all of so many seconds.
    """
    durable.make_folder(landing, durable.PRIVATE)
    end = time.monotonic() + seconds
    descriptor = os.open(landing, os.O_RDONLY)
    try:
        while not _has_locked(descriptor):
            if time.monotonic() >= end:
                raise GoralError(
                    "deliveries are being taken in, or removed by another process; nothing was "
                    "removed: run again when that is done"
                )
            time.sleep(0.2)
        yield
    finally:
        os.close(descriptor)


def _has_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _alone_at(part: Path) -> int | None:
    """Open a private file, to append to, that no other process has open so; None when one has."""
    while True:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        # Whoever had it before may have moved or removed it since it was opened.
        if part.exists() and os.path.samestat(os.fstat(descriptor), part.stat()):
            return descriptor
        os.close(descriptor)
