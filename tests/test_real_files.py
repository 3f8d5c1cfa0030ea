"""The publishers' real files, staged and placed, against a count that uses none of this code.

The files lie beside the project and are no part of it; where they are absent nothing is tested.
"""

import gzip
import json
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest

from goral_pipeline.settings import PROJECT_ROOT
from tests.support_files import BOUNDARIES, LOCATIONS, Staged, stage_file

SHARED = PROJECT_ROOT.parent / "shared"
DOTNL = SHARED / "data/ndw_dotnl/charging_point_locations_ocpi.json.gz"
OUTLINES = SHARED / "reference/municipality_boundaries_east.geojson"

pytestmark = pytest.mark.skipif(
    not (SHARED / "data").is_dir(),
    reason=f"THE REAL FILES ARE ABSENT ({SHARED}/data): staging was not held against them",
)

NOT_COUNTED = ["REMOVED", "PLANNED"]
PHASES = {"AC_1_PHASE": 1, "AC_2_PHASE": 2, "AC_2_PHASE_SPLIT": 2, "AC_3_PHASE": 3, "DC": 1}
FAST_FROM_KW = 50


@dataclass(frozen=True)
class Counted:
    """Locations, charge points and connectors, each charge point with municipality and power."""

    locations: pd.DataFrame
    charge_points: pd.DataFrame
    connectors: pd.DataFrame

    @property
    def in_use(self) -> pd.DataFrame:
        return self.charge_points[~self.charge_points["status"].isin(NOT_COUNTED)]


# --- the independent count: pandas and shapely alone -----------------------------------------


def _kilowatts(plug: dict[str, Any]) -> float:
    if declared := float(plug.get("max_electric_power") or 0):
        return declared / 1000
    return plug["max_voltage"] * plug["max_amperage"] * PHASES[plug["power_type"]] / 1000


def _municipalities(longitude: pd.Series, latitude: pd.Series) -> list[str | None]:
    from shapely import prepare
    from shapely.geometry import Point, shape

    features = json.loads(OUTLINES.read_text())["features"]
    outlines = {f["properties"]["gemeentecode"]: shape(f["geometry"]) for f in features}
    for outline in outlines.values():
        prepare(outline)
    points = [Point(float(x), float(y)) for x, y in zip(longitude, latitude, strict=True)]
    return [
        next((code for code, outline in sorted(outlines.items()) if outline.intersects(p)), None)
        for p in points
    ]


@pytest.fixture(scope="module")
def by_hand() -> Counted:
    with gzip.open(DOTNL) as file:
        content = json.load(file)
    everything = pd.DataFrame(
        {
            "location": (place["country_code"], place["party_id"], place["id"]),
            "latitude": float(place["coordinates"]["latitude"]),
            "longitude": float(place["coordinates"]["longitude"]),
            "last_updated": pd.Timestamp(place["last_updated"]),
            "evses": place["evses"] or [],
        }
        for place in content
    )
    latest = everything.sort_values("last_updated", ascending=False, kind="stable")
    locations = latest.drop_duplicates("location").copy()
    locations["municipality"] = _municipalities(
        locations["longitude"].round(6), locations["latitude"].round(6)
    )
    charge_points = locations.explode("evses").dropna(subset=["evses"]).reset_index(drop=True)
    for name in ("uid", "status", "connectors"):
        charge_points[name] = [evse[name] for evse in charge_points["evses"]]
    charge_points = charge_points.drop_duplicates(["location", "uid"]).copy()
    charge_points["power_kw"] = [
        max((_kilowatts(plug) for plug in plugs), default=None)
        for plugs in charge_points["connectors"]
    ]
    connectors = charge_points.explode("connectors").dropna(subset=["connectors"]).copy()
    connectors["id"] = [plug["id"] for plug in connectors["connectors"]]
    connectors = connectors.drop_duplicates(["location", "uid", "id"])
    return Counted(locations, charge_points, connectors)


# --- the project's own way -------------------------------------------------------------------


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Staged:
    return stage_file(tmp_path_factory.mktemp("dotnl"), LOCATIONS, DOTNL, threads=2)


@pytest.fixture(scope="module")
def staged_outlines(tmp_path_factory: pytest.TempPathFactory) -> Staged:
    return stage_file(tmp_path_factory.mktemp("outlines"), BOUNDARIES, OUTLINES)


