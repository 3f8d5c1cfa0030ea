"""What starts by itself: which runs a schedule, the inbox and publication ask for."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import dagster as dg
import pytest

from goral_pipeline.landing import inbox, open_ledger
from goral_pipeline.orchestration import automation
from goral_pipeline.orchestration import run as orchestration
from goral_pipeline.orchestration.build import build_defs
from goral_pipeline.orchestration.partitions import RANGE_END, RANGE_START
from goral_pipeline.orchestration.vanished import end_vanished_runs, is_running, process
from goral_pipeline.publishing import drop
from goral_pipeline.settings import Settings
from tests.support_files import requests, workbook_file

REQUESTS = "vattenfall/requests"


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_defs(settings=Settings.load(home=tmp_path_factory.mktemp("empty")))


@pytest.fixture
def settings(demo_home: Path) -> Settings:
    return Settings.load()


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    orchestration.prepare_home(settings)
    with dg.DagsterInstance.get() as opened:
        yield opened


# ── schedules ────────────────────────────────────────────────────────────────────────────────────


def asked(
    definitions: dg.Definitions,
    name: str,
    moment: datetime,
    instance: dg.DagsterInstance | None = None,
) -> list[dg.RunRequest]:
    schedule = definitions.resolve_schedule_def(name)
    with (
        nullcontext(instance) if instance else dg.instance_for_test() as recorded,
        dg.build_schedule_context(recorded, scheduled_execution_time=moment) as context,
    ):
        ticked = schedule.evaluate_tick(context)
    assert ticked.run_requests or ticked.skip_message
    return list(ticked.run_requests or [])


def datasets(request: dg.RunRequest) -> set[str]:
    keys = request.asset_selection or []
    return {"/".join(key.path[1:]) for key in keys if key.path[0] == "staging"}


def test_exports_are_asked_for_monthly_from_as_far_back_as_their_contract_says(
    definitions: dg.Definitions,
) -> None:
    requests = asked(definitions, "ingest_months_monthly", datetime(2022, 12, 3, 5, tzinfo=UTC))
    assert [datasets(request) for request in requests] == [
        {"ecotap_allego/placements"},
        {"ecotap_allego/requests"},
        {"rvo/charge_point_counts"},
        {"rvo/coverage"},
        {"vattenfall/placements"},
        {"vattenfall/requests"},
    ], "a run each: what fails of one is not shown of another"
    ranges = {
        request.tags["goral/dataset"]: (request.tags[RANGE_START], request.tags[RANGE_END])
        for request in requests
    }
    assert ranges["ecotap_allego/requests"] == ("2020-12", "2022-12")
    assert ranges["vattenfall/requests"] == ("2022-04", "2022-12"), "not before it began"
    for request in requests:
        (op,) = request.run_config["ops"].values()
        assert op["config"]["fetch"]


def test_snapshots_are_asked_for_daily_and_only_todays(definitions: dg.Definitions) -> None:
    # In Amsterdam it is December already.
    moment = datetime(2022, 11, 30, 23, 30, tzinfo=UTC)
    requests = asked(definitions, "ingest_months_daily", moment)
    assert [datasets(request) for request in requests] == [
        {"ndw_dotnl/locations"},
        {"ndw_dotnl/tariffs"},
        {"vattenfall/locations"},
        {"vattenfall/tariffs"},
    ]
    for request in requests:
        assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("2022-12", "2022-12")


def test_registers_and_editions_are_asked_for_by_their_own_kind(
    definitions: dg.Definitions,
) -> None:
    yearly = asked(definitions, "ingest_years_yearly", datetime(2024, 5, 5, 5, tzinfo=UTC))
    of = {request.tags["goral/dataset"]: request.tags for request in yearly}
    assert set(of) == {"pdok/municipality_boundaries", "rvo/vehicles", "rvo/inhabitants"}
    assert of["pdok/municipality_boundaries"][RANGE_START] == "2024"
    assert (of["rvo/vehicles"][RANGE_START], of["rvo/vehicles"][RANGE_END]) == ("2022", "2024")
    editions = asked(definitions, "ingest_editions_quarterly", datetime(2024, 5, 4, 5, tzinfo=UTC))
    assert {request.tags[RANGE_END] for request in editions} == {"2024Q2"}


def test_no_schedule_is_at_an_hour_that_the_change_of_the_clock_skips_or_repeats(
    definitions: dg.Definitions,
) -> None:
    for schedule in definitions.schedules or []:
        assert isinstance(schedule, dg.ScheduleDefinition)
        assert schedule.execution_timezone == "Europe/Amsterdam"
        assert int(str(schedule.cron_schedule).split()[1]) not in (2, 3)


@pytest.mark.parametrize("moment", ["2026-03-29T03:00", "2026-10-25T04:00"])
def test_on_the_day_the_clock_changes_the_month_is_that_of_the_day(
    moment: str, definitions: dg.Definitions
) -> None:
    at = datetime.fromisoformat(f"{moment}:00+00:00")
    for request in asked(definitions, "ingest_months_daily", at):
        assert request.tags[RANGE_END] == moment[:7]
        assert str(request.run_key).startswith(moment[:10])


def end_run_of(
    instance: dg.DagsterInstance, schedule: str, request: dg.RunRequest, *, success: bool
) -> None:
    """As the daemon starts a run of a schedule, and as it ends."""
    run = dg.DagsterRun(
        job_name="ingest_months",
        run_id=str(uuid.uuid4()),
        tags={**request.tags, "dagster/schedule_name": schedule},
    )
    instance.add_run(run)
    instance.report_run_failed(run)
    if success:
        instance.handle_run_event(
            run.run_id,
            dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, "ingest_months"),
            datetime.now(UTC),
        )


def test_a_source_that_is_down_for_a_week_is_asked_once_a_day_until_it_answers(
    definitions: dg.Definitions, tmp_path: Path
) -> None:
    name = "ingest_months_monthly"
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:

        def on(day: int) -> list[dg.RunRequest]:
            return asked(definitions, name, datetime(2022, 12, day, 5, tzinfo=UTC), instance)

        assert on(2) == [], "the day has not come"
        every = on(3)
        for request in every:
            is_down = request.tags["goral/dataset"] == REQUESTS
            end_run_of(instance, name, request, success=not is_down)
        for day in range(4, 10):
            (again,) = on(day)
            assert datasets(again) == {REQUESTS}, "the others have answered"
            assert again.run_key not in {request.run_key for request in every}
            end_run_of(instance, name, again, success=day == 9)
        assert on(10) == [], "it has answered"


def test_where_the_day_was_missed_it_is_asked_as_soon_as_can_be(
    definitions: dg.Definitions,
) -> None:
    name = "ingest_months_monthly"
    assert asked(definitions, name, datetime(2022, 12, 2, 5, tzinfo=UTC)) == []
    assert len(asked(definitions, name, datetime(2022, 12, 20, 5, tzinfo=UTC))) > 1


def test_what_fails_for_good_is_not_asked_for_without_end(
    definitions: dg.Definitions, tmp_path: Path
) -> None:
    name = "ingest_months_monthly"
    days = set()
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        for day in range(3, 32):
            for request in asked(
                definitions, name, datetime(2022, 12, day, 5, tzinfo=UTC), instance
            ):
                days.add(day)
                end_run_of(instance, name, request, success=False)
    assert len(days) == 1 + automation.AGAIN_DAYS


# ── the inbox ────────────────────────────────────────────────────────────────────────────────────


def put_down(settings: Settings, folder: str, name: str, *, seconds_ago: float = 60) -> Path:
    path = settings.inbox / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    workbook_file(path, requests(30))
    then = time.time() - seconds_ago
    os.utime(path, (then, then))
    return path


@cache
def built(home: Path) -> dg.Definitions:
    return build_defs(settings=Settings.load(home=home))


def seen(settings: Settings, name: str, instance: dg.DagsterInstance) -> dg.SensorResult:
    sensor = built(settings.home_folder).resolve_sensor_def(name)
    found = sensor(dg.build_sensor_context(instance=instance))
    if isinstance(found, dg.SensorResult):
        return found
    if isinstance(found, dg.RunRequest):
        return dg.SensorResult(run_requests=[found])
    assert isinstance(found, dg.SkipReason)
    return dg.SensorResult(skip_reason=found)


def test_a_file_in_the_inbox_starts_a_run_of_just_its_partition(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    assert seen(settings, "inbox", instance).skip_reason == dg.SkipReason(
        "nothing lies in the inbox"
    )
    first = put_down(settings, f"{REQUESTS}/2022-07", "July.xlsx")
    put_down(settings, f"{REQUESTS}/2022-08", "August.xlsx", seconds_ago=1)
    (request,) = seen(settings, "inbox", instance).run_requests or []
    assert (request.job_name, request.partition_key) == ("ingest_months", "2022-07")
    assert datasets(request) == {REQUESTS}
    (again,) = seen(settings, "inbox", instance).run_requests or []
    assert again.run_key == request.run_key, "a file starts one run"
    first.write_bytes(b"another")
    os.utime(first, (time.time() - 40,) * 2)
    (other,) = seen(settings, "inbox", instance).run_requests or []
    assert other.run_key != request.run_key


def test_a_file_that_takes_the_place_of_one_taken_in_stays(settings: Settings) -> None:
    path = put_down(settings, f"{REQUESTS}/2022-07", "Jan.xlsx")
    (file,) = inbox.waiting(settings.inbox)
    assert "Jan" not in file.identity
    path.write_bytes(b"another")
    file.remove()
    assert path.exists()
    (another,) = inbox.waiting(settings.inbox)
    another.remove()
    assert not path.exists()


def test_what_lies_wrong_in_the_inbox_is_said_and_starts_nothing(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    put_down(settings, REQUESTS, "nowhere.xlsx")
    put_down(settings, "vattenfall/wishes/2022-07", "a.xlsx")
    put_down(settings, f"{REQUESTS}/July", "b.xlsx")
    put_down(settings, f"{REQUESTS}/2022-07", ".upload.xlsx.part")
    found = seen(settings, "inbox", instance)
    assert not found.run_requests
    assert isinstance(found.skip_reason, dg.SkipReason)
    said = str(found.skip_reason.skip_message)
    assert "1 file(s) in no folder <source>/<dataset>/<partition>" in said
    assert said.count("1 file(s) in a folder of no dataset or partition that there is") == 2
    for name in ("nowhere", "wishes", "July", "upload"):
        assert name not in said, "a name may be a person's"


def test_a_run_takes_the_files_of_the_inbox_in_and_the_last_one_counts(settings: Settings) -> None:
    put_down(settings, f"{REQUESTS}/2022-07", "old.xlsx", seconds_ago=90)
    newest = put_down(settings, f"{REQUESTS}/2022-07", "new.xlsx")
    workbook_file(newest, requests(40))
    os.utime(newest, (time.time() - 60,) * 2)
    still_written = put_down(settings, f"{REQUESTS}/2022-07", "growing.xlsx", seconds_ago=0)
    told: list[str] = []
    outcome = orchestration.run_assets(
        settings, {REQUESTS: ["2022-07"]}, fetch=False, progress=told.append
    )
    assert outcome.success, outcome.problems
    assert any("2022-07 new: requests 40 accepted" in line for line in told)
    assert [file.path for file in inbox.waiting(settings.inbox)] == [still_written]
    with open_ledger(settings) as ledger:
        origins = [d.origin for d in ledger.deliveries() if d.partition == "2022-07"]
    assert {"old.xlsx", "new.xlsx"} <= set(origins)


# ── publication ──────────────────────────────────────────────────────────────────────────────────


def test_publication_follows_a_change_once_and_waits_for_runs(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    before = seen(settings, "publication", instance)
    assert before.skip_reason == dg.SkipReason("the drop is of what the ledger points at")
    (settings.drops / "latest.json").unlink()
    (request,) = seen(settings, "publication", instance).run_requests or []
    (again,) = seen(settings, "publication", instance).run_requests or []
    assert again.run_key == request.run_key, "what fails is not tried without end"
    with dg.instance_for_test() as other:
        assert seen(settings, "publication", other).run_requests
        job = built(settings.home_folder).resolve_job_def("publish")
        run = other.create_run_for_job(job)
        other.report_run_canceling(run)
        waiting = seen(settings, "publication", other)
        assert waiting.skip_reason == dg.SkipReason("1 run(s) to be waited for")
    with open_ledger(settings) as ledger:
        assert drop.publish(settings, ledger).drop


def test_nothing_is_published_of_nothing(tmp_path: Path) -> None:
    settings = Settings.load(home=tmp_path / "home")
    with dg.instance_for_test() as instance:
        found = seen(settings, "publication", instance)
    assert found.skip_reason == dg.SkipReason("no delivery was accepted yet")


# ── runs whose process is gone ───────────────────────────────────────────────────────────────────

SLEEPING = """
import sys, time
import dagster as dg
from goral_pipeline.orchestration.vanished import PROCESS_TAG, process

