"""Single sessions: published of those municipalities alone whose data owner instructed so."""

import json
import os
import shutil
import stat
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow.parquet as pq
import pytest
import yaml

from goral_pipeline import clock, ingestion
from goral_pipeline.contracts import cdr
from goral_pipeline.demo import ocpi_lists
from goral_pipeline.errors import GoralError, SettingsError
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.publishing import drop, instructions, reproduce, upkeep, verify
from goral_pipeline.publishing.manifest import Manifest
from goral_pipeline.publishing.products import CDR, KPI
from goral_pipeline.settings import Settings
from goral_pipeline.warehouse import build, dbt_command
from tests.conftest import GORAL, every_byte, every_file, goral
from tests.publishing.test_drop import renew_boundaries

ARNHEM, APELDOORN = "GM0202", "GM0200"
SESSIONS, LOCATIONS = "vattenfall/sessions", "vattenfall/locations"
LEFT_OUT = ["token_pseudonym", "total_cost", "operator_name", "evse_id", "power_kw"]
WITH_IT = ["tariff_id", "total_energy_cost", "max_voltage_v", "connector_power_type"]
# The least of an entry; each test changes what it is about.
ENTRY = {
    "municipality_code": ARNHEM,
    "data_owner": "DEMO gemeente",
    "date": clock.today() - timedelta(days=30),
    "reference": "DEMO-1",
}


def instruct(settings: Settings, *entries: dict[str, Any]) -> None:
    path = settings.home_folder / instructions.FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(list(entries)))


def entry(code: str, **changes: Any) -> dict[str, Any]:
    return ENTRY | {"municipality_code": code, "reference": f"DEMO-{code}"} | changes


@pytest.fixture
def settings(demo_home: Path, tmp_path: Path) -> Settings:
    """The demo, with two municipalities whose sessions are published, one without all fields."""
    os.environ["GORAL_CDR_DROPS_URL"] = str(tmp_path / "cdr-drops")
    settings = Settings.load()
    instruct(settings, entry(ARNHEM, leave_out=LEFT_OUT), entry(APELDOORN))
    return settings


@pytest.fixture
def listed(settings: Settings, ledger: Ledger, tmp_path: Path) -> None:
    """The locations of the concession, as its own server lists them."""
    file = tmp_path / "DEMO_locations.json"
    file.write_bytes(ocpi_lists.file_of("locations", "2022-12"))
    result = ingestion.deliver(settings, ledger, LOCATIONS, "2022-12", file)
    assert result.state == "new", result


def cdr_drops(settings: Settings) -> Path:
    return Path(str(settings.cdr_drops_url))


def latest(settings: Settings) -> Manifest:
    found = drop.latest(CDR.open_store(settings))
    assert found is not None
    return found


def rows(settings: Settings, dataset: str) -> list[dict[str, Any]]:
    file = latest(settings).file_of(dataset)
    assert file is not None
    release = cdr_drops(settings) / verify.release(latest(settings).drop)
    found: list[dict[str, Any]] = pq.read_table(release / file.path).to_pylist()
    return found


CLEAR = "drop schema if exists goral, goral_drops, goral_sessions, goral_sessions_drops cascade"


# ── off unless configured ────────────────────────────────────────────────────────────────────────


