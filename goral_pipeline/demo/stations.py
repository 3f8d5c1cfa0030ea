"""The invented charging stations: who runs them, where they stand, what hardware they have.

Belongs here: the fleet of the year, as plain values, the same in every process. A station that
stands in one month stands in every later one. Not: how NDW writes a station down (`ocpi`), nor
deliberate mistakes (`charge_point_dirt`).
"""

import math
import random
from dataclasses import dataclass
from functools import cache

from goral_pipeline.demo.draws import pick
from goral_pipeline.demo.months import MONTHS
from goral_pipeline.demo.regions import Municipality, municipalities, safe_radius

STATIONS_IN_FIRST_MONTH = 1_500
STATIONS_IN_LAST_MONTH = 2_400


@dataclass(frozen=True)
class Hardware:
    """The connector that every charge point of a station has."""

    standard: str
    format: str
    power_type: str
    volt: int
    ampere: int
    watt: int


@dataclass(frozen=True)
class Operator:
    """A charge point operator and its habits in the open data."""

    party_id: str
    name: str
    website: str
    fast: bool = False
    country_code: str = "NL"
    owner: str | None = None
    states_regular_power: bool = True
    states_tariffs: bool = True
    postcode_with_space: bool = True


@dataclass(frozen=True)
class Station:
    """One invented charging station; `number` is unique and fixes everything random about it."""

    number: int
    operator: Operator
    hardware: Hardware
    charge_points: int
    municipality: Municipality
    longitude: float
    latitude: float
    parking_type: str | None
    postal_code: str
    street_number: int
    opened: str


AC_11 = Hardware("IEC_62196_T2", "SOCKET", "AC_3_PHASE", 230, 16, 11_040)
AC_22 = Hardware("IEC_62196_T2", "SOCKET", "AC_3_PHASE", 230, 32, 22_080)
AC_22_LINE_TO_LINE = Hardware("IEC_62196_T2", "SOCKET", "AC_3_PHASE", 400, 32, 22_000)
AC_3 = Hardware("IEC_62196_T2", "SOCKET", "AC_1_PHASE", 230, 16, 3_680)
REGULAR = ((AC_11, 78), (AC_22, 12), (AC_22_LINE_TO_LINE, 8), (AC_3, 2))
FAST = (
    (Hardware("IEC_62196_T2_COMBO", "CABLE", "DC", 400, 125, 50_000), 25),
    (Hardware("CHADEMO", "CABLE", "DC", 400, 125, 50_000), 10),
    (Hardware("IEC_62196_T2_COMBO", "CABLE", "DC", 500, 300, 150_000), 30),
    (Hardware("IEC_62196_T2_COMBO", "CABLE", "DC", 500, 350, 175_000), 15),
    (Hardware("IEC_62196_T2_COMBO", "CABLE", "DC", 600, 500, 300_000), 15),
    (Hardware("IEC_62196_T2_COMBO", "CABLE", "DC", 920, 380, 350_000), 5),
)

VATTENFALL = Operator(
    "NUO", "Vattenfall InCharge", "vattenfall", states_tariffs=False, postcode_with_space=False
)
ALLEGO = Operator("ALL", "Allego", "allego", owner="Allego", states_regular_power=False)
E_FLUX = Operator("EFL", "E-Flux", "e-flux", postcode_with_space=False)
OPERATORS = (
    (VATTENFALL, 420),
    (ALLEGO, 375),
    (E_FLUX, 85),
    (Operator("LNT", "Laadnet", "laadnet", owner="Laadnet"), 30),
    (Operator("ENE", "Eneco", "eneco", owner="Eneco"), 28),
    (Operator("SGM", "Opcharge", "opcharge"), 15),
    (Operator("DAE", "DAEN Mobility", "daen"), 13),
    (Operator("LMS", "EQUANS", "equans"), 8),
    (Operator("FAS", "Fastned", "fastned", fast=True), 11),
    (Operator("TNM", "Shell Recharge", "shellrecharge", fast=True), 9),
    (Operator("GFX", "TotalEnergies", "totalenergies", fast=True), 6),
)
PARKING_TYPES = (
    ("ON_STREET", 640),
    (None, 300),
    ("PARKING_LOT", 45),
    ("PARKING_GARAGE", 10),
    ("ON_DRIVEWAY", 5),
)
REGULAR_CHARGE_POINTS = ((2, 88), (1, 6), (4, 5), (6, 1))
FAST_CHARGE_POINTS = ((2, 50), (4, 40), (6, 10))
POSTCODE_LETTERS = "ABCDEGHJKLMNPRSTVWXZ"


@cache
def stations() -> tuple[Station, ...]:
    """Every station of the year, in the order in which they open."""
    in_region = [(one, one.weight) for one in municipalities() if one.in_region]
    return tuple(_station(number, in_region) for number in range(STATIONS_IN_LAST_MONTH))


def standing(month: str) -> tuple[Station, ...]:
    """The stations that stand in a month."""
    return stations()[: _count(MONTHS.index(month))]


def at_centre(number: int, operator: Operator, municipality: Municipality) -> Station:
    """An ordinary station of two charge points near the centre of a municipality."""
    return Station(
        number=number,
        operator=operator,
        hardware=AC_11,
        charge_points=2,
        municipality=municipality,
        longitude=municipality.longitude,
        latitude=municipality.latitude,
        parking_type="ON_STREET",
        postal_code="7000 AA",
        street_number=1 + number % 99,
        opened=MONTHS[0],
    )


def _count(month_index: int) -> int:
    growth = STATIONS_IN_LAST_MONTH - STATIONS_IN_FIRST_MONTH
    return STATIONS_IN_FIRST_MONTH + growth * month_index // (len(MONTHS) - 1)


def _opening_month(number: int) -> str:
    return next(month for index, month in enumerate(MONTHS) if number < _count(index))


def _station(number: int, in_region: list[tuple[Municipality, float]]) -> Station:
    draw = random.Random(f"station {number}")
    operator = pick(draw, OPERATORS)
    municipality = pick(draw, in_region)
    longitude, latitude = _place(draw, municipality)
    return Station(
        number=number,
        operator=operator,
        hardware=pick(draw, FAST if operator.fast else REGULAR),
        charge_points=pick(draw, FAST_CHARGE_POINTS if operator.fast else REGULAR_CHARGE_POINTS),
        municipality=municipality,
        longitude=longitude,
        latitude=latitude,
        parking_type=pick(draw, PARKING_TYPES),
        postal_code=_postal_code(draw),
        street_number=draw.randint(1, 250),
        opened=_opening_month(number),
    )


def _place(draw: random.Random, municipality: Municipality) -> tuple[float, float]:
    """A place near the centre, surely within the municipality's own cell."""
    distance = safe_radius(municipality.code) * math.sqrt(draw.random())
    angle = 2 * math.pi * draw.random()
    longitude = municipality.longitude + distance * math.cos(angle)
    return longitude, municipality.latitude + distance * math.sin(angle)


def _postal_code(draw: random.Random) -> str:
    letters = draw.choice(POSTCODE_LETTERS) + draw.choice(POSTCODE_LETTERS)
    return f"{draw.randint(6500, 8399)} {letters}"
