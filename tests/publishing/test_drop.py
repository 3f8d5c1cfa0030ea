"""Publishing: what is in a drop, when there is one, and that the pointer moves last."""

import json
import shutil
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goral_pipeline import ingestion
from goral_pipeline.contracts import published, staged
from goral_pipeline.demo import regions
from goral_pipeline.errors import GoralError, VerificationFailed
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.publishing import drop, manifest, upkeep, verify
from goral_pipeline.settings import Settings
from goral_pipeline.sources import MAPPINGS, registry
from tests.conftest import Demo, every_byte, every_file, goral

REQUESTS, BOUNDARIES = "vattenfall/requests", "pdok/municipality_boundaries"
TABLES = [
    "dim_month",
    "dim_municipality",
    "indicator_values",
    "kpi_requests",
    "kpi_use",
    "mart_charge_point_comparison",
    "mart_charge_points",
    "mart_coverage",
    "mart_forecast",
    "mart_logistics_forecast",
]
DEMO_NOTICE = "DEMO: every figure in this drop rests on invented data"


def data_file(release: Path, dataset: str) -> Path:
    return release / dataset / f"{dataset}.parquet"


def reject_june(settings: Settings, ledger: Ledger, folder: Path) -> None:
    """A newer delivery of June, which is no workbook."""
    broken = folder / "export 2022-06.xlsx"
    broken.write_bytes(b"PK\x03\x04 half an upload")
    result = ingestion.deliver(settings, ledger, REQUESTS, "2022-06", broken)
    assert result.state == "failed"


def renew_boundaries(settings: Settings, ledger: Ledger, folder: Path) -> None:
    """A newer delivery of the boundaries, in other bytes."""
    file = folder / "DEMO_boundaries.geojson"
    file.write_text(json.dumps(regions.feature_collection(), indent=1))
    result = ingestion.deliver(settings, ledger, BOUNDARIES, "2022", file)
    assert result.state == "new"


# ── what is in a drop ────────────────────────────────────────────────────────────────────────────


def test_a_drop_holds_the_published_tables_their_contracts_and_a_dictionary(demo: Demo) -> None:
    assert sorted(every_byte(demo.release)) == sorted(
        [f"{table}/{table}.parquet" for table in TABLES]
        + [f"contracts/{table}.odcs.yaml" for table in TABLES]
        + ["changes.json", "changes.md", "datapackage.json", "dcat.jsonld", "dictionary.en.md"]
        + ["dictionary.nl.md", "manifest.json", "manifest.schema.json"]
    )


@pytest.mark.parametrize("dataset", TABLES)
def test_schema_is_the_contract_s(demo: Demo, dataset: str) -> None:
    (table,) = published()[dataset].tables
    found = pq.read_schema(data_file(demo.release, dataset))
    expected = table.arrow_schema()
    assert found.names == expected.names
    for field in expected:
        there = found.field(field.name)
        assert (there.type, there.nullable) == (field.type, field.nullable), field.name
        told = {key.decode(): value.decode() for key, value in there.metadata.items()}
        wanted = {key.decode(): value.decode() for key, value in field.metadata.items()}
        assert {key: told[key] for key in wanted} == wanted, field.name
    units = [field.name for field in found if b"unit" in field.metadata]
    assert units == [column.name for column in table.columns if column.unit]


def test_quantities_carry_their_unit(demo: Demo) -> None:
    schema = pq.read_schema(data_file(demo.release, "mart_charge_points"))
    assert schema.field("charge_points").metadata[b"unit"] == b"count"


@pytest.mark.parametrize("dataset", TABLES)
def test_rows_are_sorted_by_their_key_which_is_unique(demo: Demo, dataset: str) -> None:
    (table,) = published()[dataset].tables
    rows = pq.read_table(data_file(demo.release, dataset)).select(list(table.key)).to_pylist()
    # As text sorts in bytes, not as a language would have it.
    keys = [tuple(str(value).encode() for value in row.values()) for row in rows]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys) > 0


