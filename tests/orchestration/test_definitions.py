"""What Dagster is shown: assets, partitions, checks and the job; and what loading them costs."""

import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest

from goral_pipeline import clock
from goral_pipeline.contracts import staged
from goral_pipeline.orchestration.build import build_defs
from goral_pipeline.orchestration.partitions import partitions_of
from goral_pipeline.settings import Settings
from tests.conftest import REPOSITORY

MARTS = [
    "dim_month",
    "dim_municipality",
    "indicator_values",
    "mart_charge_points",
    "mart_location_placement",
    "mart_requests",
]
HEAVY = ["great_expectations", "pandas", "duckdb", "dbt.cli", "pyarrow", "shapely", "sqlalchemy"]


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_defs(settings=Settings.load(home=tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def made_from(specs: dict[str, dg.AssetSpec], key: str) -> set[str]:
    """All that an asset is made from, over any number of steps."""
    found: set[str] = set()
    waiting = [key]
    while waiting:
        spec = specs.get(waiting.pop())
        for dep in spec.deps if spec else []:
            name = dep.asset_key.to_user_string()
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


# ── assets ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dataset", sorted(staged()))
def test_a_dataset_is_an_asset_as_it_came_and_one_as_it_was_staged(
    specs: dict[str, dg.AssetSpec], dataset: str
) -> None:
    landing, staging = specs[f"landing/{dataset}"], specs[f"staging/{dataset}"]
    assert (landing.group_name, staging.group_name) == ("landing", "staging")
    assert made_from(specs, f"staging/{dataset}") == {f"landing/{dataset}"}
    assert staging.metadata["contract"] == staged()[dataset].id
    assert landing.description
    assert staging.description


def test_every_mart_is_an_asset_of_its_group(specs: dict[str, dg.AssetSpec]) -> None:
    found = {key: spec.group_name for key, spec in specs.items() if "/marts/" in key}
    assert found == {f"warehouse/marts/{mart}": "marts" for mart in MARTS}


def test_layers_of_dbt_are_groups(specs: dict[str, dg.AssetSpec]) -> None:
    groups = {
        (key.split("/")[1], spec.group_name)
        for key, spec in specs.items()
        if key.startswith("warehouse/")
    }
    assert groups == {
        ("staging", "warehouse_staging"),
        ("intermediate", "intermediate"),
        ("marts", "marts"),
        ("reference", "reference"),
    }


def test_the_data_go_one_way(specs: dict[str, dg.AssetSpec]) -> None:
    charge_points = made_from(specs, "warehouse/marts/mart_charge_points")
    assert "staging/ndw_dotnl/locations" in charge_points
    assert "staging/derived/location_municipality" in charge_points
    assert "landing/pdok/municipality_boundaries" in charge_points
    assert "staging/vattenfall/requests" not in charge_points
    assert "staging/vattenfall/requests" in made_from(specs, "warehouse/marts/mart_requests")
    placed = made_from(specs, "staging/derived/location_municipality")
    assert {"staging/ndw_dotnl/locations", "staging/pdok/municipality_boundaries"} <= placed


def test_the_drop_is_made_from_every_mart_and_nothing_from_it(
    specs: dict[str, dg.AssetSpec],
) -> None:
    below = made_from(specs, "publishing/drop")
    assert {f"warehouse/marts/{mart}" for mart in MARTS} <= below
    assert not [key for key in specs if "publishing/drop" in made_from(specs, key)]
    assert specs["publishing/drop"].group_name == "publishing"


def test_no_secret_is_in_what_dagster_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GORAL_PSEUDONYM_KEY", "a key that nobody may see, of 32 and more")
    monkeypatch.setenv("GORAL_VATTENFALL_TOKEN", "a token that nobody may see")
    found = build_defs(settings=Settings.load(home=tmp_path))
    assert "nobody may see" not in repr(found)
    assert "nobody may see" not in repr([spec.metadata for spec in found.resolve_all_asset_specs()])


# ── checks and jobs ──────────────────────────────────────────────────────────────────────────────


def test_reconciliation_blocks_after_every_dataset(definitions: dg.Definitions) -> None:
    blocking = {
        spec.asset_key.to_user_string()
        for asset in definitions.assets or []
        if isinstance(asset, dg.AssetsDefinition)
        for spec in asset.check_specs
        if spec.name == "reconciliation" and spec.blocking
    }
    assert blocking == {f"staging/{dataset}" for dataset in staged()}


def test_dbt_s_tests_are_checks_of_the_models(definitions: dg.Definitions) -> None:
    checked = {
        spec.asset_key.to_user_string()
        for asset in definitions.assets or []
        if isinstance(asset, dg.AssetsDefinition)
        for spec in asset.check_specs
    }
    assert {f"warehouse/marts/{mart}" for mart in MARTS if mart.startswith("mart_")} <= checked


def test_there_is_one_job_and_it_publishes(definitions: dg.Definitions) -> None:
    (job,) = definitions.jobs or []
    assert job.name == "goral"
    selected = {
        key.to_user_string()
        for key in definitions.resolve_job_def("goral").asset_layer.executable_asset_keys
    }
    assert {"staging/vattenfall/requests", "staging/ndw_dotnl/locations"} <= selected
    assert {"warehouse/marts/indicator_values", "publishing/drop"} <= selected


# ── partitions ───────────────────────────────────────────────────────────────────────────────────

NOW = datetime(2022, 12, 31, 23, 30, tzinfo=clock.PROGRAMME_ZONE)


@pytest.mark.parametrize("dataset", ["vattenfall/requests", "ndw_dotnl/locations"])
def test_months_go_from_the_first_to_the_running_one(dataset: str) -> None:
    keys = partitions_of(staged()[dataset]).get_partition_keys(current_time=NOW)
    assert keys[-2:] == ["2022-11", "2022-12"]
    assert keys == sorted(keys)
    assert staged()[dataset].first_partition in keys


def test_the_month_begins_in_amsterdam() -> None:
    months = partitions_of(staged()["vattenfall/requests"])
    window = months.time_window_for_partition_key("2022-07")
    assert window.start.isoformat() == "2022-07-01T00:00:00+02:00"
    assert window.end.isoformat() == "2022-08-01T00:00:00+02:00"


def test_editions_are_years_and_the_running_one_is_there() -> None:
    years = partitions_of(staged()["pdok/municipality_boundaries"])
    assert years.get_partition_keys(current_time=NOW)[-2:] == ["2021", "2022"]


def test_datasets_of_a_kind_share_their_partitions(specs: dict[str, dg.AssetSpec]) -> None:
    definitions = {spec.partitions_def for key, spec in specs.items() if key.startswith("staging/")}
    assert len(definitions - {None}) == 2


# ── loading ──────────────────────────────────────────────────────────────────────────────────────


def test_loading_imports_nothing_heavy() -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import goral_pipeline.definitions, sys\n"
            f"print(*[name for name in {HEAVY} if name in sys.modules])",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    assert told.stdout.split() == []


def test_loading_writes_nothing(tmp_path: Path) -> None:
    build_defs(settings=Settings.load())
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_dagster_validates_the_workspace(tmp_path: Path) -> None:
    begin = time.monotonic()
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("dagster")),
            "definitions",
            "validate",
            *("-w", "workspace.yaml"),
        ],
        env=os.environ | {"DAGSTER_HOME": str(tmp_path)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"dagster definitions validate: {time.monotonic() - begin:.1f} s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Validation successful" in done.stdout + done.stderr
