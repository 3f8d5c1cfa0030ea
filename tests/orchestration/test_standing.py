"""How sources stand: what is overdue by cadence, what was left behind, and what to do."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from goral_pipeline import clock
from goral_pipeline.landing import open_ledger
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.orchestration.build import HEALTH_JOB, build_defs
from goral_pipeline.settings import Settings
from goral_pipeline.standing import Standing, standings
from tests.landing.records import receive, staging_of

REQUESTS, LOCATIONS = "vattenfall/requests", "ndw_dotnl/locations"
EDITIONS, BOUNDARIES = "elaadnl/passenger_outlook", "pdok/municipality_boundaries"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("GORAL_VATTENFALL_REQUESTS_URL", "https://example.org/{month}.xlsx")
    return Settings.load(home=tmp_path)


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    with open_ledger(settings) as opened:
        yield opened


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> "At":
    return At(monkeypatch)


class At:
    """Sets the clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(self, moment: str) -> None:
        now = datetime.fromisoformat(moment).replace(tzinfo=UTC)
        self._monkeypatch.setattr(clock, "now", lambda: now)


def stands(settings: Settings, ledger: Ledger, dataset: str) -> Standing:
    (found,) = (one for one in standings(settings, ledger) if one.dataset == dataset)
    return found


def take_in(ledger: Ledger, dataset: str, partition: str) -> None:
    ledger.accept(staging_of(receive(ledger, partition, dataset=dataset, partition=partition)))


def test_a_dataset_never_delivered_is_not_overdue(settings: Settings, ledger: Ledger) -> None:
    found = stands(settings, ledger, REQUESTS)
    assert (found.newest, found.is_overdue, found.commands) == (None, False, ())


@pytest.mark.parametrize(
    ("today", "expected", "is_overdue"),
    [
        ("2022-09-14T12:00", "2022-07", False),
        ("2022-09-15T12:00", "2022-08", True),
        # Midnight in Amsterdam, not in London.
        ("2022-09-14T22:30", "2022-08", True),
        ("2023-01-20T12:00", "2022-12", True),
    ],
)
def test_an_export_is_due_by_the_middle_of_the_next_month(
    today: str, expected: str, settings: Settings, ledger: Ledger, at: At, *, is_overdue: bool
) -> None:
    at("2022-08-05T12:00")
    take_in(ledger, REQUESTS, "2022-07")
    at(today)
    found = stands(settings, ledger, REQUESTS)
    assert (found.expected, found.is_overdue) == (expected, is_overdue)
    command = f"goral run --only {REQUESTS} --from {expected} --to {expected}"
    assert found.commands == ((command,) if is_overdue else ())


