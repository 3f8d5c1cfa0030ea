"""What is said of a raw delivery that was removed, wherever someone comes upon it."""

import json
from datetime import timedelta

import pytest

from goral_pipeline import clock, ingestion, quarantine, retention
from goral_pipeline.errors import GoralError
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.settings import Settings
from goral_pipeline.status import report
from goral_pipeline.warehouse.apart import build_as_of
from tests.cli.conftest import Main, main
from tests.retention.conftest import MONTH, At, Take
from tests.support_files import KEY, REQUESTS

__all__ = ["main"]

DAYS = 550


@pytest.fixture
def removed(settings: Settings, ledger: Ledger, at: At, take: Take) -> str:
    """A delivery in use was removed from landing; gives the day on which it was."""
    take(30, bad=1)
    at(DAYS + 1)
    retention.apply(settings, ledger)
    return clock.now().astimezone(clock.PROGRAMME_ZONE).strftime("%Y-%m-%d")


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch, removed: str) -> None:
    """What was removed would be staged otherwise now, as after a change of the contract."""
    assert removed
    monkeypatch.setattr(ingestion, "fingerprint", lambda *_: "1" * 16)


def test_nothing_is_said_while_nothing_would_be_otherwise(
    settings: Settings, ledger: Ledger, removed: str
) -> None:
    result = ingestion.ingest(settings, ledger, REQUESTS, MONTH, fetch=False)
    assert (result.state, result.message) == ("unchanged", "")
    assert not ingestion.has_news(settings, ledger, REQUESTS, MONTH, fetch=False)
    assert quarantine.staying(settings, ledger) == []


@pytest.mark.usefixtures("changed")
def test_it_stays_as_it_was_staged_and_that_is_said(
    settings: Settings, ledger: Ledger, removed: str
) -> None:
    (before,) = ledger.current()
    assert not ingestion.has_news(settings, ledger, REQUESTS, MONTH, fetch=False)
    result = ingestion.ingest(settings, ledger, REQUESTS, MONTH, fetch=False)
    assert result.state == "unchanged"
    assert f"removed from landing by retention on {removed}" in result.message
    assert f"goral deliver {REQUESTS} FILE --partition {MONTH}" in result.message
    assert ledger.current() == [before]
    assert result.rows["requests"]["accepted"] == 30
    assert quarantine.to_retry(settings, ledger) == {}
    (line,) = quarantine.staying(settings, ledger)
    assert line.startswith(f"{REQUESTS} {MONTH}: removed from landing by retention on {removed}")


@pytest.mark.usefixtures("changed")
def test_delivered_again_it_is_staged_anew(settings: Settings, ledger: Ledger, take: Take) -> None:
    (before,) = ledger.current()
    take(30, bad=1)
    (after,) = ledger.current()
    assert after.delivery == before.delivery, "the same delivery, with its day of receipt"
    assert after.fingerprint == "1" * 16
    assert quarantine.staying(settings, ledger) == []
    (gone,) = retention.apply(settings, ledger).due
    assert gone.delivery == after.delivery.delivery_id, "for its time has passed"


def test_months_are_told_together(settings: Settings, ledger: Ledger, at: At, take: Take) -> None:
    for month in ("2022-06", "2022-07", "2022-08"):
        take(3, partition=month)
    at(DAYS + 1)
    retention.apply(settings, ledger)
    found = ingestion.staying(settings, ledger, {REQUESTS: ["2022-06", "2022-07", "2022-08"]})
    assert found == {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingestion, "fingerprint", lambda *_: "1" * 16)
        found = ingestion.staying(settings, ledger, {REQUESTS: ["2022-07", "2022-08"]})
    line = ingestion.staying_in_words(REQUESTS, found[REQUESTS])
    assert line.startswith(f"{REQUESTS} 2022-07 to 2022-08 (2 partitions): removed")


def test_what_was_rejected_and_removed_must_be_delivered_again(
    settings: Settings, ledger: Ledger, at: At, take: Take
) -> None:
    take(4)
    at(1)
    rejected = take(3, bad=9)
    (before,) = ledger.current()
    at(DAYS + 5)
    retention.apply(settings, ledger)
    result = ingestion.ingest(settings, ledger, REQUESTS, MONTH, fetch=False)
    assert result.state == "failed"
    assert "removed from landing by retention" in result.message
    assert str(rejected.problem) in result.message
    assert f"goral deliver {REQUESTS} FILE --partition {MONTH}" in result.message
    assert ledger.delivery(rejected.delivery_id) == rejected, "why it was rejected is kept"
    assert ledger.current() == [before]
    assert take(3, bad=9) == rejected, "delivered again it is tried again"
    assert ingestion.landed_at(settings, rejected).is_file()


