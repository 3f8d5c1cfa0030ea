"""What is implausible is kept in the warehouse and stops nothing; a fault while judging does."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from goral_pipeline.checks import plausibility
from goral_pipeline.contracts import published
from goral_pipeline.errors import GoralError
from goral_pipeline.landing import open_ledger
from goral_pipeline.orchestration.build import dbt_resource
from goral_pipeline.orchestration.warehouse_assets import warehouse_assets
from goral_pipeline.settings import Settings
from goral_pipeline.warehouse import build
from goral_pipeline.warehouse import query as warehouse
from tests.conftest import every_file


@pytest.fixture
def settings() -> Settings:
    return Settings.load()


@pytest.fixture
def wanted(settings: Settings) -> build.Inputs:
    """What an empty ledger gives, prepared and then filled as dbt would: one fall, no requests."""
    with open_ledger(settings) as ledger:
        inputs = build.inputs(settings, ledger)
    with build.one_builder(settings):
        build.prepare(settings, inputs)
    with duckdb.connect(str(build.building_file(settings))) as con:
        for schema in ("marts", "intermediate", "reference"):
            con.execute(f"create schema {schema}")
        for contract in published().values():
            (table,) = contract.tables
            columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
            con.execute(f"create table marts.{table.name} ({columns})")
        con.executemany(
            "insert into marts.mart_charge_points "
            "values "
            "('rvo', ?, 'GM0233', 'public', 'regular', ?, 'points', 'all of them', 'rvo')",
            [("2022-01", 100), ("2022-02", 10)],
        )
    return inputs


def found(settings: Settings) -> list[tuple[str, str, bool]]:
    return [
        (one["check_name"], one["period"], one["passed"])
        for one in build.findings(settings.warehouse / build.FILE)
    ]


FALL = [("charge_points_fall", "2022-02", False)]


def test_what_is_implausible_is_in_the_warehouse(settings: Settings, wanted: build.Inputs) -> None:
    build.swap_in(settings, wanted)
    assert found(settings) == FALL
    path = settings.warehouse / build.FILE
    with warehouse.connect(path, memory_limit="500MB", threads=1) as con:
        (row,) = warehouse.query(con, "from plausibility where not passed").to_pylist()
    assert row["message"] == "10 charge points, in 2022-01 still 100"
    assert (row["dataset"], row["area_code"]) == ("rvo/charge_point_counts", "GM0233")
    assert (row["severity"], row["observed"]) == ("warning", 90.0)


def test_a_past_day_s_warehouse_has_it_too(settings: Settings, wanted: build.Inputs) -> None:
    path = build.swap_in(settings, wanted, settings.warehouse / "goral-as-of-2022-02-01.duckdb")
    assert [one["check_name"] for one in build.findings(path)] == ["charge_points_fall"]


def test_without_a_warehouse_there_is_nothing(settings: Settings) -> None:
    assert build.findings(settings.warehouse / build.FILE) == []


def test_the_process_that_builds_does_not_load_great_expectations(
    settings: Settings, wanted: build.Inputs
) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\n"
            "from goral_pipeline.landing import open_ledger\n"
            "from goral_pipeline.settings import Settings\n"
            "from goral_pipeline.warehouse import build\n"
            "settings = Settings.load()\n"
            "with open_ledger(settings) as ledger:\n"
            "    build.swap_in(settings, build.inputs(settings, ledger))\n"
            "sys.exit('great_expectations' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert found(settings) == FALL


def test_another_threshold_asks_for_a_build_but_for_no_other_drop(
    settings: Settings, wanted: build.Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    build.swap_in(settings, wanted)
    assert build.is_up_to_date(settings, wanted)
    monkeypatch.setattr(plausibility, "fingerprint", lambda: "another")
    assert not build.is_up_to_date(settings, wanted)
    with open_ledger(settings) as ledger:
        # The drop is named by this one.
        assert build.inputs(settings, ledger).fingerprint == wanted.fingerprint


def test_dagster_warns_and_goes_on(settings: Settings, wanted: build.Inputs) -> None:
    build.swap_in(settings, wanted)
    assets = warehouse_assets(settings)
    (checks,) = (one for one in assets if isinstance(one, dg.AssetChecksDefinition))
    result = dg.materialize(
        assets,
        selection=dg.AssetSelection.checks(checks),
        resources={"dbt": dbt_resource()},
        instance=dg.DagsterInstance.ephemeral(),
    )
    assert result.success
    evaluations = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert set(evaluations) == {check.name for check in plausibility.CHECKS}
    fall = evaluations.pop("charge_points_fall")
    assert (fall.passed, fall.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert fall.metadata["found"].value == 1
    assert all(one.passed for one in evaluations.values())


# ── judging fails ────────────────────────────────────────────────────────────────────────────────


def test_what_fails_while_judging_is_raised_and_the_warehouse_stays(
    settings: Settings, wanted: build.Inputs
) -> None:
    build.swap_in(settings, wanted)
    before = every_file(settings.warehouse)[build.FILE]
    build.prepare(settings, wanted)
    with pytest.raises(duckdb.CatalogException, match="mart_charge_points"):
        build.swap_in(settings, wanted)
    assert every_file(settings.warehouse)[build.FILE] == before


def killed(path: Path, memory_limit: str, threads: int) -> None:
    """Stands for the process that judges, killed from outside."""
    os._exit(9)


def test_a_process_that_dies_while_judging_is_told(
    settings: Settings, wanted: build.Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plausibility, "find", killed)
    with pytest.raises(GoralError, match="ended without an answer: killed from outside"):
        build.swap_in(settings, wanted)
    assert not (settings.warehouse / build.FILE).exists()
