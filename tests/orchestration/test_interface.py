"""Dagster's web interface as an engineer drives it: over GraphQL, on a running `goral dev`."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.conftest import DEMO_KEY, GORAL, Demo, goral
from tests.support_files import requests, workbook_file

pytestmark = pytest.mark.slow

REQUESTS = ["vattenfall", "requests"]
STAGING = ["staging", *REQUESTS]
REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": "goral_pipeline"}
PATIENCE = 240
Found = TypeVar("Found")
RUNS = "{ runsOrError(limit: 50) { ... on Runs { results { runId jobName status } } } }"
PARTITIONS = """
query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
    assetPartitionStatuses { ... on TimePartitionStatuses { ranges { startKey endKey status } } }
} } }
"""
BACKFILL = """
mutation($wanted: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $wanted) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
} }
"""
START_SENSOR = """
mutation($of: SensorSelector!) { startSensor(sensorSelector: $of) {
    __typename ... on PythonError { message }
} }
"""
TRY_SCHEDULE = """
mutation($of: ScheduleSelector!, $at: Float) { scheduleDryRun(selectorData: $of, timestamp: $at) {
    __typename
    ... on DryRunInstigationTick { evaluationResult {
        runRequests { runKey tags { key value } } error { message }
    } }
    ... on PythonError { message }
} }
"""
RETRY = """
mutation($of: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $of) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
} }
"""


@dataclass(frozen=True)
class Interface:
    """A running `goral dev` on a copy of the demo's home."""

    home: Path
    port: int

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = json.loads(answer.read())
        assert "errors" not in content, content["errors"]
        (found,) = content["data"].values()
        assert found.get("__typename") != "PythonError", found
        return found

    def runs(self) -> dict[str, tuple[str, str]]:
        """Job and status by run."""
        found = self.ask(RUNS)["results"]
        return {run["runId"]: (run["jobName"], run["status"]) for run in found}

    def ended(self, job: str, before: dict[str, Any]) -> tuple[str, str]:
        """Run and status of the next run of a job that ends."""

        def found() -> tuple[str, str] | None:
            for run, (name, status) in self.runs().items():
                if run not in before and name == job and status in ("SUCCESS", "FAILURE"):
                    return run, status
            return None

        return waited_for(found)

    def partitions(self) -> dict[str, set[str]]:
        """Months of the dataset by status."""
        statuses = self.ask(PARTITIONS, key={"path": STAGING})["assetPartitionStatuses"]
        found: dict[str, set[str]] = {}
        for entry in statuses["ranges"]:
            first, last = int(entry["startKey"][5:]), int(entry["endKey"][5:])
            months = {f"2022-{month:02d}" for month in range(first, last + 1)}
            found.setdefault(entry["status"], set()).update(months)
        return found

    def put_down(self, month: str, content: bytes) -> None:
        """A file in the inbox that lies there for a while already."""
        path = self.home.joinpath("inbox", *REQUESTS, month, f"{time.time_ns()}.xlsx")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        then = time.time() - 60
        os.utime(path, (then, then))

    @property
    def drop(self) -> str:
        return str(json.loads((self.home / "drops" / "latest.json").read_bytes())["drop"])


def waited_for(found: Callable[[], Found | None], *, every: float = 1.0) -> Found:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = found()
        if value is not None:
            return value
        time.sleep(every)
    raise AssertionError(f"nothing after {PATIENCE} s")


@pytest.fixture(scope="module")
def interface(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interface]:
    home = copy_of(demo, tmp_path_factory.mktemp("interface"))
    with serving(home) as running:
        yield running


def copy_of(demo: Demo, folder: Path) -> Path:
    ignored = shutil.ignore_patterns("dagster", "*-shm", "*-wal")
    return Path(shutil.copytree(demo.home, folder / "home", ignore=ignored))


