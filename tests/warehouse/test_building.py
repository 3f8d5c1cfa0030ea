"""Building the warehouse: one builder at a time, a swap that no reader notices, failing safely."""

import hashlib
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from pydantic import SecretStr

from goral_pipeline import ingestion
from goral_pipeline.checks import plausibility
from goral_pipeline.errors import GoralError
from goral_pipeline.landing import open_ledger
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.orchestration import run as orchestration
from goral_pipeline.settings import Settings
from goral_pipeline.sources import registry
from goral_pipeline.warehouse import apart, build, dbt_command
from goral_pipeline.warehouse import query as warehouse
from tests.conftest import Demo, every_file, goral

COUNT = "select count(*) as number from marts.dim_municipality"


def only_build(settings: Settings) -> tuple[orchestration.Outcome, list[str]]:
    """What a run does after ingestion: place, build, publish."""
    told: list[str] = []
    nothing: dict[str, list[str]] = {dataset: [] for dataset in registry(settings.home_folder)}
    outcome = orchestration.run_assets(settings, nothing, fetch=False, progress=told.append)
    return outcome, told


def fill_from(old: Path, building: Path) -> None:
    """What dbt would do: here all marts are those of another warehouse."""
    with duckdb.connect(str(building)) as con:
        con.execute(f"attach '{old}' as old (read_only)")
        for schema in ("marts", "intermediate", "reference"):
            con.execute(f"create schema {schema}")
        made = con.execute(
            "select schema_name || '.' || table_name from duckdb_tables() "
            "where database_name = 'old' and schema_name <> 'main'"
        )
        for (name,) in made.fetchall():
            con.execute(f"create table {name} as from old.{name}")


@pytest.fixture
def broken_dbt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dbt that fails at once, and leaves a mark that it was called."""
    program = tmp_path / "dbt"
    program.write_text(f"#!/bin/sh\necho 'disk is full'\ntouch '{tmp_path}/called'\nexit 2\n")
    program.chmod(0o755)
    monkeypatch.setattr(dbt_command, "DBT", program)
    return tmp_path / "called"


# ── readers and builders ─────────────────────────────────────────────────────────────────────────


def test_readers_keep_the_old_file_while_a_new_one_is_swapped_in(
    settings: Settings, ledger: Ledger
) -> None:
    path = settings.warehouse / build.FILE
    with warehouse.connect(path, memory_limit="500MB", threads=1) as reader:
        assert warehouse.query(reader, COUNT).to_pylist() == [{"number": 77}]
        wanted = build.inputs(settings, ledger)
        inode = path.stat().st_ino
        building = build.prepare(settings, wanted)
        fill_from(path, building)
        with duckdb.connect(str(building)) as con:
            con.execute("delete from marts.dim_municipality where municipality_code <> 'GM0202'")
        assert path.stat().st_ino == inode, "building goes on beside"
        build.swap_in(settings, wanted)
        assert path.stat().st_ino != inode
        assert warehouse.query(reader, COUNT).to_pylist() == [{"number": 77}]
        assert warehouse.query(reader, "from marts.indicator_values").num_rows > 0
    with warehouse.connect(path, memory_limit="500MB", threads=1) as reader:
        assert warehouse.query(reader, COUNT).to_pylist() == [{"number": 1}]
    assert build.is_up_to_date(settings, wanted)


def test_a_warehouse_tells_what_it_was_built_from(settings: Settings, ledger: Ledger) -> None:
    path = settings.warehouse / build.FILE
    wanted = build.inputs(settings, ledger)
    assert build.build_info(path) == {
        "fingerprint": wanted.fingerprint,
        "demo": True,
        "judged_by": plausibility.fingerprint(),
        "built_by": build.dbt_project_hash(),
    }
    with duckdb.connect(str(path), read_only=True) as con:
        files = con.execute("select relation, path, sha256 from main.build_inputs").fetchall()
    assert sorted(files) == sorted((f.relation, f.path, f.sha256) for f in wanted.files)
    for _, name, sha256 in files:
        content = (settings.home_folder / name).read_bytes()
        assert sha256 in ("", hashlib.sha256(content).hexdigest())


def test_a_second_builder_is_told_so(settings: Settings) -> None:
    with build.one_builder(settings):
        with (
            pytest.raises(GoralError, match="another process is building the warehouse; run again"),
            build.one_builder(settings),
        ):
            pass
        other = subprocess.run(
            [
                sys.executable,
                "-c",
                "from goral_pipeline.settings import Settings\n"
                "from goral_pipeline.warehouse import build\n"
                "with build.one_builder(Settings.load()): pass",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "another process is building the warehouse" in other.stderr
    with build.one_builder(settings):
        pass


def test_a_run_while_another_builds_says_so_and_changes_nothing(
    settings: Settings, newer_boundaries: None
) -> None:
    before = every_file(settings.warehouse), every_file(settings.drops)
    with build.one_builder(settings):
        outcome, _ = only_build(settings)
    assert not outcome.success
    assert outcome.problems == (
        "another process is building the warehouse; run again when it is done",
    )
    assert (every_file(settings.warehouse), every_file(settings.drops)) == before


def test_a_warehouse_that_cannot_be_read_is_told_with_the_mend(
    settings: Settings, ledger: Ledger
) -> None:
    path = settings.warehouse / build.FILE
    path.write_bytes(b"damaged" * 1000)
    with pytest.raises(GoralError, match=r"cannot be read \(\w+\); delete it and run again"):
        build.is_up_to_date(settings, build.inputs(settings, ledger))


# ── what decides whether to build ────────────────────────────────────────────────────────────────


def test_nothing_is_built_when_the_inputs_are_the_same(
    settings: Settings, broken_dbt: Path
) -> None:
    before = every_file(settings.warehouse), every_file(settings.drops)
    outcome, told = only_build(settings)
    assert outcome.success, outcome.problems
    assert "the warehouse is made of just these inputs: nothing to build" in told
    assert not broken_dbt.exists()
    assert (every_file(settings.warehouse), every_file(settings.drops)) == before


def test_what_was_parsed_for_one_home_serves_another(demo: Demo) -> None:
    """The demo's is not the one that `make install` was run for."""
    (log,) = demo.home.glob("dbt/*/dbt.log")
    assert "EndOfRunSummary" in log.read_text()
    assert "Unable to do partial parsing" not in log.read_text()


