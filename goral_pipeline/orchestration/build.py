"""Puts the definitions together: one function that Dagster, the command line and tests share."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_dbt import DbtCliResource
from packaging.version import Version

from goral_pipeline import durable
from goral_pipeline.contracts.model import Partition
from goral_pipeline.errors import GoralError
from goral_pipeline.orchestration import automation
from goral_pipeline.orchestration.ingestion_assets import (
    ingestion_assets,
    landing_key,
    staging_key,
)
from goral_pipeline.orchestration.operations import (
    HEALTH_KEY,
    currency_check,
    freshness_checks,
    operations_assets,
)
from goral_pipeline.orchestration.warehouse_assets import MANIFEST, warehouse_assets
from goral_pipeline.settings import DBT_PROJECT
from goral_pipeline.sources import contracts
from goral_pipeline.warehouse import dbt_command

if TYPE_CHECKING:
    from goral_pipeline.settings import Settings

INGESTION_JOBS: dict[Partition, str] = {
    "month": "ingest_months",
    "year": "ingest_years",
    "edition": "ingest_editions",
}
"""A job's partitions are of one kind, so there is one a kind."""
PUBLISHING_JOB = "publish"
HEALTH_JOB = "look_after_sources"
MADE = ("target", "logs", "dbt_packages")
"""Folders in the dbt project that dbt makes."""


class _Dbt(DbtCliResource):
    """dbt as Dagster calls it, without two things that cost seconds and that nobody here uses.

    Should Dagster rename either method, it does them again, and all still works.
    """

    @property
    def _cli_version(self) -> Version:
        """Of the package: Dagster would start dbt once more to ask."""
        return Version(metadata.version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        """No second handle on the warehouse: it would serve to fetch row counts from it."""


def build_defs(
    *, settings: Settings, resource_overrides: Mapping[str, object] | None = None
) -> dg.Definitions:
    """All assets, checks and resources, the jobs that run them, and what starts these.

    Ingestion and what follows are jobs of their own: in a month in which one dataset has no
    delivery Dagster would skip all that comes after, which is made from what there is.

    Args:
        settings: where everything is; secrets stay in it, out of Dagster's configuration.
        resource_overrides: resources to put in the place of the usual ones.
    """
    ensure_manifest()
    jobs, publishing = _jobs(settings)
    health = dg.define_asset_job(
        HEALTH_JOB,
        selection=dg.AssetSelection.assets(HEALTH_KEY)
        | freshness_checks(settings)
        | currency_check(),
        description="How the sources and the drop stand: what is overdue, missing or left behind.",
    )
    return dg.Definitions(
        assets=[
            *ingestion_assets(settings),
            *warehouse_assets(settings),
            *operations_assets(settings),
        ],
        jobs=[*jobs.values(), publishing, health],
        schedules=[*automation.schedules(settings, jobs), automation.look_after(health)],
        sensors=automation.sensors(settings, jobs, publishing),
        resources={"dbt": dbt_resource()} | dict(resource_overrides or {}),
        executor=dg.in_process_executor,
    )


def _jobs(settings: Settings) -> tuple[dict[Partition, Any], Any]:
    """The jobs that ingest, by kind of partition, and the one that does what follows."""
    keys: dict[Partition, list[dg.AssetKey]] = {kind: [] for kind in INGESTION_JOBS}
    for contract in contracts(settings.home_folder).values():
        keys[contract.partition] += [landing_key(contract.dataset), staging_key(contract.dataset)]
    ingestion = [key for of_kind in keys.values() for key in of_kind]
    jobs = {
        kind: dg.define_asset_job(
            name,
            selection=dg.AssetSelection.assets(*keys[kind]) - freshness_checks(settings),
            description=f"One {kind} or a range of them: ask, land, stage, check.",
        )
        for kind, name in INGESTION_JOBS.items()
    }
    publishing = dg.define_asset_job(
        PUBLISHING_JOB,
        selection=dg.AssetSelection.all()
        - dg.AssetSelection.assets(*ingestion, HEALTH_KEY)
        - freshness_checks(settings),
        description=(
            "From whatever was ingested: place locations, build the marts and publish. Run it "
            "after ingestion."
        ),
    )
    return jobs, publishing


def dbt_resource() -> DbtCliResource:
    """The dbt of this environment, on this project."""
    return _Dbt(
        project_dir=str(DBT_PROJECT),
        profiles_dir=str(DBT_PROJECT),
        dbt_executable=str(dbt_command.DBT),
    )


def ensure_manifest() -> None:
    """Have dbt write its manifest where `make install` has not done so, or not since a change.

    Raises:
        GoralError: when dbt cannot.
    """
    if _is_manifest_current():
        return
    # Beside it first: another process may be reading the manifest there is.
    folder = durable.temporary_beside(MANIFEST.parent / "parsed")
    try:
        done = subprocess.run(
            [
                *(dbt_command.DBT, "parse", "--quiet", *dbt_command.PROJECT),
                *("--target-path", folder),
            ],
            # No file: it is not opened to parse what it will hold.
            env=os.environ | {dbt_command.BUILD_VARIABLE: str(DBT_PROJECT / dbt_command.BUILDING)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise GoralError(f"dbt cannot read dbt_project:\n{done.stdout}{done.stderr}")
        durable.put(folder / MANIFEST.name, MANIFEST)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_manifest_current() -> bool:
    """Whether no file of the project is younger than the manifest, as `make install` has it."""
    if not MANIFEST.exists():
        return False
    parsed = MANIFEST.stat().st_mtime_ns
    folders = [path for path in DBT_PROJECT.iterdir() if path.is_dir() and path.name not in MADE]
    # Folders too: they change when a file comes or goes.
    made_from = [DBT_PROJECT / "dbt_project.yml", DBT_PROJECT / "profiles.yml", *folders]
    made_from += [path for folder in folders for path in folder.rglob("*")]
    return all(path.stat().st_mtime_ns <= parsed for path in made_from)