@contextmanager
def serving(home: Path) -> Iterator[Interface]:
    """A `goral dev` of its own, which answers; it is killed hard if it does not end in peace."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"GORAL_HOME": str(home), "GORAL_PSEUDONYM_KEY": DEMO_KEY}
    with (
        (home.parent / "dev.log").open("ab") as log,
        subprocess.Popen(
            [str(GORAL), "dev", "--port", str(port)],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as dev,
    ):
        running = Interface(home, port)

        def answers() -> bool | None:
            assert dev.poll() is None, (home.parent / "dev.log").read_text()[-2000:]
            try:
                return running.runs() is not None
            except urllib.error.URLError:
                return None

        try:
            waited_for(answers)
            yield running
        finally:
            with suppress(ProcessLookupError):
                os.killpg(dev.pid, signal.SIGTERM)
            try:
                dev.wait(30)
            except subprocess.TimeoutExpired:
                kill_all(home)


def kill_all(home: Path) -> int:
    """SIGKILL every process that works on a home: interface, daemon, code server, run workers."""
    killed = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"GORAL_HOME={home}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGKILL)
                killed += 1
    return killed


def test_a_backfill_of_a_range_is_one_run(interface: Interface) -> None:
    before = interface.runs()
    months = ["2022-04", "2022-05", "2022-06", "2022-07"]
    selection = [{"path": STAGING}, {"path": ["landing", *REQUESTS]}]
    interface.ask(BACKFILL, wanted={"assetSelection": selection, "partitionNames": months})
    _, status = interface.ended("__ASSET_JOB", before)
    assert status == "SUCCESS"
    assert len(set(interface.runs()) - set(before)) == 1
    assert set(months) <= interface.partitions()["MATERIALIZED"]


def test_a_tick_of_a_schedule_asks_for_what_the_contract_says(interface: Interface) -> None:
    at = 1_670_036_400.0  # the night before 3 December 2022, on which it asks
    of = REPOSITORY | {"scheduleName": "ingest_months_monthly"}
    result = interface.ask(TRY_SCHEDULE, of=of, at=at)["evaluationResult"]
    assert result["error"] is None
    of = [{tag["key"]: tag["value"] for tag in one["tags"]} for one in result["runRequests"]]
    (tags,) = (tags for tags in of if tags["goral/dataset"] == "ecotap_allego/requests")
    assert tags["dagster/asset_partition_range_start"] == "2020-12"
    assert tags["dagster/asset_partition_range_end"] == "2022-12"


def test_a_bad_delivery_fails_alone_and_a_good_one_flows_to_a_new_drop(
    interface: Interface, tmp_path: Path
) -> None:
    drop = interface.drop
    for sensor in ("inbox", "publication"):
        interface.ask(START_SENSOR, of=REPOSITORY | {"sensorName": sensor})

    before = interface.runs()
    interface.put_down("2022-09", b"PK\x03\x04 half an upload")
    failed, status = interface.ended("ingest_months", before)
    assert status == "FAILURE"
    assert "2022-09" in interface.partitions()["FAILED"]
    assert "2022-09" not in interface.partitions().get("MATERIALIZED", [])

    # Again, as it is: it fails again, and starts nothing of its own.
    before = interface.runs()
    of = {"parentRunId": failed, "strategy": "FROM_FAILURE"}
    assert interface.ask(RETRY, of=of)["__typename"] == "LaunchRunSuccess"
    assert interface.ended("ingest_months", before)[1] == "FAILURE"
    assert interface.drop == drop, "NDW keeps the drop of before"

    before = interface.runs()
    good = workbook_file(tmp_path / "September.xlsx", requests(30))
    interface.put_down("2022-09", good.read_bytes())
    assert interface.ended("ingest_months", before)[1] == "SUCCESS"
    assert "2022-09" in interface.partitions()["MATERIALIZED"]
    assert interface.ended("publish", before)[1] == "SUCCESS"
    assert interface.drop != drop


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes of a home in /proc")
def test_a_worker_and_a_daemon_that_are_killed_leave_nothing_that_does_not_mend_itself(
    demo: Demo, tmp_path: Path
) -> None:
    home = copy_of(demo, tmp_path)
    with serving(home) as before:
        for sensor in ("inbox", "publication"):
            before.ask(START_SENSOR, of=REPOSITORY | {"sensorName": sensor})
        good = workbook_file(tmp_path / "September.xlsx", requests(30))
        drop = before.drop
        before.put_down("2022-09", good.read_bytes())

        def started() -> str | None:
            return next((run for run, of in before.runs().items() if of[1] == "STARTED"), None)

        killed = waited_for(started, every=0.2)
        assert kill_all(home) > 2, "interface, daemon and worker at least"

    with serving(home) as after:
        # The run that was killed ends as failed, and is run again, once, without anybody.
        waited_for(lambda: after.runs()[killed][1] == "FAILURE" or None)
        assert after.ended("ingest_months", {killed: None})[1] == "SUCCESS"
        assert after.ended("publish", {})[1] == "SUCCESS"
        assert after.drop != drop
        assert "2022-09" in after.partitions()["MATERIALIZED"]
        assert not list(home.joinpath("inbox").rglob("*.xlsx"))
        of_month = [
            one
            for one in json.loads(
                goral("status", "--json", home=home, GORAL_PSEUDONYM_KEY=DEMO_KEY).out
            )["partitions"]
            if (one["dataset"], one["partition"]) == ("/".join(REQUESTS), "2022-09")
        ]
        assert [one["state"] for one in of_month] == ["accepted"]
