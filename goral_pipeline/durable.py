"""Durable writes: the only way a file or folder comes to stand under its final name.

Everything is written under a temporary name beside its goal, flushed to the disk, renamed, and the
folder flushed too. A reader therefore sees the old state or the new one, never a half, and a
process killed at any moment leaves at most a temporary name, which `sweep` removes.

Belongs here: writing, renaming, removing. Does not belong here: what is written.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY_PREFIX = ".tmp-"
# In a container each process may have the number of the one before it.
THIS_PROCESS = secrets.token_hex(4)
PRIVATE = 0o700


def temporary_beside(goal: Path) -> Path:
    """A fresh temporary name in the folder of `goal`, so that a rename stays on one disk."""
    return goal.with_name(f"{temporary_prefix()}-{goal.name}")


def temporary_prefix() -> str:
    """How a temporary name of this process begins; `sweep` removes it once the process is gone."""
    return f"{TEMPORARY_PREFIX}{os.getpid()}-{THIS_PROCESS}{secrets.token_hex(4)}"


def make_folder(folder: Path, mode: int = 0o755) -> Path:
    """Make `folder` and its parents where missing; `mode` holds for each folder made."""
    if not folder.is_dir():
        make_folder(folder.parent, mode)
        folder.mkdir(mode=mode, exist_ok=True)
        folder.chmod(mode)
        flush_folder(folder.parent)
    return folder


def flush_file(path: Path) -> None:
    """Force a written file to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Force a folder's entries to the disk, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(goal: Path) -> Iterator[Path]:
    """Write a file under the temporary name given; it takes the name `goal` when all went well."""
    temporary = temporary_beside(goal)
    try:
        yield temporary
        flush_file(temporary)
        put(temporary, goal)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(goal: Path) -> Iterator[Path]:
    """Fill a folder that takes the name `goal`, whole, when the block ends well.

    A folder already there is left as it is: what is immutable is written once.
    """
    temporary = temporary_beside(goal)
    make_folder(temporary)
    try:
        yield temporary
        for folder, _, files in os.walk(temporary):
            for name in files:
                flush_file(Path(folder) / name)
            flush_folder(Path(folder))
        try:
            if not goal.exists():
                put(temporary, goal)
        except OSError:
            # Another process may have been first; what is immutable is the same from each.
            if not goal.is_dir():
                raise
    finally:
        if temporary.exists():
            shutil.rmtree(temporary)


def put(written: Path, goal: Path) -> None:
    """Give a written and flushed file or folder its final name, replacing a file of that name."""
    written.replace(goal)
    flush_folder(goal.parent)


def write_bytes(goal: Path, content: bytes) -> None:
    """Write a small file in one step."""
    with replacing(goal) as temporary:
        temporary.write_bytes(content)


def remove_file(path: Path) -> None:
    """Remove a file, so that it stays gone after a power cut; one that is gone already is none."""
    path.unlink(missing_ok=True)
    flush_folder(path.parent)


def remove_folder(folder: Path) -> None:
    """Remove a folder and what is in it: its name goes in one step, so that no half stands."""
    temporary = temporary_beside(folder)
    put(folder, temporary)
    shutil.rmtree(temporary)


def sweep(folder: Path) -> None:
    """Remove what killed processes left under temporary names anywhere below `folder`.

    Names of processes that still live are left alone.
    """
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob(f"{TEMPORARY_PREFIX}*"), reverse=True):
        if _owner_lives(path.name):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _owner_lives(name: str) -> bool:
    owner, _, rest = name.removeprefix(TEMPORARY_PREFIX).partition("-")
    if not owner.isdecimal():
        return False
    if int(owner) == os.getpid():
        return rest.startswith(THIS_PROCESS)
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