def test_nothing_is_published_unless_it_is_told_where_to(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GORAL_CDR_DROPS_URL")
    with pytest.raises(SettingsError, match="set GORAL_CDR_DROPS_URL"):
        drop.publish(Settings.load(), ledger, CDR)


def test_each_product_has_a_place_of_its_own(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GORAL_CDR_DROPS_URL", f"{settings.drops}/")
    with pytest.raises(SettingsError, match="is where figures are published, or one lies within"):
        drop.publish(Settings.load(), ledger, CDR)
    monkeypatch.setenv("GORAL_CDR_DROPS_URL", f"{settings.drops}/sessions")
    with pytest.raises(SettingsError, match="or one lies within the other"):
        drop.publish(Settings.load(), ledger, CDR)
    for figures, sessions in (
        ("abfs://drops/goral", "az://drops/goral/sessions"),
        ("abfss://drops", "abfs://drops/"),
        ("ssh://host/drops/figures", "ssh://ndw@host/drops"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(verify, "Remote", lambda url: None)
            patch.setenv("GORAL_DROPS_URL", figures)
            patch.setenv("GORAL_CDR_DROPS_URL", sessions)
            with pytest.raises(SettingsError, match="or one lies within the other"):
                CDR.open_store(Settings.load())
    # By another name for the same place, too.
    other = tmp_path / "link"
    shutil.copytree(settings.drops, other)
    monkeypatch.setenv("GORAL_CDR_DROPS_URL", str(other))
    before = every_byte(other)
    with pytest.raises(GoralError, match="is a drop of the product kpi, not cdr"):
        drop.publish(Settings.load(), ledger, CDR)
    with pytest.raises(GoralError, match="is a drop of the product kpi, not cdr"):
        upkeep.prune(Settings.load(), 1, CDR, dry_run=False)
    assert every_byte(other) == before


@pytest.mark.parametrize("entries", [None, []])
def test_nothing_is_published_without_instruction(
    settings: Settings, ledger: Ledger, entries: list[Any] | None
) -> None:
    path = settings.home_folder / instructions.FILE
    path.unlink()
    if entries is not None:
        instruct(settings)
    with pytest.raises(SettingsError, match="no instruction is recorded"):
        drop.publish(settings, ledger, CDR)
    assert not cdr_drops(settings).exists()


def test_a_wrong_setting_is_wrong_use(settings: Settings) -> None:
    instruct(settings, entry("GM9999"))
    ran = goral("drop", "publish", "--product", "cdr")
    assert ran.code == 2, ran.said
    assert "instructions.yaml, entry 1, municipality_code: 'GM9999' is no municipality" in ran.err


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"municipality_code": 202}, "entry 1, municipality_code: Input should be a valid string"),
        ({"municipality_code": "GM0363"}, "'GM0363' is no municipality of the region"),
        ({"date": "soon"}, "entry 1, date: Input should be a valid date"),
        ({"date": clock.today() + timedelta(days=2)}, "is after today"),
        ({"reference": "  "}, "entry 1, reference: String should have at least 1 character"),
        ({"data_owner": None}, "entry 1, data_owner: Input should be a valid string"),
        (
            {"leave_out": ["total_energy"]},
            "'total_energy' is no column that can be left out; these",
        ),
        ({"leave_out": "total_cost"}, "entry 1, leave_out: Input should be a valid list"),
        ({"until": "2026"}, "entry 1, until: Extra inputs are not permitted"),
    ],
)
def test_what_is_wrong_with_an_instruction_is_told(
    tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    settings = Settings.load(home=tmp_path)
    instruct(settings, ENTRY | changed)
    with pytest.raises(SettingsError) as refusal:
        instructions.read(settings)
    assert told in str(refusal.value)


@pytest.mark.parametrize("field", ["municipality_code", "data_owner", "date", "reference"])
def test_an_instruction_is_recorded_whole(tmp_path: Path, field: str) -> None:
    settings = Settings.load(home=tmp_path)
    instruct(settings, {name: value for name, value in ENTRY.items() if name != field})
    with pytest.raises(SettingsError, match=f"entry 1, {field}: Field required"):
        instructions.read(settings)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("- [unclosed", "instructions.yaml, line 1: is no YAML"),
        ("GM0202", "instructions.yaml: Input should be a valid list"),
        ("instructions: []", "instructions.yaml: Input should be a valid list"),
    ],
)
def test_a_file_that_is_no_list_is_told(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / instructions.FILE).write_text(content)
    with pytest.raises(SettingsError, match=told):
        instructions.read(Settings.load(home=tmp_path))


def test_one_entry_a_municipality(tmp_path: Path) -> None:
    settings = Settings.load(home=tmp_path)
    instruct(settings, ENTRY, ENTRY | {"reference": "DEMO-2"})
    with pytest.raises(SettingsError, match=f"more than one entry for {ARNHEM}"):
        instructions.read(settings)


# ── what is in a drop ────────────────────────────────────────────────────────────────────────────


