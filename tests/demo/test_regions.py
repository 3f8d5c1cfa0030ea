"""The invented boundaries: complete, apart from each other, around their own centre."""

import csv
import itertools

import pytest
import shapely
from shapely.geometry import shape

from goral_pipeline.demo import regions
from goral_pipeline.demo.charge_point_dirt import ELSEWHERE


@pytest.fixture(scope="module")
def cells() -> dict[str, shapely.Geometry]:
    return {one["properties"]["statcode"]: shape(one["geometry"]) for one in regions.features()}


def test_there_is_a_boundary_for_each_municipality_of_the_seed(
    cells: dict[str, shapely.Geometry],
) -> None:
    with regions.SEED_FILE.open(encoding="utf-8", newline="") as file:
        codes = [row["municipality_code"] for row in csv.DictReader(file)]
    assert len(codes) == 79
    assert sorted(codes) == list(cells)
    assert sum(one.in_region for one in regions.municipalities()) == 77


def test_boundaries_are_valid_and_contain_their_own_centre(
    cells: dict[str, shapely.Geometry],
) -> None:
    for one in regions.municipalities():
        assert cells[one.code].is_valid
        assert cells[one.code].contains(shapely.Point(one.longitude, one.latitude))


def test_boundaries_do_not_overlap(cells: dict[str, shapely.Geometry]) -> None:
    for one, other in itertools.combinations(cells.values(), 2):
        assert one.intersection(other).area < 1e-9


def test_the_safe_radius_lies_within_the_cell(cells: dict[str, shapely.Geometry]) -> None:
    for one in regions.municipalities():
        disc = shapely.Point(one.longitude, one.latitude).buffer(regions.safe_radius(one.code))
        assert cells[one.code].contains(disc)


def test_places_elsewhere_are_in_no_municipality(cells: dict[str, shapely.Geometry]) -> None:
    for _, longitude, latitude in ELSEWHERE:
        place = shapely.Point(longitude, latitude)
        assert not any(cell.contains(place) for cell in cells.values())


def test_features_have_the_names_of_the_publisher_and_rounded_coordinates() -> None:
    for feature in regions.features():
        assert feature["properties"].keys() == {"statcode", "statnaam", "jaarcode", "rubriek"}
        assert feature["properties"]["jaarcode"] == 2022
        for x, y in feature["geometry"]["coordinates"][0][0]:
            assert (round(x, 6), round(y, 6)) == (x, y)


def test_boundaries_say_that_they_are_invented() -> None:
    assert "DEMO" in regions.feature_collection()["description"]
    assert all(feature["id"].startswith("DEMO-") for feature in regions.features())
