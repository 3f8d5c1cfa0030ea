"""What Dagster is shown: assets, partitions, checks and jobs; and what loading them costs."""

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest

from goral_pipeline import clock
from goral_pipeline.contracts import Contract, published
from goral_pipeline.orchestration import build
from goral_pipeline.orchestration.build import build_defs
from goral_pipeline.orchestration.partitions import partitions_of
from goral_pipeline.settings import Settings
from goral_pipeline.sources import MAPPINGS, contracts
from goral_pipeline.warehouse import dbt_command
from tests.conftest import REPOSITORY

MARTS = sorted(published())
DATASETS: dict[str, Contract] = contracts(Path("/no/mappings/of/a/user"))
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


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_a_dataset_is_an_asset_as_it_came_and_one_as_it_was_staged(
    specs: dict[str, dg.AssetSpec], dataset: str
) -> None:
    landing, staging = specs[f"landing/{dataset}"], specs[f"staging/{dataset}"]
    assert (landing.group_name, staging.group_name) == ("landing", "staging")
    assert made_from(specs, f"staging/{dataset}") == {f"landing/{dataset}"}
    assert staging.metadata["contract"] == DATASETS[dataset].id
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
    placed = made_from(specs, "staging/derived/location_municipality")
    assert {
        "staging/ndw_dotnl/locations",
        "staging/vattenfall/sessions",
        "staging/pdok/municipality_boundaries",
    } <= placed
    use = made_from(specs, "warehouse/marts/mart_use")
    assert "staging/vattenfall/sessions" in use
    assert "ledger/delivery_months" in use


@pytest.mark.parametrize("form", ["requests", "placements"])
def test_what_reads_a_concession_depends_on_every_concession(
    specs: dict[str, dg.AssetSpec], form: str
) -> None:
    read = {
        dep.asset_key.to_user_string()
        for dep in specs[f"warehouse/staging/stg_concession__{form}"].deps
    }
    assert {f"staging/vattenfall/{form}", f"staging/ecotap_allego/{form}"} <= read
    assert not [key for key in specs if "concession/" in key]


def test_a_mapping_of_the_user_s_own_is_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "mappings").mkdir()
    built_in = MAPPINGS / "vattenfall.requests.yaml"
    own = built_in.read_text().replace("vattenfall/requests", "third/requests", 1)
    own = own.replace("name: Vattenfall InCharge", "name: Third")
    (tmp_path / "mappings" / "third.yaml").write_text(own)
    found = build_defs(settings=Settings.load(home=tmp_path)).resolve_all_asset_specs()
    keys = {spec.key.to_user_string(): spec for spec in found}
    assert "staging/third/requests" in made_from(keys, "warehouse/marts/mart_requests")


def test_the_drop_is_made_from_every_published_mart_and_nothing_from_it(
    specs: dict[str, dg.AssetSpec],
) -> None:
    below = made_from(specs, "publishing/drop")
    in_it = [mart for mart, contract in published().items() if contract.is_published]
    assert {f"warehouse/marts/{mart}" for mart in in_it} <= below
    assert not [key for key in specs if "publishing/drop" in made_from(specs, key)]
    assert specs["publishing/drop"].group_name == "publishing"


def test_single_sessions_are_published_where_it_is_told_where_to(
    specs: dict[str, dg.AssetSpec], tmp_path: Path
) -> None:
    assert "publishing/cdr_drop" not in specs
    there = Settings.load(home=tmp_path, cdr_drops_url=str(tmp_path / "cdr"))
    defs = build_defs(settings=there)
    found = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
    below = made_from(found, "publishing/cdr_drop")
    assert {f"staging/vattenfall/{form}" for form in ("sessions", "locations")} <= below
    assert "staging/pdok/municipality_boundaries" in below
    assert not [key for key in below if key.startswith("warehouse/")], "built apart"
    assert not [key for key in found if "/cdr_" in key and key != "publishing/cdr_drop"]
    published_by = defs.resolve_job_def(build.PUBLISHING_JOB).asset_layer.executable_asset_keys
    assert dg.AssetKey(["publishing", "cdr_drop"]) in published_by


def test_no_secret_is_in_what_dagster_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GORAL_PSEUDONYM_KEY", "a key that nobody may see, of 32 and more")
    monkeypatch.setenv("GORAL_VATTENFALL_TOKEN", "a token that nobody may see")
    found = build_defs(settings=Settings.load(home=tmp_path))
    assert "nobody may see" not in repr(found)
    assert "nobody may see" not in repr([spec.metadata for spec in found.resolve_all_asset_specs()])


# ── checks and jobs ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("check", ["expectations", "reconciliation"])
def test_a_check_blocks_after_every_dataset_partition_by_partition(
    definitions: dg.Definitions, specs: dict[str, dg.AssetSpec], check: str
) -> None:
    blocking = {
        spec.asset_key.to_user_string(): spec.partitions_def
        for asset in definitions.assets or []
        if isinstance(asset, dg.AssetsDefinition)
        for spec in asset.check_specs
        if spec.name == check and spec.blocking
    }
    assert blocking == {
        f"staging/{dataset}": specs[f"staging/{dataset}"].partitions_def for dataset in DATASETS
    }


