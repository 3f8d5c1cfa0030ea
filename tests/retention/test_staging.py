"""Staged rows and quarantine go when they are out of use for long; what is in use never does."""

from pathlib import Path

import pytest

from goral_pipeline import ingestion, retention
from goral_pipeline.landing.ledger import Current, Ledger
from goral_pipeline.publishing import manifest
from goral_pipeline.publishing.manifest import Manifest
from goral_pipeline.settings import Settings
from goral_pipeline.sources import contracts
from tests.retention.conftest import At, Take
from tests.support_files import REQUESTS

DAYS = 3653


def in_use(ledger: Ledger) -> Current:
    (current,) = ledger.current()
    return current


def staged_folder(settings: Settings, current: Current) -> Path:
    return settings.staging / REQUESTS / current.staging_id


def folders(found: retention.Found) -> dict[str, str]:
    """What is due of staging and quarantine: path by kind."""
    return {one.kind: one.name for one in found.due if one.kind in ("staging", "quarantine")}


@pytest.fixture
def superseded(ledger: Ledger, at: At, take: Take) -> Current:
    """A staging that was in use for a hundred days."""
    take(3)
    before = in_use(ledger)
    at(100)
    take(4)
    return before


def test_the_time_is_that_of_linda() -> None:
    assert Settings.load().staging_retention_days == DAYS


def test_the_time_counts_from_when_it_went_out_of_use(
    settings: Settings, ledger: Ledger, at: At, superseded: Current
) -> None:
    at(100 + DAYS)
    assert folders(retention.apply(settings, ledger)) == {}
    at(100 + DAYS + 1)
    found = folders(retention.apply(settings, ledger))
    assert found == {
        kind: f"{kind}/{REQUESTS}/{superseded.staging_id}" for kind in ("staging", "quarantine")
    }
    assert not staged_folder(settings, superseded).exists()
    removal = ledger.removal(found["staging"])
    assert removal is not None
    assert removal.delivery_id == superseded.delivery.delivery_id
    assert "out of use" in removal.reason


@pytest.mark.usefixtures("superseded")
def test_what_is_in_use_never_goes(settings: Settings, ledger: Ledger, at: At) -> None:
    at(36_500)
    retention.apply(settings, ledger)
    current = in_use(ledger)
    assert all((settings.home_folder / file.path).is_file() for file in current.files)
    assert (settings.quarantine / REQUESTS / current.staging_id).is_dir()


def test_what_came_back_into_use_stays(
    settings: Settings, ledger: Ledger, at: At, take: Take
) -> None:
    """One delivery is staged another way, and then as before: the first staging is in use again."""
    take(3)
    before = in_use(ledger)
    at(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingestion, "fingerprint", lambda *_: "1" * 16)
        ingestion.ingest(settings, ledger, REQUESTS, "2022-07", fetch=False)
    other = in_use(ledger)
    at(2)
    ingestion.ingest(settings, ledger, REQUESTS, "2022-07", fetch=False)
    assert in_use(ledger).staging_id == before.staging_id
    at(2 + DAYS + 1)
    assert folders(retention.apply(settings, ledger)) == {
        kind: f"{kind}/{REQUESTS}/{other.staging_id}" for kind in ("staging", "quarantine")
    }


def publish(settings: Settings, *made_of: Current, content: bytes | None = None) -> Path:
    """A drop as far as it tells what it is made of."""
    made = Manifest(
        drop="2022-07-a",
        product="kpi",
        sequence=1,
        previous=None,
        fingerprint="f",
        demo=False,
        status="provisional",
        code_version="1",
        lock_sha256=None,
        contracts={},
        deprecated={},
        data=[],
        other=[],
        staged_files=[
            {"relation": "r", "path": file.path, "sha256": file.sha256}
            for current in made_of
            for file in current.files
        ],
        left_out=[],
        checks={},
    )
    path = settings.drops / manifest.RELEASES / made.drop / manifest.MANIFEST
    path.parent.mkdir(parents=True)
    path.write_bytes(content or made.to_bytes())
    return path


def test_what_a_drop_on_disk_is_made_of_stays(
    settings: Settings, ledger: Ledger, at: At, superseded: Current
) -> None:
    path = publish(settings, superseded)
    at(100 + DAYS + 1)
    assert folders(retention.apply(settings, ledger)) == {}
    path.unlink()
    assert set(folders(retention.apply(settings, ledger))) == {"staging", "quarantine"}


def test_a_drop_that_cannot_be_read_keeps_all_that_is_staged_and_is_told(
    settings: Settings, ledger: Ledger, at: At, superseded: Current
) -> None:
    publish(settings, superseded, content=b"{}")
    at(100 + DAYS + 1)
    found = retention.apply(settings, ledger)
    assert {one.kind for one in found.due} == {"delivery"}, "personal data does not wait for it"
    (problem,) = found.problems
    assert "manifest.json" in problem
    assert staged_folder(settings, superseded).is_dir()


def test_drops_that_are_not_where_they_were_keep_all_that_is_staged_and_are_told(
    settings: Settings, ledger: Ledger, at: At, superseded: Current
) -> None:
    ledger.add_drop("2022-07-a", "0" * 64, "f", False)
    at(100 + DAYS + 1)
    (problem,) = retention.apply(settings, ledger).problems
    assert "none of 1 published drops is where drops are published now" in problem
    assert staged_folder(settings, superseded).is_dir()
    publish(settings, superseded)
    assert not retention.apply(settings, ledger).problems


def test_what_was_never_in_use_goes_by_its_age(
    settings: Settings, ledger: Ledger, at: At, take: Take
) -> None:
    take(3)
    for name in (f"{'a' * 16}-{'b' * 16}", "not ours"):
        (settings.staging / REQUESTS / name).mkdir()
        (settings.staging / REQUESTS / name / "requests.parquet").write_bytes(b"rows")
    at(DAYS - 1)
    assert folders(retention.plan(settings, ledger)) == {}
    at(DAYS + 1)
    assert list(folders(retention.apply(settings, ledger))) == ["staging"]
    assert (settings.staging / REQUESTS / "not ours").is_dir()


def test_the_quarantine_of_what_waits_to_be_mended_stays(
    settings: Settings, ledger: Ledger, at: At, take: Take
) -> None:
    rejected = take(3, bad=9)
    at(36_000)
    assert folders(retention.apply(settings, ledger)) == {}
    assert list((settings.quarantine / REQUESTS).glob(f"{rejected.delivery_id}-*"))
    take(4)
    assert list(folders(retention.apply(settings, ledger))) == ["quarantine"]


def test_placements_go_with_what_they_are_made_of(
    settings: Settings, ledger: Ledger, at: At, superseded: Current
) -> None:
    derived = settings.staging / "derived" / "location_municipality"
    old, new = (
        derived / f"{delivery_id}-{'c' * 16}"
        for delivery_id in (superseded.delivery.delivery_id, in_use(ledger).delivery.delivery_id)
    )
    for folder in (old, new):
        folder.mkdir(parents=True)
    at(100 + DAYS + 1)
    retention.apply(settings, ledger)
    assert (old.exists(), new.exists()) == (False, True)


def test_the_contracts_say_whose_raw_data_goes(settings: Settings) -> None:
    """What the explanation of personal data says."""
    personal = {
        name.split("/")[1]
        for name, contract in contracts(settings.home_folder).items()
        if contract.holds_personal_data
    }
    assert personal == {"requests", "placements", "sessions"}
