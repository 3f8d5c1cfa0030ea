"""Real files through the whole pipeline, against a count made without any of it.

The files lie beside the project, in ../shared, and are not part of it: where they are missing this
is skipped. The count is made with pandas and shapely alone.
"""

import csv
import gzip
import json
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
import shapely

from tests.conftest import REPOSITORY, goral, shared_by_workers

SHARED = REPOSITORY.parent / "shared"
LOCATIONS = SHARED / "data" / "ndw_dotnl" / "charging_point_locations_ocpi.json.gz"
TARIFFS = SHARED / "data" / "ndw_dotnl" / "charging_point_tariffs_ocpi.json.gz"
OUTLOOK = SHARED / "data" / "elaadnl" / "outlook_personenautos_2024Q1_ermelo_zeewolde.csv"
BOUNDARIES = SHARED / "reference" / "municipality_boundaries_east.geojson"
MONTH, EDITION = "2026-06", "2024Q1"
FILES = (LOCATIONS, TARIFFS, OUTLOOK, BOUNDARIES)

needs_the_files = pytest.mark.skipif(
    not all(file.exists() for file in FILES),
    reason=f"REAL FILES NOT TESTED: one of {', '.join(map(str, FILES))} is missing",
)
pytestmark = needs_the_files

# Fast (snelladen) is 50 kW or more since October 2023.
FAST_FROM_W = 50_000
PHASES = {"AC_3_PHASE": 3, "AC_2_PHASE": 2, "AC_2_PHASE_SPLIT": 2, "AC_1_PHASE": 1, "DC": 1}
ACCESS = {
    "ON_STREET": "public",
    "ALONG_MOTORWAY": "public",
    "PARKING_GARAGE": "semi_public",
    "UNDERGROUND_GARAGE": "semi_public",
    "ON_DRIVEWAY": "semi_public",
}


def power_w(connector: dict[str, Any]) -> float:
    declared = connector.get("max_electric_power")
    if declared:
        return float(declared)
    phases = PHASES[connector["power_type"]]
    return float(connector["max_voltage"] * connector["max_amperage"] * phases)


