"""Runs of the assets: what Dagster is told of months that pass and months that do not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from goral_pipeline import ingestion
from goral_pipeline.landing import open_ledger
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.orchestration import run as orchestration
from goral_pipeline.orchestration.build import build_defs, dbt_resource
from goral_pipeline.settings import Settings
from tests.conftest import every_file

REQUESTS = "vattenfall/requests"
LANDING = dg.AssetKey(["landing", "vattenfall", "requests"])
STAGING = dg.AssetKey(["staging", "vattenfall", "requests"])
SPRING = ["2022-04", "2022-05", "2022-06"]
NO_FETCH = {"ops": {"ingest__vattenfall__requests": {"config": {"fetch": False}}}}


@pytest.fixture
def settings(demo_home: Path) -> Settings:
    return Settings.load()


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    with open_ledger(settings) as opened:
        yield opened


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance that runs record to; new, for the copy of the demo has none."""
    orchestration.prepare_home(settings)
    with dg.DagsterInstance.get() as opened:
        yield opened


def run(settings: Settings, months: list[str]) -> tuple[orchestration.Outcome, list[str]]:
    told: list[str] = []
    outcome = orchestration.run_assets(
        settings, {REQUESTS: months}, fetch=False, progress=told.append
    )
    return outcome, told


def materialize(settings: Settings, **arguments: Any) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        list(build_defs(settings=settings).assets or []),
        resources={"dbt": dbt_resource()},
        raise_on_error=False,
        **arguments,
    )


def failures(result: dg.ExecuteInProcessResult) -> str:
    """What failed steps said."""
    return "\n".join(
        event.step_failure_data.user_failure_data.description or ""
        for event in result.get_step_failure_events()
        if event.step_failure_data.user_failure_data
    )


def reconciliations(instance: dg.DagsterInstance) -> list[dg.AssetCheckEvaluation]:
    """How the check ended, each time; not when it was planned."""
    history = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(STAGING, "reconciliation"), limit=10
    )
    events = [record.event.dagster_event for record in history if record.event]
    return [
        event.asset_check_evaluation_data
        for event in events
        if event and event.event_type_value == "ASSET_CHECK_EVALUATION"
    ]


def test_a_bad_month_keeps_its_version_and_the_good_ones_go_on(
    settings: Settings, ledger: Ledger, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    (before,) = ledger.current(REQUESTS, "2022-05")
    broken = tmp_path / "broken.xlsx"
    broken.write_bytes(b"PK\x03\x04 half an upload")
    delivered = ingestion.deliver(settings, ledger, REQUESTS, "2022-05", broken)
    assert delivered.state == "failed"
    drops = every_file(settings.drops)

    outcome, told = run(settings, SPRING)

    assert not outcome.success
    ingested, published = outcome.problems
    assert ingested.startswith(
        f"1 of 3 partitions of {REQUESTS} failed; they keep their previous version:\n"
        f"{REQUESTS} 2022-05 failed: "
    )
    assert delivered.message in ingested
    assert "2022-04" not in ingested
    assert published.startswith("not published, for the newest delivery of these partitions")
    assert f"{REQUESTS} 2022-05: " in published

    assert instance.get_materialized_partitions(STAGING) == {"2022-04", "2022-06"}
    assert instance.get_materialized_partitions(LANDING) == set(SPRING)
    (check,) = reconciliations(instance)
    assert not check.passed
    assert check.metadata["partitions_checked"].value == 3
    assert "2022-05" in check.metadata
    assert not {"2022-04", "2022-06"} & set(check.metadata)

    (after,) = ledger.current(REQUESTS, "2022-05")
    assert after.delivery.delivery_id == before.delivery.delivery_id
    assert every_file(settings.drops) == drops
    assert "the warehouse is made of just these inputs: nothing to build" in told
    assert [line.split(":")[0] for line in told[:3]] == [
        f"{REQUESTS} 2022-04 unchanged",
        f"{REQUESTS} 2022-05 failed",
        f"{REQUESTS} 2022-06 unchanged",
    ]


def test_good_months_are_materialized_and_one_without_a_delivery_stays_missing(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    outcome, told = run(settings, ["2022-12", "2023-01"])
    assert outcome == orchestration.Outcome(success=True, problems=())
    assert told[1].startswith(f"{REQUESTS} 2023-01 missing")
    assert instance.get_materialized_partitions(STAGING) == {"2022-12"}
    assert instance.get_materialized_partitions(LANDING) == {"2022-12"}
    (check,) = reconciliations(instance)
    assert check.passed
    drop = instance.get_latest_materialization_event(dg.AssetKey(["publishing", "drop"]))
    assert drop is not None
    assert drop.asset_materialization is not None
    assert drop.asset_materialization.metadata["new"].value is False


def test_a_single_month_can_be_materialized(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    result = materialize(
        settings,
        selection=[LANDING, STAGING],
        partition_key="2022-06",
        run_config=NO_FETCH,
        instance=instance,
    )
    assert result.success
    assert instance.get_materialized_partitions(STAGING) == {"2022-06"}
    event = instance.get_latest_materialization_event(STAGING)
    assert event is not None
    assert event.asset_materialization is not None
    told = {name: entry.value for name, entry in event.asset_materialization.metadata.items()}
    assert told["requests_accepted"] == 551
    assert told["state"] == "unchanged"


def test_a_part_of_the_warehouse_is_refused_with_words(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    before = every_file(settings.warehouse)
    result = materialize(
        settings,
        selection=[dg.AssetKey(["warehouse", "marts", "dim_month"])],
        instance=instance,
    )
    assert not result.success
    assert failures(result) == (
        "the warehouse is built whole, into a new file: select all assets of the step "
        "`warehouse`, or run the job `goral`"
    )
    assert every_file(settings.warehouse) == before


def test_the_job_brings_a_month_to_the_drop(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    configured = NO_FETCH["ops"] | {
        "ingest__ndw_dotnl__locations": {"config": {"fetch": False}},
    }
    result = (
        build_defs(settings=settings)
        .resolve_job_def("goral")
        .execute_in_process(
            partition_key="2022-06",
            run_config={"ops": configured},
            instance=instance,
            raise_on_error=False,
        )
    )
    assert result.success, failures(result)
    materialized = {
        event.asset_key.to_user_string()
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }
    assert {"staging/vattenfall/requests", "staging/ndw_dotnl/locations"} <= materialized
    assert {"warehouse/marts/indicator_values", "publishing/drop"} <= materialized


def test_dagster_s_home_is_made_once_and_then_left_to_its_owner(settings: Settings) -> None:
    home = orchestration.prepare_home(settings)
    configuration = home / "dagster.yaml"
    assert "enabled: false" in configuration.read_text(), "no telemetry"
    configuration.write_text("telemetry:\n  enabled: true\n")
    assert orchestration.prepare_home(settings) == home
    assert configuration.read_text() == "telemetry:\n  enabled: true\n"
