"""The deliberate mistakes and oddities in the invented open data of charge points.

Belongs here: every rare kind of dirt, what it is and how often it is there. They are in the
delivery of each month, at charging stations of their own, so that they can be counted. Not: the
habits of operators, which are in many records of the ordinary fleet (`stations.Operator`): no
tariff_ids (Vattenfall), no max_electric_power (Allego's regular connectors), postcodes without a
space (Vattenfall, E-Flux), parking_type null (30 %).

Each kind was seen in the real open data, or is a mistake that its format lets through.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from goral_pipeline.demo.ocpi import Json, coordinates, location
from goral_pipeline.demo.regions import Municipality, municipalities
from goral_pipeline.demo.stations import E_FLUX, VATTENFALL, Operator, at_centre

FIRST_NUMBER = 900_000
BELGIAN = Operator("OPL", "Optimile", "optimile", country_code="BE")
NOT_AN_OBJECT = "DEMO: dit is tekst en geen locatie"

# Places outside the region: name, longitude, latitude.
ELSEWHERE = (("Utrecht", 5.1214, 52.0907), ("Groningen", 6.5665, 53.2194))


@dataclass(frozen=True)
class Dirt:
    """One kind of dirt: at how many stations, how many things in all, and what is done there.

    `make` gives what stands in the array instead of one clean location.
    """

    kind: str
    description: str
    stations: int
    affected: int
    make: Callable[[Json], list[object]]
    operator: Operator = VATTENFALL


def elements(month: str) -> Iterator[object]:
    """All dirty elements of the array that is published for a month."""
    homes = [one for one in municipalities() if one.in_region]
    number = FIRST_NUMBER
    for dirt in DIRT:
        for _ in range(dirt.stations):
            home = homes[number % len(homes)]
            yield from dirt.make(location(at_centre(number, dirt.operator, home), month))
            number += 1


def _move(dirty: Json, city: str, longitude: float, latitude: float) -> list[object]:
    return [{**dirty, "city": city, "coordinates": coordinates(longitude, latitude)}]


def _outside_the_region(dirty: Json) -> list[object]:
    city, longitude, latitude = ELSEWHERE[_street_number(dirty) % len(ELSEWHERE)]
    return _move(dirty, city, longitude, latitude)


def _not_in_the_programme(dirty: Json) -> list[object]:
    others: list[Municipality] = [one for one in municipalities() if not one.in_region]
    other = others[_street_number(dirty) % len(others)]
    return _move(dirty, other.name, other.longitude, other.latitude)


def _street_number(dirty: Json) -> int:
    return int(str(dirty["address"]).split()[-1])


def _with_first_evse(**changes: object) -> Callable[[Json], list[object]]:
    def make(dirty: Json) -> list[object]:
        dirty["evses"][0].update(changes)
        return [dirty]

    return make


def _with_location(**changes: object) -> Callable[[Json], list[object]]:
    def make(dirty: Json) -> list[object]:
        return [{**dirty, **changes}]

    return make


def _with_connectors(change: Callable[[Json], None]) -> Callable[[Json], list[object]]:
    def make(dirty: Json) -> list[object]:
        for evse in dirty["evses"]:
            for connector in evse["connectors"]:
                change(connector)
        return [dirty]

    return make


def _power_times_a_thousand(connector: Json) -> None:
    connector["max_electric_power"] *= 1000


def _three_16(connector: Json) -> None:
    connector.update(standard="IEC_60309_2_THREE_16", max_electric_power=11_000)


def _as_it_is(dirty: Json) -> list[object]:
    return [dirty]


def _twice(dirty: Json) -> list[object]:
    return [dirty, copy.deepcopy(dirty)]


def _two_versions(dirty: Json) -> list[object]:
    older = {**copy.deepcopy(dirty), "last_updated": "2021-12-31T12:00:00Z"}
    return [dirty, older]


def _without_zone(dirty: Json) -> list[object]:
    return [{**dirty, "last_updated": str(dirty["last_updated"]).removesuffix("Z")}]


def _text(_: Json) -> list[object]:
    return [NOT_AN_OBJECT]


DIRT = (
    Dirt("outside_region", "locations in Utrecht and Groningen", 12, 12, _outside_the_region),
    Dirt(
        "not_in_programme",
        "locations in Renswoude and Rhenen, which have a boundary but are not in the region",
        6,
        6,
        _not_in_the_programme,
    ),
    Dirt("evse_removed", "EVSEs that were removed", 10, 10, _with_first_evse(status="REMOVED")),
    Dirt("evse_planned", "EVSEs yet to come", 8, 8, _with_first_evse(status="PLANNED")),
    Dirt("evse_without_id", "EVSEs with evse_id null", 12, 12, _with_first_evse(evse_id=None)),
    Dirt(
        "capabilities_null",
        "EVSEs with null for an empty list",
        9,
        9,
        _with_first_evse(capabilities=None),
    ),
    Dirt("evses_null", "a location with evses null", 1, 1, _with_location(evses=None)),
    Dirt(
        "power_times_1000",
        "connectors with max_electric_power a thousand times too high",
        1,
        2,
        _with_connectors(_power_times_a_thousand),
        operator=E_FLUX,
    ),
    Dirt(
        "three_16",
        "connectors of the standard IEC_60309_2_THREE_16",
        3,
        6,
        _with_connectors(_three_16),
    ),
    Dirt("belgian_operator", "locations of a Belgian operator", 3, 3, _as_it_is, BELGIAN),
    Dirt("exact_duplicate", "a location that is there twice, the same", 1, 1, _twice),
    Dirt("two_versions", "a location that is there twice, once as of 2021", 1, 1, _two_versions),
    Dirt(
        "zero_coordinates",
        "a location at 0.0000, 0.0000",
        1,
        1,
        _with_location(coordinates={"latitude": "0.0000", "longitude": "0.0000"}),
    ),
    Dirt(
        "latitude_text",
        "a location with the latitude 'onbekend'",
        1,
        1,
        _with_location(coordinates={"latitude": "onbekend", "longitude": "6.100000"}),
    ),
    Dirt("no_time_zone", "a location with last_updated without zone", 1, 1, _without_zone),
    Dirt("unknown_status", "an EVSE with status DEFECT", 1, 1, _with_first_evse(status="DEFECT")),
    Dirt("not_an_object", "an element that is a text", 1, 1, _text),
)
