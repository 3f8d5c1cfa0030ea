"""The inbox: files that people or programs put down to be taken in.

`GORAL_HOME/inbox/<source>/<dataset>/<partition>/<any name>`; the folder says what the file is for.
Belongs here: which files lie there whole. Does not belong here: taking them in (`ingestion`), or
what a partition is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from goral_pipeline import clock

QUIET_SECONDS = 20.0
"""A file that did not change for so long is whole: nobody is still writing it."""
_DEPTH = 4


@dataclass(frozen=True)
class Waiting:
    """A file that waits to be taken in."""

    path: Path
    dataset: str
    partition: str
    changed: float
    """When it was last written to, in seconds since 1970."""
    size: int

    @property
    def is_whole(self) -> bool:
        """Whether it has been left alone for long enough."""
        return clock.now().timestamp() - self.changed >= QUIET_SECONDS

    @property
    def identity(self) -> str:
        """Tells it from any other file that was or will be put in its place.

        Hashed, for the name of a file may name a person.
        """
        told = f"{self.dataset}/{self.partition}/{self.path.name}/{self.size}/{self.changed}"
        return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()

    def remove(self) -> None:
        """Take it away, unless another was put in its place meanwhile."""
        state = self.path.stat()
        if (state.st_mtime, state.st_size) == (self.changed, self.size):
            self.path.unlink()


def waiting(folder: Path, dataset: str = "*/*", partition: str = "*") -> list[Waiting]:
    """The files in the inbox, of one partition or of all, in the order they were written.

    Names that begin with a dot are those of files that are still being copied.
    """
    found = []
    for path in folder.glob(f"{dataset}/{partition}/*"):
        if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
            source, name, of, _ = path.relative_to(folder).parts
            state = path.stat()
            found.append(Waiting(path, f"{source}/{name}", of, state.st_mtime, state.st_size))
    return sorted(found, key=lambda file: (file.changed, file.path))


def misplaced(folder: Path) -> list[Path]:
    """Files that lie where no folder says what they are for, sorted."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not path.name.startswith(".")
        and len(path.relative_to(folder).parts) != _DEPTH
    )