@pytest.mark.parametrize(
    "mart", ["mart_requests", "mart_use", "mart_use_profile", "mart_busy_stations"]
)
def test_what_counts_single_persons_is_in_no_drop(demo: Demo, mart: str) -> None:
    assert not published()[mart].is_published
    assert not (demo.release / mart).exists()


def test_what_few_persons_are_behind_is_not_told(demo: Demo) -> None:
    use = pq.read_table(data_file(demo.release, "kpi_use")).to_pylist()
    assert {row["suppression"] for row in use} <= {"none", "small", "complementary"}
    assert any(row["suppression"] == "none" and row["sessions"] > 0 for row in use)
    for row in use:
        assert (row["drivers"] is None) == (row["suppression"] != "none")
        assert row["drivers"] is None or row["drivers"] == 0 or row["drivers"] >= 10
    requests = pq.read_table(data_file(demo.release, "kpi_requests")).to_pylist()
    assert {"none", "small"} <= {row["suppression"] for row in requests}
    assert min(row["requests"] for row in requests if row["requests"] is not None) >= 10
    values = pq.read_table(data_file(demo.release, "indicator_values")).to_pylist()
    assert all((row["value"] is None) == (row["suppression"] != "none") for row in values)


@pytest.mark.parametrize("dataset", TABLES)
def test_every_row_tells_its_origin_and_none_goes_back_to_it(demo: Demo, dataset: str) -> None:
    found = set(pq.read_table(data_file(demo.release, dataset))["origin"].to_pylist())
    assert found
    assert "ndw_dotnl" not in found
    parts = {part for origin in found for part in origin.split("+")}
    assert parts <= {"elaadnl", "ecotap_allego", "goral", "ndw_dotnl", "rvo", "vattenfall"}
    assert all(origin == "+".join(sorted(origin.split("+"))) for origin in found)


def test_the_warehouse_keeps_what_does_not_go_back(demo: Demo) -> None:
    with duckdb.connect(str(demo.home / "warehouse" / "goral.duckdb"), read_only=True) as con:
        for mart in ("mart_charge_points", "indicator_values"):
            rows = con.execute(f"select 1 from marts.{mart} where origin = 'ndw_dotnl'").fetchall()
            assert rows
            rest = con.execute(f"select count(*) from marts.{mart}").fetchall()[0][0] - len(rows)
            assert pq.read_metadata(data_file(demo.release, mart)).num_rows == rest


def test_no_personal_data_is_in_a_drop(demo: Demo) -> None:
    personal = {
        column.name
        for contract in staged().values()
        for table in contract.tables
        for column in table.all_columns
        if column.personal != "none"
    }
    assert {"applicant_pseudonym", "licence_plate", "street_address"} <= personal
    for dataset in TABLES:
        (table,) = published()[dataset].tables
        assert {column.personal for column in table.all_columns} == {"none"}
        assert not personal & set(pq.read_schema(data_file(demo.release, dataset)).names)


@pytest.mark.parametrize(
    ("dataset", "column"),
    [
        ("indicator_values", "value"),
        ("mart_charge_points", "charge_points"),
        ("kpi_use", "sessions"),
        ("mart_forecast", "forecast"),
    ],
)
def test_pyarrow_pandas_and_duckdb_read_the_same_sum(demo: Demo, dataset: str, column: str) -> None:
    path = data_file(demo.release, dataset)
    by_arrow = sum(value for value in pq.read_table(path)[column].to_pylist() if value is not None)
    by_pandas = pd.read_parquet(path)[column].sum()
    with duckdb.connect() as con:
        found = con.execute(f"select sum({column}), count(*) from '{path}'").fetchone()
    assert found is not None
    by_duckdb, rows = found
    assert by_arrow == by_pandas == by_duckdb > 0
    assert rows == pq.read_metadata(path).num_rows


