"""Real files of ElaadNL, DOT-NL's tariffs and Klimaatmonitor's catalogue, against counts of them.

The counts use none of the project's code. The files lie beside the project and are no part of it;
where they are absent nothing is tested.
"""

import csv
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from goral_pipeline.contracts import Contract, staged
from goral_pipeline.settings import DBT_PROJECT, PROJECT_ROOT
from goral_pipeline.sources import mapping, rvo, tabular
from goral_pipeline.sources.reading import Reading
from tests.support_files import RECEIVED_AT, Row, Staged, stage_file

DATA = PROJECT_ROOT.parent / "shared" / "data"
OUTLOOK = DATA / "elaadnl/outlook_personenautos_2024Q1_ermelo_zeewolde.csv"
GROWTH = DATA / "elaadnl/groeiscenarios.csv"
TARIFFS = DATA / "ndw_dotnl/charging_point_tariffs_ocpi.json.gz"
CATALOGUE = DATA / "klimaatmonitor/klimaatmonitor_variables.csv"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(),
    reason=f"THE REAL FILES ARE ABSENT ({DATA}): the sources were not held against them",
)

SCENARIOS = {"L": "low", "M": "middle", "H": "high"}
COUNTED = {
    "aantal_evs": "electric_cars",
    "thuislaadpunten": "home_charge_points",
    "werklaadpunten": "work_charge_points",
    "publiekelaadpunten": "public_charge_points",
    "bestemmingslaadpunten": "destination_charge_points",
    "laadpunten_parkeergarages": "garage_charge_points",
    "laadpunten_parkeerpleinen": "square_charge_points",
    "snellaadpunten": "fast_charge_points",
    "vermogen_snellaadpunten": "fast_power_kw",
}
ERMELO, ZEEWOLDE = "GM0233", "GM0050"

# ── ElaadNL ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def lines() -> list[dict[str, str]]:
    with OUTLOOK.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def outlook(tmp_path_factory: pytest.TempPathFactory) -> Staged:
    home = tmp_path_factory.mktemp("outlook")
    return stage_file(home, "elaadnl/passenger_outlook", OUTLOOK, partition="2024Q1")


def test_each_line_of_the_outlook_becomes_three_rows(
    outlook: Staged, lines: list[dict[str, str]]
) -> None:
    assert len(lines) == 868
    assert outlook.counts == {"passenger_outlook": {"accepted": 868 * 3}}


def test_sums_of_the_outlook_are_those_of_the_file_exactly(
    outlook: Staged, lines: list[dict[str, str]]
) -> None:
    by_hand: defaultdict[tuple[str, int, str, str], Decimal] = defaultdict(Decimal)
    for line in lines:
        for suffix, scenario in SCENARIOS.items():
            for dutch, name in COUNTED.items():
                key = (f"GM{line['bu_code'][2:6]}", int(line["Jaar"]), scenario, name)
                by_hand[key] += Decimal(line[f"{dutch}_{suffix}"])
    ours: defaultdict[tuple[str, int, str, str], Decimal] = defaultdict(Decimal)
    for row in outlook.accepted("passenger_outlook"):
        for name in COUNTED.values():
            key = (row["municipality_code"], row["year"], row["scenario"], name)
            ours[key] += row[name]
    assert dict(ours) == dict(by_hand)
    assert len(ours) == 2 * 28 * 3 * len(COUNTED)


def test_cars_names_and_days_of_the_outlook_are_those_of_the_file(
    outlook: Staged, lines: list[dict[str, str]]
) -> None:
    by_hand = {
        (line["bu_code"], int(line["Jaar"])): (
            Decimal(line["aantal_personenautos"]),
            *(line[name] for name in ("bu_naam", "gemeente", "netbeheerder", "datum_bijgewerkt")),
        )
        for line in lines
    }
    for row in outlook.accepted("passenger_outlook"):
        assert row["edition"] == "2024Q1"
        assert by_hand[row["neighbourhood_code"], row["year"]] == (
            row["passenger_cars"],
            *(row[name] for name in ("neighbourhood_name", "municipality_name", "grid_operator")),
            str(row["updated_on"]),
        )


def test_zeewolde_is_staged_and_lies_outside_the_region(outlook: Staged) -> None:
    rows = outlook.accepted("passenger_outlook")
    found = Counter(row["municipality_code"] for row in rows)
    assert found == {ERMELO: 560 * 3, ZEEWOLDE: 308 * 3}
    with (DBT_PROJECT / "seeds/municipalities.csv").open(newline="") as file:
        region = {
            line["municipality_code"]
            for line in csv.DictReader(file)
            if line["in_region"] == "true"
        }
    assert len(region) == 77
    assert ERMELO in region
    assert ZEEWOLDE not in region


# ── a small file with a byte order mark, `;` and labels that end in a blank ──────────────────────

GROWTH_MAPPING = """
dataset: elaadnl/growth
file: {type: csv, encoding: [utf-8], separator: ";"}
columns:
  scenario: {headers: [Scenario], codes: {laag: low, midden: middle, hoog: high}}
  all_new_cars_electric_in: {headers: ["100% elektrificatie instroom"]}
  all_cars_electric_in: {headers: ["100% elektrificatie wagenpark"]}
"""


