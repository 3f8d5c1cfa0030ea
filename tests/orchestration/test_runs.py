"""Runs of the assets: what Dagster is told of months that pass and months that do not."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import dagster as dg
import pytest

from goral_pipeline import ingestion, planning
from goral_pipeline.landing import open_ledger
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.orchestration import run as orchestration
from goral_pipeline.orchestration.build import build_defs, dbt_resource
from goral_pipeline.settings import Settings
from goral_pipeline.sources import contracts
from tests.conftest import every_file
from tests.support_files import request, workbook_file

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


def evaluations(instance: dg.DagsterInstance, check: str) -> dict[str | None, Any]:
    """How a check ended for each partition, and under None for a run of several."""
    history = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(STAGING, check), limit=100
    )
    events = [record.event.dagster_event for record in history if record.event]
    found = [
        event.asset_check_evaluation_data
        for event in events
        if event and event.event_type_value == "ASSET_CHECK_EVALUATION"
    ]
    return {evaluation.partition: evaluation for evaluation in found}


def states(instance: dg.DagsterInstance, months: list[str]) -> dict[str, dict[str, str]]:
    """What Dagster shows of each check and month: of the newest materialization, or out of date."""
    found: dict[str, dict[str, str]] = {}
    for name in ("expectations", "reconciliation"):
        checked = evaluations(instance, name)
        for month in months:
            of = dg.AssetRecordsFilter(STAGING, asset_partitions=[month])
            newest = instance.fetch_materializations(of, limit=1).records
            target = checked[month].target_materialization_data
            is_current = [record.storage_id for record in newest] == (
                [target.storage_id] if target else []
            )
            state = "SUCCEEDED" if checked[month].passed else "FAILED"
            found.setdefault(name, {})[month] = state if is_current else "out of date"
    return found


def deliver_requests(
    settings: Settings, ledger: Ledger, month: str, file: Path, *, bad: int
) -> str:
    """Deliver ten requests, so many of which have an occasion that there is none of."""
    there_is_none = {"Aanleiding": "J. de Vries"}
    rows = [request(f"A-{n}", **(there_is_none if n < bad else {})) for n in range(10)]
    delivered = ingestion.deliver(settings, ledger, REQUESTS, month, workbook_file(file, rows))
    return delivered.message


def test_a_bad_month_stays_red_after_a_run_of_others_and_one_without_a_delivery_is_told(
    settings: Settings, ledger: Ledger, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.xlsx"
    broken.write_bytes(b"PK\x03\x04 half an upload")
    ingestion.deliver(settings, ledger, REQUESTS, "2022-05", broken)
    run(settings, ["2022-05"])
    outcome, _ = run(settings, ["2023-05"])
    assert outcome.problems, "nothing is published meanwhile"
    key = dg.AssetCheckKey(STAGING, "reconciliation")
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert latest.event is not None
    assert latest.event.dagster_event is not None
    shown = latest.event.dagster_event.asset_check_evaluation_data
    assert (shown.partition, shown.passed) == ("2022-05", False)
    assert shown.metadata["to_do"].value == f"goral deliver {REQUESTS} FILE --partition 2022-05"
    without = evaluations(instance, "reconciliation")["2023-05"]
    assert (without.passed, without.description) == (True, "there is no delivery")


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
    by_month = evaluations(instance, "reconciliation")
    assert {month: check.passed for month, check in by_month.items()} == {
        "2022-04": True,
        "2022-05": False,
        "2022-06": True,
    }
    assert "the workbook is damaged" in by_month["2022-05"].description
    assert states(instance, SPRING) == {
        name: {"2022-04": "SUCCEEDED", "2022-05": "FAILED", "2022-06": "SUCCEEDED"}
        for name in ("expectations", "reconciliation")
    }

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
    for name in ("reconciliation", "expectations"):
        by_month = evaluations(instance, name)
        assert set(by_month) == {"2022-12", "2023-01"}
        assert by_month["2022-12"].passed
        assert by_month["2023-01"].description == "there is no delivery"
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
        "`warehouse`, or run the job `publish`"
    )
    assert every_file(settings.warehouse) == before


def test_a_month_that_fails_its_expectations_says_what_failed_and_where(
    settings: Settings, ledger: Ledger, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    message = deliver_requests(settings, ledger, "2022-05", tmp_path / "bad.xlsx", bad=7)
    assert "7 of 10 requests break a rule (occasion_code 7 times)" in message

    outcome, _ = run(settings, SPRING)

    assert not outcome.success
    by_month = evaluations(instance, "expectations")
    assert {month: check.passed for month, check in by_month.items()} == {
        "2022-04": True,
        "2022-05": False,
        "2022-06": True,
    }
    facts = by_month["2022-05"].metadata
    failed = {record["rule"]: record for record in (r.data for r in facts["rules"].records)}
    assert failed["occasion_code"]["violations"] == 7
    assert failed["occasion_code"]["severity"] == "warning"
    assert len(failed["occasion_code"]["first_records"].split(", ")) == 5
    assert failed["few_bad_rows"]["severity"] == "critical"
    assert facts["rows_in_breach"].value == 7
    assert facts["rules_evaluated"].value > len(failed) == facts["rules_broken"].value
    assert "Vries" not in repr(by_month)
    # Rows that were quarantined are told of months that pass too.
    assert by_month["2022-04"].metadata["rules_broken"].value > 0
    assert by_month["2022-05"].description.startswith("delivery ")
    assert all(check.passed for check in evaluations(instance, "reconciliation").values())
    assert instance.get_materialized_partitions(STAGING) == {"2022-04", "2022-06"}


def test_a_single_month_is_evaluated_under_its_own_name(
    settings: Settings, ledger: Ledger, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    deliver_requests(settings, ledger, "2022-05", tmp_path / "bad.xlsx", bad=1)
    result = materialize(
        settings,
        selection=[LANDING, STAGING],
        partition_key="2022-05",
        run_config=NO_FETCH,
        instance=instance,
    )
    assert not result.success
    by_month = evaluations(instance, "expectations")
    assert set(by_month) == {"2022-05"}
    assert not by_month["2022-05"].passed
    assert evaluations(instance, "reconciliation")["2022-05"].passed


def test_a_month_in_which_datasets_have_no_delivery_can_be_ingested_and_published(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    definitions = build_defs(settings=settings)
    months = [
        name
        for name, contract in contracts(settings.home_folder).items()
        if contract.partition == "month"
    ]
    configured = {
        f"ingest__{name.replace('/', '__')}": {"config": {"fetch": False}} for name in months
    }
    ingested = definitions.resolve_job_def("ingest_months").execute_in_process(
        partition_key="2022-02",
        run_config={"ops": configured},
        instance=instance,
        raise_on_error=False,
    )
    assert ingested.success, failures(ingested)
    assert instance.get_materialized_partitions(STAGING) == set(), "the concession came later"

    published = definitions.resolve_job_def("publish").execute_in_process(
        instance=instance, raise_on_error=False
    )
    assert published.success, failures(published)
    materialized = {
        event.asset_key.to_user_string()
        for event in published.get_asset_materialization_events()
        if event.asset_key
    }
    assert {"warehouse/marts/indicator_values", "publishing/drop"} <= materialized


def test_ranges_run_once_for_each_kind_of_partition(settings: Settings) -> None:
    wanted = planning.partitions(settings, "2022-02", "2022-05", [])
    ranges = orchestration._ranges(settings, wanted)
    assert [(first, last) for *_, first, last in ranges] == [
        ("2022", "2022"),
        ("2022-02", "2022-05"),
        ("2022Q1", "2022Q2"),
    ]
    ran = [dataset for _, datasets, _, _ in ranges for dataset in datasets]
    # That of Vattenfall's placements begins later.
    assert len(ran) == len(set(ran)) == sum(bool(keys) for keys in wanted.values())


def test_dagster_s_home_is_made_once_and_then_left_to_its_owner(settings: Settings) -> None:
    home = orchestration.prepare_home(settings)
    configuration = home / "dagster.yaml"
    assert "enabled: false" in configuration.read_text(), "no telemetry"
    configuration.write_text("telemetry:\n  enabled: true\n")
    assert orchestration.prepare_home(settings) == home
    assert configuration.read_text() == "telemetry:\n  enabled: true\n"


def test_dagster_s_home_is_made_by_several_processes_at_once(settings: Settings) -> None:
    script = (
        "import sys; from goral_pipeline.orchestration import run;"
        "from goral_pipeline.settings import Settings;"
        "print('ready', flush=True); sys.stdin.read(); run.prepare_home(Settings.load())"
    )
    several = [
        subprocess.Popen([sys.executable, "-c", script], stdin=PIPE, stdout=PIPE, stderr=PIPE)
        for _ in range(3)
    ]
    for one in several:
        assert one.stdout is not None
        assert one.stdout.readline() == b"ready\n"
    for one in several:
        assert one.stdin is not None
        one.stdin.close()
        one.stdin = None
    said = [one.communicate()[1].decode() for one in several]
    assert [one.returncode for one in several] == [0, 0, 0], said
