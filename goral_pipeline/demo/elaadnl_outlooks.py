"""ElaadNL's outlooks, invented for the editions that the demo publishes.

Belongs here: the wide CSV of passenger cars in its real form, and the one of logistics by business
park, whose layout is ours. Neighbourhoods and business parks are invented: their codes begin with
that of a municipality, their names with DEMO. Not: what RVO counts (`rvo_counts`), which the first
year of an edition begins at.
"""

import zlib
from collections.abc import Iterator
from functools import cache

from goral_pipeline.demo import rvo_counts
from goral_pipeline.demo.regions import Municipality, municipalities

PASSENGER_EDITIONS = ("2022Q1", "2022Q4")
LOGISTICS_EDITIONS = ("2022Q4",)
YEARS = range(2022, 2036)
LOGISTICS_YEARS = (2025, 2030, 2035)

# Of the public charge points of a municipality, the part in each of its neighbourhoods.
SHARES = (0.6, 0.4)
GROWTH = {
    "2022Q1": {"L": 1.16, "M": 1.20, "H": 1.24},
    "2022Q4": {"L": 1.18, "M": 1.23, "H": 1.28},
}
UPDATED = {"2022Q1": "2022-03-15", "2022Q4": "2022-12-12"}
ELECTRIC_CARS_PER_PUBLIC_POINT = 6.0
# What is forecast, in parts of the public charge points; power in kW of each fast one.
PARTS = (
    ("thuislaadpunten", 4.1),
    ("werklaadpunten", 1.2),
    ("publiekelaadpunten", 0.96),
    ("bestemmingslaadpunten", 0.7),
    ("laadpunten_parkeergarages", 0.1),
    ("laadpunten_parkeerpleinen", 0.04),
    ("snellaadpunten", 0.072),
)
KW_A_FAST_POINT = 75.0
PASSENGER_HEADER = ",".join(
    [
        *("", "bu_code", "bu_naam", "gemeente", "provincie", "netbeheerder", "NAL_regio"),
        *("RES_regio", "Jaar", "aantal_personenautos"),
        *(
            f"{name}_{scenario}"
            for scenario in "LMH"
            for name in ("aantal_evs", *(name for name, _ in PARTS), "vermogen_snellaadpunten")
        ),
        "datum_bijgewerkt",
    ]
)
# In the first neighbourhood of some municipalities the low scenario lies above the high one.
TURNED_ROUND = ("GM0233", "GM0302")

PARKS = 2
LOGISTICS_HEADER = ";".join(
    (
        *("RIN_NUMMER", "Bedrijventerrein", "Gemeente", "Jaar", "Elektrische bestelwagens"),
        *("Elektrische vrachtwagens", "Laadvraag kWh"),
    )
)
VANS = {2025: 12.5, 2030: 41.0, 2035: 88.5}
TRUCKS_PER_VAN = 0.22
KWH_A_VAN, KWH_A_TRUCK = 6_500.0, 62_000.0


@cache
def passenger_cars(edition: str) -> bytes:
    """The file of an edition; the same bytes every time; KeyError if it is not published."""
    if edition not in PASSENGER_EDITIONS:
        raise KeyError(edition)
    lines = [PASSENGER_HEADER, *_passenger_lines(edition)]
    return ("\n".join(lines) + "\n").encode()


@cache
def logistics(edition: str) -> bytes:
    """The file of an edition; the same bytes every time; KeyError if it is not published."""
    if edition not in LOGISTICS_EDITIONS:
        raise KeyError(edition)
    return ("\r\n".join([LOGISTICS_HEADER, *_logistics_lines()]) + "\r\n").encode()


def _passenger_lines(edition: str) -> Iterator[str]:
    index = 0
    for municipality in municipalities():
        public = rvo_counts.counts(rvo_counts.PUBLIC_REGULAR, "2022-12")[municipality.code]
        for place, share in enumerate(SHARES):
            start = _neighbourhood(municipality, place)
            for year in YEARS:
                numbers = _numbers(edition, municipality.code, place, public * share, year)
                yield f"{index},{start},{year},{numbers},{UPDATED[edition]}"
                index += 1


def _neighbourhood(municipality: Municipality, place: int) -> str:
    code = f"BU{municipality.code[2:]}{place:02d}00"
    name = f"DEMO buurt {place + 1}"
    return (
        f"{code},{name},{municipality.name},{municipality.province},Demonet,"
        f"{'Oost' if municipality.in_region else 'Noordwest'},Demoregio"
    )


def _numbers(edition: str, code: str, place: int, public_now: float, year: int) -> str:
    """All passenger cars, then the numbers of each scenario."""
    growth = GROWTH[edition]
    is_turned_round = place == 0 and code in TURNED_ROUND
    order = "HML" if is_turned_round else "LMH"
    groups = [_scenario(public_now * growth[scenario] ** (year - YEARS[0])) for scenario in order]
    return ",".join([f"{public_now * 110 + 250:.6f}", *groups])


def _scenario(public: float) -> str:
    fast = public * dict(PARTS)["snellaadpunten"]
    numbers = [
        public * ELECTRIC_CARS_PER_PUBLIC_POINT,
        *(public * part for _, part in PARTS),
        fast * KW_A_FAST_POINT,
    ]
    return ",".join([f"{number:.9g}" for number in numbers])


def _logistics_lines() -> Iterator[str]:
    for municipality in (one for one in municipalities() if one.in_region):
        for place in range(PARKS):
            number = f"DEMO{municipality.code[2:]}{place + 1}"
            size = 0.5 + zlib.crc32(number.encode()) % 100 / 50
            for year in LOGISTICS_YEARS:
                vans = VANS[year] * size
                trucks = vans * TRUCKS_PER_VAN
                demand = vans * KWH_A_VAN + trucks * KWH_A_TRUCK
                name = f"DEMO bedrijventerrein {place + 1}"
                numbers = [f"{value:.3f}".replace(".", ",") for value in (vans, trucks, demand)]
                yield ";".join([number, name, municipality.name, str(year), *numbers])