def test_staged_rows_that_were_lost_as_well_are_told(
    settings: Settings, ledger: Ledger, removed: str
) -> None:
    (current,) = ledger.current()
    for file in current.files:
        (settings.home_folder / file.path).unlink()
    result = ingestion.ingest(settings, ledger, REQUESTS, MONTH, fetch=False)
    assert result.state == "failed"
    assert removed in result.message
    assert "FILE" in result.message


def test_a_file_that_is_lost_is_not_said_to_be_removed(
    settings: Settings, ledger: Ledger, take: Take
) -> None:
    delivery = take(3)
    ingestion.landed_at(settings, delivery).unlink()
    assert ingestion.removal_of(settings, ledger, delivery) is None
    assert report(settings, ledger)["partitions"][0]["removed_on"] is None


def test_a_day_of_which_nothing_is_left_cannot_be_built(
    settings: Settings, ledger: Ledger, at: At, take: Take
) -> None:
    take(3)
    day = clock.now().date()
    at(2)
    take(4)
    at(4000)
    retention.apply(settings, ledger)
    with pytest.raises(GoralError, match=f"{REQUESTS} {MONTH}.*removed by retention on"):
        build_as_of(settings, ledger, day + timedelta(days=1))


# ── the command line ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def as_user(settings: Settings, monkeypatch: pytest.MonkeyPatch, removed: str) -> str:
    """The environment of the same home; gives the day of the removal."""
    monkeypatch.setenv("GORAL_HOME", str(settings.home_folder))
    monkeypatch.setenv("GORAL_LEDGER_URL", settings.ledger)
    monkeypatch.setenv("GORAL_PSEUDONYM_KEY", KEY)
    return removed


def test_status_says_so(main: Main, as_user: str) -> None:
    (row,) = json.loads(main("status", "--json").out)["partitions"]
    assert row["removed_on"] == as_user
    ran = main("status")
    assert f"the last on {as_user}; what was staged of them stays" in ran.out


def test_the_quarantine_is_shown_and_says_which_file_it_speaks_of(
    main: Main, as_user: str, tmp_path: object
) -> None:
    shown = main("quarantine", "show", REQUESTS, "--format", "json")
    assert json.loads(shown.out)
    written = main("quarantine", "export", REQUESTS, f"{tmp_path}/held.csv")
    for ran in (shown, written):
        assert ran.code == 0
        assert f"removed from landing by retention on {as_user}" in ran.err


@pytest.mark.usefixtures("changed")
def test_a_retry_says_what_cannot_be_retried(main: Main, as_user: str) -> None:
    ran = main("quarantine", "retry", REQUESTS)
    assert ran.code == 0
    assert f"removed from landing by retention on {as_user}" in ran.err
    assert "nothing to retry" not in ran.err


def test_apply_shows_what_goes_and_what_went(
    main: Main, settings: Settings, ledger: Ledger, at: At, take: Take, as_user: str
) -> None:
    first = main("retention", "apply")
    assert (first.code, first.out) == (0, "")
    assert "nothing has been kept for longer than its time" in first.err
    delivery = take(5)
    at(3 * DAYS)
    dry = main("retention", "apply", "--dry-run", "--json")
    told = json.loads(dry.out)
    assert dry.code == 0
    assert told["dry_run"] is True
    assert told["problems"] == []
    (item,) = told["items"]
    assert item["delivery"] == delivery.delivery_id
    assert told["bytes"] == item["bytes"] == delivery.bytes
    assert "would be removed; nothing was" in dry.err
    assert ingestion.landed_at(settings, delivery).is_file()
    ran = main("retention", "apply")
    assert ran.code == 0
    assert delivery.delivery_id in ran.out
    assert "1 files and folders" in ran.err
    assert not ingestion.landed_at(settings, delivery).exists()


def test_what_cannot_be_removed_ends_with_a_message(
    main: Main,
    settings: Settings,
    ledger: Ledger,
    at: At,
    take: Take,
    as_user: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delivery = take(5)
    at(3 * DAYS)

    def refuse(_: object) -> None:
        raise PermissionError(13, "not yours")

    with monkeypatch.context() as patch:
        patch.setattr("goral_pipeline.durable.remove_file", refuse)
        ran = main("retention", "apply")
    assert ran.code == 1
    assert "could not be removed (PermissionError)" in ran.err
    assert ingestion.removal_of(settings, ledger, delivery) is None
    assert main("retention", "apply").code == 0
    (_, removal) = ledger.removals()
    assert removal.removed_at is not None
