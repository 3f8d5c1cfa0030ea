"""A warehouse built on the one of before holds just what one built from nothing does."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from goral_pipeline import ingestion
from goral_pipeline.demo import charge_points, ocpi_lists, sessions
from goral_pipeline.landing import open_ledger
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.orchestration import run as orchestration
from goral_pipeline.settings import Settings
from goral_pipeline.warehouse import build
from goral_pipeline.warehouse.placement import place_all

LOCATIONS = "ndw_dotnl/locations"
FIRST, *_, LAST = charge_points.PUBLISHED_MONTHS
SESSIONS = "vattenfall/sessions"
SNAPSHOTS = ("int_locations", "int_charge_points")


def deliver(settings: Settings, ledger: Ledger, month: str, content_of: str, folder: Path) -> None:
    file = folder / f"DEMO_{month}.json.gz"
    file.write_bytes(charge_points.locations_gz(content_of))
    assert ingestion.deliver(settings, ledger, LOCATIONS, month, file).state == "new"


def deliver_sessions(
    settings: Settings, ledger: Ledger, month: str, records: list[sessions.Json], folder: Path
) -> None:
    file = folder / f"DEMO_sessions_{month}.json"
    file.write_text(json.dumps({"description": sessions.LABEL, "data": records}))
    assert ingestion.deliver(settings, ledger, SESSIONS, month, file).state == "new"


def sessions_of(settings: Settings, month: str) -> int:
    with duckdb.connect(str(settings.warehouse / build.FILE), read_only=True) as con:
        found = con.execute(
            "select sum(sessions)::integer from marts.mart_use where month = $1", [month]
        ).fetchall()
    return int(found[0][0])


def run(settings: Settings) -> None:
    outcome = orchestration.run_assets(settings, {}, fetch=False, progress=lambda _: None)
    assert outcome.success, outcome.problems


def new_deliveries(path: Path) -> set[str]:
    """The partitions that the file being built knows as new."""
    with duckdb.connect(str(path), read_only=True) as con:
        rows = con.execute("select dataset, partition from staged.deliveries where is_new")
        return {f"{dataset} {partition}" for dataset, partition in rows.fetchall()}


def differing(one: Path, other: Path) -> dict[str, int]:
    """The tables whose rows differ, and in how many."""
    with duckdb.connect() as con:
        con.execute(f"attach '{one}' as one (read_only); attach '{other}' as other (read_only)")
        names = [
            name
            for (name,) in con.execute(
                "select schema_name || '.' || table_name from duckdb_tables() "
                "where database_name = 'one' and table_name <> 'build_info'"
            ).fetchall()
        ]
        assert {f"intermediate.{name}" for name in SNAPSHOTS} < set(names)
        found = {}
        for name in names:
            differ = con.execute(
                f"select count(*) from ((from one.{name} except all from other.{name}) "
                f"union all (from other.{name} except all from one.{name}))"
            ).fetchall()
            found[name] = differ[0][0]
        return {name: number for name, number in found.items() if number}


def test_built_on_another_it_is_as_built_from_nothing(
    settings: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    # A month corrected, and one more.
    deliver(settings, ledger, LAST, FIRST, tmp_path)
    deliver(settings, ledger, "2023-01", LAST, tmp_path)
    of_august = sessions_of(settings, "2022-08")
    # Months later one session is taken back, and another is said to have taken less.
    first, second = sessions.cdrs_of("2022-08")[100:102]
    changed = {"last_updated": "2023-01-15T12:00:00Z"}
    taken_back = {"id": first["id"] + "-C", "credit": True, "credit_reference_id": first["id"]}
    corrected = [first | taken_back | changed, second | changed | {"total_energy": 0.001}]
    deliver_sessions(settings, ledger, "2023-01", corrected, tmp_path)
    # A month is delivered again with less in it.
    deliver_sessions(settings, ledger, "2022-11", sessions.cdrs_of("2022-11")[:100], tmp_path)
    run(settings)
    path = settings.warehouse / build.FILE
    built_on = path.rename(tmp_path / "built_on.duckdb")
    run(settings)
    assert differing(path, built_on) == {}
    with duckdb.connect(str(path), read_only=True) as con:
        months = con.execute("select distinct month from intermediate.int_charge_points")
        assert len(months.fetchall()) == len(charge_points.PUBLISHED_MONTHS) + 1
    assert sessions_of(settings, "2022-08") == of_august - 1
    assert sessions_of(settings, "2022-11") < sessions_of(settings, "2022-10")
    with dg.DagsterInstance.get() as instance:
        _are_described(instance)


def _are_described(instance: dg.DagsterInstance) -> None:
    """Dagster knows the columns of what was built, its rows, and where each column is from."""

    def metadata(*key: str) -> Mapping[str, dg.MetadataValue]:
        event = instance.get_latest_materialization_event(dg.AssetKey(["warehouse", *key]))
        assert event is not None
        assert event.asset_materialization is not None
        return event.asset_materialization.metadata

    mart = metadata("marts", "mart_requests")
    origin = dg.TableColumnDep(
        dg.AssetKey(["warehouse", "intermediate", "int_request_states"]), "municipality_code"
    )
    lineage = mart["dagster/column_lineage"].value
    assert isinstance(lineage, dg.TableColumnLineage)
    assert lineage.deps_by_column["municipality_code"] == [origin]
    rows = mart["dagster/row_count"].value
    assert isinstance(rows, int)
    assert rows > 0
    schema = mart["dagster/column_schema"].value
    assert isinstance(schema, dg.TableSchema)
    assert {column.name for column in schema.columns} == set(lineage.deps_by_column)
    assert all(column.description for column in schema.columns)

    # Of a form of dataset every dataset is an origin.
    lineage = metadata("staging", "stg_concession__requests")["dagster/column_lineage"].value
    assert isinstance(lineage, dg.TableColumnLineage)
    assert lineage.deps_by_column["requested_on"] == [
        dg.TableColumnDep(dg.AssetKey(["staging", concession, "requests"]), "requested_on")
        for concession in ("ecotap_allego", "vattenfall")
    ]


def test_only_what_changed_is_new(settings: Settings, ledger: Ledger, tmp_path: Path) -> None:
    path = settings.warehouse / build.FILE
    wanted = build.inputs(settings, ledger)
    assert new_deliveries(build.prepare(settings, wanted, onto=path)) == set()
    deliver(settings, ledger, LAST, FIRST, tmp_path)
    place_all(settings, ledger)
    wanted = build.inputs(settings, ledger)
    assert new_deliveries(build.prepare(settings, wanted, onto=path)) == {f"{LOCATIONS} {LAST}"}
    everything = {f"{row['dataset']} {row['partition']}" for row in wanted.deliveries}
    assert new_deliveries(build.prepare(settings, wanted)) == everything


def test_boundaries_that_change_make_all_that_is_placed_in_them_new(
    settings: Settings, newer_boundaries: None
) -> None:
    with open_ledger(settings) as ledger:
        place_all(settings, ledger)
        wanted = build.inputs(settings, ledger)
    building = build.prepare(settings, wanted, onto=settings.warehouse / build.FILE)
    placed = {f"{LOCATIONS} {month}" for month in charge_points.PUBLISHED_MONTHS}
    placed |= {f"{SESSIONS} {month}" for month in sessions.PUBLISHED_MONTHS}
    placed |= {f"vattenfall/locations {month}" for month in ocpi_lists.PUBLISHED_MONTHS}
    assert new_deliveries(building) == placed | {"pdok/municipality_boundaries 2022"}


def test_another_project_builds_from_nothing(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "dbt_project_hash", lambda: "another")
    is_built_from_nothing(settings, build.inputs(settings, ledger))


def test_a_damaged_warehouse_is_not_built_on(settings: Settings, ledger: Ledger) -> None:
    path = settings.warehouse / build.FILE
    content = bytearray(path.read_bytes())
    for place in range(300_000, len(content), 100_000):
        content[place] ^= 1
    path.write_bytes(content)
    is_built_from_nothing(settings, build.inputs(settings, ledger))


def test_what_is_real_and_was_invented_is_not_built_on(settings: Settings, ledger: Ledger) -> None:
    wanted = build.inputs(settings, ledger)
    real = tuple(row | {"demo": False} for row in wanted.deliveries)
    is_built_from_nothing(settings, dataclasses.replace(wanted, deliveries=real))


def is_built_from_nothing(settings: Settings, wanted: build.Inputs) -> None:
    building = build.prepare(settings, wanted, onto=settings.warehouse / build.FILE)
    assert len(new_deliveries(building)) == len(wanted.deliveries)
    with duckdb.connect(str(building), read_only=True) as con:
        assert con.execute("from duckdb_tables() where schema_name = 'marts'").fetchall() == []
