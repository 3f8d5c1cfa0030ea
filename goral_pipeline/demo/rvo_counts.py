"""RVO's counts by municipality in 2022, as Klimaatmonitor serves them and as RVO hands them over.

Belongs here: the values. In November 2022 the 76 municipalities of Gelderland and Overijssel add up
to the totals that the progress report publishes; their division, every other month, and what lies
outside those provinces is invented. Not: HTTP (`server`).
"""

import hashlib
import math
from dataclasses import dataclass
from functools import cache

from goral_pipeline.demo.months import MONTHS, YEARS
from goral_pipeline.demo.regions import municipalities
from goral_pipeline.demo.workbook import Cell, workbook

COVERAGE_MONTHS = MONTHS[-1:]

PUBLIC_REGULAR = "kern342a_lpt_pbreg"
PUBLIC_FAST = "kern342b_lpt_pbsnl"
SEMI_PUBLIC_REGULAR = "kern342c_lpt_spreg"
SEMI_PUBLIC_FAST = "kern342d_lpt_spsnl"
PASSENGER_CARS = "pers_autos_herv_ev"
BEV = "elekvoert_bev"
PHEV = "elekvoert_phev"
INHABITANTS = "inwoners"

REFERENCE_MONTH = "2022-11"
PROVINCES = ("Gelderland", "Overijssel")

# In Gelderland and Overijssel in November 2022. The report has fast ones only together: 581.
TOTALS = {
    PUBLIC_REGULAR: 8_114,
    SEMI_PUBLIC_REGULAR: 6_456,
    PUBLIC_FAST: 327,
    SEMI_PUBLIC_FAST: 254,
}
COUNTED_BY_MONTH = tuple(TOTALS)
COUNTED_BY_YEAR = (PASSENGER_CARS, BEV, PHEV, INHABITANTS)

# Each month so much less, in parts of the count of November 2022.
GROWTH_A_MONTH = 0.02
# Seen in reality, of other municipalities: a place without a public point, and a fall of 31 % in
# a year; here all at once.
WITHOUT_PUBLIC_POINT = "GM0277"
FALLING = "GM0213"
FALL, FALLEN_FROM = 0.31, "2022-07"

# Municipalities elsewhere in the country, for the service gives all of them; how many times more
# charging each has.
ELSEWHERE = {"GM0014": 6.0, "GM0050": 1.0, "GM0344": 12.0, "GM0363": 30.0, "GM0599": 20.0}
POINTS_A_WEIGHT = {
    PUBLIC_REGULAR: 70.0,
    SEMI_PUBLIC_REGULAR: 55.0,
    PUBLIC_FAST: 3.0,
    SEMI_PUBLIC_FAST: 2.0,
}
# A value that is none, at one municipality elsewhere.
UNCOUNTED = (SEMI_PUBLIC_FAST, "GM0014", ".")

INHABITANTS_A_WEIGHT = 18_000
CARS_PER_INHABITANT = 0.0165
SHARE_OF_BEV = 0.6


@dataclass(frozen=True)
class _Column:
    """A column of RVO's workbooks, and the variable it holds."""

    header: str
    variable: str


COUNT_COLUMNS = (
    _Column("Publiek regulier", PUBLIC_REGULAR),
    _Column("Publiek snel", PUBLIC_FAST),
    _Column("Semi-publiek regulier", SEMI_PUBLIC_REGULAR),
    _Column("Semi-publiek snel", SEMI_PUBLIC_FAST),
)
VEHICLE_COLUMNS = (
    _Column("Personenauto's BEV en PHEV bij eindgebruiker", PASSENGER_CARS),
    _Column("BEV bij eigenaar", BEV),
    _Column("PHEV bij eigenaar", PHEV),
)
INHABITANT_COLUMNS = (_Column("Inwoners", INHABITANTS),)


def values(variable: str, partition: str) -> list[dict[str, str]]:
    """The values of a variable as Klimaatmonitor lists them; KeyError if it has none."""
    found = counts(variable, partition)
    texts = {code: str(number) for code, number in found.items()}
    uncounted, place, text = UNCOUNTED
    if variable == uncounted:
        texts[place] = text
    return [
        {"ExternalCode": f"gemeente_{int(code[2:])}", "ValueString": text}
        for code, text in texts.items()
    ]


@cache
def counts(variable: str, partition: str) -> dict[str, int]:
    """The value of each municipality; KeyError if the variable is not published for it."""
    if variable in COUNTED_BY_MONTH and partition in MONTHS:
        return _points(variable, partition)
    if variable in COUNTED_BY_YEAR and partition in YEARS:
        return {code: _of_a_year(variable, weight) for code, weight in _weights().items()}
    raise KeyError(variable, partition)


