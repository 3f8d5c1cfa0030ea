"""An invented station written down as NDW's open data (DOT-NL) has it: an OCPI 2.2.1 Location.

Belongs here: field names, their order, and the publisher's habits with `null`. Not: which
stations exist (`stations`), nor deliberate mistakes (`charge_point_dirt`).
"""

import hashlib
from typing import Any

from goral_pipeline.demo.months import MONTHS
from goral_pipeline.demo.stations import Hardware, Operator, Station

Json = dict[str, Any]

NAME_PREFIX = "DEMO "
OPERATOR_SUFFIX = " (demo)"
CAPABILITIES = ["REMOTE_START_STOP_CAPABLE", "RFID_READER"]
MONTHS_BETWEEN_CHANGES = 3

# Of a hundred charge points, those below the bound and not below the one before it; what is left
# over is AVAILABLE.
STATUS_BOUNDS = (
    ("CHARGING", 24),
    ("UNKNOWN", 27),
    ("OUTOFORDER", 28),
    ("INOPERATIVE", 29),
    ("BLOCKED", 30),
)


def month_of_last_change(station: Station, month: str) -> str:
    """Since which month a station's record is as it is: a third of them change in any month."""
    index = MONTHS.index(month)
    changed = index - (index + station.number) % MONTHS_BETWEEN_CHANGES
    return MONTHS[max(changed, MONTHS.index(station.opened))]


def location(station: Station, month: str) -> Json:
    """The Location object of a station, as published for a month."""
    changed = month_of_last_change(station, month)
    operator = station.operator
    address = f"Demolaan {station.street_number}"
    return {
        "country_code": operator.country_code,
        "party_id": operator.party_id,
        "id": _identifier(station),
        "publish": True,
        "name": f"{NAME_PREFIX}{operator.name} {address}",
        "address": address,
        "city": station.municipality.name,
        "postal_code": _postal_code(station),
        "country": "NLD",
        "coordinates": coordinates(station.longitude, station.latitude),
        "parking_type": station.parking_type,
        "evses": [_evse(station, socket, changed) for socket in range(station.charge_points)],
        "operator": {
            "name": operator.name + OPERATOR_SUFFIX,
            "website": f"https://{operator.website}.example.invalid/",
            "logo": None,
        },
        "owner": {"name": operator.owner + OPERATOR_SUFFIX} if operator.owner else None,
        "time_zone": "Europe/Amsterdam",
        "opening_times": {"twentyfourseven": station.number % 10 != 0},
        "last_updated": _moment(changed, station.number),
    }


def coordinates(longitude: float, latitude: float) -> Json:
    """A place as OCPI writes it: degrees as text."""
    return {"latitude": f"{latitude:.6f}", "longitude": f"{longitude:.6f}"}


def without_nulls(record: Json) -> Json:
    """A record as operators send it: what DOT-NL has as null is left out."""
    return {name: value for name, value in record.items() if value is not None}


def _identifier(station: Station) -> str:
    digest = hashlib.sha256(f"demo station {station.number}".encode()).hexdigest()
    return digest[:32]


def _postal_code(station: Station) -> str:
    if station.operator.postcode_with_space:
        return station.postal_code
    return station.postal_code.replace(" ", "")


def _evse(station: Station, socket: int, changed: str) -> Json:
    place_in_cycle = station.number * 31 + socket * 17 + MONTHS.index(changed) * 7
    evse_id = _evse_id(station, socket)
    return {
        "uid": evse_id.replace("*", "-"),
        "images": None,
        "status": _status(place_in_cycle % 100),
        "evse_id": evse_id,
        "connectors": [_connector(station, socket)],
        "directions": None,
        "coordinates": None,
        "floor_level": None,
        "capabilities": list(CAPABILITIES),
        "last_updated": _moment(changed, place_in_cycle),
        "status_schedule": None,
        "physical_reference": f"DEMO{station.number:06d}-{socket + 1}",
        "parking_restrictions": None if station.number % 4 else ["EV_ONLY", "PLUGGED"],
    }


def _evse_id(station: Station, socket: int) -> str:
    """The habit of the operator: Allego writes its whole name and no asterisks."""
    operator = station.operator
    if operator.party_id == "ALL":
        return f"NLALLEGODEMO{station.number:06d}{socket + 1}"
    return f"{operator.country_code}*{operator.party_id}*EDEMO{station.number:06d}*{socket + 1}"


def _status(place_in_cycle: int) -> str:
    for status, bound in STATUS_BOUNDS:
        if place_in_cycle < bound:
            return status
    return "AVAILABLE"


def _connector(station: Station, socket: int) -> Json:
    hardware, operator = station.hardware, station.operator
    return {
        "id": str(socket + 1),
        "format": hardware.format,
        "standard": hardware.standard,
        "power_type": hardware.power_type,
        "tariff_ids": [f"DEMO-{operator.party_id}-1"] if operator.states_tariffs else None,
        "max_voltage": hardware.volt,
        "last_updated": _moment(station.opened, station.number),
        "max_amperage": hardware.ampere,
        "max_electric_power": _stated_power(operator, hardware),
        "terms_and_conditions": None,
    }


def _stated_power(operator: Operator, hardware: Hardware) -> int | None:
    if operator.fast or operator.states_regular_power:
        return hardware.watt
    return None


def _moment(month: str, number: int) -> str:
    """A moment in the month, in UTC, that depends on nothing but the number."""
    day, hour, minute = 1 + number % 27, number % 23, number * 7 % 60
    return f"{month}-{day:02d}T{hour:02d}:{minute:02d}:00Z"
