"""The invented drivers of the Vattenfall concession, and when they charge where.

Belongs here: visits to charge points as plain values, the same in every process. Nobody charges at
two charge points at once, and no charge point is used by two. Not: how an operator writes a visit
down (`ocpi_cdr`), nor deliberate mistakes (`session_dirt`).
"""

import hashlib
import random
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from goral_pipeline.demo.draws import pick
from goral_pipeline.demo.months import MONTHS, first_day, last_day
from goral_pipeline.demo.request_lives import participants
from goral_pipeline.demo.stations import VATTENFALL, Station, standing
from goral_pipeline.demo.vattenfall_lives import CONCESSION

# Placing began on 1 July 2022; what stood before was the former concession's.
MONTHS_OF_USE = MONTHS[6:]
VISITS_BEGUN = dict(zip(MONTHS_OF_USE, (320, 345, 375, 400, 430, 450), strict=True))
LOCAL = ZoneInfo("Europe/Amsterdam")

DRIVERS = 260
# The share of the driver of rank n is as n to the power of this: a few charge nearly every day.
WEIGHT_BY_RANK = -0.7
# One in so many stations is used at all: the demo stays quick, and each has several sessions.
STATIONS_A_USED_ONE = 6
VISITS_AT_HOME_OF_HUNDRED = 85

# What a car takes, in kW, of whatever the charge point could give; 11 is the most.
ON_BOARD_KW = ((11.0, 60), (7.36, 25), (3.68, 15))
CARD, APP = "RFID", "APP_USER"
TOKEN_TYPES = ((CARD, 85), (APP, 15))
# How a driver with a card was authorised; with an app it is always a command.
CARD_METHODS = (("WHITELIST", 70), ("AUTH_REQUEST", 30))

MINUTES_UNTIL_KNOWN = (2, 40)
LAST_EVENING_UNTIL_KNOWN = timedelta(minutes=25)


@dataclass(frozen=True)
class Habit:
    """When people charge in some way, by the clock at home, and how much they then need."""

    hours: tuple[float, float]
    """First and last hour of beginning."""
    lengths: tuple[float, float]
    kwh: tuple[float, float]


OVERNIGHT = Habit((16.5, 22.5), (8.5, 15), (8, 55))
AT_WORK = Habit((7, 9.5), (6, 10), (5, 40))
ERRAND = Habit((8, 21), (1 / 3, 4), (3, 40))
LEFT_STANDING = Habit((12, 20), (15, 20), (15, 60))
HABITS = ((OVERNIGHT, 44), (AT_WORK, 20), (ERRAND, 31), (LEFT_STANDING, 5))


@dataclass(frozen=True)
class Driver:
    """Somebody with a token, who mostly charges near home."""

    number: int
    token_type: str
    on_board_kw: float
    home: Station

    @property
    def uid(self) -> str:
        """What the token says of itself."""
        return "DEMO" + _hex(f"demo token {self.number}", 10)

    @property
    def contract_id(self) -> str:
        """Of the form of eMI3, of a provider that is none."""
        return "NL-DEM-C" + _hex(f"demo contract {self.number}", 8)


@dataclass(frozen=True)
class Visit:
    """A car that was connected to a charge point for a while."""

    driver: Driver
    station: Station
    socket: int
    auth_method: str
    begin: datetime
    length: timedelta
    need_kwh: float
    """What the car would take, if it stood there long enough."""
    until_known: timedelta
    """From its end until its record is in the operator's list."""

    @property
    def end(self) -> datetime:
        """When the car left."""
        return self.begin + self.length

    @property
    def uses(self) -> tuple[tuple[str, int, int], ...]:
        """What nobody else can use meanwhile."""
        return ("station", self.station.number, self.socket), ("driver", self.driver.number, 0)

    def overlaps(self, other: "Visit") -> bool:
        """Whether there is a moment that lies in both."""
        return self.begin <= other.end and other.begin <= self.end


@cache
def visits() -> tuple[Visit, ...]:
    """Every visit of the concession's months, in order of beginning."""
    draw = random.Random("demo visits")
    used: dict[tuple[str, int, int], list[Visit]] = defaultdict(list)
    found: list[Visit] = []
    for month, wanted in VISITS_BEGUN.items():
        most = len(found) + wanted
        visit = _last_evening(draw, month)
        while len(found) < most:
            if not any(visit.overlaps(other) for use in visit.uses for other in used[use]):
                found.append(visit)
                for use in visit.uses:
                    used[use].append(visit)
            visit = _visit(draw, month)
    return tuple(sorted(found, key=lambda one: (one.begin, one.driver.number)))


@cache
def drivers() -> tuple[Driver, ...]:
    """All drivers, the most frequent first."""
    draw = random.Random("demo drivers")
    return tuple(
        Driver(
            number=number,
            token_type=pick(draw, TOKEN_TYPES),
            on_board_kw=pick(draw, ON_BOARD_KW),
            home=draw.choice(used_stations()),
        )
        for number in range(DRIVERS)
    )


@cache
def used_stations() -> tuple[Station, ...]:
    """Stations of the operator, in municipalities that take part in the concession."""
    inside = participants(CONCESSION)
    own = [
        station
        for station in standing(MONTHS_OF_USE[0])
        if station.operator is VATTENFALL and station.municipality.code in inside
    ]
    return tuple(own[::STATIONS_A_USED_ONE])


def _visit(draw: random.Random, month: str) -> Visit:
    habit = pick(draw, HABITS)
    day = first_day(month) + timedelta(days=draw.randrange(last_day(month).day))
    # People live by the clock at home; records are in UTC, which the clock change moves apart.
    local = datetime.combine(day, time(), LOCAL) + _hours(draw, habit.hours)
    return _at(draw, habit, local.astimezone(UTC), _hours(draw, habit.lengths))


def _last_evening(draw: random.Random, month: str) -> Visit:
    """One that ends just before the month does, so that it is known in the next one only."""
    end = datetime.combine(last_day(month), time(23, 48), UTC)
    length = _hours(draw, (3, 6))
    return _at(draw, ERRAND, end - length, length, LAST_EVENING_UNTIL_KNOWN)


def _at(
    draw: random.Random,
    habit: Habit,
    begin: datetime,
    length: timedelta,
    until_known: timedelta | None = None,
) -> Visit:
    """A visit of anybody, mostly near home."""
    driver = pick(draw, _weighted_drivers())
    is_home = draw.randrange(100) < VISITS_AT_HOME_OF_HUNDRED
    station = driver.home if is_home else draw.choice(used_stations())
    return Visit(
        driver=driver,
        station=station,
        socket=draw.randrange(station.charge_points),
        auth_method=pick(draw, CARD_METHODS) if driver.token_type == CARD else "COMMAND",
        begin=begin,
        length=length,
        need_kwh=draw.uniform(*habit.kwh),
        until_known=until_known or timedelta(minutes=draw.randint(*MINUTES_UNTIL_KNOWN)),
    )


@cache
def _weighted_drivers() -> tuple[tuple[Driver, float], ...]:
    return tuple((one, (1 + one.number) ** WEIGHT_BY_RANK) for one in drivers())


def _hours(draw: random.Random, bounds: tuple[float, float]) -> timedelta:
    """A time between two numbers of hours, in whole seconds as operators write it."""
    return timedelta(seconds=draw.randint(round(bounds[0] * 3600), round(bounds[1] * 3600)))


def _hex(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits].upper()
