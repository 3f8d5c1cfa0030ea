"""The store of deliveries: private, by content, and without a trace of what did not come whole."""

import hashlib
from pathlib import Path

import pytest

from goral_pipeline import durable, ingestion
from goral_pipeline.errors import DeliveryRejected, SettingsError
from goral_pipeline.landing import open_ledger, store
from goral_pipeline.staging import stage, worker
from tests import support_files
from tests.support_files import BOUNDARIES, LOCATIONS, REQUESTS

DATASET = "vattenfall/requests"


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
