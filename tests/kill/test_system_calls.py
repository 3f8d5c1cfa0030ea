"""Killed at the system calls that change something on the disk, one after the other.

A traced run without harm tells the calls; then a run from the same start is killed as it enters
each of them. What is left must serve a reader, and running again must come to the same end.
"""

import itertools
import os
import shutil
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.kill import running, scene
from tests.kill.running import KILLED, Point, Runner

pytestmark = [pytest.mark.slow, pytest.mark.kill]

REQUIRED = "GORAL_REQUIRE_TRACER"
AT_ONCE = 2
FAILED = 1
# What the server of staging processes writes itself is counted too, and is not meant.
WRITES_OF_SERVER = 20
_numbers = itertools.count()


@pytest.fixture(scope="module", autouse=True)
def _tracer() -> None:
    if why_not := running.why_no_tracer():
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{REQUIRED} is set, but {why_not}")
        pytest.skip(f"NOT TESTED that a kill at any system call is survived: {why_not}")


class Scenario:
    """Runs of the same deliveries from the same start, that must come to the same end."""

    def __init__(self, disk: Path, deliveries: Path, expected: scene.Result) -> None:
        self.expected = expected
        self._disk = disk
        self._deliveries = deliveries
        self._own = threading.local()
        self._runners: list[Runner] = []
        self.start: Path | None = None
        """A home to start from; without one a run starts from nothing."""

    def close(self) -> None:
        for runner in self._runners:
            runner.__exit__(None, None, None)

    def calls(self, *, of_worker: bool = False, **how: Any) -> list[Point]:
        """What a run without harm does to the disk: the run itself, or its staging processes."""
        home = self._home()
        pids = self._runner.start(home, self._deliveries, **how)
        account = self._disk / f"{home.name}.strace"
        with running.traced(pids[1:] if of_worker else pids[:1], account):
            assert self._runner.go() == 0
        found = running.points(account, home)
        shutil.rmtree(home)
        if of_worker:
            # The first process to get that far is killed.
            unique = {(p.call, p.number): p for own in found.values() for p in own}
            return [p for p in unique.values() if p.call != "write" or p.number > WRITES_OF_SERVER]
        return running.ends_of_rows(found[pids[0]])

    def survive(self, points: Iterable[Point], *, of_worker: bool = False, **how: Any) -> list[str]:
        """What went wrong after a kill at each of these points, in words."""

        def problems(point: Point) -> list[str]:
            try:
                return [f"{point}: {text}" for text in self._survive(point, of_worker, how)]
            except Exception as error:  # noqa: BLE001  every point is to be tried
                return [f"{point}: {type(error).__name__}: {error}"]

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return [text for found in pool.map(problems, points) for text in found]

    def _survive(self, point: Point, of_worker: bool, how: dict[str, Any]) -> list[str]:
        home = self._home()
        pids = self._runner.start(home, self._deliveries, **how)
        account = self._disk / f"{home.name}.strace"
        with running.traced(pids[1:] if of_worker else pids[:1], account, *running.killing(point)):
            status = self._runner.go()
        if of_worker:
            # The run outlives its staging process, and says that it died.
            assert status == FAILED, "no staging process was killed"
        else:
            assert status == KILLED, f"it was not killed but ended with {status}"
        assert running.was_killed_at(point.call, account), "it was killed elsewhere"
        scene.check_reader(home, is_published=self.start is not None)
        assert self._runner.run(home, self._deliveries) == 0, "running again failed"
        scene.check_reader(home, is_published=True)
        wrong = scene.differences(scene.result_of(home), self.expected)
        shutil.rmtree(home)
        account.unlink()
        return wrong

    @property
    def _runner(self) -> Runner:
        """One for each thread."""
        if not hasattr(self._own, "runner"):
            self._own.runner = Runner().__enter__()
            self._runners.append(self._own.runner)
        return self._own.runner  # type: ignore[no-any-return]

    def _home(self) -> Path:
        home = self._disk / f"home-{next(_numbers)}"
        if self.start:
            shutil.copytree(self.start, home)
        return home


@pytest.fixture
def scenario(disk: Path, deliveries: Path, expected: scene.Result) -> Any:
    made = Scenario(disk, deliveries, expected)
    yield made
    made.close()


def told(points: list[Point], begin: float) -> str:
    return f"\n{len(points)} points in {time.monotonic() - begin:.0f} s"


def some(points: list[Point], number: int) -> list[Point]:
    """So many of the points, evenly spread."""
    return points[:: max(1, len(points) // number)]


def test_killed_at_each_call_that_changes_something(scenario: Scenario) -> None:
    begin = time.monotonic()
    points = scenario.calls()
    assert len(points) > 250
    assert scenario.survive(points) == []
    print(told(points, begin))


def test_killed_while_it_replaces_what_is_published(
    scenario: Scenario, disk: Path, runner: Runner, deliveries: Path, changed: Path
) -> None:
    """A reader finds the drop before or the drop after, at every moment."""
    begin = time.monotonic()
    start = disk / "published"
    assert runner.run(start, deliveries) == 0
    final = disk / "changed-unharmed"
    shutil.copytree(start, final)
    assert runner.run(final, changed) == 0
    replacing = Scenario(disk, changed, scene.result_of(final))
    replacing.start = start
    points = replacing.calls()
    # All that gives a name to something new or takes an old one away, and some of the rest.
    naming = ("rename", "unlink", "rmdir")
    names = [p for p in points if p.call.startswith(naming) and "ledger" not in p.what]
    chosen = names + some([point for point in points if point not in names], 25)
    assert replacing.survive(chosen) == []
    replacing.close()
    print(told(chosen, begin))


def test_killed_while_a_process_of_its_own_stages(scenario: Scenario) -> None:
    """That process goes on for a while, as in earnest."""
    begin = time.monotonic()
    points = some(scenario.calls(in_worker=True), 8)
    assert scenario.survive(points, in_worker=True) == []
    print(told(points, begin))


def test_the_staging_process_is_killed(scenario: Scenario) -> None:
    """As the kernel does to who takes too much memory: the run says so and ends."""
    begin = time.monotonic()
    points = some(scenario.calls(in_worker=True, of_worker=True), 8)
    assert scenario.survive(points, in_worker=True, of_worker=True) == []
    print(told(points, begin))
