"""A warehouse apart from the usual one, which it does not touch.

As it would have been on a past day, from what had been received by then; of just the deliveries
that a drop was made of; or of single sessions, which the usual one does not hold. Does not belong
here: how it is built.
"""

from __future__ import annotations

import os
import subprocess
from datetime import date, datetime, time, timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from goral_pipeline.clock import PROGRAMME_ZONE
from goral_pipeline.errors import GoralError
from goral_pipeline.warehouse import SINGLE_SESSIONS, build, dbt_command, placement
from goral_pipeline.warehouse.dbt_command import BUILD, PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from goral_pipeline.landing.ledger import Current, Ledger
    from goral_pipeline.settings import Settings

LAST_LINES = 40


def build_as_of(settings: Settings, ledger: Ledger, day: date) -> Path:
    """Build `goral-as-of-<day>.duckdb` from what had been received by the end of that day.

    Raises:
        GoralError: when retention removed what was in use then; when dbt fails, with the last of
            what it said.
    """
    end = datetime.combine(day + timedelta(days=1), time(), PROGRAMME_ZONE)
    pointed = ledger.current(as_of=end - timedelta(microseconds=1))
    _refuse_removed(settings, ledger, pointed, day)
    goal = settings.warehouse / f"goral-as-of-{day}.duckdb"
    build_of(settings, ledger, pointed, goal)
    return goal


def build_of(
    settings: Settings, ledger: Ledger, pointed: list[Current], goal: Path
) -> build.Inputs:
    """Build a warehouse at `goal` from what is given; gives what it was built from.

    Raises:
        GoralError: when dbt fails, with the last of what it said.
    """
    placement.place_all(settings, ledger, pointed)
    wanted = build.inputs(settings, ledger, pointed)
    with build.one_builder(settings):
        build.prepare(settings, wanted)
        file = build.building_file(settings)
        _run_dbt(settings, file, settings.dbt_target, "--exclude", SINGLE_SESSIONS)
        build.swap_in(settings, wanted, goal)
    return wanted


def build_single_sessions(settings: Settings, wanted: build.Inputs, goal: Path) -> None:
    """Build the tables of single sessions, and nothing else, in a new file at `goal`.

    All that is written on the way lies in its folder too, which should be the user's only: the log
    and what DuckDB spills, what dbt compiles.

    Raises:
        GoralError: when dbt fails, with the last of what it said.
    """
    build.prepare(settings, wanted, at=goal)
    # Only tests of what is built: others look at tables that are not there.
    cautious = ("--indirect-selection", "cautious")
    selection = ("--select", f"+{SINGLE_SESSIONS}", *cautious)
    _run_dbt(settings, goal, goal.parent / "dbt", *selection)


def _run_dbt(settings: Settings, file: Path, target: Path, *selection: str) -> None:
    dbt_command.lend_parsed_project(target)
    written = ("--target-path", target, "--log-path", target)
    done = subprocess.run(
        [dbt_command.DBT, *BUILD, "--quiet", *PROJECT, *written, *selection],
        env=os.environ | dbt_command.environment(settings, file),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-LAST_LINES:])
        raise GoralError(f"dbt failed:\n{said}")


def _refuse_removed(settings: Settings, ledger: Ledger, pointed: list[Current], day: date) -> None:
    removals = {removal.path: removal for removal in ledger.removals()}
    gone = [
        (current.delivery, removals[folder])
        for current in pointed
        for folder in {PurePosixPath(file.path).parent.as_posix() for file in current.files}
        if folder in removals and not (settings.home_folder / folder).exists()
    ]
    if gone:
        delivery, removal = gone[0]
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        raise GoralError(
            f"the warehouse of {day} cannot be built any more: the rows in use then of "
            f"{delivery.dataset} {delivery.partition}{more} were removed by retention on "
            f"{removal.day} ({removal.reason}); take a later day"
        )