def test_what_is_left_out_does_not_follow_from_what_is_not() -> None:
    def with_it(*names: str) -> set[str]:
        one = ENTRY | {"leave_out": list(names)}
        return set(instructions.Entry.model_validate(one).instruction().leave_out)

    costs = {"total_cost", "total_fixed_cost", "total_energy_cost", "tariff_id"}
    assert with_it("total_cost") == with_it("total_energy_cost") == costs
    power = {"max_voltage_v", "max_amperage_a", "power_kw", "power_origin", "power_type"}
    assert with_it("power_kw") == power | {"connector_power_type"}
    assert with_it("standard") == {"standard", "connector_standard"}
    assert with_it("address", "token_type") == {"address", "token_type"}
    assert with_it() == set()


@pytest.mark.usefixtures("listed")
def test_single_sessions_of_who_instructed_so_without_what_is_left_out(
    settings: Settings, ledger: Ledger
) -> None:
    kept = every_byte(settings.drops), every_file(settings.warehouse)
    said: list[str] = []
    result = drop.publish(settings, ledger, CDR, progress=said.append)
    assert (result.is_new, result.demo, result.files) == (True, True, 4)
    assert said[0] == "making the tables of single sessions with dbt"
    made = upkeep.verified(verify.Folder(cdr_drops(settings)), deep=True)
    assert made.drop == result.drop
    assert made.product == "cdr"
    assert [one.municipality_code for one in made.instructions] == [APELDOORN, ARNHEM]
    assert {*LEFT_OUT, *WITH_IT} <= set(made.instructions[1].leave_out)
    assert made.instructions[0].leave_out == []
    assert made.instructions[1].reference == f"DEMO-{ARNHEM}"

    sessions = rows(settings, "cdr_sessions")
    with duckdb.connect(str(settings.warehouse / build.FILE), read_only=True) as con:
        counted = con.execute(
            "select municipality_code, month, sum(sessions)::bigint, sum(energy_kwh) "
            "from marts.mart_use where municipality_code in (?, ?) and sessions > 0 "
            "group by all order by all",
            [ARNHEM, APELDOORN],
        ).fetchall()
    assert (
        counted
        == duckdb.sql(  # the same sessions, counted one by one
            "select municipality_code, month, count(*), sum(total_energy) "
            f"from '{release_path(settings)}/cdr_sessions/*.parquet' group by all order by all"
        ).fetchall()
    )
    assert {row["origin"] for row in sessions} == {"vattenfall"}
    for row in sessions:
        left_out = row["municipality_code"] == ARNHEM
        assert (row["token_pseudonym"] is None) == left_out
        assert (row["total_cost"] is None) == left_out
        assert (row["total_energy_cost"] is None) == left_out
        assert row["total_energy"] > 0
        assert row["start_date_time"] < row["end_date_time"]

    locations = rows(settings, "cdr_locations")
    points, connectors = rows(settings, "cdr_charge_points"), rows(settings, "cdr_connectors")
    for of in (locations, points, connectors):
        assert {row["municipality_code"] for row in of} == {ARNHEM, APELDOORN}
        assert {row["origin"] for row in of} == {"vattenfall"}
    assert {row["operator_name"] is None for row in locations} == {True, False}
    assert all((r["evse_id"] is None) == (r["municipality_code"] == ARNHEM) for r in points)
    for column in ("power_kw", "max_voltage_v"):
        assert all((r[column] is None) == (r["municipality_code"] == ARNHEM) for r in connectors)
    where = {(row["country_code"], row["party_id"], row["location_id"]) for row in locations}
    used = {(row["country_code"], row["party_id"], row["location_id"]) for row in sessions}
    assert used <= where, "every session was somewhere"
    # Nobody else's, and nothing of it outside of its own drops.
    assert (every_byte(settings.drops), every_file(settings.warehouse)) == kept
    assert not any((settings.home_folder / "publishing").iterdir())
    assert stat.S_IMODE(cdr_drops(settings).stat().st_mode) == 0o700


def release_path(settings: Settings) -> Path:
    return cdr_drops(settings) / verify.release(latest(settings).drop)


