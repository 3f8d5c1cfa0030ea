"""Durable writes: whole or not at all, on the disk, and swept when a process died over them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from goral_pipeline import durable

OLD, NEW = b"the old content", b"the new content"


class PowerCut(Exception):
    """What a test raises in the middle of a write."""


@pytest.fixture
def dead_pid() -> int:
    """The number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    return ended.pid


@pytest.fixture
def live_pid() -> int:
    """The number of another process that runs: the one that started this one."""
    return os.getppid()


def fail_at_call(
    monkeypatch: pytest.MonkeyPatch, place: object, name: str, number: int
) -> list[int]:
    """Let the `number`th call of a function raise; gives a list that grows with each call."""
    really: Callable[..., object] = getattr(place, name)
    calls: list[int] = []

    def failing(*args: object, **kwargs: object) -> object:
        calls.append(len(calls) + 1)
        if calls[-1] == number:
            raise PowerCut
        return really(*args, **kwargs)

    monkeypatch.setattr(place, name, failing)
    return calls


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# ── files ────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_is_written(tmp_path: Path) -> None:
    durable.write_bytes(tmp_path / "file", NEW)
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == NEW


def test_a_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    durable.write_bytes(tmp_path / "file", NEW)
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == NEW


@pytest.mark.parametrize(
    ("place", "name", "number", "content_after"),
    [
        (Path, "write_bytes", 1, OLD),
        (os, "fsync", 1, OLD),
        (Path, "replace", 1, OLD),
        # The rename has happened: the new content is there, and only its lasting is not sure.
        (os, "fsync", 2, NEW),
    ],
)
def test_a_file_is_the_old_or_the_new_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: object,
    name: str,
    number: int,
    content_after: bytes,
) -> None:
    (tmp_path / "file").write_bytes(OLD)
    with monkeypatch.context() as patched:
        fail_at_call(patched, place, name, number)
        with pytest.raises(PowerCut):
            durable.write_bytes(tmp_path / "file", NEW)
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == content_after


def test_a_file_given_up_halfway_leaves_nothing(tmp_path: Path) -> None:
    def write_half(goal: Path) -> None:
        with durable.replacing(goal) as temporary:
            temporary.write_bytes(NEW[:3])
            raise PowerCut

    with pytest.raises(PowerCut):
        write_half(tmp_path / "file")
    assert names(tmp_path) == []


def test_nobody_sees_the_file_before_it_is_whole(tmp_path: Path) -> None:
    with durable.replacing(tmp_path / "file") as temporary:
        temporary.write_bytes(NEW)
        assert not (tmp_path / "file").exists()
        assert temporary.parent == tmp_path, "a rename has to stay on one disk"
        assert temporary.name.startswith(durable.TEMPORARY_PREFIX)
    assert (tmp_path / "file").read_bytes() == NEW


def test_two_temporary_names_differ(tmp_path: Path) -> None:
    assert durable.temporary_beside(tmp_path / "a") != durable.temporary_beside(tmp_path / "a")


# ── the order of flushing and renaming ───────────────────────────────────────────────────────────


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is flushed and renamed, in order; a flush is told by the inode's name."""
    told: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def telling_fsync(descriptor: int) -> None:
        told.append(f"flush {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def telling_replace(path: Path, goal: Path) -> Path:
        told.append(f"rename to {goal.name}")
        return replace(path, goal)

    monkeypatch.setattr(os, "fsync", telling_fsync)
    monkeypatch.setattr(Path, "replace", telling_replace)
    return told


on_linux = pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="only Linux names the file behind a descriptor"
)


@on_linux
def test_a_file_is_flushed_renamed_and_its_folder_flushed(tmp_path: Path, order: list[str]) -> None:
    durable.write_bytes(tmp_path / "file", NEW)
    written, renamed, folder = order
    assert written.startswith(f"flush {durable.TEMPORARY_PREFIX}")
    assert renamed == "rename to file"
    assert folder == f"flush {tmp_path.name}"


@on_linux
def test_all_in_a_folder_is_flushed_before_it_is_renamed(tmp_path: Path, order: list[str]) -> None:
    with durable.new_folder(tmp_path / "goal") as folder:
        (folder / "deep").mkdir()
        (folder / "one").write_bytes(NEW)
        (folder / "deep" / "two").write_bytes(NEW)
    rename = order.index("rename to goal")
    assert {"flush one", "flush two", "flush deep", f"flush {folder.name}"} <= set(order[:rename])
    assert order[rename + 1 :] == [f"flush {tmp_path.name}"]


@on_linux
def test_a_new_folder_is_flushed_in_the_one_above(tmp_path: Path, order: list[str]) -> None:
    durable.make_folder(tmp_path / "a" / "b")
    assert order == [f"flush {tmp_path.name}", "flush a"]
    durable.make_folder(tmp_path / "a" / "b")
    assert len(order) == 2, "what is there needs no flush"


# ── folders ──────────────────────────────────────────────────────────────────────────────────────


def fill(goal: Path) -> None:
    with durable.new_folder(goal) as folder:
        (folder / "one").write_bytes(NEW)
        (folder / "two").write_bytes(NEW)


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    with durable.new_folder(tmp_path / "goal") as folder:
        (folder / "one").write_bytes(NEW)
        assert not (tmp_path / "goal").exists()
    assert names(tmp_path) == ["goal", "goal/one"]


