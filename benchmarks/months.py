"""Months through Dagster, and one more month after few and after many.

Deliveries are the demo's of 2022, one for each month of six years; all of it is invented.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring import Result, Run, apart, in_turn, median, result
from goral_pipeline.demo import regions, rvo_counts
from goral_pipeline.demo.deliveries import FILES
from goral_pipeline.demo.months import YEAR

if TYPE_CHECKING:
    from goral_pipeline.settings import Settings

FIRST, LAST, NEXT = "2020-11", "2026-10", "2026-11"
FEW_FIRST = "2025-11"
KEY = "key of the benchmarks, known to all"
BOUNDARIES = "pdok/municipality_boundaries"
COUNTS = "rvo/charge_point_counts"
MONTHLY = (COUNTS, *(files.dataset for files in FILES if "Q" not in files.partitions[0]))
"""Every dataset of the demo that is kept by month."""
A_WHILE = 60
"""Seconds since when a file lies in the inbox, so that nobody is still writing it."""


def measure(folder: Path, *, runs: int = 5) -> list[Result]:
    """What Dagster adds to six years of nothing new, and a month more after one year and six."""
    many = _home(folder / "many", FIRST)
    few = _home(folder / "few", FEW_FIRST)
    return [*measure_dagster(many, runs=runs), *measure_new_month(few, many, folder, runs=runs)]


def measure_dagster(home: Path, *, runs: int) -> list[Result]:
    """The same functions through Dagster and called straight, in turn.

    Nothing is to be staged, so that the difference does not drown in the work.
    """
    found = in_turn(
        {
            "through Dagster": partial(through_dagster, home, FIRST, LAST),
            "straight": partial(straight, home, FIRST, LAST),
        },
        runs,
    )
    both = zip(found["through Dagster"], found["straight"], strict=True)
    added = statistics.median(one.seconds - other.seconds for one, other in both)
    number = sum(len(keys) for keys in _partitions(home, FIRST, LAST).values())
    figure = partial(result, rows=number, runs=runs)
    return [
        figure("months.dagster_adds", 1000 * added / number, "ms a partition", goal=30.0),
        figure("months.straight", 1000 * median(found["straight"]) / number, "ms a partition"),
    ]


def measure_new_month(few: Path, many: Path, folder: Path, *, runs: int) -> list[Result]:
    """A month more behind one year and behind six, dbt included, what starting takes taken off."""
    homes = {"after_12": few, "after_72": many}
    found: dict[str, list[Run]] = {name: [] for name in (*homes, "start")}
    for round_ in range(runs + 1):
        for name, home in homes.items():
            copy = folder / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(home, copy)
            put_down(copy, NEXT, NEXT)
            run = apart(partial(through_dagster, copy, NEXT, NEXT))
            if round_:
                found[name].append(run)
        run = apart(partial(start, many))
        if round_:
            found["start"].append(run)
    fixed = median(found["start"])
    ratios = (
        (much.seconds - fixed) / (little.seconds - fixed)
        for much, little in zip(found["after_72"], found["after_12"], strict=True)
    )
    figure = partial(result, rows=len(MONTHLY), runs=runs)
    return [
        figure("new_month.ratio", statistics.median(ratios), "times", goal=1.3),
        *(figure(f"new_month.{name}", median(of), "s") for name, of in found.items()),
    ]


def through_dagster(home: Path, first: str, last: str, datasets: Sequence[str] = MONTHLY) -> None:
    """Bring months up to date as `goral run --no-fetch` does."""
    settings = _settings(home)
    from goral_pipeline import planning
    from goral_pipeline.orchestration.run import run_assets

    partitions = planning.partitions(settings, first, last, list(datasets))
    done = run_assets(settings, partitions, fetch=False, progress=lambda _: None)
    if not done.success:
        raise SystemExit("\n".join(done.problems))


def straight(home: Path, first: str, last: str) -> None:
    """Call the functions of the same assets, without Dagster."""
    settings = _settings(home)
    from goral_pipeline import ingestion
    from goral_pipeline.landing import open_ledger
    from goral_pipeline.publishing.drop import publish
    from goral_pipeline.warehouse import build, placement

    with open_ledger(settings) as ledger:
        for dataset, keys in _partitions(home, first, last).items():
            for found in ingestion.ingest_all(settings, ledger, dataset, keys, fetch=False):
                if found.state != "unchanged":
                    raise SystemExit(ingestion.in_words(found))
        placement.place_all(settings, ledger)
        if not build.is_up_to_date(settings, build.inputs(settings, ledger)):
            raise SystemExit("the warehouse is to be built")
        publish(settings, ledger, progress=lambda _: None)


def start(home: Path) -> None:
    """What a run takes whatever it does: loading Dagster, the assets, and dbt's own start."""
    settings = _settings(home)
    from goral_pipeline.orchestration.build import DBT, build_defs
    from goral_pipeline.settings import DBT_PROJECT
    from goral_pipeline.warehouse import build

    build_defs(settings=settings)
    folders = ("--project-dir", DBT_PROJECT, "--profiles-dir", DBT_PROJECT)
    target = ("--target-path", settings.dbt_target)
    subprocess.run(
        [DBT, "--quiet", "list", "--resource-type", "seed", *folders, *target],
        env=os.environ | build.dbt_environment(settings),
        stdout=subprocess.DEVNULL,
        check=True,
    )


def put_down(home: Path, first: str, last: str) -> None:
    """Put each month's file of every monthly dataset of the demo into the inbox."""
    for dataset, keys in _partitions(home, first, last).items():
        for key in keys:
            extension, content = _file(dataset, key)
            _put(home / "inbox" / dataset / key / f"DEMO_{key}{extension}", content)


def _home(home: Path, first: str) -> Path:
    """A home in which the months from the first to the last are published."""
    boundaries = json.dumps(regions.feature_collection()).encode()
    _put(home / "inbox" / BOUNDARIES / str(YEAR) / "DEMO_boundaries.geojson", boundaries)
    put_down(home, first, LAST)
    apart(partial(through_dagster, home, f"{YEAR}-01", f"{YEAR}-01", [BOUNDARIES]))
    apart(partial(through_dagster, home, first, LAST))
    return home


@cache
def _file(dataset: str, month: str) -> tuple[str, bytes]:
    """What the demo's publisher has of that month of 2022, or of the last month it has."""
    if dataset == COUNTS:
        return ".xlsx", rvo_counts.charge_point_workbook(f"{YEAR}-{month[5:]}")
    (files,) = (files for files in FILES if files.dataset == dataset)
    of = next((key for key in files.partitions if key[5:] == month[5:]), files.partitions[-1])
    return files.extension, files.make(of)


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    then = time.time() - A_WHILE
    os.utime(path, (then, then))


def _settings(home: Path) -> Settings:
    from goral_pipeline.settings import Settings

    os.environ |= {"GORAL_HOME": str(home), "GORAL_PSEUDONYM_KEY": KEY}
    return Settings.load()


def _partitions(home: Path, first: str, last: str) -> dict[str, list[str]]:
    from goral_pipeline import planning

    return planning.partitions(_settings(home), first, last, list(MONTHLY))
