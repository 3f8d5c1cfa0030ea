"""Measuring: time and memory of a function in a process of its own, several functions in turn.

Belongs here: what all benchmarks share. Does not belong here: what is measured.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

RESULTS = Path(__file__).parent / "results.json"


@dataclass(frozen=True)
class Run:
    """What one run took."""

    seconds: float
    """Wall time of the function, without the start of the process and its imports."""
    peak_mib: float
    """Most memory its process had, libraries included."""


@dataclass(frozen=True)
class Result:
    """One figure, as it stands in results.json."""

    name: str
    value: float
    unit: str
    goal: float | None
    better: Literal["lower", "higher"]
    rows: int
    runs: int
    machine: str
    made_at: str


def in_turn(sides: dict[str, Callable[[], None]], runs: int) -> dict[str, list[Run]]:
    """Run each side once a round, so that what else the machine does meets all alike.

    A round before the first warms the file cache and is not counted.
    """
    found: dict[str, list[Run]] = {name: [] for name in sides}
    for round_ in range(runs + 1):
        for name, function in sides.items():
            run = apart(function)
            if round_:
                found[name].append(run)
    return found


def apart(function: Callable[[], None]) -> Run:
    """Run a function in a process that has nothing but the libraries loaded.

    It is sent there by pickle: a function of a module, with `functools.partial` for its arguments.
    """
    context = multiprocessing.get_context("spawn")
    answers, answer = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(function, answer))
    process.start()
    answer.close()
    try:
        run: Run = answers.recv()
    except EOFError:
        raise SystemExit("a benchmark's process failed; what it said stands above") from None
    finally:
        process.join()
    return run


def median(runs: list[Run]) -> float:
    """Median of the seconds."""
    return statistics.median(run.seconds for run in runs)


def median_ratio(ours: list[Run], bare: list[Run]) -> float:
    """Median over the rounds of how many times longer ours took."""
    return statistics.median(
        one.seconds / other.seconds for one, other in zip(ours, bare, strict=True)
    )


def peak(runs: list[Run]) -> float:
    """Highest memory of any run, in MiB."""
    return max(run.peak_mib for run in runs)


def result(
    name: str,
    value: float,
    unit: str,
    *,
    rows: int,
    runs: int,
    goal: float | None = None,
    better: Literal["lower", "higher"] = "lower",
) -> Result:
    """A figure measured on this machine now."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Result(name, round(value, 2), unit, goal, better, rows, runs, machine(), now)


def saved(path: Path = RESULTS) -> list[dict[str, Any]]:
    """The results as they were written last."""
    return json.loads(path.read_text()) if path.exists() else []


def save(results: list[Result], path: Path = RESULTS) -> None:
    """Write the results, in place of those of the same names."""
    kept = saved(path)
    names = {one.name for one in results}
    together = [one for one in kept if one["name"] not in names] + [asdict(r) for r in results]
    path.write_text(json.dumps(sorted(together, key=lambda one: str(one["name"])), indent=1) + "\n")


@cache
def machine() -> str:
    """What the figures depend on besides the code."""
    import duckdb

    return (
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, "
        f"Python {platform.python_version()}, DuckDB {duckdb.__version__}"
    )


def _measure(function: Callable[[], None], answer: Connection) -> None:
    _load_libraries()
    begin = time.perf_counter()
    function()
    answer.send(Run(time.perf_counter() - begin, _peak_mib()))


def _load_libraries() -> Any:
    """As the server of staging processes has them loaded before a delivery comes."""
    import goral_pipeline.staging.preload as preload

    return preload


def _peak_mib() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        # Of this program alone; what getrusage tells counts the process that it was forked from.
        (line,) = (x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024 * 1024 if sys.platform == "darwin" else 1024)