def counted_by_hand() -> "pd.Series[int]":
    """Charge points by municipality, access and speed."""
    municipalities = [
        (feature["properties"]["gemeentecode"], shapely.geometry.shape(feature["geometry"]))
        for feature in json.loads(BOUNDARIES.read_bytes())["features"]
        if feature["properties"]["in_nal_oost_77"]
    ]
    assert len(municipalities) == 77
    codes = [code for code, _ in municipalities]
    tree = shapely.STRtree([outline for _, outline in municipalities])
    rows = []
    for location in json.loads(gzip.decompress(LOCATIONS.read_bytes())):
        where = location["coordinates"]
        point = shapely.Point(float(where["longitude"]), float(where["latitude"]))
        found = sorted(codes[place] for place in tree.query(point, predicate="intersects"))
        if not found or not location["publish"]:
            continue
        for evse in location["evses"]:
            if evse["status"] in ("REMOVED", "PLANNED"):
                continue
            strongest = max(power_w(connector) for connector in evse["connectors"])
            rows.append(
                {
                    "municipality_code": found[0],
                    "access": ACCESS.get(location["parking_type"], "unknown"),
                    "speed": "fast" if strongest >= FAST_FROM_W else "regular",
                }
            )
    return pd.DataFrame(rows).groupby(["municipality_code", "access", "speed"]).size()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that the real files were delivered to and run through, once for all workers."""
    with shared_by_workers(tmp_path_factory, "real files") as folder:
        home = folder / "Rob's home, été"
        if not home.exists():
            for arguments in (
                ["deliver", "pdok/municipality_boundaries", BOUNDARIES],
                ["deliver", "ndw_dotnl/locations", LOCATIONS, "--partition", MONTH],
                ["deliver", "ndw_dotnl/tariffs", TARIFFS, "--partition", MONTH],
                ["deliver", "elaadnl/passenger_outlook", OUTLOOK, "--partition", EDITION],
                ["run", "--from", MONTH, "--to", MONTH, "--no-fetch"],
            ):
                ran = goral(*arguments, home=home)
                assert ran.code == 0, ran.said
    return home


def published(home: Path, dataset: str) -> pd.DataFrame:
    drops = home / "drops"
    drop = json.loads((drops / "latest.json").read_bytes())["drop"]
    (path,) = (drops / "releases" / drop / dataset).rglob("*.parquet")
    return pd.read_parquet(path)


def built(home: Path, mart: str) -> pd.DataFrame:
    with duckdb.connect(str(home / "warehouse" / "goral.duckdb"), read_only=True) as con:
        return con.execute(f"from marts.{mart}").df()


def test_charge_points_of_the_warehouse_are_those_counted_by_hand(home: Path) -> None:
    # In the warehouse: what comes from NDW is not sent back to it.
    assert published(home, "mart_charge_points").empty
    drop = built(home, "mart_charge_points")
    assert set(drop["source"]) == {"ndw_dotnl"}
    assert set(drop["month"]) == {MONTH}
    ours = drop.groupby(["municipality_code", "access", "speed"])["charge_points"].sum()
    by_hand = counted_by_hand()
    assert Counter(ours.to_dict()) == Counter(by_hand.to_dict())
    assert by_hand.sum() > 1000


def test_every_location_has_its_place(home: Path) -> None:
    placement = built(home, "mart_location_placement")
    assert set(placement["month"]) == {MONTH}
    assert placement["locations"].sum() == 9827
    evses = sum(
        len(location["evses"]) for location in json.loads(gzip.decompress(LOCATIONS.read_bytes()))
    )
    counted = placement["charge_points"].sum() + placement["charge_points_not_counted"].sum()
    assert counted == evses == 23_373


def test_a_drop_of_real_files_is_no_demo(home: Path) -> None:
    ran = goral("drop", "list", "--json", home=home)
    (only,) = json.loads(ran.out)
    assert (only["demo"], only["status"], only["latest"]) == (False, "provisional", True)
    assert only["drop"].startswith("2026-")
    verified = goral("drop", "verify", "--deep", home=home)
    assert verified.code == 0
    assert "DEMO" not in verified.err
    values = published(home, "indicator_values")
    assert set(values["status"]) == {"provisional"}


def test_every_record_of_the_real_files_is_accounted_for(home: Path) -> None:
    told = json.loads(goral("status", "--json", home=home).out)
    received = {row["dataset"]: row for row in told["partitions"]}
    expected = {
        "ndw_dotnl/locations": 9827,
        "ndw_dotnl/tariffs": 1885,
        "elaadnl/passenger_outlook": 868 * 3,
    }
    for dataset, number in expected.items():
        assert received[dataset]["received"] == received[dataset]["accepted"] == number
        assert received[dataset]["demo"] is False
    for row in told["partitions"]:
        assert row["received"] == row["accepted"] + row["duplicate"] + row["quarantined"]


def test_the_forecast_is_the_sum_of_the_file_for_the_region_alone(home: Path) -> None:
    by_hand: defaultdict[tuple[int, str], Decimal] = defaultdict(Decimal)
    with OUTLOOK.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            if line["gemeente"] != "Ermelo":
                continue
            for suffix, scenario in (("L", "low"), ("M", "middle"), ("H", "high")):
                by_hand[int(line["Jaar"]), scenario] += Decimal(
                    line[f"publiekelaadpunten_{suffix}"]
                ) + Decimal(line[f"laadpunten_parkeerpleinen_{suffix}"])
    forecast = published(home, "mart_forecast")
    assert set(forecast["edition"]) == {EDITION}
    assert set(forecast["municipality_code"]) == {"GM0233"}, "Zeewolde lies outside the region"
    public = forecast[forecast["quantity"] == "public_regular"]
    ours = {(row.year, row.scenario): row.forecast for row in public.itertuples()}
    assert ours == dict(by_hand)
