"""Months through Dagster, and one more month after few and after many.

Deliveries are the demo's of 2022, one for each month of six years, and sessions of a region's size;
all of it is invented.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import cdr_pages
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
SESSIONS = "vattenfall/sessions"
SESSIONS_A_MONTH = 50_000
PARTY = f"{{source: vattenfall, country_code: NL, party_id: NUO, first_month: {FIRST}}}"
A_WHILE = 60
"""Seconds since when a file lies in the inbox, so that nobody is still writing it."""


def measure(folder: Path, *, runs: int = 5) -> list[Result]:
    """What Dagster adds to six years of nothing new, and a month more after one year and six."""
    many = _home(folder / "many", FIRST, put_down, MONTHLY)
    few = _home(folder / "few", FEW_FIRST, put_down, MONTHLY)
    return [*measure_dagster(many, runs=runs), *measure_new_month(few, many, folder, runs=3)]


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
    """A month more of everything behind one year and behind six, dbt included."""
    found = _one_more({"after_12": few, "after_72": many}, folder, put_down, MONTHLY, runs)
    figure = partial(result, rows=len(MONTHLY), runs=runs)
    return [
        figure("months.new_month", _growth(found), "times", goal=1.3),
        *(figure(f"months.new_month.{name}", median(of), "s") for name, of in found.items()),
    ]


def measure_sessions(
    folder: Path,
    *,
    rows: int = SESSIONS_A_MONTH,
    few_first: str = FEW_FIRST,
    first: str = FIRST,
    runs: int = 3,
) -> list[Result]:
    """A month more of sessions: marts and drop, when it is staged."""
    put = partial(put_sessions, rows=rows)
    for name in ("few", "many"):
        # Its own description begins with the concession, less than six years ago.
        _put(folder / name / "parties" / "vattenfall.yaml", PARTY.encode())
    homes = {
        "after_12": _home(folder / "few", few_first, put, [SESSIONS]),
        "after_72": _home(folder / "many", first, put, [SESSIONS]),
    }

    def stage(home: Path, first: str, last: str) -> None:
        put(home, first, last)
        apart(partial(ingest, home, first, [SESSIONS]))

    found = _one_more(homes, folder, stage, [SESSIONS], runs)
    figure = partial(result, rows=rows, runs=runs)
    return [
        figure("new_month", _growth(found), "times", goal=1.3),
        *(figure(f"new_month.{name}", median(of), "s") for name, of in found.items()),
    ]


def _one_more(
    homes: dict[str, Path],
    folder: Path,
    put: Callable[[Path, str, str], None],
    datasets: Sequence[str],
    runs: int,
) -> dict[str, list[Run]]:
    """Runs over the next month in a copy of each home; and `start`, what a run takes anyway."""
    found: dict[str, list[Run]] = {name: [] for name in (*homes, "start")}
    for round_ in range(runs + 1):
        for name, home in homes.items():
            copy = folder / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(home, copy)
            put(copy, NEXT, NEXT)
            run = apart(partial(through_dagster, copy, NEXT, NEXT, datasets))
            if round_:
                found[name].append(run)
        run = apart(partial(start, home))
        if round_:
            found["start"].append(run)
    return found


def _growth(found: dict[str, list[Run]]) -> float:
    """How many times longer it takes behind six years, what starting takes taken off."""
    fixed = median(found["start"])
    return statistics.median(
        (much.seconds - fixed) / (little.seconds - fixed)
        for much, little in zip(found["after_72"], found["after_12"], strict=True)
    )


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


def ingest(home: Path, month: str, datasets: Sequence[str]) -> None:
    """Stage a month of datasets, and build nothing of it."""
    settings = _settings(home)
    from goral_pipeline import ingestion
    from goral_pipeline.landing import open_ledger

    with open_ledger(settings) as ledger:
        for dataset in datasets:
            for found in ingestion.ingest_all(settings, ledger, dataset, [month], fetch=False):
                if found.state != "new":
                    raise SystemExit(ingestion.in_words(found))


def start(home: Path) -> None:
    """What a run takes whatever it does: loading Dagster, the assets, and dbt's own start."""
    settings = _settings(home)
    from goral_pipeline.orchestration.build import build_defs
    from goral_pipeline.warehouse import build, dbt_command

    build_defs(settings=settings)
    target = ("--target-path", settings.dbt_target)
    subprocess.run(
        [
            *(dbt_command.DBT, "--quiet", "list", "--resource-type", "seed"),
            *(*dbt_command.PROJECT, *target),
        ],
        env=os.environ | dbt_command.environment(settings, build.building_file(settings)),
        stdout=subprocess.DEVNULL,
        check=True,
    )


def put_down(home: Path, first: str, last: str) -> None:
    """Put each month's file of every monthly dataset of the demo into the inbox."""
    for dataset, keys in _partitions(home, first, last).items():
        for key in keys:
            extension, content = _file(dataset, key)
            _put(home / "inbox" / dataset / key / f"DEMO_{key}{extension}", content)


def put_sessions(home: Path, first: str, last: str, *, rows: int) -> None:
    """Put so many sessions of each month into the inbox."""
    for month in _partitions(home, first, last, [SESSIONS])[SESSIONS]:
        path = home / "inbox" / SESSIONS / month / "DEMO_pages.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        _leave(cdr_pages.write(path, rows, month))


def _home(
    home: Path, first: str, put: Callable[[Path, str, str], None], datasets: Sequence[str]
) -> Path:
    """A home in which the months from the first to the last are published."""
    boundaries = json.dumps(regions.feature_collection()).encode()
    _put(home / "inbox" / BOUNDARIES / str(YEAR) / "DEMO_boundaries.geojson", boundaries)
    put(home, first, LAST)
    apart(partial(through_dagster, home, f"{YEAR}-01", f"{YEAR}-01", [BOUNDARIES]))
    apart(partial(through_dagster, home, first, LAST, datasets))
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
    _leave(path)


def _leave(path: Path) -> None:
    then = time.time() - A_WHILE
    os.utime(path, (then, then))


def _settings(home: Path) -> Settings:
    from goral_pipeline.settings import Settings

    os.environ |= {"GORAL_HOME": str(home), "GORAL_PSEUDONYM_KEY": KEY}
    return Settings.load()


def _partitions(
    home: Path, first: str, last: str, datasets: Sequence[str] = MONTHLY
) -> dict[str, list[str]]:
    from goral_pipeline import planning

    return planning.partitions(_settings(home), first, last, list(datasets))
