"""The deliberate mistakes and oddities in the invented charging sessions.

Belongs here: every kind of dirt, what it is and in which month. Each is there once in the half
year, in a record that was ordinary before. Not: the ordinary records (`ocpi_cdr`).

Each kind is one that LINDA's checks or profile name, or that OCPI has a way for (corrections).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from goral_pipeline.demo.ocpi import Json
from goral_pipeline.demo.ocpi_cdr import hours, moment, with_energy

# Operators send refused records again within four weeks; corrections take about as long.
PUT_RIGHT_AFTER = timedelta(days=20)
WRONG_CLOCK_YEAR = 2008
FAR_YEAR = 2031
COSTS = ("total_cost", "total_fixed_cost", "total_energy_cost")
CORRECTED_SHARE = 0.8


@dataclass(frozen=True)
class Dirt:
    """One kind of dirt: what is wrong, and when the record of it was first in the list.

    `make` gives what is in the list instead of one clean record; what is put right later is in it
    too, for the list holds what it held at any time: the demo is asked after the year.
    """

    kind: str
    description: str
    month: str
    make: Callable[[Json], list[Json]]
    breaks: str | None = None
    """The rule of the pipeline's contract that its first record breaks; None if it is accepted."""


def _clock_of_2008(clean: Json) -> list[Json]:
    """The clock had stood still: all moments moved, so that all else agrees."""
    begin = _begin(clean)
    return [_moved(clean, begin.replace(year=WRONG_CLOCK_YEAR), _end(clean) - begin)]


def _end_in_2031(clean: Json) -> list[Json]:
    """The clock leapt while the car stood there, and the time of it was reckoned by the clock."""
    begin = _begin(clean)
    length = begin.replace(year=FAR_YEAR) - begin
    return [_moved(clean, begin, length) | {"total_time": hours(length)}]


def _start_is_end(clean: Json) -> list[Json]:
    """Plugged in and out at once."""
    nothing = with_energy(clean, 0.0) | {"total_time": 0.0, "total_parking_time": 0.0}
    first = nothing["charging_periods"][0]
    dimensions = [one | {"volume": 0.0} for one in first["dimensions"]]
    periods = [first | {"dimensions": dimensions}]
    return [_moved(nothing | {"charging_periods": periods}, _begin(clean), timedelta())]


def _end_before_start(clean: Json) -> list[Json]:
    return [
        clean
        | {
            "start_date_time": clean["end_date_time"],
            "end_date_time": clean["start_date_time"],
        }
    ]


def _total_time_disagrees(clean: Json) -> list[Json]:
    """By an hour: summer time, as if the moments were not in UTC."""
    return [clean | {"total_time": clean["total_time"] + 1}]


def _corrected(clean: Json) -> list[Json]:
    """Too much energy was counted. The record is taken back, and another comes in its place."""
    known = {"last_updated": moment(_later(clean))}
    credit = {"id": clean["id"] + "-C", "credit": True, "credit_reference_id": clean["id"]}
    taken_back = {name: _negative(clean[name]) for name in COSTS}
    right = with_energy(clean, round(clean["total_energy"] * CORRECTED_SHARE, 3))
    return [
        clean,
        clean | taken_back | credit | known,
        right | {"id": clean["id"] + "-N"} | known,
    ]


def _sent_again(clean: Json) -> list[Json]:
    """Parking time in minutes, which is refused; then the same record with it in hours."""
    minutes = round((_end(clean) - _begin(clean)) / timedelta(minutes=1), 1)
    return [
        clean | {"total_parking_time": minutes},
        clean | {"last_updated": moment(_later(clean))},
    ]


def _negative_energy(clean: Json) -> list[Json]:
    return [clean | {"total_energy": -clean["total_energy"]}]


def _without(name: str) -> Callable[[Json], list[Json]]:
    return lambda clean: [{key: value for key, value in clean.items() if key != name}]


def _described_address(clean: Json) -> list[Json]:
    return [clean | {"cdr_location": clean["cdr_location"] | {"address": "Demolaan 5 2e paal"}}]


def _begin(record: Json) -> datetime:
    return datetime.fromisoformat(record["start_date_time"])


def _end(record: Json) -> datetime:
    return datetime.fromisoformat(record["end_date_time"])


def _later(record: Json) -> datetime:
    return datetime.fromisoformat(record["last_updated"]) + PUT_RIGHT_AFTER


def _moved(record: Json, begin: datetime, length: timedelta) -> Json:
    """The record of another moment; its periods begin as long after it as they did."""
    by = begin - _begin(record)
    periods = [
        one | {"start_date_time": moment(datetime.fromisoformat(one["start_date_time"]) + by)}
        for one in record["charging_periods"]
    ]
    return record | {
        "start_date_time": moment(begin),
        "end_date_time": moment(begin + length),
        "charging_periods": periods,
    }


def _negative(cost: Json) -> Json:
    # Zero stays zero: there is a minus zero too, which JSON would show.
    return {name: -amount or 0.0 for name, amount in cost.items()}


DIRT = (
    Dirt(
        "clock_of_2008",
        "a session of 2008",
        "2022-07",
        _clock_of_2008,
        "not_before_2009",
    ),
    Dirt(
        "start_is_end",
        "a session that ends when it begins",
        "2022-07",
        _start_is_end,
        "start_is_not_end",
    ),
    Dirt(
        "end_before_start",
        "a session that ends before it begins",
        "2022-08",
        _end_before_start,
        "start_before_end",
    ),
    Dirt(
        "total_time_disagrees",
        "a total_time that is an hour more than from start to end",
        "2022-08",
        _total_time_disagrees,
        "time_is_end_minus_start",
    ),
    Dirt(
        "corrected",
        "a session with too much energy; in October a credit CDR takes it back, and a new CDR comes"
        " in its place",
        "2022-09",
        _corrected,
    ),
    Dirt(
        "sent_again",
        "a total_parking_time in minutes; in October the same CDR comes with it in hours",
        "2022-09",
        _sent_again,
        "parked_within_connected",
    ),
    Dirt(
        "end_in_2031",
        "a session that ends in 2031",
        "2022-10",
        _end_in_2031,
        "not_in_the_future",
    ),
    Dirt(
        "negative_energy",
        "a total_energy below zero",
        "2022-11",
        _negative_energy,
        "energy_kwh_range",
    ),
    Dirt(
        "no_auth_method",
        "no auth_method",
        "2022-11",
        _without("auth_method"),
        "auth_method_required",
    ),
    Dirt(
        "no_fixed_cost",
        "no total_fixed_cost, which LINDA's profile asks for",
        "2022-12",
        _without("total_fixed_cost"),
    ),
    Dirt(
        "described_address",
        "the address 'Demolaan 5 2e paal', which LINDA's profile does not want",
        "2022-12",
        _described_address,
    ),
)
