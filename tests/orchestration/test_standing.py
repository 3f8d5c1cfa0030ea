"""How sources stand: what is overdue by cadence, what was left behind, and what to do."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from goral_pipeline import clock
from goral_pipeline.landing import open_ledger
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.orchestration.operations import operations_assets
from goral_pipeline.settings import Settings
from goral_pipeline.standing import Standing, standings
from tests.landing.records import receive, staging_of

REQUESTS, LOCATIONS = "vattenfall/requests", "ndw_dotnl/locations"
EDITIONS, BOUNDARIES = "elaadnl/passenger_outlook", "pdok/municipality_boundaries"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
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
    assert found.commands[0] == f"goral quarantine retry {REQUESTS} --partition 2022-07"


def test_the_health_of_the_sources_is_an_asset_with_checks(
    settings: Settings, ledger: Ledger
) -> None:
    def checks() -> dict[str, dg.AssetCheckEvaluation]:
        with dg.instance_for_test() as instance:
            ran = dg.materialize(operations_assets(settings), instance=instance)
        assert ran.success, "it reports, and fails nothing"
        return {check.check_name: check for check in ran.get_asset_check_evaluations()}

    assert all(check.passed for check in checks().values())
    ledger.reject(receive(ledger, "bad").delivery_id, "found HTML")
    found = checks()
    assert not found["nothing_left_behind"].passed
    told = str(found["nothing_left_behind"].metadata[REQUESTS].value)
    assert "2022-07: found HTML" in told
    assert "goral quarantine retry" in told