@dg.asset(pool="vattenfall")
def sleeping() -> None:
    print("asleep", flush=True)
    time.sleep(600)

with dg.DagsterInstance.get() as instance:
    dg.materialize([sleeping], instance=instance, tags={PROCESS_TAG: process()})
"""


def test_a_killed_run_is_ended_as_failed_and_gives_its_pool_back(
    instance: dg.DagsterInstance,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPING], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        assert child.stdout
        for line in child.stdout:
            if b"asleep" in line:
                break
        (run,) = instance.get_runs()
        assert end_vanished_runs(instance) == [], "it is running"
        child.send_signal(signal.SIGKILL)
    assert run.status == dg.DagsterRunStatus.STARTED
    slots = instance.event_log_storage.get_concurrency_info("vattenfall")
    assert slots.active_run_ids == {run.run_id}
    assert end_vanished_runs(instance) == [run.run_id]
    ended = instance.get_run_by_id(run.run_id)
    assert ended
    assert ended.status == dg.DagsterRunStatus.FAILURE
    slots = instance.event_log_storage.get_concurrency_info("vattenfall")
    assert not slots.active_run_ids


def test_a_process_of_another_machine_or_with_a_number_used_again() -> None:
    host, number, started = process().rsplit(":", 2)
    assert is_running(process())
    assert not is_running(f"{host}:{number}:{int(started) - 1}"), "its number was given anew"
    assert is_running(f"elsewhere:{number}:1"), "it cannot be seen from here"