def test_the_manifest_says_what_is_there(demo: Demo) -> None:
    said = json.loads((demo.release / "manifest.json").read_bytes())
    assert said["drop"] == demo.release.name
    assert said["contracts"] == {table: published()[table].version for table in TABLES}
    assert said["left_out"] == []
    with duckdb.connect(str(demo.home / "warehouse" / "goral.duckdb"), read_only=True) as con:
        made_of = con.execute("select relation, path from main.build_inputs").fetchall()
    named = [(file["relation"], file["path"]) for file in said["staged_files"]]
    assert sorted(named) == sorted(made_of)
    assert {"concession__requests", "rvo__vehicles", "elaadnl__passenger_outlook"} <= {
        relation for relation, _ in named
    }
    assert [file["dataset"] for file in said["data"]] == TABLES
    for file in said["data"]:
        path = demo.release / file["path"]
        assert file["rows"] == pq.read_metadata(path).num_rows
        assert file["bytes"] == path.stat().st_size
    months = {file["dataset"]: file["months"] for file in said["data"]}
    assert months["mart_charge_points"] == [f"2022-{month:02d}" for month in range(1, 13)]


def test_a_demo_is_labelled_wherever_one_looks(demo: Demo) -> None:
    assert demo.drop.startswith("demo-2022-12-")
    said = json.loads((demo.release / "manifest.json").read_bytes())
    assert (said["demo"], said["status"], said["notice"]) == (True, "demo", DEMO_NOTICE)
    for dataset in TABLES:
        metadata = pq.read_metadata(data_file(demo.release, dataset)).metadata
        assert metadata[b"notice"].decode() == DEMO_NOTICE
    values = pq.read_table(data_file(demo.release, "indicator_values")).to_pylist()
    from_deliveries = {row["status"] for row in values if row["indicator"].startswith("charge_")}
    assert from_deliveries == {"demo"}
    assert {row["status"] for row in values if row["indicator"].startswith("requests_")} == {"demo"}


def test_no_clock_time_is_in_a_drop(demo: Demo) -> None:
    # Of the day on which the tests run; that of 2022 is data.
    today = pd.Timestamp.now("UTC").strftime("%Y-%m-%d").encode()
    assert [name for name, content in every_byte(demo.release).items() if today in content] == []


# ── publishing again, and elsewhere ──────────────────────────────────────────────────────────────


def test_publishing_again_changes_nothing(settings: Settings, ledger: Ledger) -> None:
    before = every_file(settings.drops)
    told: list[str] = []
    result = drop.publish(settings, ledger, progress=told.append)
    assert not result.is_new
    assert told == []
    assert every_file(settings.drops) == before
    assert drop.is_up_to_date(settings, ledger)


def test_a_lost_drop_is_published_again_with_the_same_bytes(
    settings: Settings, ledger: Ledger, demo: Demo
) -> None:
    shutil.rmtree(settings.drops)
    assert not drop.is_up_to_date(settings, ledger)
    result = drop.publish(settings, ledger)
    assert result.is_new
    assert every_byte(settings.drops) == {
        name: content
        for name, content in every_byte(demo.drops).items()
        if name.startswith(f"releases/{demo.drop}/") or name == "latest.json"
    }


@pytest.mark.parametrize(
    "environment",
    [
        {"TZ": "Asia/Tokyo", "GORAL_DUCKDB_THREADS": "1"},
        {"TZ": "America/St_Johns", "GORAL_DUCKDB_THREADS": "4", "LC_ALL": "C"},
    ],
)
def test_another_machine_publishes_the_same_bytes(
    demo_home: Path, demo: Demo, environment: dict[str, str]
) -> None:
    shutil.rmtree(demo_home / "drops")
    ran = goral("drop", "publish", **environment, PYTHONHASHSEED="7")
    assert ran.code == 0, ran.said
    assert every_byte(demo_home / "drops" / "releases" / demo.drop) == every_byte(demo.release)


def test_what_a_killed_process_left_is_swept(settings: Settings, ledger: Ledger) -> None:
    shutil.rmtree(settings.drops)
    left = settings.drops / "releases" / ".tmp-999999999-00000000-demo-2022-12-x"
    left.mkdir(parents=True)
    (left / "manifest.json").write_bytes(b"half")
    drop.publish(settings, ledger)
    assert not left.exists()


# ── the gate ─────────────────────────────────────────────────────────────────────────────────────