def test_the_growth_scenarios_are_read_by_a_mapping(tmp_path: Path) -> None:
    (tmp_path / "growth.yaml").write_text(GROWTH_MAPPING)
    layout = mapping.load(tmp_path / "growth.yaml")
    with duckdb.connect() as con:
        reading = Reading(con, GROWTH, _contract(layout.columns), "2024Q1", tmp_path, RECEIVED_AT)
        tabular.read(reading, (layout,))
        found = con.execute(
            f"select {', '.join(layout.columns)} from raw_growth order by record_number"
        ).fetchall()
    by_hand = [line.split(";") for line in GROWTH.read_text(encoding="utf-8-sig").splitlines()[1:]]
    assert [row[0] for row in found] == ["low", "middle", "high"]
    assert [list(row[1:]) for row in found] == [line[1:] for line in by_hand]


def _contract(names: Iterable[str]) -> Contract:
    """A contract of text columns, made from one that there is."""
    known = staged()["elaadnl/passenger_outlook"]
    (table,) = known.tables
    text = next(column for column in table.all_columns if column.name == "grid_operator")
    columns = tuple(replace(text, name=name) for name in names)
    return replace(known, tables=(replace(table, name="growth", all_columns=columns),))


# ── DOT-NL's tariffs ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def tariffs() -> list[Row]:
    with gzip.open(TARIFFS) as file:
        content: list[Row] = json.load(file)
    return content


@pytest.fixture(scope="module")
def staged_tariffs(tmp_path_factory: pytest.TempPathFactory) -> Staged:
    home = tmp_path_factory.mktemp("tariffs")
    return stage_file(home, "ndw_dotnl/tariffs", TARIFFS, partition="2026-06", threads=2)


def test_every_real_tariff_and_price_is_accepted(staged_tariffs: Staged) -> None:
    assert staged_tariffs.counts == {
        "tariffs": {"accepted": 1885},
        "price_components": {"accepted": 7088},
    }


def test_real_prices_are_those_of_the_file(staged_tariffs: Staged, tariffs: list[Row]) -> None:
    by_hand = {
        (one["country_code"], one["party_id"], one["id"], e, c): (
            part["type"],
            Decimal(str(part["price"])),
            None if part["vat"] is None else Decimal(part["vat"]),
            part["step_size"],
        )
        for one in tariffs
        for e, element in enumerate(one["elements"], start=1)
        for c, part in enumerate(element["price_components"], start=1)
    }
    key = ("country_code", "party_id", "tariff_id", "element", "component")
    value = ("component_type", "price", "vat_pct", "step_size")
    ours = {
        tuple(row[name] for name in key): tuple(row[name] for name in value)
        for row in staged_tariffs.accepted("price_components")
    }
    assert ours == by_hand


def _restricts(name: str, limit: Any) -> bool:
    if name == "start_time":
        return bool(limit != "00:00")
    if name == "end_time":
        return limit not in ("23:59", "00:00")
    if name == "day_of_week":
        return len(limit) != 7
    return not (name.startswith("min_") and limit == 0)


def test_real_restrictions_are_told(staged_tariffs: Staged, tariffs: list[Row]) -> None:
    by_hand = {
        (one["id"], e): any(
            _restricts(name, limit)
            for name, limit in (element["restrictions"] or {}).items()
            if limit is not None
        )
        for one in tariffs
        for e, element in enumerate(one["elements"], start=1)
    }
    ours = {
        (row["tariff_id"], row["element"]): row["is_restricted"]
        for row in staged_tariffs.accepted("price_components")
    }
    assert ours == {key: by_hand[key] for key in ours}
    assert set(Counter(ours.values())) == {True, False}


# ── Klimaatmonitor's catalogue ───────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def catalogue() -> dict[str, dict[str, str]]:
    with CATALOGUE.open(encoding="utf-8-sig", newline="") as file:
        return {line["code"]: line for line in csv.DictReader(file)}


def test_every_variable_that_is_asked_for_is_in_the_catalogue_as_a_number(
    catalogue: dict[str, dict[str, str]],
) -> None:
    for served in (rvo.CHARGE_POINT_COUNTS, rvo.VEHICLES, rvo.INHABITANTS):
        for code in served.variables:
            assert catalogue[code]["unit"] == "aantal"


def test_the_catalogue_calls_the_variables_what_they_are_read_as(
    catalogue: dict[str, dict[str, str]],
) -> None:
    words = {"public": "Publieke", "semi_public": "Semi-publieke"}
    for code, kind in rvo.CHARGE_POINT_COUNTS.variables.items():
        name = catalogue[code]["name"]
        assert name.startswith(words[kind["access"]])
        assert ("snellaadpunten" in name) == (kind["speed"] == "fast")
    assert "eindgebruiker (BEV en PHEV)" in catalogue["pers_autos_herv_ev"]["name"]
    assert "(BEV)" in catalogue["elekvoert_bev"]["name"]
    assert "(PHEV)" in catalogue["elekvoert_phev"]["name"]


def test_months_and_years_are_written_as_the_catalogue_writes_them(
    catalogue: dict[str, dict[str, str]],
) -> None:
    for code in rvo.CHARGE_POINT_COUNTS.variables:
        assert catalogue[code]["start"] == rvo.month_as_asked("2010-01")
        assert catalogue[code]["end"] == rvo.month_as_asked("2026-12")
    assert catalogue["pers_autos_herv_ev"]["start"] == "2019"
