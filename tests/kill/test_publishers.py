"""Publishers killed at random moments: whoever takes the latest drop always gets a whole one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from goral_pipeline.publishing import upkeep, verify
from tests.kill import scene
from tests.kill.running import REPOSITORY, Runner

pytestmark = [pytest.mark.kill, pytest.mark.slow]

RUNS = 200


def test_no_torn_drop_is_read_while_publishers_are_killed(
    runner: Runner, disk: Path, deliveries: Path
) -> None:
    home = disk / "publishers"
    assert runner.run(home, deliveries) == 0
    shutil.rmtree(home / "drops")
    done = subprocess.run(
        [sys.executable, "-m", "tests.kill.publishers", str(home), str(RUNS), "20221201"],
        cwd=REPOSITORY,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    print(told)
    assert told["wrong"] == []
    assert told["reads"] >= RUNS
    # Killed at many moments, and some that were through.
    assert RUNS // 4 <= told["killed"] < RUNS
    assert told["drops"] > 1
    settings = scene.settings_of(home)
    drops = verify.Folder(settings.drops)
    listed = upkeep.drops_of(settings)
    assert len(listed) >= told["drops"]
    for one in listed:
        upkeep.verified(drops, one.made.drop, deep=True)
    assert list(settings.drops.rglob(".tmp-*")) == [], "leftovers are swept"
    assert [one.made.sequence for one in listed if one.is_latest] == [
        max(one.made.sequence for one in listed)
    ]