@pytest.mark.slow
def test_who_instructs_no_more_is_in_the_next_drop_no_more(
    settings: Settings, ledger: Ledger
) -> None:
    drop.publish(settings, ledger, CDR)
    first, before = latest(settings), rows(settings, "cdr_sessions")
    assert not drop.publish(settings, ledger, CDR).is_new
    instruct(settings, entry(APELDOORN))
    assert drop.publish(settings, ledger, CDR).is_new
    now = rows(settings, "cdr_sessions")
    assert now == [row for row in before if row["municipality_code"] == APELDOORN]
    assert latest(settings).previous == first.pointer()
    changes = json.loads((release_path(settings) / "changes.json").read_bytes())
    (of_sessions,) = (one for one in changes["tables"] if one["dataset"] == "cdr_sessions")
    assert of_sessions["removed"] == len(before) - len(now) > 0
    assert upkeep.diff(settings, None, None, CDR).tables[-1].removed == of_sessions["removed"]
    # The one before is made anew on the instructions of its own day.
    renew_boundaries(settings, ledger, cdr_drops(settings).parent)
    done = reproduce.reproduce(settings, ledger, first.drop, CDR)
    assert done.is_same_program
    assert set(done.tables.values()) == {"same bytes"}
    assert next(one.made.drop for one in upkeep.drops_of(settings, CDR)) == first.drop
    assert [made.drop for made in upkeep.prune(settings, 1, CDR, dry_run=False)] == [first.drop]


@pytest.mark.slow
def test_when_all_are_withdrawn_an_empty_drop_follows(settings: Settings, ledger: Ledger) -> None:
    drop.publish(settings, ledger, CDR)
    first = latest(settings)
    (settings.home_folder / instructions.FILE).unlink()
    with pytest.raises(SettingsError, match="no instruction is recorded"):
        drop.publish(settings, ledger, CDR)
    instruct(settings)
    assert drop.publish(settings, ledger, CDR).rows == 0
    made = upkeep.verified(verify.Folder(cdr_drops(settings)), deep=True)
    assert (made.sequence, made.previous, made.instructions) == (2, first.pointer(), [])


def test_what_is_up_to_date_is_so_of_single_sessions_too(
    settings: Settings, ledger: Ledger
) -> None:
    assert not drop.is_up_to_date(settings, ledger)
    drop.publish(settings, ledger, CDR)
    assert drop.is_up_to_date(settings, ledger)
    instruct(settings, entry(ARNHEM))
    assert not drop.is_up_to_date(settings, ledger), "an instruction was withdrawn"
    (settings.home_folder / instructions.FILE).write_text("garbage")
    with pytest.raises(SettingsError):
        drop.is_up_to_date(settings, ledger)