@pytest.fixture(scope="module")
def by_pipeline(staged: Staged, staged_outlines: Staged) -> Counted:
    import pyarrow.parquet as pq

    from goral_pipeline.warehouse.placement import place

    folder = staged.job.accepted_folder
    locations = pq.read_table(folder / "locations.parquet")
    placed = place(
        locations,
        pq.read_table(staged_outlines.job.accepted_folder / "municipality_boundaries.parquet"),
        delivery_id=staged.job.delivery_id,
        boundaries_delivery_id=staged_outlines.job.delivery_id,
        border_distance_m=100,
    ).to_pandas()
    key = ["country_code", "party_id", "location_id"]
    placed = placed.rename(columns={"municipality_code": "municipality"})
    connectors = pq.read_table(folder / "connectors.parquet").to_pandas()
    connectors["power_kw"] = connectors["power_kw"].astype(float)
    power = connectors.groupby([*key, "evse_uid"])["power_kw"].max().reset_index()
    charge_points = pq.read_table(folder / "charge_points.parquet").to_pandas()
    charge_points = charge_points.merge(placed[[*key, "municipality"]], on=key, validate="m:1")
    charge_points = charge_points.merge(power, on=[*key, "evse_uid"], how="left")
    return Counted(placed, charge_points, connectors)


def _per_municipality(rows: pd.DataFrame) -> dict[str, int]:
    return {str(code): int(n) for code, n in rows["municipality"].value_counts().items()}


def test_every_real_location_is_accounted_for_and_none_is_quarantined(
    staged: Staged, by_hand: Counted
) -> None:
    with gzip.open(DOTNL) as file:
        delivered = len(json.load(file))
    assert staged.received["locations"] == delivered
    assert staged.counts["locations"] == {
        outcome: number
        for outcome, number in (
            ("accepted", len(by_hand.locations)),
            ("duplicate", delivered - len(by_hand.locations)),
        )
        if number
    }
    assert all("quarantined" not in outcomes for outcomes in staged.counts.values())


def test_real_locations_charge_points_and_connectors_are_as_many_as_counted_by_hand(
    by_pipeline: Counted, by_hand: Counted
) -> None:
    for table in ("locations", "charge_points", "connectors"):
        assert len(getattr(by_pipeline, table)) == len(getattr(by_hand, table)), table


def test_all_real_outlines_are_accepted(staged_outlines: Staged) -> None:
    number = len(json.loads(OUTLINES.read_text())["features"])
    assert staged_outlines.counts["municipality_boundaries"] == {"accepted": number}


def test_real_locations_lie_in_the_same_municipalities_and_as_many_in_none(
    by_pipeline: Counted, by_hand: Counted
) -> None:
    def by_location(counted: Counted) -> dict[Any, Any]:
        frame = counted.locations
        keys = (
            frame["location"]
            if "location" in frame
            else zip(frame["country_code"], frame["party_id"], frame["location_id"], strict=True)
        )
        places = frame["municipality"].astype(object).where(frame["municipality"].notna(), None)
        return dict(zip(keys, places, strict=True))

    assert by_location(by_pipeline) == by_location(by_hand)
    outside = [
        int(counted.locations["municipality"].isna().sum()) for counted in (by_pipeline, by_hand)
    ]
    assert outside[0] == outside[1] > 0


def test_real_charge_points_in_use_are_as_many_in_each_municipality(
    by_pipeline: Counted, by_hand: Counted
) -> None:
    counts = _per_municipality(by_hand.in_use)
    assert len(counts) > 50
    assert _per_municipality(by_pipeline.in_use) == counts


def test_real_fast_charge_points_are_as_many_in_each_municipality(
    by_pipeline: Counted, by_hand: Counted
) -> None:
    counts = [
        _per_municipality(counted.in_use[counted.in_use["power_kw"] >= FAST_FROM_KW])
        for counted in (by_pipeline, by_hand)
    ]
    assert counts[0] == counts[1]
    assert sum(counts[1].values()) > 100


def test_powers_of_real_charge_points_are_those_computed_by_hand(
    by_pipeline: Counted, by_hand: Counted
) -> None:
    totals = [
        counted.charge_points["power_kw"].value_counts().sort_index().rename_axis(None)
        for counted in (by_pipeline, by_hand)
    ]
    rounded = [total.groupby(total.index.astype(float).round(3)).sum() for total in totals]
    assert rounded[0].to_dict() == rounded[1].to_dict()
