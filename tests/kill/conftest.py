"""What the tests that kill share: a quick disk, the deliveries, and what an unharmed run leaves."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kill import scene
from tests.kill.running import Runner


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    """A folder in memory where there is one: that a kill is survived does not hang on the disk."""
    memory = Path("/dev/shm")
    in_memory = memory.is_dir() and os.access(memory, os.W_OK)
    folder = Path(tempfile.mkdtemp(prefix="goral-kill-", dir=memory if in_memory else None))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with Runner() as running:
        yield running


@pytest.fixture(scope="module")
def boundaries(disk: Path) -> Path:
    return scene.write_boundaries(disk / "boundaries")


@pytest.fixture(scope="module")
def deliveries(disk: Path) -> Path:
    return scene.write_deliveries(disk / "deliveries")


@pytest.fixture(scope="module")
def changed(disk: Path) -> Path:
    return scene.write_deliveries(disk / "changed", changed=True)


def unharmed(runner: Runner, home: Path, *runs: Path) -> scene.Result:
    """What is there after runs that nothing killed."""
    for deliveries in runs:
        assert runner.run(home, deliveries) == 0
    scene.check_reader(home, is_published=True)
    return scene.result_of(home)


@pytest.fixture(scope="module")
def expected_of_boundaries(runner: Runner, disk: Path, boundaries: Path) -> scene.Result:
    return unharmed(runner, disk / "unharmed-boundaries", boundaries)


@pytest.fixture(scope="module")
def expected(runner: Runner, disk: Path, deliveries: Path) -> scene.Result:
    return unharmed(runner, disk / "unharmed", deliveries)


@pytest.fixture(scope="module")
def expected_after_change(
    runner: Runner, disk: Path, deliveries: Path, changed: Path
) -> scene.Result:
    return unharmed(runner, disk / "unharmed-change", deliveries, changed)