# Flushes: parent of the temporary folder, two files, the folder, and the parent after the rename.
@pytest.mark.parametrize(
    ("place", "name", "number", "is_there"),
    [
        (os, "fsync", 1, False),
        (os, "fsync", 2, False),
        (os, "fsync", 3, False),
        (os, "fsync", 4, False),
        (Path, "replace", 1, False),
        (os, "fsync", 5, True),
    ],
)
def test_a_folder_is_there_whole_or_not_at_all(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: object,
    name: str,
    number: int,
    is_there: bool,
) -> None:
    with monkeypatch.context() as patched:
        fail_at_call(patched, place, name, number)
        with pytest.raises(PowerCut):
            fill(tmp_path / "goal")
    left = [name for name in names(tmp_path) if not name.startswith(durable.TEMPORARY_PREFIX)]
    assert left == (["goal", "goal/one", "goal/two"] if is_there else [])
    fill(tmp_path / "goal")
    assert (tmp_path / "goal" / "one").read_bytes() == NEW


def test_the_number_of_flushes_of_a_folder_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fail_at_call(monkeypatch, os, "fsync", -1)
    fill(tmp_path / "goal")
    assert len(calls) == 5, "the test above fails each of them in turn"


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "goal").mkdir()
    (tmp_path / "goal" / "one").write_bytes(OLD)
    fill(tmp_path / "goal")
    assert names(tmp_path) == ["goal", "goal/one"]
    assert (tmp_path / "goal" / "one").read_bytes() == OLD


def test_a_folder_that_another_process_was_first_with_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = durable.put

    def second(written: Path, goal: Path) -> None:
        goal.mkdir()
        (goal / "one").write_bytes(OLD)
        put(written, goal)

    monkeypatch.setattr(durable, "put", second)
    fill(tmp_path / "goal")
    assert names(tmp_path) == ["goal", "goal/one"]
    assert (tmp_path / "goal" / "one").read_bytes() == OLD


def test_modes_hold_for_each_folder_made(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(mode=0o755)
    durable.make_folder(tmp_path / "there" / "private" / "deep", durable.PRIVATE)
    modes = {
        name: (tmp_path / name).stat().st_mode & 0o777
        for name in ("there", "there/private", "there/private/deep")
    }
    assert modes == {"there": 0o755, "there/private": 0o700, "there/private/deep": 0o700}


def test_a_mode_holds_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        durable.make_folder(tmp_path / "public")
    finally:
        os.umask(before)
    assert (tmp_path / "public").stat().st_mode & 0o777 == 0o755


# ── sweeping ─────────────────────────────────────────────────────────────────────────────────────


def leftover(folder: Path, pid: int, name: str = "file") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{durable.TEMPORARY_PREFIX}{pid}-0badcafe-{name}"
    path.write_bytes(b"half")
    return path


def test_what_dead_processes_left_is_swept(tmp_path: Path, dead_pid: int) -> None:
    leftover(tmp_path, dead_pid)
    leftover(tmp_path / "a" / "b", dead_pid)
    folder = tmp_path / "a" / f"{durable.TEMPORARY_PREFIX}{dead_pid}-0badcafe-release"
    leftover(folder / "deep", dead_pid)
    (folder / "data").write_bytes(b"half")
    (tmp_path / "a" / "b" / "kept").write_bytes(OLD)
    durable.sweep(tmp_path)
    assert names(tmp_path) == ["a", "a/b", "a/b/kept"]


def test_what_live_processes_write_is_not_swept(tmp_path: Path, live_pid: int) -> None:
    others, own = leftover(tmp_path, live_pid), durable.temporary_beside(tmp_path / "file")
    own.write_bytes(b"half")
    durable.sweep(tmp_path)
    assert others.exists()
    assert own.exists()


def test_what_a_dead_process_of_the_same_number_left_is_swept(tmp_path: Path) -> None:
    """In a container each run may have the same number."""
    path = leftover(tmp_path, os.getpid())
    durable.sweep(tmp_path)
    assert not path.exists()


def test_a_process_of_another_user_counts_as_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dead_pid: int
) -> None:
    def not_allowed(pid: int, number: int) -> None:
        raise PermissionError

    path = leftover(tmp_path, dead_pid)
    monkeypatch.setattr(os, "kill", not_allowed)
    durable.sweep(tmp_path)
    assert path.exists()


def test_a_temporary_name_without_a_process_is_swept(tmp_path: Path) -> None:
    (tmp_path / f"{durable.TEMPORARY_PREFIX}what").write_bytes(b"")
    durable.sweep(tmp_path)
    assert names(tmp_path) == []


def test_a_link_is_swept_and_not_followed(tmp_path: Path, dead_pid: int) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_bytes(OLD)
    swept = tmp_path / "swept"
    swept.mkdir()
    (swept / f"{durable.TEMPORARY_PREFIX}{dead_pid}-0badcafe-link").symlink_to(tmp_path / "outside")
    durable.sweep(swept)
    assert names(tmp_path) == ["outside", "outside/kept", "swept"]


def test_sweeping_where_nothing_is_does_nothing(tmp_path: Path) -> None:
    durable.sweep(tmp_path / "missing")
    assert names(tmp_path) == []
