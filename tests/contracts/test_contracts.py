"""What every contract must say, and that all that is generated from them is up to date."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from goral_pipeline.contracts import (
    Contract,
    Table,
    cdr,
    derived,
    generate,
    model,
    published,
    staged,
)
from goral_pipeline.contracts.model import column_rules, type_rule
from goral_pipeline.errors import GoralError
from goral_pipeline.sources import contracts

LAYERS = {"staged": staged, "derived": derived, "published": published, "cdr": cdr}
FILES = sorted(model.FOLDER.rglob("*.odcs.yaml"))
CONTRACTS = [contract for layer in LAYERS.values() for contract in layer().values()]
TABLES = [(contract, table) for contract in CONTRACTS for table in contract.tables]
UNIT_SUFFIXES = {
    "_kw": "kW",
    "_kwh": "kWh",
    "_eur": "EUR",
    "_days": "days",
    "_pct": "%",
    "_v": "V",
    "_a": "A",
    "_m": "m",
}


def _properties(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for table in yaml.safe_load(path.read_text()).get("schema", []):
        for column in table["properties"]:
            yield f"{table['name']}.{column['name']}", column


def _name(value: object) -> str:
    return value.name if isinstance(value, Path | Table | Contract) else ""


# --- generated files -------------------------------------------------------------------------


@pytest.mark.parametrize("path", generate.generated(), ids=_name)
def test_generated_files_are_what_the_contracts_give_now(path: Path) -> None:
    assert path.read_text() == generate.generated()[path], "run `make generate` and commit it"


def test_the_check_of_generated_files_tells_which_is_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate.main(["--check"]) == 0
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    assert generate.main(["--check"]) == 1
    assert "dictionary.md is out of date: run `make generate`" in capsys.readouterr().out
    assert not [*tmp_path.iterdir()]
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    assert (tmp_path / "docs/reference/dictionary.md").is_file()


def test_the_dictionary_holds_every_column_of_every_table() -> None:
    text = generate.dictionary()
    for _, table in TABLES:
        assert f"#### {table.name}\n" in text
        for column in table.all_columns:
            assert f"| `{column.name}` | {column.type} |" in text


# --- what every file must say ----------------------------------------------------------------


def test_each_dataset_that_can_be_delivered_has_a_contract_and_the_other_way_round(
    tmp_path: Path,
) -> None:
    delivered = contracts(tmp_path)
    assert {contract.id for contract in delivered.values()} == {c.id for c in staged().values()}
    assert {dataset for dataset, contract in delivered.items() if contract.is_per_concession} == {
        f"{concession}/{form}"
        for concession in ("vattenfall", "ecotap_allego")
        for form in ("requests", "placements")
    } | {f"vattenfall/{form}" for form in ("locations", "tariffs", "sessions")}


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_files_are_odcs_3_2_and_named_for_their_dataset(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    assert (content["apiVersion"], content["kind"]) == ("v3.2.0", "DataContract")
    assert all(part.isdigit() for part in content["version"].split("."))
    assert len(content["version"].split(".")) == 3
    assert {"purpose", "usage"} <= set(content["description"])
    custom = {entry["property"]: entry["value"] for entry in content["customProperties"]}
    assert custom["layer"] == path.parent.name
    assert path.name.removesuffix(".odcs.yaml") in (
        custom["dataset"].replace("/", "."),
        custom["dataset"].removeprefix("derived/"),
    )


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_every_column_is_described_and_has_a_class_of_personal_data(path: Path) -> None:
    for name, column in _properties(path):
        assert len(column.get("description", "").strip()) > 5, name
        assert column["classification"] in ("none", "pseudonymise", "drop"), name
        assert isinstance(column["required"], bool), name


@pytest.mark.parametrize(("contract", "table"), TABLES, ids=_name)
def test_keys_are_whole_and_their_columns_required(contract: Contract, table: Table) -> None:
    positions = [c.key_position for c in table.columns if c.key_position is not None]
    assert sorted(positions) == list(range(1, len(positions) + 1))
    assert positions
    assert all(c.required for c in table.columns if c.name in table.key)


@pytest.mark.parametrize(("contract", "table"), TABLES, ids=_name)
def test_units_are_those_that_the_names_say(contract: Contract, table: Table) -> None:
    for column in table.all_columns:
        suffix = next((s for s in UNIT_SUFFIXES if column.name.endswith(s)), None)
        if suffix:
            assert column.unit == UNIT_SUFFIXES[suffix], column.name


@pytest.mark.parametrize(("contract", "table"), TABLES, ids=_name)
def test_no_quantity_is_a_float(contract: Contract, table: Table) -> None:
    assert not [c.name for c in table.all_columns if c.type in ("DOUBLE", "FLOAT", "REAL")]


@pytest.mark.parametrize("layer", ["published", "derived"])
def test_past_staging_no_contract_has_a_personal_column(layer: str) -> None:
    for contract in LAYERS[layer]().values():
        assert not contract.holds_personal_data, contract.name
        assert not contract.needs_key, contract.name


@pytest.mark.parametrize(
    "contract", [c for c in published().values() if c.is_published], ids=lambda one: one.dataset
)
def test_what_is_published_names_no_person_and_tells_its_origin(contract: Contract) -> None:
    for table in contract.tables:
        names = {column.name: column for column in table.all_columns}
        assert {column.personal for column in names.values()} == {"none"}
        for word in ("token", "pseudonym", "hmac"):
            assert not [name for name in names if word in name]
        assert names["origin"].required


@pytest.mark.parametrize(("contract", "table"), TABLES, ids=_name)
def test_which_rows_are_published_is_a_predicate_over_the_columns(
    contract: Contract, table: Table
) -> None:
    import duckdb

    columns = ", ".join(f"{column.name} {column.type}" for column in table.all_columns)
    with duckdb.connect() as con:
        con.execute(f"create table t ({columns})")
        con.execute(f"select * from t where {table.publish_where}")


SHOWN = {
    "sessions": 20,
    "energy_kwh": 20,
    "connected_evse_h": 20,
    "charged_h_known_sessions": 20,
    "charge_points_used": 2,
    "drivers": 15,
    "suppression": "none",
}


@pytest.mark.parametrize(
    ("dataset", "rule", "row", "holds"),
    [
        ("kpi_use", "null_where_suppressed", SHOWN, True),
        ("kpi_use", "null_where_suppressed", {"suppression": "small"}, True),
        ("kpi_use", "null_where_suppressed", SHOWN | {"drivers": None}, False),
        ("kpi_use", "null_where_suppressed", {"suppression": "small", "occupancy_pct": 1}, False),
        ("kpi_use", "null_where_suppressed", {"suppression": "complementary", "drivers": 5}, False),
        ("kpi_use", "drivers_in_fives", SHOWN | {"drivers": 12}, False),
        ("kpi_use", "known_is_part", SHOWN | {"charged_h_known_sessions": 21}, False),
        ("kpi_requests", "null_where_suppressed", {"suppression": "none"}, False),
        ("kpi_requests", "null_where_suppressed", {"suppression": "small", "requests": 3}, False),
        ("kpi_requests", "requests_range", {"suppression": "none", "requests": 0}, False),
        ("indicator_values", "null_where_suppressed", {"suppression": "none"}, False),
        ("indicator_values", "null_where_suppressed", {"suppression": "small", "value": 0}, False),
        ("indicator_values", "origin_pattern", {"origin": "rvo, elaadnl"}, False),
        ("indicator_values", "origin_pattern", {"origin": "elaadnl+rvo"}, True),
    ],
)
def test_rules_of_what_is_told(dataset: str, rule: str, row: dict[str, Any], holds: bool) -> None:
    import duckdb

    (table,) = published()[dataset].tables
    (predicate,) = (one.predicate for one in table.rules if one.name == rule)
    typed = ", ".join(f"cast(${c.name} as {c.type}) as {c.name}" for c in table.columns)
    values = {column.name: row.get(column.name) for column in table.columns}
    with duckdb.connect() as con:
        found = con.execute(f"select {predicate} from (select {typed})", values).fetchall()
    assert found == [(holds,)]


def test_only_dot_nl_s_rows_are_kept_back() -> None:
    kept_back = {
        contract.dataset: table.publish_where
        for contract in published().values()
        for table in contract.tables
        if table.publish_where != "true"
    }
    assert kept_back == dict.fromkeys(
        ["indicator_values", "mart_charge_points"], "origin <> 'ndw_dotnl'"
    )


@pytest.mark.parametrize(("name", "layer"), [("ndw_drop", published), ("ndw_cdr_drop", cdr)])
def test_an_exposure_names_what_is_published_and_nothing_else(
    name: str, layer: Callable[[], dict[str, Contract]]
) -> None:
    content = yaml.safe_load(generate.dbt_exposures())
    (exposure,) = (one for one in content["exposures"] if one["name"] == name)
    in_it = {name: c for name, c in layer().items() if c.is_published}
    assert exposure["depends_on"] == [f"ref('{name}')" for name in in_it]
    told = exposure["config"]["meta"]["datasets"]
    assert {name: part["columns"] for name, part in told.items()} == {
        name: [column.name for column in contract.tables[0].columns]
        for name, contract in in_it.items()
    }


@pytest.mark.parametrize(
    ("dataset", "classes"),
    [
        (
            "concession/requests",
            {
                "applicant_pseudonym": "pseudonymise",
                "applicant_name": "drop",
                "phone": "drop",
                "street_address": "drop",
                "postal_code": "drop",
                "licence_plate": "drop",
                "remarks": "drop",
            },
        ),
        (
            "concession/placements",
            {"street_address": "drop", "contact_name": "drop", "remarks": "drop"},
        ),
    ],
)
def test_what_a_concession_delivers_is_known_to_hold_personal_data(
    dataset: str, classes: dict[str, str]
) -> None:
    contract = staged()[dataset]
    assert contract.holds_personal_data
    assert contract.needs_key is ("pseudonymise" in classes.values())
    found = {c.name: c.personal for c in contract.tables[0].all_columns if c.personal != "none"}
    assert found == classes


def test_nobody_else_delivers_personal_data() -> None:
    holding = {name for name, contract in staged().items() if contract.holds_personal_data}
    assert holding == {f"concession/{form}" for form in ("requests", "placements", "sessions")}


def test_the_same_column_name_has_one_type_and_unit_everywhere() -> None:
    kinds: dict[str, set[tuple[str, str | None]]] = {}
    for _, table in TABLES:
        for column in table.all_columns:
            kinds.setdefault(column.name, set()).add((column.type, column.unit))
    assert {name: kind for name, kind in kinds.items() if len(kind) > 1} == {}


# --- rules -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("contract", "table"), TABLES, ids=_name)
def test_rules_have_names_of_their_own_words_and_a_column_of_the_table(
    contract: Contract, table: Table
) -> None:
    rules = [*table.rules, *table.profile]
    rules += [type_rule(column) for column in table.delivered_columns]
    names = [rule.name for rule in rules]
    assert len(set(names)) == len(names)
    for rule in rules:
        assert rule.column in {column.name for column in table.all_columns}, rule.name
        assert len(rule.description) > 3, rule.name
        assert len(rule.name) <= 80, rule.name


@pytest.mark.parametrize(("contract", "table"), TABLES, ids=_name)
def test_every_rule_is_a_predicate_that_the_database_understands(
    contract: Contract, table: Table
) -> None:
    import duckdb

    columns = ", ".join(f"{column.name} {column.type}" for column in table.all_columns)
    with duckdb.connect() as con:
        con.execute(f"create table t ({columns})")
        for rule in table.rules:
            (kind,) = con.execute(f"select ({rule.predicate}) as holds from t").description
            assert kind[1] == "BOOLEAN", rule.name


def test_a_column_with_every_option_has_a_rule_for_each() -> None:
    table = staged()["ndw_dotnl/locations"].table("locations")
    names = {rule.name for column in table.columns for rule in column_rules(column)}
    assert {
        "country_code_required",
        "country_code_pattern",
        "address_length",
        "latitude_range",
        "parking_type_code",
    } <= names


# --- Arrow -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("contract", "table"), TABLES, ids=_name)
def test_arrow_schemas_hold_names_nullability_units_and_descriptions(
    contract: Contract, table: Table
) -> None:
    schema = table.arrow_schema()
    assert schema.names == [column.name for column in table.columns]
    for field, column in zip(schema, table.columns, strict=True):
        assert field.nullable is not column.required
        assert field.metadata[b"description"].decode() == column.description
        unit = field.metadata.get(b"unit")
        assert (unit.decode() if unit else None) == column.unit


def test_arrow_types_are_those_of_the_contract() -> None:
    schema = staged()["ndw_dotnl/locations"].table("connectors").arrow_schema()
    assert schema.field("power_kw").type == pa.decimal128(9, 3)
    assert schema.field("power_kw").metadata[b"unit"] == b"kW"
    assert schema.field("max_voltage_v").type == pa.int32()
    assert schema.field("last_updated").type == pa.timestamp("us", tz="UTC")
    assert schema.field("record_number").type == pa.int64()


def test_staged_files_have_the_schema_of_the_contract(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    from tests.support_files import LOCATIONS, location, stage_locations

    made = stage_locations(tmp_path, [location()])
    for table in staged()[LOCATIONS].tables:
        written = pq.read_schema(made.job.accepted_folder / f"{table.name}.parquet")
        assert written.equals(table.arrow_schema(), check_metadata=False)
        for field in table.arrow_schema():
            kept = written.field(field.name).metadata
            assert {key: kept[key] for key in field.metadata} == field.metadata


# --- reading ---------------------------------------------------------------------------------


def test_a_contract_that_is_not_whole_is_named_with_what_is_missing(tmp_path: Path) -> None:
    content = yaml.safe_load(FILES[0].read_text())
    del content["version"]
    broken = tmp_path / "broken.odcs.yaml"
    broken.write_text(yaml.safe_dump(content))
    with pytest.raises(GoralError, match=r"broken.odcs.yaml is not whole: .*version"):
        model.read(broken)


@pytest.mark.parametrize("form", ["locations", "tariffs"])
def test_a_party_s_own_list_has_the_columns_of_dot_nl_s_and_another_relation(form: str) -> None:
    own, dot_nl = staged()[f"ocpi/{form}"], staged()[f"ndw_dotnl/{form}"]
    assert own.tables == dot_nl.tables
    assert (own.path.name, own.schema_path) == (f"ocpi.{form}.odcs.yaml", dot_nl.path)
    assert dot_nl.schema_path == dot_nl.path


def test_no_two_tables_of_contracts_are_one_relation() -> None:
    names = [
        contract.relation(table)
        for contract in (*staged().values(), *derived().values())
        for table in contract.tables
    ]
    assert len(set(names)) == len(names)


def test_a_type_without_an_arrow_type_is_named(tmp_path: Path) -> None:
    content = yaml.safe_load(FILES[0].read_text())
    content["schema"][0]["properties"][0]["physicalType"] = "HUGEINT"
    odd = tmp_path / "odd.odcs.yaml"
    odd.write_text(yaml.safe_dump(content))
    with pytest.raises(GoralError, match="HUGEINT has no Arrow type"):
        model.read(odd).tables[0].arrow_schema()
