"""dbt, as the pipeline starts it: in the folder of the file that it fills.

A profile with the whole path of that file would differ from home to home and from build to build,
and dbt takes the whole project in anew, for six seconds, whenever its profile says something else.
Does not belong here: what dbt is given to read, and what becomes of the file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from goral_pipeline import durable
from goral_pipeline.settings import DBT_PROJECT

if TYPE_CHECKING:
    from goral_pipeline.settings import Settings

DBT = Path(sys.executable).with_name("goral-dbt")
"""The program that `main` is."""
PROJECT = ("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT))
# Unit tests try the SQL on rows of their own: once a change of it, not once a build.
BUILD = ("build", "--exclude-resource-type", "unit_test")
BUILDING = "building.duckdb"
"""Name of the file that is filled: part of the profile, so one for all."""
BUILD_VARIABLE = "GORAL_WAREHOUSE_BUILD"
PARSED = "partial_parse.msgpack"


def main() -> None:
    """Run dbt's own command line where the file lies that GORAL_WAREHOUSE_BUILD names."""
    file = Path(os.environ[BUILD_VARIABLE])
    os.chdir(file.parent)
    os.environ[BUILD_VARIABLE] = file.name
    from dbt.cli.main import cli

    cli(prog_name="dbt")


def environment(settings: Settings, file: Path) -> dict[str, str]:
    """What `main` and dbt's profile read from the environment, to fill that file."""
    return {
        BUILD_VARIABLE: str(file),
        "GORAL_DUCKDB_MEMORY_LIMIT": settings.duckdb_memory_limit,
        "GORAL_DUCKDB_THREADS": str(settings.duckdb_threads),
        "DBT_USE_COLORS": "false",
    }


def lend_parsed_project(target: Path) -> None:
    """Start from what `make install` parsed of the project, if dbt has nothing in `target` yet."""
    own, installed = (folder / PARSED for folder in (target, DBT_PROJECT / "target"))
    if installed.is_file() and not own.exists():
        durable.make_folder(own.parent)
        durable.write_bytes(own, installed.read_bytes())