def test_dbt_s_tests_are_checks_of_the_models(definitions: dg.Definitions) -> None:
    checked = {
        spec.asset_key.to_user_string()
        for asset in definitions.assets or []
        if isinstance(asset, dg.AssetsDefinition)
        for spec in asset.check_specs
    }
    assert {f"warehouse/marts/{mart}" for mart in MARTS if mart.startswith("mart_")} <= checked


def selected_by(definitions: dg.Definitions, job: str) -> set[str]:
    keys = definitions.resolve_job_def(job).asset_layer.executable_asset_keys
    return {key.to_user_string() for key in keys}


@pytest.mark.parametrize(
    ("job", "kind"),
    [("ingest_months", "month"), ("ingest_years", "year"), ("ingest_editions", "edition")],
)
def test_a_job_ingests_the_datasets_of_one_kind(
    definitions: dg.Definitions, job: str, kind: str
) -> None:
    datasets = [name for name, contract in DATASETS.items() if contract.partition == kind]
    assert datasets
    assert selected_by(definitions, job) == {
        f"{step}/{dataset}" for dataset in datasets for step in ("landing", "staging")
    }


def test_one_job_publishes_from_whatever_was_ingested(definitions: dg.Definitions) -> None:
    assert {job.name for job in definitions.jobs or []} == {
        "ingest_months",
        "ingest_years",
        "ingest_editions",
        "publish",
        "look_after_sources",
    }
    selected = selected_by(definitions, "publish")
    assert {"warehouse/marts/indicator_values", "publishing/drop"} <= selected
    assert "staging/derived/location_municipality" in selected
    assert not {f"staging/{dataset}" for dataset in DATASETS} & selected


# ── partitions ───────────────────────────────────────────────────────────────────────────────────

NOW = datetime(2022, 12, 31, 23, 30, tzinfo=clock.PROGRAMME_ZONE)


@pytest.mark.parametrize("dataset", ["vattenfall/requests", "ndw_dotnl/locations"])
def test_months_go_from_the_first_to_the_running_one(dataset: str) -> None:
    keys = partitions_of(DATASETS[dataset]).get_partition_keys(current_time=NOW)
    assert keys[-2:] == ["2022-11", "2022-12"]
    assert keys == sorted(keys)
    assert DATASETS[dataset].first_partition in keys


def test_the_month_begins_in_amsterdam() -> None:
    months = partitions_of(DATASETS["vattenfall/requests"])
    window = months.time_window_for_partition_key("2022-07")
    assert window.start.isoformat() == "2022-07-01T00:00:00+02:00"
    assert window.end.isoformat() == "2022-08-01T00:00:00+02:00"


def test_registers_are_kept_by_year_and_the_running_one_is_there() -> None:
    years = partitions_of(DATASETS["pdok/municipality_boundaries"])
    assert years.get_partition_keys(current_time=NOW)[-2:] == ["2021", "2022"]


def test_editions_are_quarters_to_the_end_of_the_year(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    quarters = partitions_of(DATASETS["elaadnl/passenger_outlook"]).get_partition_keys()
    assert (quarters[0], quarters[-1]) == ("2020Q1", "2022Q4")
    assert quarters == sorted(quarters)


def test_datasets_of_a_kind_share_their_partitions(specs: dict[str, dg.AssetSpec]) -> None:
    definitions = {spec.partitions_def for key, spec in specs.items() if key.startswith("staging/")}
    assert len(definitions - {None}) == 3


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


def test_a_manifest_older_than_the_project_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else a checkout with a new model, pulled over an old one, does not load."""
    project = tmp_path / "dbt_project"
    shutil.copytree(
        REPOSITORY / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs")
    )
    manifest = project / "target" / "manifest.json"
    monkeypatch.setattr(build, "DBT_PROJECT", project)
    monkeypatch.setattr(build, "MANIFEST", manifest)
    there = ("--project-dir", str(project), "--profiles-dir", str(project))
    monkeypatch.setattr(dbt_command, "PROJECT", there)
    manifest.parent.mkdir()
    manifest.write_text("{}")
    build.ensure_manifest()
    assert manifest.read_text() == "{}"

    new = project / "models" / "marts" / "mart_new.sql"
    new.write_text("select 1 as one")
    os.utime(manifest, (1, 1))
    build.ensure_manifest()
    assert "model.goral.mart_new" in json.loads(manifest.read_text())["nodes"]
    assert [path.name for path in manifest.parent.iterdir()] == ["manifest.json"]

    written = manifest.stat().st_mtime_ns
    build.ensure_manifest()
    assert manifest.stat().st_mtime_ns == written


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
