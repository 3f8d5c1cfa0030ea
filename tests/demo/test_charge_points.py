"""The invented open data of charge points: form, growth, labels and every kind of dirt."""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from goral_pipeline.demo import charge_points
from goral_pipeline.demo.charge_point_dirt import DIRT
from goral_pipeline.demo.ocpi import Json
from goral_pipeline.demo.regions import municipalities, safe_radius

FIRST, LAST = "2022-01", "2022-12"


@cache
def elements(month: str) -> list[Json | str]:
    return charge_points.locations(month)


def objects(month: str) -> list[Json]:
    return [one for one in elements(month) if isinstance(one, dict)]


def keys(month: str) -> list[tuple[str, str, str]]:
    return [(one["country_code"], one["party_id"], one["id"]) for one in objects(month)]


def evses(month: str) -> Iterator[Json]:
    for one in objects(month):
        yield from one["evses"] or []


def connectors(month: str) -> Iterator[Json]:
    for evse in evses(month):
        yield from evse["connectors"]


def test_the_number_of_locations_grows_over_the_year() -> None:
    counts = [len(elements(month)) for month in charge_points.PUBLISHED_MONTHS]
    assert counts == sorted(set(counts))
    assert 1_500 <= counts[0] <= 1_600
    assert 2_400 <= counts[-1] <= 2_500


def test_a_location_that_exists_stays_with_the_same_id_and_place() -> None:
    def places(month: str) -> dict[str, Any]:
        return {one["id"]: (one["coordinates"], one["party_id"]) for one in objects(month)}

    for earlier, later in zip(
        charge_points.PUBLISHED_MONTHS, charge_points.PUBLISHED_MONTHS[1:], strict=False
    ):
        assert places(earlier).items() <= places(later).items()


def test_nothing_is_known_before_it_happened() -> None:
    for month in charge_points.PUBLISHED_MONTHS:
        stamps = [one["last_updated"] for one in [*objects(month), *evses(month)]]
        assert max(stamps) < f"{month}-32"


def test_other_months_are_not_published() -> None:
    for month in ("2021-12", "2023-01", "2022-1", "../2022-01", ""):
        with pytest.raises(KeyError):
            charge_points.locations(month)
        with pytest.raises(KeyError):
            charge_points.locations_gz(month)


def test_the_file_is_the_bare_array_and_carries_no_clock_time() -> None:
    content = charge_points.locations_gz(FIRST)
    assert content[4:8] == b"\0\0\0\0"
    assert json.loads(gzip.decompress(content)) == charge_points.locations(FIRST)


def test_the_label_is_everywhere() -> None:
    for month in charge_points.PUBLISHED_MONTHS:
        for element in elements(month):
            if isinstance(element, dict):
                assert element["name"].startswith("DEMO ")
                assert element["operator"]["name"].endswith(" (demo)")
            else:
                assert element.startswith("DEMO")


def test_fields_are_those_of_the_publisher_in_its_order() -> None:
    location = objects(FIRST)[0]
    assert " ".join(location) == (
        "country_code party_id id publish name address city postal_code country coordinates"
        " parking_type evses operator owner time_zone opening_times last_updated"
    )
    assert " ".join(location["evses"][0]) == (
        "uid images status evse_id connectors directions coordinates floor_level capabilities"
        " last_updated status_schedule physical_reference parking_restrictions"
    )
    assert " ".join(location["evses"][0]["connectors"][0]) == (
        "id format standard power_type tariff_ids max_voltage last_updated max_amperage"
        " max_electric_power terms_and_conditions"
    )


def test_stations_stand_near_the_centre_of_their_municipality() -> None:
    dirty_cities = {"Utrecht", "Groningen"}
    by_name = {one.name: one for one in municipalities()}
    for one in objects(LAST):
        if one["city"] in dirty_cities or one["coordinates"]["latitude"] in {"onbekend", "0.0000"}:
            continue
        home = by_name[one["city"]]
        x = float(one["coordinates"]["longitude"]) - home.longitude
        y = float(one["coordinates"]["latitude"]) - home.latitude
        assert (x * x + y * y) ** 0.5 <= safe_radius(home.code) + 1e-5


def test_every_municipality_of_the_region_has_a_station() -> None:
    cities = {one["city"] for one in objects(FIRST)}
    assert {one.name for one in municipalities() if one.in_region} <= cities


