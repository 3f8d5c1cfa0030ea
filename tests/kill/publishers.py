"""A process that forks publishers and kills them at random, while a reader takes the drops.

`python -m tests.kill.publishers HOME RUNS SEED`: HOME holds a warehouse that is built. Each
publisher has something new to publish. Tells as JSON how many were killed, what the reader read,
and what it found wrong.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from goral_pipeline.errors import GoralError
from goral_pipeline.landing import open_ledger
from goral_pipeline.publishing import drop, upkeep, verify
from goral_pipeline.staging import preload  # noqa: F401  loads what publishing needs
from tests.kill import scene


def publish(home: Path, number: int) -> None:
    """Publish what is there as if it were made of something else."""
    really = drop.fingerprint
    drop.fingerprint = lambda *made_of: f"{number:04}{really(*made_of)[4:]}"
    settings = scene.settings_of(home)
    with open_ledger(settings) as ledger:
        drop.publish(settings, ledger)


def read_on(home: Path, told: int, stop: Path) -> None:
    """Take the latest drop, over and over, as NDW does; tell what was wrong with it."""
    drops = verify.Folder(scene.settings_of(home).drops)
    seen, reads, wrong = set(), 0, []
    while not stop.exists():
        try:
            made = upkeep.verified(drops, deep=True)
            seen.add(made.drop)
        except (GoralError, OSError) as error:
            wrong.append(str(error))
        reads += 1
    with os.fdopen(told, "w") as pipe:
        json.dump({"reads": reads, "drops": len(seen), "wrong": wrong}, pipe)


def forked(work: Any, *arguments: Any) -> int:
    """A child that does this and nothing else."""
    if (child := os.fork()) != 0:
        return child
    try:
        work(*arguments)
    except BaseException as error:  # noqa: BLE001  # the child must end here whatever happens
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(home: Path, runs: int, seed: int) -> dict[str, Any]:
    draw = random.Random(seed)
    begin = time.monotonic()
    assert ended(forked(publish, home, 0)) == 0
    whole = time.monotonic() - begin
    stop, (heard, told) = home / "stop", os.pipe()
    reader = forked(read_on, home, told, stop)
    os.close(told)
    killed = 0
    for number in range(1, runs + 1):
        child = forked(publish, home, number)
        # Beside the reader a run takes up to twice as long as alone.
        time.sleep(draw.uniform(0, 2 * whole))
        os.kill(child, signal.SIGKILL)
        status = ended(child)
        assert status in (0, -signal.SIGKILL), status
        killed += status != 0
    stop.touch()
    with os.fdopen(heard) as pipe:
        found: dict[str, Any] = json.load(pipe)
    assert ended(reader) == 0
    assert ended(forked(publish, home, runs + 1)) == 0
    return found | {"killed": killed}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
