"""Raw deliveries that hold personal data are removed after their time, and nothing else."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from goral_pipeline import retention
from goral_pipeline.errors import SettingsError
from goral_pipeline.ingestion import Ingested, landed_at
from goral_pipeline.landing import store
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.settings import Settings
from tests.conftest import every_byte, every_file
from tests.retention.conftest import MONTH, At, Take
from tests.support_files import BOUNDARIES, REQUESTS

DAYS = 550


def kinds(found: retention.Found) -> list[str]:
    return [one.kind for one in found.due]


def test_the_time_is_as_documented() -> None:
    assert Settings.load().landing_retention_days == DAYS


@pytest.mark.parametrize("days", ["0", "-1", "40000", "soon"])
def test_a_time_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, days: str) -> None:
    monkeypatch.setenv("GORAL_LANDING_RETENTION_DAYS", days)
    with pytest.raises(SettingsError, match="GORAL_LANDING_RETENTION_DAYS"):
        Settings.load()


def test_a_raw_delivery_goes_after_its_time_and_not_a_moment_before(
    settings: Settings, ledger: Ledger, at: At, take: Take
) -> None:
    delivery = take(3)
    path = landed_at(settings, delivery)
    at(DAYS)
    assert retention.apply(settings, ledger).due == ()
    assert path.is_file()
    at(DAYS + 0.01)
    (gone,) = retention.apply(settings, ledger).due
    assert not path.exists()
    assert (gone.kind, gone.dataset, gone.partition, gone.delivery) == (
        *("delivery", REQUESTS, MONTH, delivery.delivery_id),
    )
    assert gone.bytes == delivery.bytes
    assert gone.row()["age_days"] == DAYS


def test_the_ledger_keeps_the_fact(settings: Settings, ledger: Ledger, at: At, take: Take) -> None:
    delivery = take(3)
    at(DAYS + 1)
    retention.apply(settings, ledger)
    (told,) = ledger.removals()
    assert told.path == f"landing/{REQUESTS}/{delivery.sha256}.xlsx"
    assert (told.kind, told.dataset, told.bytes) == ("delivery", REQUESTS, delivery.bytes)
    assert told.delivery_id == delivery.delivery_id
    assert told.removed_at is not None
    assert "personal data" in told.reason
    assert ledger.removal(told.path) == told
    assert ledger.delivery(delivery.delivery_id) == delivery, "the ledger knows it still"


def test_what_is_in_use_stays_staged(
    settings: Settings, ledger: Ledger, at: At, take: Take
) -> None:
    take(3)
    at(DAYS + 1)
    before = {name for name in every_file(settings.home_folder) if "landing/" not in name}
    retention.apply(settings, ledger)
    assert {name for name in every_file(settings.home_folder) if "landing/" not in name} == before
    (current,) = ledger.current()
    assert all((settings.home_folder / file.path).is_file() for file in current.files)


def test_without_personal_data_nothing_goes(
    settings: Settings, ledger: Ledger, at: At, take_boundaries: Callable[[], Ingested]
) -> None:
    take_boundaries()
    at(20 * 365)
    assert retention.apply(settings, ledger) == retention.Found((), ())
    assert len(list((settings.landing / BOUNDARIES).iterdir())) == 1


def test_superseded_and_rejected_ones_go_too(
    settings: Settings, ledger: Ledger, at: At, take: Take
) -> None:
    superseded = take(3)
    at(10)
    rejected = take(3, bad=9)
    assert rejected.state == "rejected"
    at(20)
    newest = take(4)
    at(DAYS + 15)
    gone = {one.delivery for one in retention.apply(settings, ledger).due}
    assert gone == {superseded.delivery_id, rejected.delivery_id}
    assert landed_at(settings, newest).is_file()


def test_content_that_came_again_counts_from_the_last_time(
    settings: Settings, ledger: Ledger, at: At, take: Take
) -> None:
    first = take(3)
    at(300)
    other = take(4)
    at(400)
    again = take(3)
    assert again.sha256 == first.sha256
    at(900)
    (gone,) = retention.apply(settings, ledger).due
    assert gone.delivery == other.delivery_id
    assert landed_at(settings, again).is_file()
    at(DAYS + 401)
    (gone,) = retention.apply(settings, ledger).due
    assert gone.delivery == again.delivery_id


def test_content_that_comes_after_its_removal_is_there_and_goes_again(
    settings: Settings, ledger: Ledger, at: At, take: Take
) -> None:
    take(3)
    at(100)
    take(4)
    at(DAYS + 50)
    assert len(retention.apply(settings, ledger).due) == 1
    again = take(3)
    assert landed_at(settings, again).is_file()
    at(2 * DAYS + 51)
    assert len(retention.apply(settings, ledger).due) == 2
    paths = [removal.path for removal in ledger.removals()]
    assert len(paths) == 3
    assert len(set(paths)) == 2


def test_what_nothing_describes_any_more_may_hold_personal_data(
    settings: Settings, ledger: Ledger, at: At
) -> None:
    with store.receiving(settings.landing, 1) as incoming:
        incoming.write(b"names")
        path = store.keep(settings.landing, "third/requests", ".xlsx", incoming)
        ledger.add_delivery(
            dataset="third/requests",
            partition=MONTH,
            sha256=incoming.sha256,
            content_key=incoming.sha256,
            extension=".xlsx",
            size=5,
            origin="a.xlsx",
            etag=None,
            last_modified=None,
            demo=False,
        )
    at(DAYS + 1)
    assert kinds(retention.apply(settings, ledger)) == ["delivery"]
    assert not path.exists()


def test_an_empty_ledger_tells_of_nothing_that_it_may_go(
    settings: Settings, ledger: Ledger, at: At
) -> None:
    """Else a ledger at a wrong address would cost everything."""
    folder = settings.landing / REQUESTS
    folder.mkdir(parents=True)
    (folder / f"{'a' * 64}.xlsx").write_bytes(b"names")
    at(DAYS + 1)
    assert retention.apply(settings, ledger).due == ()
    assert len(list(folder.iterdir())) == 1


def test_a_dry_run_changes_no_byte_and_tells_what_would_go(
    settings: Settings, ledger: Ledger, at: At, take: Take
) -> None:
    take(3)
    at(1)
    take(4)
    at(DAYS + 5000)
    before, content = every_file(settings.home_folder), every_byte(settings.home_folder)
    planned = retention.plan(settings, ledger)
    assert every_file(settings.home_folder) == before
    assert every_byte(settings.home_folder) == content
    assert ledger.removals() == []
    assert kinds(planned) == ["delivery", "delivery", "staging", "quarantine"]
    assert retention.apply(settings, ledger) == planned
    assert retention.plan(settings, ledger).due == ()


# ── what else lies in landing and inbox ──────────────────────────────────────────────────────────


@pytest.fixture
def rests(settings: Settings, take: Take) -> dict[str, Path]:
    """What killed processes leave, and what is not ours."""
    take(3)
    folder = settings.landing / REQUESTS
    spill = settings.landing / ".tmp-1-abc-spill"
    spill.mkdir()
    found = {
        "spill": spill / "duckdb_temp_storage-0.tmp",
        "part": folder / f"crawl-{'0' * 32}.part",
        "unrecorded": folder / f"{hashlib.sha256(b'names').hexdigest()}.xlsx",
        "not ours": folder / "notes.txt",
        "also not ours": folder / f"{'a' * 63}.xlsx",
    }
    for path in found.values():
        path.write_bytes(b"names")
    return found


def test_what_killed_processes_left_goes_and_what_is_not_ours_stays(
    settings: Settings, ledger: Ledger, at: At, rests: dict[str, Path]
) -> None:
    at(DAYS - 1)
    assert retention.plan(settings, ledger).due == ()
    at(DAYS + 1)
    assert sorted(kinds(retention.apply(settings, ledger))) == ["delivery", "rest", "rest", "rest"]
    assert [name for name, path in rests.items() if path.exists()] == ["not ours", "also not ours"]
    assert not rests["spill"].parent.exists()


def test_a_crawl_that_is_under_way_is_left_alone(
    settings: Settings, ledger: Ledger, at: At, rests: dict[str, Path]
) -> None:
    with store.receiving(settings.landing, 1) as incoming:
        incoming.continue_at(rests["part"], 1e9, lambda _: True)
        at(DAYS + 1)
        gone = retention.apply(settings, ledger).due
        assert rests["part"].exists()
        assert rests["part"] not in {one.path for one in gone}
        assert not rests["unrecorded"].exists()


def test_a_spill_folder_in_use_by_its_last_file_is_not_old(
    settings: Settings, ledger: Ledger, at: At, rests: dict[str, Path]
) -> None:
    at(DAYS + 1)
    folder = rests["spill"].parent
    os.utime(folder, (0, 0))
    soon = folder.stat().st_ctime + 100 * 24 * 3600
    os.utime(rests["spill"], (soon, soon))
    assert folder not in {one.path for one in retention.plan(settings, ledger).due}


def test_the_inbox_keeps_what_was_never_taken_in(
    settings: Settings, ledger: Ledger, at: At, take: Take, tmp_path: Path
) -> None:
    take(3)
    content = (tmp_path / "requests-3-0.xlsx").read_bytes()
    folder = settings.inbox / REQUESTS / MONTH
    folder.mkdir(parents=True)
    (folder / "Jan Jansen.xlsx").write_bytes(content)
    (folder / "new.xlsx").write_bytes(b"never taken in")
    elsewhere = settings.inbox / REQUESTS / "2022-08"
    elsewhere.mkdir()
    (elsewhere / "of another month.xlsx").write_bytes(content)
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    assert retention.plan(settings, ledger).due == (), "a copy keeps the time of its original"
    at(DAYS + 1)
    found = retention.apply(settings, ledger)
    assert kinds(found) == ["delivery", "inbox"]
    assert [path.name for path in folder.iterdir()] == ["new.xlsx"]
    assert len(list(elsewhere.iterdir())) == 1
    told = " ".join(str(one.row()) for one in found.due)
    told += " ".join(removal.path for removal in ledger.removals())
    assert "Jansen" not in told, "a name of a file may name a person"


def test_empty_folders_go_too(settings: Settings, ledger: Ledger, at: At, take: Take) -> None:
    take(3)
    at(DAYS + 1)
    retention.apply(settings, ledger)
    assert settings.landing.is_dir()
    assert list(settings.landing.iterdir()) == []
    assert (settings.staging / REQUESTS).is_dir()


# ── links ────────────────────────────────────────────────────────────────────────────────────────


def test_links_out_of_the_home_are_not_followed(
    settings: Settings, ledger: Ledger, at: At, take: Take, tmp_path: Path
) -> None:
    delivery = take(3)
    inside = settings.landing / REQUESTS
    outside = inside.rename(tmp_path / "outside")
    inside.symlink_to(outside, target_is_directory=True)
    (settings.landing / "empty").symlink_to(tmp_path / "nothing", target_is_directory=True)
    (tmp_path / "nothing" / "in it").mkdir(parents=True)
    at(DAYS + 1)
    found = retention.apply(settings, ledger)
    assert found.due == ()
    (problem,) = found.problems
    assert str(inside) in problem
    assert (outside / f"{delivery.sha256}.xlsx").is_file()
    assert (tmp_path / "nothing" / "in it").is_dir()
    assert ledger.removals() == []


def test_a_link_in_the_place_of_a_delivery_is_left_alone(
    settings: Settings, ledger: Ledger, at: At, take: Take, tmp_path: Path
) -> None:
    path = landed_at(settings, take(3))
    path.rename(tmp_path / "kept")
    path.symlink_to(tmp_path / "kept")
    at(DAYS + 1)
    found = retention.apply(settings, ledger)
    assert found.due == ()
    assert found.problems
    assert path.is_symlink()
    assert (tmp_path / "kept").is_file()
