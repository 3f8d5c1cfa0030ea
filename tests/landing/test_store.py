"""The store of deliveries: private, by content, and without a trace of what did not come whole."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from goral_pipeline import durable, ingestion
from goral_pipeline.errors import DeliveryRejected, SettingsError
from goral_pipeline.landing import open_ledger, store
from goral_pipeline.staging import stage, worker
from tests import support_files
from tests.support_files import BOUNDARIES, LOCATIONS, REQUESTS

DATASET = "vattenfall/requests"
HOUR = 3600.0


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    return tmp_path / "landing"


def take_in(landing: Path, content: bytes) -> Path:
    with store.receiving(landing, 1) as incoming:
        incoming.write(content)
        return store.keep(landing, DATASET, ".xlsx", incoming)


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_delivery_is_kept_under_its_hash(landing: Path) -> None:
    path = take_in(landing, b"content")
    sha256 = hashlib.sha256(b"content").hexdigest()
    assert files(landing) == [f"{DATASET}/{sha256}.xlsx"]
    assert path == store.place(landing, DATASET, sha256, ".xlsx")
    assert path.read_bytes() == b"content"


def test_nobody_else_may_look(landing: Path) -> None:
    path = take_in(landing, b"content")
    assert mode(path) == 0o600
    for folder in (path.parent, path.parent.parent, landing):
        assert mode(folder) == 0o700


def test_nobody_else_may_look_while_it_comes_in(landing: Path) -> None:
    with store.receiving(landing, 1) as incoming:
        incoming.write(b"half")
        assert mode(incoming.path) == 0o600
        assert mode(landing) == 0o700
        assert incoming.path.name.startswith(durable.TEMPORARY_PREFIX)


def test_content_that_is_there_stays_as_it_is(landing: Path) -> None:
    before = take_in(landing, b"content").stat()
    after = take_in(landing, b"content").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert len(files(landing)) == 1


def test_what_is_not_kept_is_gone(landing: Path) -> None:
    with store.receiving(landing, 1) as incoming:
        incoming.write(b"content")
    assert files(landing) == []


def test_what_fails_halfway_is_gone(landing: Path) -> None:
    def fail() -> None:
        with store.receiving(landing, 1) as incoming:
            incoming.write(b"half")
            raise ConnectionError

    with pytest.raises(ConnectionError):
        fail()
    assert files(landing) == []


def test_the_limit_is_kept_to_the_byte(landing: Path) -> None:
    with store.receiving(landing, 1) as incoming:
        incoming.write(bytes(store.MIB))
        with pytest.raises(DeliveryRejected, match="larger than 1 MiB"):
            incoming.write(b"1")
    assert files(landing) == []


def test_nothing_is_kept_that_cannot_be_flushed(
    landing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    with store.receiving(landing, 1) as incoming:
        incoming.write(b"content")
        monkeypatch.setattr("os.fsync", full_disk)
        with pytest.raises(OSError, match="No space left"):
            store.keep(landing, DATASET, ".xlsx", incoming)
        assert files(landing / "vattenfall") == []
        monkeypatch.undo()
    assert files(landing) == []


# ── going on with what broke off ─────────────────────────────────────────────────────────────────


def part_of(landing: Path) -> Path:
    return landing / DATASET / "crawl.part"


def break_off(landing: Path, content: bytes, take: Callable[[bytes], bool]) -> None:
    with store.receiving(landing, 1) as incoming:
        incoming.continue_at(part_of(landing), HOUR, take)
        incoming.write(content)
        raise ConnectionError


def test_what_broke_off_stays_and_is_gone_on_with(landing: Path) -> None:
    with pytest.raises(ConnectionError):
        break_off(landing, b"one\ntwo\nthr", lambda _: True)
    assert files(landing) == [f"{DATASET}/crawl.part"]
    assert mode(part_of(landing)) == 0o600
    assert mode(part_of(landing).parent) == 0o700
    taken: list[bytes] = []

    def take(line: bytes) -> bool:
        taken.append(line)
        return True

    with store.receiving(landing, 1) as incoming:
        incoming.continue_at(part_of(landing), HOUR, take)
        incoming.write(b"three\n")
        path = store.keep(landing, DATASET, ".ndjson", incoming)
    assert taken == [b"one\n", b"two\n"]
    content = b"one\ntwo\nthree\n"
    assert path == store.place(landing, DATASET, hashlib.sha256(content).hexdigest(), ".ndjson")
    assert path.read_bytes() == content
    assert incoming.size == len(content)
    assert parts_of(landing) == [path]


def test_what_is_not_taken_of_it_goes_with_all_that_follows(landing: Path) -> None:
    with pytest.raises(ConnectionError):
        break_off(landing, b"one\ntwo\nthree\n", lambda _: True)
    with pytest.raises(ConnectionError):
        break_off(landing, b"four\n", lambda line: line != b"two\n")
    assert part_of(landing).read_bytes() == b"one\nfour\n"


def test_what_is_old_is_not_gone_on_with(landing: Path) -> None:
    with pytest.raises(ConnectionError):
        break_off(landing, b"one\n", lambda _: True)
    age(part_of(landing), HOUR + 60)
    with pytest.raises(ConnectionError):
        break_off(landing, b"two\n", lambda _: True)
    assert part_of(landing).read_bytes() == b"two\n"


def test_what_came_whole_is_gone_when_it_is_not_kept(landing: Path) -> None:
    with store.receiving(landing, 1) as incoming:
        incoming.continue_at(part_of(landing), HOUR, lambda _: True)
        incoming.write(b"one\n")
    assert files(landing) == []


def test_what_begins_anew_leaves_nothing(landing: Path) -> None:
    with store.receiving(landing, 1) as incoming:
        incoming.continue_at(part_of(landing), HOUR, lambda _: True)
        incoming.write(b"one\n")
        incoming.start_anew()
        incoming.write(b"two\n")
        path = store.keep(landing, DATASET, ".ndjson", incoming)
    assert path.read_bytes() == b"two\n"
    assert path.stem == hashlib.sha256(b"two\n").hexdigest()


def test_only_one_is_at_it(landing: Path) -> None:
    with store.receiving(landing, 1) as first:
        first.continue_at(part_of(landing), HOUR, lambda _: True)
        first.write(b"one\n")
        first.flush()
        with store.receiving(landing, 1) as second:
            second.continue_at(part_of(landing), HOUR, lambda _: pytest.fail("it is another's"))
            second.write(b"two\n")
            other = store.keep(landing, DATASET, ".ndjson", second)
        # The file is its own until it has its lasting place.
        path = store.keep(landing, DATASET, ".ndjson", first)
        with store.receiving(landing, 1) as third:
            third.continue_at(part_of(landing), HOUR, lambda _: pytest.fail("it is kept"))
            third.write(b"three\n")
    assert (path.read_bytes(), other.read_bytes()) == (b"one\n", b"two\n")
    assert parts_of(landing) == sorted([path, other])


def test_what_is_too_large_already_is_not_gone_on_with(landing: Path) -> None:
    with pytest.raises(ConnectionError):
        break_off(landing, b"x" * store.MIB, lambda _: True)
    with part_of(landing).open("ab") as part:
        part.write(b"\n")
    with pytest.raises(DeliveryRejected, match="larger than 1 MiB"):
        break_off(landing, b"", lambda _: True)


def test_a_part_that_is_a_link_is_not_written_to(landing: Path, tmp_path: Path) -> None:
    part_of(landing).parent.mkdir(parents=True)
    part_of(landing).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        break_off(landing, b"one\n", lambda _: True)
    assert not (tmp_path / "elsewhere").exists()


def test_sweeping_leaves_what_broke_off(landing: Path) -> None:
    with pytest.raises(ConnectionError):
        break_off(landing, b"one\n", lambda _: True)
    durable.sweep(landing)
    assert files(landing) == [f"{DATASET}/crawl.part"]


def test_what_is_left_for_long_is_removed_but_not_under_another(landing: Path) -> None:
    for name in ("crawl-a.part", "crawl-b.part", "other"):
        (landing / DATASET).mkdir(parents=True, exist_ok=True)
        (landing / DATASET / name).write_bytes(b"one\n")
    with store.receiving(landing, 1) as incoming:
        incoming.continue_at(landing / DATASET / "crawl-a.part", HOUR, lambda _: True)
        for name in ("crawl-a.part", "crawl-b.part", "other"):
            age(landing / DATASET / name, HOUR + 60)
        store.remove_left(landing / DATASET, "crawl-*.part", HOUR)
        assert files(landing / DATASET) == ["crawl-a.part", "other"]


def age(path: Path, seconds: float) -> None:
    before = time.time() - seconds
    os.utime(path, (before, before))


def parts_of(landing: Path) -> list[Path]:
    return sorted(path for path in landing.rglob("*") if path.is_file())


# ── files given by hand ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
def _staged_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "stage_apart", lambda job, **_: stage.stage(job))


@pytest.mark.usefixtures("_staged_here")
def test_a_file_given_by_hand_lands_and_is_staged(tmp_path: Path) -> None:
    settings = support_files.settings(tmp_path / "home")
    file = support_files.geojson_file(tmp_path / "DEMO_b.geojson", [support_files.feature()])
    with open_ledger(settings) as ledger:
        first = ingestion.deliver(settings, ledger, BOUNDARIES, "2022", file)
        again = ingestion.deliver(settings, ledger, BOUNDARIES, "2022", file)
        (delivery,) = ledger.deliveries()
    assert (first.state, again.state) == ("new", "unchanged")
    assert delivery.demo
    assert delivery.origin == "DEMO_b.geojson"
    assert delivery.bytes == file.stat().st_size
    landed = store.place(settings.landing, BOUNDARIES, delivery.sha256, ".ndjson")
    assert landed.read_bytes() == file.read_bytes()
    assert mode(landed) == 0o600
    assert file.exists()


@pytest.mark.parametrize(
    ("dataset", "partition", "message"),
    [
        ("no/such", None, "there is no dataset 'no/such'"),
        (REQUESTS, None, "--partition"),
        (REQUESTS, "2022", "not of the form 2022-07"),
        (REQUESTS, "2022-13", "not of the form 2022-07"),
        (REQUESTS, "2022-3", "not of the form 2022-07"),
        (REQUESTS, "2022-07\n", "not of the form 2022-07"),
        (REQUESTS, "2022-03", "goes from 2022-04 to"),
        (LOCATIONS, "2999-01", "lies outside"),
        (BOUNDARIES, "2022-07", "not of the form 2022"),
        (BOUNDARIES, "../x", "not of the form 2022"),
    ],
)
def test_a_wrong_question_changes_nothing(
    tmp_path: Path, dataset: str, partition: str | None, message: str
) -> None:
    settings = support_files.settings(tmp_path / "home")
    (tmp_path / "file").write_bytes(b"content")
    with open_ledger(settings) as ledger:
        with pytest.raises(SettingsError, match=message):
            ingestion.deliver(settings, ledger, dataset, partition, tmp_path / "file")
        assert ledger.deliveries() == []
    assert not settings.landing.exists()


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    settings = support_files.settings(tmp_path / "home")
    with open_ledger(settings) as ledger:
        for path in (tmp_path / "missing", tmp_path):
            with pytest.raises(SettingsError, match="is not a file"):
                ingestion.deliver(settings, ledger, BOUNDARIES, "2022", path)
