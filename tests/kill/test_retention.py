"""Retention killed at each step: nothing is claimed wrongly, and running again finishes it."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from goral_pipeline.landing import open_ledger
from tests.kill import scene
from tests.kill.running import KILLED, Runner

pytestmark = pytest.mark.kill

SEAMS = ["put", "remove_file", "commit"]


@pytest.fixture(scope="module")
def old(runner: Runner, disk: Path, deliveries: Path, changed: Path) -> Path:
    """A home with deliveries that were superseded, and no drop that needs them any more."""
    home = disk / "old"
    assert runner.run(home, deliveries) == 0
    (first,) = (home / "drops" / "releases").iterdir()
    assert runner.run(home, changed) == 0
    shutil.rmtree(first)
    return home


def removed(home: Path) -> dict[str, bool]:
    """By path that the ledger tells of, whether it says that it is gone."""
    # On a copy, to leave what the killed one left as it is.
    copied = home.with_name("copied")
    shutil.rmtree(copied, ignore_errors=True)
    copied.mkdir()
    for path in home.glob("ledger.sqlite*"):
        shutil.copy(path, copied)
    with open_ledger(scene.settings_of(copied)) as ledger:
        return {one.path: one.removed_at is not None for one in ledger.removals()}


def result_of(home: Path) -> scene.Result:
    result = scene.result_of(home)
    # Numbers differ by how often it was begun.
    result["ledger"]["removals"] = sorted(
        (row["path"], row["kind"], row["delivery_id"], row["reason"], row["bytes"])
        for row in result["ledger"]["removals"]
    )
    return result


def missing(home: Path, old: Path) -> set[str]:
    """What lay in the old home and does not in this: deliveries, and folders of stagings."""
    there = [
        path for root in ("landing", "staging", "quarantine") for path in old.glob(f"{root}/*/*/*")
    ]
    names = {path.relative_to(old).as_posix() for path in there}
    return {name for name in names if not (home / name).exists()}


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_killed_at_each_step(runner: Runner, disk: Path, old: Path, is_after: bool) -> None:
    unharmed, home = disk / f"removed-{is_after}", disk / f"killed-{is_after}"
    how: dict[str, Any] = {"removing": True}
    shutil.copytree(old, unharmed)
    assert runner.run(unharmed, old, **how) == 0
    scene.check_reader(unharmed, is_published=True)
    expected = result_of(unharmed)
    assert missing(unharmed, old) == set(removed(unharmed))
    assert {path.split("/")[0] for path in removed(unharmed)} == {
        *("landing", "staging", "quarantine"),
    }
    number = 1
    while True:
        shutil.copytree(old, home)
        status = runner.run(home, old, kill_at=number, is_after=is_after, seams=SEAMS, **how)
        if status == 0:
            break
        assert status == KILLED
        scene.check_reader(home, is_published=True)
        told = removed(home)
        gone = missing(home, old)
        assert gone <= set(told), "nothing is gone without the ledger knowing why"
        assert {path for path, is_gone in told.items() if is_gone} <= gone, "nor said to be gone"
        assert runner.run(home, old, **how) == 0
        assert scene.differences(result_of(home), expected) == [], f"killed at {number}"
        assert all(removed(home).values())
        shutil.rmtree(home)
        number += 1
    # Two commits, each of the two raw deliveries, and a folder for each staging and quarantine.
    assert number - 1 >= 6
    print(f"{number - 1} points")