def test_a_newer_delivery_and_a_change_of_the_project_ask_for_a_build(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wanted = build.inputs(settings, ledger)
    assert build.is_up_to_date(settings, wanted)
    monkeypatch.setattr(build, "dbt_project_hash", lambda: "another")
    assert not build.is_up_to_date(settings, build.inputs(settings, ledger))


def test_the_border_distance_asks_for_a_build(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GORAL_BORDER_DISTANCE_M", "250")
    assert not build.is_up_to_date(settings, build.inputs(Settings.load(), ledger))


# ── dbt fails ────────────────────────────────────────────────────────────────────────────────────


def test_when_dbt_fails_warehouse_and_drop_stay_as_they_were(
    settings: Settings, newer_boundaries: None, broken_dbt: Path
) -> None:
    before = every_file(settings.drops), every_file(settings.warehouse)[build.FILE]
    outcome, _ = only_build(settings)
    assert broken_dbt.exists()
    assert not outcome.success
    assert "failed with exit code `2`" in outcome.problems[0]
    assert (every_file(settings.drops), every_file(settings.warehouse)[build.FILE]) == before


@pytest.mark.slow
def test_what_dbt_says_reaches_who_ran_it(settings: Settings, newer_boundaries: None) -> None:
    before = every_file(settings.drops), every_file(settings.warehouse)[build.FILE]
    ran = goral(
        *("run", "--from", "2022-04", "--only", "vattenfall/requests", "--no-fetch"),
        GORAL_DUCKDB_MEMORY_LIMIT="15MB",
    )
    assert ran.code == 1
    assert "Out of Memory Error" in ran.err
    assert "Traceback" not in ran.err
    assert (every_file(settings.drops), every_file(settings.warehouse)[build.FILE]) == before


def test_when_dbt_fails_for_a_past_day_its_words_are_shown(
    settings: Settings, ledger: Ledger, broken_dbt: Path
) -> None:
    before = every_file(settings.drops), every_file(settings.warehouse)[build.FILE]
    with pytest.raises(GoralError, match=r"^dbt failed:\ndisk is full$"):
        apart.build_as_of(settings, ledger, apart.date(2022, 1, 1))
    assert (every_file(settings.drops), every_file(settings.warehouse)[build.FILE]) == before


# ── as of a past day ─────────────────────────────────────────────────────────────────────────────


def test_before_the_first_delivery_there_is_an_empty_warehouse_that_builds(
    demo_home: Path,
) -> None:
    usual = every_file(demo_home / "warehouse"), every_file(demo_home / "drops")
    ran = goral("run", "--as-of", "2020-01-01")
    assert ran.code == 0, ran.said
    path = demo_home / "warehouse" / "goral-as-of-2020-01-01.duckdb"
    assert f"built {path}; the usual warehouse and the drop are as they were" in ran.err
    with warehouse.connect(path, memory_limit="500MB", threads=1) as con:
        assert warehouse.query(con, COUNT).to_pylist() == [{"number": 77}]
        for mart in ("mart_charge_points", "mart_requests", "indicator_values", "dim_month"):
            assert warehouse.query(con, f"from {mart}").num_rows == 0
        assert warehouse.query(con, "from plausibility").num_rows == 0
    assert (build.build_info(path) or {})["demo"] is False
    now = every_file(demo_home / "warehouse"), every_file(demo_home / "drops")
    del now[0][path.name]
    assert now == usual


def test_a_past_day_knows_what_had_been_received_by_its_end(
    settings: Settings, ledger: Ledger
) -> None:
    received = [delivery.received_at for delivery in ledger.deliveries()]
    middle = sorted(received)[10]
    then = build.inputs(settings, ledger, ledger.current(as_of=middle))
    assert len(then.deliveries) == 11
    assert all(row["received_at"] <= middle for row in then.deliveries)


def test_inputs_do_not_depend_on_where_home_is(
    settings: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "else where"
    settings.home_folder.rename(elsewhere)
    moved = Settings.load(home=elsewhere)
    with open_ledger(moved) as ledger_there:
        wanted = build.inputs(moved, ledger_there)
        assert build.is_up_to_date(moved, wanted)
    assert not any(Path(file.path).is_absolute() for file in wanted.files)


def test_pseudonyms_of_two_keys_are_not_built_from(settings: Settings, ledger: Ledger) -> None:
    other = settings.model_copy(update={"pseudonym_key": SecretStr("another key of the demo " * 2)})
    restaged = ingestion.ingest(other, ledger, "vattenfall/requests", "2022-07", fetch=False)
    assert restaged.state == "new"
    with pytest.raises(GoralError, match="staged under 2 keys") as refused:
        build.inputs(settings, ledger)
    assert "goral run --no-fetch --from 2022-01" in str(refused.value)
    assert "--only vattenfall/requests" in str(refused.value)
    ingestion.ingest(settings, ledger, "vattenfall/requests", "2022-07", fetch=False)
    assert build.inputs(settings, ledger).deliveries