def test_what_is_delivered_by_hand_is_put_down(
    settings: Settings, ledger: Ledger, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GORAL_VATTENFALL_REQUESTS_URL")
    take_in(ledger, REQUESTS, "2022-07")
    at("2022-10-01T12:00")
    by_hand = Settings.load(home=settings.home_folder)
    (command,) = stands(by_hand, ledger, REQUESTS).commands
    assert command.startswith(f"put its file in inbox/{REQUESTS}/2022-08/")


@pytest.mark.parametrize(
    ("today", "is_overdue"), [("2022-07-03T05:00", False), ("2022-07-03T13:00", True)]
)
def test_a_daily_snapshot_may_be_two_days_old(
    today: str, settings: Settings, ledger: Ledger, at: At, *, is_overdue: bool
) -> None:
    at("2022-07-01T12:00")
    take_in(ledger, LOCATIONS, "2022-07")
    at(today)
    found = stands(settings, ledger, LOCATIONS)
    assert found.is_overdue is is_overdue
    if is_overdue:
        assert found.commands == (f"goral run --only {LOCATIONS} --from 2022-07 --to 2022-07",)


def test_what_comes_on_no_known_day_is_never_overdue(
    settings: Settings, ledger: Ledger, at: At
) -> None:
    at("2022-07-01T12:00")
    take_in(ledger, EDITIONS, "2022Q2")
    take_in(ledger, BOUNDARIES, "2022")
    at("2026-07-01T12:00")
    for dataset in (EDITIONS, BOUNDARIES):
        assert not stands(settings, ledger, dataset).is_overdue


def test_a_partition_left_behind_comes_with_its_reason_and_command(
    settings: Settings, ledger: Ledger
) -> None:
    take_in(ledger, REQUESTS, "2022-07")
    ledger.reject(receive(ledger, "worse").delivery_id, "found HTML")
    receive(ledger, "new", partition="2022-08")
    found = stands(settings, ledger, REQUESTS)
    assert found.left_behind == ("2022-07: found HTML", "2022-08: received and not yet staged")
    assert f"goral quarantine retry {REQUESTS} --partition 2022-07" in found.to_mend[0]
    assert f"goral deliver {REQUESTS} BETTER_FILE --partition 2022-07" in found.to_mend[0]


def test_nothing_is_due_of_a_concession_that_has_ended(
    settings: Settings, ledger: Ledger, at: At
) -> None:
    """Ecotap/Allego took no requests from July 2022."""
    of = "ecotap_allego/requests"
    for month in ("2022-03", "2022-05", "2022-07", "2022-11"):
        take_in(ledger, of, month)
    at("2023-06-20T12:00")
    found = stands(settings, ledger, of)
    assert (found.is_overdue, found.missing) == (False, ("2022-04", "2022-06"))


@pytest.mark.parametrize(
    ("dataset", "there", "missing"),
    [
        (REQUESTS, ["2022-06", "2022-07"], ()),
        (REQUESTS, ["2022-06", "2022-09", "2022-11"], ("2022-07", "2022-08", "2022-10")),
        # A snapshot's past cannot be had, and what comes on no known day lacks nothing.
        (LOCATIONS, ["2022-06", "2022-09"], ()),
        (EDITIONS, ["2022Q1", "2022Q4"], ()),
    ],
)
def test_months_missing_between_others_are_told_with_the_command(
    settings: Settings, ledger: Ledger, dataset: str, there: list[str], missing: tuple[str, ...]
) -> None:
    for partition in there:
        take_in(ledger, dataset, partition)
    found = stands(settings, ledger, dataset)
    assert found.missing == missing
    asks = f"goral run --only {dataset} --from 2022-07 --to 2022-10"
    assert (asks in found.commands) == bool(missing)


def checks_of(
    settings: Settings, *, succeeds: bool
) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    """How the checks of the sources' health, of freshness and of the drop end."""
    job = build_defs(settings=settings).resolve_job_def(HEALTH_JOB)
    with dg.instance_for_test() as instance:
        ran = job.execute_in_process(instance=instance, raise_on_error=False)
    assert ran.success is succeeds
    return {
        ("/".join(check.asset_key.path[1:]), check.check_name): check
        for check in ran.get_asset_check_evaluations()
    }


def test_the_health_of_the_sources_is_an_asset_with_checks(
    settings: Settings, ledger: Ledger, at: At
) -> None:
    found = checks_of(settings, succeeds=True)
    assert all(check.passed for check in found.values())
    assert (REQUESTS, "fresh") in found
    assert (EDITIONS, "fresh") not in found, "it comes on no known day"
    take_in(ledger, REQUESTS, "2022-04")
    take_in(ledger, REQUESTS, "2022-06")
    ledger.reject(receive(ledger, "bad").delivery_id, "found HTML")
    at("2022-12-01T12:00")
    found = checks_of(settings, succeeds=False)
    failed = {key for key, check in found.items() if not check.passed}
    assert failed == {
        ("source_health", "nothing_left_behind"),
        ("source_health", "nothing_missing"),
        ("source_health", "nothing_overdue"),
        (REQUESTS, "fresh"),
        ("drop", "current"),
    }
    told = str(found["source_health", "nothing_left_behind"].metadata["datasets"].value)
    assert REQUESTS in told
    assert "2022-07: found HTML" in told
    assert "goral quarantine retry" in told
    fresh = found[REQUESTS, "fresh"]
    assert fresh.severity == dg.AssetCheckSeverity.WARN
    assert fresh.metadata["expected"].value == "2022-10"
    assert "goral run --only vattenfall/requests --from 2022-10" in str(
        fresh.metadata["to_do"].value
    )
    assert "drop publish --allow-incomplete" in str(
        found["drop", "current"].metadata["to_do"].value
    )
