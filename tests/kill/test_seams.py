"""Killed at the calls of our own seams: needs no tracer, so it is tested everywhere."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.kill import scene
from tests.kill.running import KILLED, Runner

pytestmark = pytest.mark.kill

NAMES_AND_COMMITS = ["put", "commit"]
# Folders are made with a flush of the one above.
FLUSHES = ["flush_file", "flush_folder"]


def survives_each(
    runner: Runner, home: Path, deliveries: Path, expected: scene.Result, **how: Any
) -> int:
    """Kill runs from nothing at each call in turn, each time running to the end; gives how many."""
    number = 1
    while (status := runner.run(home, deliveries, kill_at=number, **how)) != 0:
        assert status == KILLED
        scene.check_reader(home)
        assert runner.run(home, deliveries) == 0
        scene.check_reader(home, is_published=True)
        assert scene.differences(scene.result_of(home), expected) == [], f"killed at {number}"
        shutil.rmtree(home)
        number += 1
    return number - 1


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_killed_at_each_new_name_and_commit(
    runner: Runner,
    disk: Path,
    boundaries: Path,
    expected_of_boundaries: scene.Result,
    is_after: bool,
) -> None:
    how = {"seams": NAMES_AND_COMMITS, "is_after": is_after}
    home = disk / f"names-{is_after}"
    number = survives_each(runner, home, boundaries, expected_of_boundaries, **how)
    # Tables, delivery, pointer, drop; files in landing, quarantine, staging, warehouse and drops.
    assert number >= 10
    print(f"{number} points")


@pytest.mark.slow
def test_killed_at_each_flush(
    runner: Runner, disk: Path, boundaries: Path, expected_of_boundaries: scene.Result
) -> None:
    how = {"seams": FLUSHES, "is_after": False}
    number = survives_each(runner, disk / "flushes", boundaries, expected_of_boundaries, **how)
    assert number >= 40
    print(f"{number} points")


@pytest.mark.slow
def test_killed_again_and_again(
    runner: Runner, disk: Path, deliveries: Path, expected: scene.Result
) -> None:
    """Each run gets two calls further than the one before, on what that one left."""
    home = disk / "again"
    how = {"seams": NAMES_AND_COMMITS, "kill_at": 2, "is_after": True}
    runs = 0
    while (status := runner.run(home, deliveries, **how)) != 0:
        assert status == KILLED
        scene.check_reader(home)
        runs += 1
        assert runs < 100, "it does not come to an end"
    scene.check_reader(home, is_published=True)
    assert scene.differences(scene.result_of(home), expected) == []
    print(f"{runs} runs killed")
