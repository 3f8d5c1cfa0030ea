"""Placement: which municipality a location lies in, and how far the next border is."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from goral_pipeline.contracts import derived, staged
from goral_pipeline.errors import GoralError
from goral_pipeline.landing.ledger import Current, Delivery, Ledger, StagedFile
from goral_pipeline.settings import Settings
from goral_pipeline.warehouse import placement
from tests.conftest import every_byte, every_file
from tests.support_files import LOCATIONS

# Of the sphere with the earth's mean radius; a kilometre is then right to a few metres.
EARTH_RADIUS_M = 6_371_008.8
MIDDLE = 52.2
Point = tuple[float, float]


def metres_north(metres: float) -> float:
    """Degrees of latitude."""
    return math.degrees(metres / EARTH_RADIUS_M)


def metres_east(metres: float, latitude: float = MIDDLE) -> float:
    """Degrees of longitude."""
    return math.degrees(metres / (EARTH_RADIUS_M * math.cos(math.radians(latitude))))


def locations(*points: Point) -> pa.Table:
    """Locations at (longitude, latitude), as the contract types them."""
    (table, *_) = staged()["ndw_dotnl/locations"].tables
    types = {field.name: field.type for field in table.arrow_schema()}
    number = len(points)
    degree = types["longitude"]

    def exact(value: float) -> Decimal:
        return Decimal(repr(value)).quantize(Decimal(1).scaleb(-degree.scale))

    return pa.table(
        {
            "country_code": pa.array(["NL"] * number, pa.string()),
            "party_id": pa.array(["AAA"] * number, pa.string()),
            "location_id": pa.array([f"L{index}" for index in range(number)], pa.string()),
            "longitude": pa.array([exact(x) for x, _ in points], degree),
            "latitude": pa.array([exact(y) for _, y in points], types["latitude"]),
        }
    )


def boundaries(**outlines: shapely.Geometry) -> pa.Table:
    return pa.table(
        {
            "municipality_code": pa.array(list(outlines), pa.string()),
            "geometry": pa.array([shapely.to_wkb(one) for one in outlines.values()], pa.binary()),
        }
    )


def place(
    points: list[Point], outlines: dict[str, shapely.Geometry], distance: float = 100.0
) -> list[dict[str, Any]]:
    table = placement.place(
        locations(*points),
        boundaries(**outlines),
        delivery_id="of the locations",
        boundaries_delivery_id="of the boundaries",
        border_distance_m=distance,
    )
    assert table.schema.equals(derived()[placement.PLACEMENT].tables[0].arrow_schema())
    rows: list[dict[str, Any]] = table.to_pylist()
    assert [row["location_id"] for row in rows] == [f"L{index}" for index in range(len(points))]
    return rows


def codes(points: list[Point], outlines: dict[str, shapely.Geometry]) -> list[str | None]:
    return [row["municipality_code"] for row in place(points, outlines)]


WEST, EAST = shapely.box(6.0, 52.0, 6.1, 52.4), shapely.box(6.1, 52.0, 6.2, 52.4)

# ── point in polygon ─────────────────────────────────────────────────────────────────────────────


def test_a_point_lies_in_its_municipality() -> None:
    outlines = {"GM0002": EAST, "GM0001": WEST}
    assert codes([(6.05, 52.2), (6.15, 52.2)], outlines) == ["GM0001", "GM0002"]


def test_on_a_shared_border_the_lowest_code_counts_whatever_the_order() -> None:
    on_it = [(6.1, 52.2), (6.1, 52.0), (6.1, 52.4)]
    assert codes(on_it, {"GM0001": WEST, "GM0002": EAST}) == ["GM0001"] * 3
    assert codes(on_it, {"GM0002": EAST, "GM0001": WEST}) == ["GM0001"] * 3
    assert codes(on_it, {"GM0001": EAST, "GM0002": WEST}) == ["GM0001"] * 3


def test_where_three_meet_the_lowest_code_counts() -> None:
    north = shapely.box(6.0, 52.4, 6.2, 52.5)
    outlines = {"GM0003": WEST, "GM0002": EAST, "GM0001": north}
    assert codes([(6.1, 52.4)], outlines) == ["GM0001"]


def test_outside_of_all_there_is_none() -> None:
    (row,) = place([(5.0, 52.2)], {"GM0001": WEST})
    assert row["municipality_code"] is None
    assert row["near_border"] is False
    assert row["border_distance_m"] is None


def test_an_enclave_is_not_of_what_surrounds_it() -> None:
    inner = shapely.box(6.04, 52.18, 6.06, 52.22)
    outlines = {"GM0001": WEST.difference(inner), "GM0009": inner}
    assert codes([(6.05, 52.2), (6.01, 52.2)], outlines) == ["GM0009", "GM0001"]


def test_a_municipality_in_two_parts_is_one() -> None:
    exclave = shapely.box(6.5, 52.0, 6.6, 52.1)
    outlines = {"GM0001": shapely.MultiPolygon([WEST, exclave])}
    assert codes([(6.05, 52.2), (6.55, 52.05), (6.3, 52.05)], outlines) == [
        "GM0001",
        "GM0001",
        None,
    ]


def test_provenance_is_of_both_deliveries() -> None:
    (row,) = place([(6.05, 52.2)], {"GM0001": WEST})
    assert row["delivery_id"] == "of the locations"
    assert row["boundaries_delivery_id"] == "of the boundaries"


def test_no_location_and_no_boundary_are_no_failure() -> None:
    assert place([], {"GM0001": WEST}) == []
    (row,) = place([(6.05, 52.2)], {})
    assert (row["municipality_code"], row["near_border"]) == (None, False)


def test_a_corner_of_any_digits_is_on_its_border() -> None:
    # A third of such numbers differ in the last bit when a decimal is cast without care.
    for digits in range(52_100_000, 52_100_100):
        y = digits / 1_000_000
        assert codes([(6.0, y)], {"GM0001": shapely.box(6.0, 51.0, 6.1, y)}) == ["GM0001"]


# ── near a border ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("inside", [1, -1], ids=["inside", "outside"])
@pytest.mark.parametrize(
    ("metres", "is_near"), [(0.5, True), (50, True), (99, True), (101, False), (500, False)]
)
def test_near_means_within_the_set_distance(inside: int, metres: float, is_near: bool) -> None:
    from_west = (6.0 + inside * metres_east(metres), MIDDLE)
    from_south = (6.05, 52.0 + inside * metres_north(metres))
    for row in place([from_west, from_south], {"GM0001": WEST}):
        assert row["near_border"] is is_near
        if is_near:
            assert float(row["border_distance_m"]) == pytest.approx(metres, rel=0.01, abs=0.1)
        else:
            assert row["border_distance_m"] is None


@pytest.mark.parametrize("latitude", [51.75, 52.85], ids=["south of the region", "north of it"])
def test_at_the_region_s_edges_it_is_right_to_two_per_cent(latitude: float) -> None:
    strip = shapely.box(6.0, 51.0, 6.1, 53.5)
    near, far = place(
        [(6.0 + metres_east(metres, latitude), latitude) for metres in (98, 102)],
        {"GM0001": strip},
    )
    assert near["near_border"] is True
    assert float(near["border_distance_m"]) == pytest.approx(98, rel=0.02)
    assert far["near_border"] is False


@pytest.mark.parametrize(("limit", "is_near"), [(10, False), (49, False), (51, True), (1000, True)])
def test_the_distance_can_be_set(limit: float, is_near: bool) -> None:
    (row,) = place([(6.0 + metres_east(50), MIDDLE)], {"GM0001": WEST}, limit)
    assert row["near_border"] is is_near


def test_at_distance_zero_only_the_border_itself_is_near() -> None:
    on_it, beside = place([(6.0, MIDDLE), (6.0 + metres_east(1), MIDDLE)], {"GM0001": WEST}, 0)
    assert (on_it["near_border"], on_it["border_distance_m"]) == (True, 0)
    assert beside["near_border"] is False


def test_a_border_of_a_hole_counts_too() -> None:
    inner = shapely.box(6.04, 52.18, 6.06, 52.22)
    (row,) = place([(6.04 - metres_east(20), MIDDLE)], {"GM0001": WEST.difference(inner)})
    assert row["near_border"] is True


# ── the trees find what looking at every pair finds ──────────────────────────────────────────────

# Tenths of a degree, so that points lie on borders and corners often.
grid = st.integers(0, 8)
on_grid = st.tuples(grid, grid)
corners = st.lists(on_grid, min_size=3, max_size=6, unique=True)


def outline(points: list[tuple[int, int]]) -> shapely.Geometry:
    hull = shapely.MultiPoint([degrees(point) for point in points]).convex_hull
    return hull if hull.geom_type == "Polygon" else hull.buffer(0.05)


def degrees(point: tuple[int, int]) -> Point:
    return 6 + point[0] / 10, 52 + point[1] / 10


@given(
    st.lists(corners, min_size=1, max_size=6),
    st.lists(on_grid, min_size=1, max_size=20),
    st.sampled_from([0, 100, 1000]),
    st.randoms(use_true_random=False),
)
@hypothesis_settings(max_examples=80, deadline=None)
def test_the_tree_finds_what_brute_force_finds(
    shapes: list[list[tuple[int, int]]],
    points: list[tuple[int, int]],
    limit: float,
    random: Any,
) -> None:
    names = [f"GM{number:04d}" for number in range(len(shapes))]
    random.shuffle(names)
    outlines = dict(zip(names, map(outline, shapes), strict=True))
    # A shift of some metres, so that not all lie on lines.
    spots = [(x + random.choice([0, 0.0004]), y) for x, y in map(degrees, points)]
    scale = [
        EARTH_RADIUS_M * math.radians(1) * math.cos(math.radians(MIDDLE)),
        EARTH_RADIUS_M * math.radians(1),
    ]
    borders = [shapely.transform(one.boundary, lambda c: c * scale) for one in outlines.values()]
    for spot, row in zip(spots, place(spots, outlines, limit), strict=True):
        point = shapely.Point(round(spot[0], 6), round(spot[1], 6))
        holding = [name for name, one in outlines.items() if one.intersects(point)]
        assert row["municipality_code"] == (min(holding) if holding else None)
        in_metres = shapely.transform(point, lambda c: c * scale)
        nearest = min(in_metres.distance(border) for border in borders)
        if abs(nearest - limit) > 0.5:
            assert row["near_border"] is (nearest < limit)
        if row["near_border"]:
            assert float(row["border_distance_m"]) == pytest.approx(nearest, abs=0.2)


# ── which edition ────────────────────────────────────────────────────────────────────────────────


def current(dataset: str, partition: str) -> Current:
    delivery = Delivery(
        delivery_id=f"{partition}-of-{dataset}",
        dataset=dataset,
        partition=partition,
        sha256="",
        content_key="",
        extension="",
        bytes=0,
        origin="",
        etag=None,
        last_modified=None,
        demo=False,
        received_at=datetime(2022, 1, 1, tzinfo=UTC),
        supersedes=None,
        state="accepted",
        problem=None,
    )
    table = dataset.partition("/")[2]
    file = StagedFile(table, path="", received=1, rows=1, bytes=1, sha256="")
    staging = f"staging of {partition}"
    return Current(delivery, staging_id=staging, fingerprint="", key_id=None, files=(file,))


@pytest.mark.parametrize(
    ("month", "edition"),
    [
        ("2020-11", "2021"),
        ("2021-01", "2021"),
        ("2021-12", "2021"),
        ("2022-06", "2021"),
        ("2023-01", "2023"),
        ("2026-06", "2023"),
    ],
)
def test_the_edition_is_the_latest_of_the_year_or_before_else_the_earliest(
    month: str, edition: str
) -> None:
    editions = [current(placement.BOUNDARIES, year) for year in ("2023", "2021")]
    assert placement.edition_for(month, editions).delivery.partition == edition


def test_locations_without_any_boundaries_are_told_with_the_mend() -> None:
    with pytest.raises(GoralError) as refusal:
        placement.placements(Settings.load(), [current(LOCATIONS, "2022-06")], {})
    assert str(refusal.value) == (
        "there are locations but no boundaries to place them in: deliver "
        "pdok/municipality_boundaries (`goral deliver`) or fetch it (`goral run`)"
    )
    assert placement.placements(Settings.load(), [], {}) == []


def test_a_placement_is_named_by_all_that_it_follows_from() -> None:
    snapshot = current(LOCATIONS, "2022-06")
    edition = current(placement.BOUNDARIES, "2022")

    def name(*pointed: Current, distance: float = 100) -> Path:
        (one,) = placement.placements(Settings.load(border_distance_m=distance), list(pointed), {})
        return one.path

    usual = name(snapshot, edition)
    assert usual == name(edition, snapshot)
    others = {
        name(snapshot, edition, distance=50),
        name(replace(snapshot, staging_id="restaged"), edition),
        name(snapshot, replace(edition, staging_id="restaged")),
    }
    assert len(others | {usual}) == 4


# ── on the demo ──────────────────────────────────────────────────────────────────────────────────


def test_every_location_of_a_snapshot_is_placed_where_its_outline_says(
    settings: Settings, ledger: Ledger
) -> None:
    (december,) = (
        one
        for one in placement.placements(settings, ledger.current(), ledger.months_by_staging())
        if (one.placed.delivery.dataset, one.placed.delivery.partition) == (LOCATIONS, "2022-12")
    )
    home = settings.home_folder

    def staged_rows(current: Current, table: str) -> pa.Table:
        (path,) = (file.path for file in current.files if file.table_name == table)
        return pq.read_table(home / path)

    where = staged_rows(december.placed, "locations")
    ((_, edition),) = december.boundaries
    outlines = staged_rows(edition, "municipality_boundaries").to_pylist()
    points = shapely.points(where["longitude"].cast("double"), where["latitude"].cast("double"))
    expected = np.full(len(points), None, dtype=object)
    for row in sorted(outlines, key=lambda row: row["municipality_code"], reverse=True):
        expected[shapely.intersects(shapely.from_wkb(row["geometry"]), points)] = row[
            "municipality_code"
        ]
    found = pq.read_table(home / december.path)
    assert found["municipality_code"].to_pylist() == list(expected)
    assert found["location_id"].to_pylist() == where["location_id"].to_pylist()


def test_only_what_is_not_there_is_placed_and_with_the_same_bytes(
    settings: Settings, ledger: Ledger
) -> None:
    folder = settings.staging / "derived"
    before, content = every_file(folder), every_byte(folder)
    assert placement.place_all(settings, ledger) == (0, 21)
    assert every_file(folder) == before
    (
        settings.home_folder
        / placement.placements(settings, ledger.current(), ledger.months_by_staging())[3].path
    ).unlink()
    assert placement.place_all(settings, ledger) == (1, 21)
    assert every_byte(folder) == content


def test_places_of_sessions_lie_where_those_of_the_snapshot_do(
    settings: Settings, ledger: Ledger
) -> None:
    wanted = placement.placements(settings, ledger.current(), ledger.months_by_staging())
    (august,) = (
        one
        for one in wanted
        if one.contract == placement.SESSION_PLACEMENT
        and one.placed.delivery.partition == "2022-08"
    )
    # Its records are of sessions of the evening before too.
    assert [month for month, _ in august.boundaries] == ["2022-07", "2022-08"]
    table = pq.read_table(settings.home_folder / august.path)
    assert table.schema.equals(derived()[placement.SESSION_PLACEMENT].tables[0].arrow_schema())
    rows = table.to_pylist()
    assert len({(row["month"], row["location_id"]) for row in rows}) == len(rows)
    (snapshot,) = (
        one
        for one in wanted
        if (one.placed.delivery.dataset, one.placed.delivery.partition) == (LOCATIONS, "2022-12")
    )
    located = {
        (row["party_id"], row["location_id"]): row["municipality_code"]
        for row in pq.read_table(settings.home_folder / snapshot.path).to_pylist()
    }
    common = [row for row in rows if (row["party_id"], row["location_id"]) in located]
    assert common
    for row in common:
        assert row["municipality_code"] == located[row["party_id"], row["location_id"]]


def test_a_session_is_placed_by_the_edition_of_its_own_month(tmp_path: Path) -> None:
    home = tmp_path
    moments = [datetime(2022, 12, 31, 22, 59, tzinfo=UTC), datetime(2022, 12, 31, 23, tzinfo=UTC)]
    at = locations((6.05, 52.2), (6.05, 52.2), (6.05, 52.2))
    begun = pa.array([*moments, moments[0]], pa.timestamp("us", tz="UTC"))
    pq.write_table(at.append_column("started_at", begun), home / "sessions.parquet")
    places = placement._places(home / "sessions.parquet", ["2023-01"])
    assert places["month"].to_pylist() == ["2023-01"]
    assert places["location_id"].to_pylist() == ["L1"]