def charge_point_workbook(month: str) -> bytes:
    """RVO's workbook of a month's counts."""
    return _workbook("Laadpunten", month, COUNT_COLUMNS)


def vehicle_workbook(year: str) -> bytes:
    """RVO's workbook of a year's electric cars."""
    return _workbook("Voertuigen", year, VEHICLE_COLUMNS)


def inhabitant_workbook(year: str) -> bytes:
    """A workbook of a year's inhabitants."""
    return _workbook("Inwoners", year, INHABITANT_COLUMNS)


@cache
def coverage_workbook(month: str) -> bytes:
    """RVO's workbook of coverage; its base of vehicles is a little larger than Klimaatmonitor's."""
    if month not in COVERAGE_MONTHS:
        raise KeyError(month)
    cars = counts(PASSENGER_CARS, month[:4])
    rows: list[list[Cell]] = [
        [
            one.name,
            round(
                sum(counts(v, month)[one.code] for v in COUNTED_BY_MONTH) / (cars[one.code] * 1.04),
                4,
            ),
        ]
        for one in municipalities()
        if one.in_region
    ]
    headers = ("Gemeente", "Laadpunten per elektrisch voertuig")
    return workbook("Dekking (DEMO)", (), headers, rows)


def _workbook(sheet: str, partition: str, columns: tuple[_Column, ...]) -> bytes:
    by_column = [counts(column.variable, partition) for column in columns]
    rows: list[list[Cell]] = [
        [code, _names().get(code), *(column[code] for column in by_column)] for code in _weights()
    ]
    rows.append(["Totaal", None, *(sum(column.values()) for column in by_column)])
    headers = ("Gemeentecode", "Gemeente", *(column.header for column in columns))
    return workbook(f"{sheet} (DEMO)", (), headers, rows)


def _points(variable: str, month: str) -> dict[str, int]:
    """The count of November, shrunk to the month."""
    months_before = MONTHS.index(REFERENCE_MONTH) - MONTHS.index(month)
    share = 1 - GROWTH_A_MONTH * months_before
    return {
        code: _falling(november, month) if code == FALLING else round(november * share)
        for code, november in _november(variable).items()
    }


def _falling(november: int, month: str) -> int:
    """A municipality that loses a third at once, and neither grows nor shrinks otherwise."""
    return round(november / (1 - FALL)) if month < FALLEN_FROM else november


@cache
def _november(variable: str) -> dict[str, int]:
    """The counts of November 2022: exact for the two provinces together, invented elsewhere."""
    inside = {
        one.code: one.weight
        for one in municipalities()
        if one.province in PROVINCES
        and not (one.code == WITHOUT_PUBLIC_POINT and _is_public(variable))
    }
    found = {code: round(weight * POINTS_A_WEIGHT[variable]) for code, weight in _weights().items()}
    if _is_public(variable):
        found[WITHOUT_PUBLIC_POINT] = 0
    return found | _divided(TOTALS[variable], inside)


def _is_public(variable: str) -> bool:
    return variable in (PUBLIC_REGULAR, PUBLIC_FAST)


def _divided(total: int, weights: dict[str, float]) -> dict[str, int]:
    """A total divided by weight into whole numbers; the largest remainders are rounded up."""
    exact = {code: total * weight / sum(weights.values()) for code, weight in weights.items()}
    found = {code: math.floor(part) for code, part in exact.items()}
    by_remainder = sorted(exact, key=lambda code: (found[code] - exact[code], code))
    for code in by_remainder[: total - sum(found.values())]:
        found[code] += 1
    return found


def _of_a_year(variable: str, weight: float) -> int:
    inhabitants = round(weight * INHABITANTS_A_WEIGHT)
    cars = round(inhabitants * CARS_PER_INHABITANT)
    bev = round(cars * SHARE_OF_BEV)
    return {INHABITANTS: inhabitants, PASSENGER_CARS: cars, BEV: bev, PHEV: cars - bev}[variable]


@cache
def _weights() -> dict[str, float]:
    """A weight for each municipality, in no order that means anything, as the service has them."""
    every = {one.code: one.weight for one in municipalities()} | ELSEWHERE
    return dict(sorted(every.items(), key=lambda entry: hashlib.sha256(entry[0].encode()).digest()))


@cache
def _names() -> dict[str, str]:
    return {one.code: one.name for one in municipalities()}