def share(found: int, every: int) -> float:
    return 100 * found / every


def test_shares_are_those_of_the_real_data() -> None:
    every = objects(LAST)
    parking = Counter(one["parking_type"] for one in every)
    assert set(parking) == {"ON_STREET", None, "PARKING_LOT", "PARKING_GARAGE", "ON_DRIVEWAY"}
    assert 60 < share(parking["ON_STREET"], len(every)) < 68
    assert 26 < share(parking[None], len(every)) < 34
    fast = [one for one in connectors(LAST) if one["power_type"] == "DC"]
    assert 3 < share(len(fast), len(list(connectors(LAST)))) < 5
    assert {50_000, 350_000} <= {one["max_electric_power"] for one in fast}
    assert 80 < share(sum(len(one["evses"] or []) == 2 for one in every), len(every)) < 95


@pytest.mark.parametrize("month", [FIRST, LAST])
def test_habits_of_operators(month: str) -> None:
    every = objects(month)
    assert any(" " in one["postal_code"] for one in every)
    assert any(" " not in one["postal_code"] for one in every)
    assert any(one["tariff_ids"] is None for one in connectors(month))
    allego = [one for one in every if one["party_id"] == "ALL"]
    assert all(
        connector["max_electric_power"] is None
        for one in allego
        for evse in one["evses"]
        for connector in evse["connectors"]
    )


def repeated(month: str) -> list[list[Json]]:
    """The objects of each key that occurs more than once."""
    often = [key for key, count in Counter(keys(month)).items() if count > 1]
    return [
        [one for one, own in zip(objects(month), keys(month), strict=True) if own == key]
        for key in often
    ]


def count_locations(test: Callable[[Json], bool]) -> Callable[[str], int]:
    return lambda month: sum(test(one) for one in objects(month))


def count_evses(test: Callable[[Json], bool]) -> Callable[[str], int]:
    return lambda month: sum(test(one) for one in evses(month))


def count_connectors(test: Callable[[Json], bool]) -> Callable[[str], int]:
    return lambda month: sum(test(one) for one in connectors(month))


FOUND: dict[str, Callable[[str], int]] = {
    "outside_region": count_locations(lambda one: one["city"] in {"Utrecht", "Groningen"}),
    "not_in_programme": count_locations(lambda one: one["city"] in {"Renswoude", "Rhenen"}),
    "evse_removed": count_evses(lambda one: one["status"] == "REMOVED"),
    "evse_planned": count_evses(lambda one: one["status"] == "PLANNED"),
    "evse_without_id": count_evses(lambda one: one["evse_id"] is None),
    "capabilities_null": count_evses(lambda one: one["capabilities"] is None),
    "evses_null": count_locations(lambda one: one["evses"] is None),
    "power_times_1000": count_connectors(
        lambda one: (one["max_electric_power"] or 0) > 1_000_000,
    ),
    "three_16": count_connectors(lambda one: one["standard"] == "IEC_60309_2_THREE_16"),
    "belgian_operator": count_locations(lambda one: one["country_code"] == "BE"),
    "exact_duplicate": lambda month: sum(one == other for one, other in repeated(month)),
    "two_versions": lambda month: sum(
        one["last_updated"] != other["last_updated"] for one, other in repeated(month)
    ),
    "zero_coordinates": count_locations(
        lambda one: one["coordinates"] == {"latitude": "0.0000", "longitude": "0.0000"}
    ),
    "latitude_text": count_locations(lambda one: one["coordinates"]["latitude"] == "onbekend"),
    "no_time_zone": count_locations(lambda one: not one["last_updated"].endswith("Z")),
    "unknown_status": count_evses(lambda one: one["status"] == "DEFECT"),
    "not_an_object": lambda month: sum(not isinstance(one, dict) for one in elements(month)),
}


def test_each_kind_of_dirt_has_its_count_here() -> None:
    assert [dirt.kind for dirt in DIRT] == list(FOUND)


@pytest.mark.parametrize("dirt", DIRT, ids=lambda dirt: dirt.kind)
def test_each_kind_of_dirt_is_there_every_month(dirt: Any) -> None:
    for month in charge_points.PUBLISHED_MONTHS:
        assert FOUND[dirt.kind](month) == dirt.affected
