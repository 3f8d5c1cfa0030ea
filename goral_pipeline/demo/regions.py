"""The municipalities of the demonstration and invented boundaries for them.

Belongs here: reading the list of municipalities, and boundaries in the form in which PDOK serves
those of CBS. The boundaries are invented: Voronoi cells of the municipal centres, clipped to a
hull around them, so that places outside every municipality exist. Not: HTTP and paging.
"""

import csv
import hashlib
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goral_pipeline.demo import LABEL
from goral_pipeline.demo.months import YEAR

if TYPE_CHECKING:
    from shapely import Polygon

SEED_FILE = Path(__file__).parents[2] / "dbt_project" / "seeds" / "municipalities.csv"
HULL_MARGIN_DEGREES = 0.06
COORDINATE_DECIMALS = 6

# Invented, like every weight here: how many times more charging the large cities have.
LARGE_CITIES = {
    "GM0268": 9.0,  # Nijmegen
    "GM0202": 9.0,  # Arnhem
    "GM0200": 7.0,  # Apeldoorn
    "GM0153": 7.0,  # Enschede
    "GM0193": 7.0,  # Zwolle
    "GM0228": 6.0,  # Ede
    "GM0150": 5.0,  # Deventer
    "GM0164": 4.0,  # Hengelo
    "GM0141": 4.0,  # Almelo
}


@dataclass(frozen=True)
class Municipality:
    """One municipality of the list, with its centre in degrees (WGS 84)."""

    code: str
    name: str
    province: str
    in_region: bool
    longitude: float
    latitude: float

    @property
    def weight(self) -> float:
        """An invented size: fixed for the large cities, between 0.4 and 2.4 for the others."""
        digest = hashlib.sha256(self.code.encode()).digest()
        return LARGE_CITIES.get(self.code, 0.4 + 2 * digest[0] / 255)


@cache
def municipalities() -> tuple[Municipality, ...]:
    """All municipalities of the list, also those outside the region, in order of code."""
    with SEED_FILE.open(encoding="utf-8", newline="") as file:
        found = [_municipality(row) for row in csv.DictReader(file)]
    return tuple(sorted(found, key=lambda municipality: municipality.code))


def _municipality(row: dict[str, str]) -> Municipality:
    return Municipality(
        code=row["municipality_code"],
        name=row["municipality_name"],
        province=row["province"],
        in_region=row["in_region"] == "true",
        longitude=float(row["centre_longitude"]),
        latitude=float(row["centre_latitude"]),
    )


@cache
def safe_radius(code: str) -> float:
    """Degrees around the centre of a municipality that surely lie within its own cell."""
    own = next(one for one in municipalities() if one.code == code)
    nearest = min(_distance(own, other) for other in municipalities() if other.code != code)
    return 0.95 * min(nearest / 2, HULL_MARGIN_DEGREES)


def _distance(one: Municipality, other: Municipality) -> float:
    return math.hypot(one.longitude - other.longitude, one.latitude - other.latitude)


@cache
def features() -> tuple[dict[str, Any], ...]:
    """A GeoJSON feature for each municipality, with the property names of PDOK and CBS."""
    import shapely  # heavy, and only the boundaries need it

    every = municipalities()
    centres = [shapely.Point(one.longitude, one.latitude) for one in every]
    hull = shapely.MultiPoint(centres).convex_hull.buffer(HULL_MARGIN_DEGREES)
    cells = shapely.voronoi_polygons(shapely.MultiPoint(centres), extend_to=hull).geoms
    found = []
    for municipality, centre in zip(every, centres, strict=True):
        cell = next(cell for cell in cells if cell.contains(centre))
        found.append(_feature(municipality, cell.intersection(hull)))
    return tuple(found)


def _feature(municipality: Municipality, cell: "Polygon") -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": f"DEMO-{municipality.code}",
        "properties": {
            "statcode": municipality.code,
            "statnaam": municipality.name,
            "jaarcode": YEAR,
            "rubriek": "gemeente",
        },
        "geometry": {"type": "MultiPolygon", "coordinates": [[_ring(cell)]]},
    }


def _ring(cell: "Polygon") -> list[list[float]]:
    """The outer ring of a cell, counter-clockwise as RFC 7946 asks, rounded."""
    outline = cell.exterior
    points = outline.coords if outline.is_ccw else outline.coords[::-1]
    return [[round(x, COORDINATE_DECIMALS), round(y, COORDINATE_DECIMALS)] for x, y in points]


def feature_collection() -> dict[str, Any]:
    """All boundaries as one GeoJSON feature collection, labelled as invented."""
    return {"type": "FeatureCollection", "description": LABEL, "features": list(features())}