def test_the_pointer_stays_when_verification_fails(
    settings: Settings, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reject_june(settings, ledger, tmp_path)
    before = every_file(settings.drops)
    with monkeypatch.context() as patch:
        patch.setattr(verify, "problems", lambda *_, **__: ["changed bytes: a file"])
        with pytest.raises(VerificationFailed) as failure:
            drop.publish(settings, ledger, allow_incomplete=True)
    first, mend = failure.value.problems
    assert first == "changed bytes: a file"
    assert mend.endswith("was removed; publishing again writes it anew")
    assert every_file(settings.drops) == before
    assert drop.publish(settings, ledger, allow_incomplete=True).is_new
    assert upkeep.verified(verify.Folder(settings.drops), deep=True).left_out


def test_the_pointer_moves_after_everything_else(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(settings.drops)
    seen = []

    def look(drops: verify.Folder, name: str, *arguments: object, **_: object) -> list[str]:
        seen.append((manifest.latest(drops), (drops.root / "releases" / name).is_dir()))
        return []

    monkeypatch.setattr(verify, "problems", look)
    drop.publish(settings, ledger)
    assert seen == [(None, True)]
    assert manifest.latest(verify.Folder(settings.drops)) is not None


def test_a_damaged_release_of_before_is_written_anew(settings: Settings, ledger: Ledger) -> None:
    pointed = manifest.latest(verify.Folder(settings.drops))
    assert pointed
    release = settings.drops / "releases" / pointed.drop
    (settings.drops / "latest.json").unlink()
    damaged = data_file(release, "mart_charge_points")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(VerificationFailed, match="changed size: mart_charge_points"):
        drop.publish(settings, ledger)
    assert manifest.latest(verify.Folder(settings.drops)) is None
    assert drop.publish(settings, ledger).is_new
    assert manifest.latest(verify.Folder(settings.drops)) == pointed
    upkeep.verified(verify.Folder(settings.drops), deep=True)


def test_not_published_while_a_newest_delivery_is_rejected(
    settings: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    reject_june(settings, ledger, tmp_path)
    before = every_file(settings.drops)
    assert not drop.is_up_to_date(settings, ledger)
    with pytest.raises(GoralError) as refusal:
        drop.publish(settings, ledger)
    said = str(refusal.value).splitlines()
    assert said[0].startswith("not published, for the newest delivery of these partitions")
    assert said[1].startswith(f"{REQUESTS} 2022-06: delivery ")
    assert said[-1].endswith("publish without them by `goral drop publish --allow-incomplete`")
    assert every_file(settings.drops) == before


def test_a_rejected_delivery_of_a_dataset_that_no_mapping_tells_of_any_more(
    settings: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    mapping = settings.home_folder / "mappings" / "third.requests.yaml"
    mapping.parent.mkdir()
    own = (MAPPINGS / "vattenfall.requests.yaml").read_text()
    own = own.replace("vattenfall/requests", "third/requests").replace("Vattenfall", "Third")
    mapping.write_text(own)
    registry.cache_clear()
    broken = tmp_path / "export.xlsx"
    broken.write_bytes(b"PK\x03\x04 half an upload")
    assert (
        ingestion.deliver(settings, ledger, "third/requests", "2022-06", broken).state == "failed"
    )
    mapping.unlink()
    registry.cache_clear()
    with pytest.raises(GoralError, match=r"no mapping tells of third/requests any more: put it"):
        drop.publish(settings, ledger)


def test_published_without_it_where_allowed_and_said_in_the_manifest(
    settings: Settings, ledger: Ledger, tmp_path: Path, demo: Demo
) -> None:
    reject_june(settings, ledger, tmp_path)
    result = drop.publish(settings, ledger, allow_incomplete=True)
    assert result.is_new
    assert result.drop != demo.drop
    said = upkeep.verified(verify.Folder(settings.drops), deep=True)
    (left_out,) = said.left_out
    assert left_out.startswith(f"{REQUESTS} 2022-06: ")
    assert drop.is_up_to_date(settings, ledger)
    # The month keeps its previous version, so the figures are those of before.
    again = {file.path: file.content_hash for file in said.data}
    first = manifest.parse((demo.release / "manifest.json").read_bytes())
    assert again == {file.path: file.content_hash for file in first.data}


def test_a_delivery_not_yet_staged_is_left_out_with_words(
    settings: Settings, ledger: Ledger
) -> None:
    ledger.add_delivery(
        dataset=REQUESTS,
        partition="2022-06",
        sha256="0" * 64,
        content_key="0" * 64,
        extension=".xlsx",
        size=1,
        origin="",
        etag=None,
        last_modified=None,
        demo=False,
    )
    assert drop.incomplete(ledger) == [f"{REQUESTS} 2022-06: received and not yet staged"]


def test_a_stale_warehouse_is_refused_with_the_mend(
    settings: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    renew_boundaries(settings, ledger, tmp_path)
    before = every_file(settings.drops)
    with pytest.raises(GoralError) as refusal:
        drop.publish(settings, ledger)
    assert str(refusal.value) == (
        "the warehouse is not made of what the ledger points at now; `goral run --no-fetch` "
        "builds it anew"
    )
    assert every_file(settings.drops) == before


def test_no_warehouse_is_refused_with_the_mend(settings: Settings, ledger: Ledger) -> None:
    (settings.warehouse / "goral.duckdb").unlink()
    with pytest.raises(GoralError, match="there is no warehouse to publish from; `goral run`"):
        drop.publish(settings, ledger)


def test_a_null_where_a_value_is_required_is_not_published(
    settings: Settings, ledger: Ledger
) -> None:
    shutil.rmtree(settings.drops)
    with duckdb.connect(str(settings.warehouse / "goral.duckdb")) as con:
        con.execute("alter table marts.mart_charge_points alter charge_points drop not null")
        con.execute("update marts.mart_charge_points set charge_points = null where rowid = 0")
    with pytest.raises(ValueError, match="1 nulls in charge_points, which requires a value"):
        drop.publish(settings, ledger)
    assert manifest.latest(verify.Folder(settings.drops)) is None
    assert list((settings.drops / "releases").iterdir()) == []


# ── the list ─────────────────────────────────────────────────────────────────────────────────────


def test_the_list_names_every_drop_and_the_latest(
    settings: Settings, ledger: Ledger, tmp_path: Path, demo: Demo
) -> None:
    reject_june(settings, ledger, tmp_path)
    result = drop.publish(settings, ledger, allow_incomplete=True)
    listed = {str(row["drop"]): row for row in map(upkeep.Listed.row, upkeep.drops_of(settings))}
    assert set(listed) == {demo.drop, result.drop}
    assert (listed[demo.drop]["latest"], listed[demo.drop]["left_out"]) == (False, 0)
    assert (listed[result.drop]["latest"], listed[result.drop]["left_out"]) == (True, 1)
    assert {entry["status"] for entry in listed.values()} == {"demo"}


def test_the_list_of_nothing_is_empty(tmp_path: Path) -> None:
    assert upkeep.rows_of(Settings.load(home=tmp_path / "nowhere")) == ([], [])


def test_content_hash_knows_rows_not_batches() -> None:
    from goral_pipeline.publishing.verify import ContentHash

    def digest(*batches: pa.RecordBatch) -> str:
        hashing = ContentHash()
        assert list(hashing.passing(batches)) == list(batches)
        return hashing.hexdigest()

    def batch(*rows: tuple[str | None, int | None]) -> pa.RecordBatch:
        return pa.record_batch(
            {
                "text": pa.array([text for text, _ in rows], pa.string()),
                "number": pa.array([number for _, number in rows], pa.int64()),
            }
        )

    whole = digest(batch(("a", 1), ("b", None), (None, 3)))
    assert whole == digest(batch(("a", 1)), batch(), batch(("b", None), (None, 3)))
    assert whole == digest(batch(("x", 0), ("a", 1), ("b", None), (None, 3)).slice(1))
    assert whole != digest(batch(("a", 1), (None, 3), ("b", None)))
    assert whole != digest(batch(("a", 1), ("b", None), ("", 3)))
    assert whole != digest(batch(("a", 1), ("b", 0), (None, 3)))
