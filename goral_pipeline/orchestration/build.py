"""Puts the definitions together: one function that Dagster, the command line and tests share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_dbt import DbtCliResource
from packaging.version import Version

from goral_pipeline.contracts import staged
from goral_pipeline.errors import GoralError
from goral_pipeline.orchestration.ingestion_assets import (
    ingestion_assets,
    landing_key,
    staging_key,
)
from goral_pipeline.orchestration.warehouse_assets import MANIFEST, warehouse_assets
from goral_pipeline.settings import DBT_PROJECT

if TYPE_CHECKING:
    from goral_pipeline.settings import Settings

JOB = "goral"
DBT = Path(sys.executable).with_name("dbt")


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
    """All assets, checks and resources, and the one job that runs them.

    Args:
        settings: where everything is; secrets stay in it, out of Dagster's configuration.
        resource_overrides: resources to put in the place of the usual ones.
    """
    ensure_manifest()
    return dg.Definitions(
        assets=[*ingestion_assets(settings), *warehouse_assets(settings)],
        jobs=[
            dg.define_asset_job(
                JOB,
                selection=dg.AssetSelection.all() - dg.AssetSelection.assets(*_editions()),
                description=(
                    "A month, or a range of them: ask, land, stage, check; then place, build the "
                    "marts and publish. Editions of boundaries are partitions of their own: "
                    "materialize them by themselves, before."
                ),
            )
        ],
        resources={"dbt": dbt_resource()} | dict(resource_overrides or {}),
        executor=dg.in_process_executor,
    )


def _editions() -> list[dg.AssetKey]:
    """Assets by year: a job's partitions are of one kind, and the job's are months."""
    datasets = [c.dataset for c in staged().values() if c.partition == "year"]
    return [key for dataset in datasets for key in (landing_key(dataset), staging_key(dataset))]


def dbt_resource() -> DbtCliResource:
    """The dbt of this environment, on this project."""
    return _Dbt(
        project_dir=str(DBT_PROJECT), profiles_dir=str(DBT_PROJECT), dbt_executable=str(DBT)
    )


def ensure_manifest() -> None:
    """Have dbt write its manifest where `make install` has not done so yet.

    Raises:
        GoralError: when dbt cannot.
    """
    if MANIFEST.exists():
        return
    done = subprocess.run(
        [DBT, "parse", "--quiet", "--project-dir", DBT_PROJECT, "--profiles-dir", DBT_PROJECT],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise GoralError(f"dbt cannot read dbt_project:\n{done.stdout}{done.stderr}")