def test_a_partition_left_behind_stops_the_product_that_it_belongs_to(
    settings: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    broken = tmp_path / "export.xlsx"
    broken.write_bytes(b"PK\x03\x04 half an upload")
    ingestion.deliver(settings, ledger, "vattenfall/requests", "2022-06", broken)
    assert drop.publish(settings, ledger, CDR).is_new, "requests are not in it"
    broken.write_bytes(b"{half a page")
    ingestion.deliver(settings, ledger, SESSIONS, "2022-08", broken)
    with pytest.raises(GoralError, match=f"{SESSIONS} 2022-08") as refusal:
        drop.publish(settings, ledger, CDR)
    assert "`goral drop publish --allow-incomplete --product cdr`" in str(refusal.value)


def test_without_sessions_there_is_nothing_to_publish(tmp_path: Path) -> None:
    from goral_pipeline.landing import open_ledger

    settings = Settings.load(home=tmp_path, cdr_drops_url=str(tmp_path / "cdr"))
    instruct(settings, ENTRY)
    with open_ledger(settings) as ledger, pytest.raises(GoralError, match="no sessions were"):
        drop.publish(settings, ledger, CDR)


def test_when_dbt_fails_no_single_session_is_left_behind(
    settings: Settings, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dbt = tmp_path / "dbt"
    dbt.write_text("#!/bin/sh\necho no such column\nexit 1\n")
    dbt.chmod(0o755)
    monkeypatch.setattr(dbt_command, "DBT", dbt)
    before = every_file(settings.warehouse)
    with pytest.raises(GoralError, match="dbt failed:\nno such column"):
        drop.publish(settings, ledger, CDR)
    assert every_file(settings.warehouse) == before
    assert not any(settings.publishing.iterdir())
    assert not cdr_drops(settings).exists()


@pytest.mark.slow
def test_a_killed_publisher_leaves_nothing_that_the_next_does_not_mend(settings: Settings) -> None:
    """Killed while dbt makes the tables, which goes on for a while by itself."""
    command = [str(GORAL), "drop", "publish", "--product", "cdr"]
    for _ in range(2):
        publisher = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        while not list(settings.publishing.glob(f"*/{dbt_command.BUILDING}")):
            assert publisher.poll() is None
            time.sleep(0.05)
        time.sleep(1)
        publisher.kill()
        publisher.wait()
    assert stat.S_IMODE(settings.publishing.stat().st_mode) == 0o700
    assert [path.name for path in settings.warehouse.glob("*.duckdb*")] == [build.FILE]
    assert not cdr_drops(settings).exists()
    ran = goral("drop", "publish", "--product", "cdr")
    assert ran.code == 0, ran.said
    upkeep.verified(verify.Folder(cdr_drops(settings)), deep=True)
    # An orphan may have made its folder again; there are no sessions in it, and it goes next time.
    while subprocess.run(["pgrep", "-f", str(settings.publishing)], check=False).returncode == 0:
        time.sleep(0.2)
    for path in settings.publishing.glob(f"*/{dbt_command.BUILDING}"):
        with duckdb.connect(str(path)) as con:
            assert con.execute("from duckdb_tables() where schema_name = 'cdr'").fetchall() == []
    ran = goral("retention", "apply")
    assert ran.code == 0, ran.said
    assert not any(settings.publishing.iterdir())


# ── the commands ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_the_commands_do_to_single_sessions_what_they_do_to_figures(
    settings: Settings, postgres: str, demo_home: Path
) -> None:
    def run(*arguments: str, code: int = 0) -> str:
        ran = goral("drop", *arguments, "--product", "cdr")
        assert ran.code == code, ran.said
        return ran.out + ran.err

    assert "published" in run("publish")
    name = latest(settings).drop
    assert name.startswith("demo-cdr-2022-")
    assert json.loads(goral("status", "--json").out)["published_sessions"]["drop"] == name
    assert f"published of single sessions: {name}" in goral("status").err
    assert f"{name} is right" in run("verify", "--deep")
    (row,) = json.loads(run("list", "--json"))
    assert (row["drop"], row["latest"], row["sequence"]) == (name, True, 1)
    assert f"{name} was reproduced" in run("reproduce")
    assert "is the first drop" in run("diff", code=1)
    assert "is a demo" in run("release", code=1)
    assert "nothing to remove" in run("prune")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(CLEAR)
    assert "loaded" in run("load", postgres, "--allow-demo")
    wrong = goral("drop", "load", postgres, "--allow-demo", "--at", str(cdr_drops(settings)))
    assert (wrong.code, "is a drop of the product cdr, not kpi" in wrong.err) == (1, True)
    kpi = goral("drop", "load", postgres, "--allow-demo")
    assert kpi.code == 0, kpi.said
    with psycopg.connect(postgres, autocommit=True) as connection:
        (there,) = connection.execute("select count(*) from goral_sessions.cdr_sessions").fetchall()
        assert there == (len(rows(settings, "cdr_sessions")),)
        assert connection.execute("select count(*) from goral.kpi_use").fetchall() != [(0,)]
        connection.execute(CLEAR)


# ── what cannot be left out, and what it is ──────────────────────────────────────────────────────


def test_what_tells_a_row_apart_is_never_left_out() -> None:
    possible = set(instructions.can_be_left_out())
    assert {"token_pseudonym", "session_id", "total_cost", "address", "latitude"} <= possible
    for contract in cdr().values():
        (table,) = contract.tables
        required = {column.name for column in table.columns if column.required}
        assert {*table.key, "municipality_code", "origin"} <= required
        assert not required & possible, table.name


def test_the_only_personal_column_is_a_pseudonym() -> None:
    personal = {
        (contract.dataset, column.name): column.personal
        for contract in cdr().values()
        for column in contract.tables[0].all_columns
        if column.personal != "none"
    }
    assert personal == {("cdr_sessions", "token_pseudonym"): "pseudonymise"}


def test_the_usual_build_makes_no_single_sessions(settings: Settings) -> None:
    with duckdb.connect(str(settings.warehouse / build.FILE), read_only=True) as con:
        schemas = con.execute("select distinct schema_name from duckdb_tables()").fetchall()
    assert (CDR.schema,) not in schemas
    assert (KPI.schema,) in schemas
