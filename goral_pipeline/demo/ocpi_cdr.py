"""A visit to a charge point written down as an OCPI 2.2.1 CDR, with what LINDA's profile adds.

Belongs here: field names, their order, rounding and costs. Places have the ids, address and
coordinates that DOT-NL's locations have (`ocpi`), prices are those of its tariffs (`tariffs`). Not:
which visits there were (`drivers`), nor deliberate mistakes (`session_dirt`).
"""

from datetime import UTC, datetime, timedelta
from functools import cache

from goral_pipeline.demo import tariffs
from goral_pipeline.demo.drivers import MONTHS_OF_USE, Driver, Visit
from goral_pipeline.demo.ocpi import Json, location, without_nulls
from goral_pipeline.demo.stations import Station

# What reaches the battery is metered; what a car says it takes is a little more.
METERED_SHARE = 0.96
# LINDA asks for hours in four decimals.
HOUR_DECIMALS = 4
ENERGY_DECIMALS = 3
COST_DECIMALS = 4


def cdr(number: int, visit: Visit) -> Json:
    """The record of a visit; the number makes its id."""
    charging = _charging(visit)
    operator = visit.station.operator
    tariff = _tariff(visit)
    record: Json = {
        "country_code": operator.country_code,
        "party_id": operator.party_id,
        "id": f"DEMO-CDR-{number:06d}",
        "start_date_time": moment(visit.begin),
        "end_date_time": moment(visit.end),
        "session_id": f"DEMO-SES-{number:06d}",
        "cdr_token": _token(visit.driver),
        "auth_method": visit.auth_method,
        "cdr_location": _place(visit.station, visit.socket),
        "currency": tariff["currency"],
        "tariffs": [tariff],
        "charging_periods": _periods(visit, charging, tariff["id"]),
        "total_cost": None,
        "total_fixed_cost": None,
        "total_energy": None,
        "total_energy_cost": None,
        "total_time": hours(visit.length),
        "total_parking_time": hours(visit.length - charging),
        "last_updated": moment(visit.end + visit.until_known),
    }
    kwh = _power_kw(visit) * METERED_SHARE * charging / timedelta(hours=1)
    return with_energy(record, round(kwh, ENERGY_DECIMALS))


def with_energy(record: Json, kwh: float) -> Json:
    """The record with another amount of energy, and what that costs by its tariff."""
    (tariff,) = record["tariffs"]
    energy, flat = tariff["elements"][0]["price_components"]
    first, *others = record["charging_periods"]
    dimensions = [{"type": "ENERGY", "volume": kwh}, *first["dimensions"][1:]]
    return record | {
        "charging_periods": [first | {"dimensions": dimensions}, *others],
        "total_cost": _cost(energy["price"] * kwh + flat["price"]),
        "total_fixed_cost": _cost(flat["price"]),
        "total_energy": kwh,
        "total_energy_cost": _cost(energy["price"] * kwh),
    }


def moment(at: datetime) -> str:
    """A moment as OCPI writes it: in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def hours(length: timedelta) -> float:
    """A time as OCPI writes it: in hours."""
    return round(length / timedelta(hours=1), HOUR_DECIMALS)


def _cost(without_vat: float) -> Json:
    return {
        "excl_vat": round(without_vat, COST_DECIMALS),
        "incl_vat": round(without_vat * (1 + tariffs.VAT_PCT / 100), COST_DECIMALS),
    }


def _power_kw(visit: Visit) -> float:
    return min(visit.driver.on_board_kw, visit.station.hardware.watt / 1000)


def _charging(visit: Visit) -> timedelta:
    """How long the car took energy; after that it is only parked."""
    seconds = round(3600 * visit.need_kwh / _power_kw(visit))
    return min(visit.length, timedelta(seconds=seconds))


def _tariff(visit: Visit) -> Json:
    """The first tariff of the operator as it was."""
    return without_nulls(tariffs.first_tariff(visit.station.operator, f"{visit.begin:%Y-%m}"))


def _token(driver: Driver) -> Json:
    return {
        "country_code": "NL",
        "party_id": "DEM",
        "uid": driver.uid,
        "type": driver.token_type,
        "contract_id": driver.contract_id,
    }


@cache
def _place(station: Station, socket: int) -> Json:
    """The place as DOT-NL has it; only the postcode is written as LINDA asks for it: 1111 AA."""
    known = location(station, MONTHS_OF_USE[0])
    evse = known["evses"][socket]
    (connector,) = evse["connectors"]
    return {
        **{name: known[name] for name in ("id", "name", "address", "city")},
        "postal_code": station.postal_code,
        **{name: known[name] for name in ("country", "coordinates")},
        "evse_uid": evse["uid"],
        "evse_id": evse["evse_id"],
        "connector_id": connector["id"],
        "connector_standard": connector["standard"],
        "connector_format": connector["format"],
        "connector_power_type": connector["power_type"],
    }


def _periods(visit: Visit, charging: timedelta, tariff_id: str) -> list[Json]:
    """One while it charged; one more if it stood there longer."""
    periods = [_period(visit.begin, tariff_id, ENERGY=0, TIME=hours(charging))]
    if charging < visit.length:
        parked = hours(visit.length - charging)
        periods.append(_period(visit.begin + charging, tariff_id, PARKING_TIME=parked))
    return periods


def _period(begin: datetime, tariff_id: str, **volumes: float) -> Json:
    return {
        "start_date_time": moment(begin),
        "dimensions": [{"type": kind, "volume": volume} for kind, volume in volumes.items()],
        "tariff_id": tariff_id,
    }
