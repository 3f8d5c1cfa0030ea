"""Placement: which municipality each location of a snapshot lies in.

A function of one staged snapshot, one edition of the boundaries and the set distance; its file is
named by these three, so that a month is placed once. Belongs here: geometry, which SQL here lacks.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goral_pipeline import durable, parquet
from goral_pipeline.contracts import derived
from goral_pipeline.errors import GoralError
from goral_pipeline.landing.ledger import Current, Ledger

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from goral_pipeline.settings import Settings

LOCATIONS = "ndw_dotnl/locations"
BOUNDARIES = "pdok/municipality_boundaries"
PLACEMENT = "derived/location_municipality"

# A degree in metres at the region's latitude. Over the few hundred metres that are measured, a
# plane is right to half a per cent, and to one and a half at the region's northern edge.
REGION_LATITUDE = 52.2
METRES_A_DEGREE = 111_195.0


@dataclass(frozen=True)
class Placement:
    """One snapshot to be placed on one edition of the boundaries, and the file it comes to."""

    locations: Current
    boundaries: Current
    path: Path
    """Relative to GORAL_HOME."""


def placements(settings: Settings, pointed: list[Current]) -> list[Placement]:
    """What has to be placed for these pointers.

    Raises:
        GoralError: when there are locations but no boundaries.
    """
    editions = [current for current in pointed if current.delivery.dataset == BOUNDARIES]
    snapshots = [current for current in pointed if current.delivery.dataset == LOCATIONS]
    if snapshots and not editions:
        raise GoralError(
            f"there are locations but no boundaries to place them in: deliver {BOUNDARIES} "
            "(`goral deliver`) or fetch it (`goral run`)"
        )
    result = []
    for snapshot in snapshots:
        edition = edition_for(snapshot.delivery.partition, editions)
        path = _path(snapshot, edition, settings.border_distance_m)
        result.append(Placement(snapshot, edition, path))
    return result


def edition_for(month: str, editions: list[Current]) -> Current:
    """The latest edition of or before the month's year; the earliest where there is none."""
    ordered = sorted(editions, key=lambda current: current.delivery.partition)
    fitting = [edition for edition in ordered if edition.delivery.partition <= month[:4]]
    return fitting[-1] if fitting else ordered[0]


def place_all(settings: Settings, ledger: Ledger, as_of: datetime | None = None) -> tuple[int, int]:
    """Place every snapshot that is not placed yet; gives how many were and how many there are."""
    wanted = placements(settings, ledger.current(as_of=as_of))
    todo = [one for one in wanted if not (settings.home_folder / one.path).exists()]
    for one in todo:
        write(settings, one)
    return len(todo), len(wanted)


def write(settings: Settings, placement: Placement) -> None:
    """Compute one placement and write its file."""
    import pyarrow.parquet as pq

    home = settings.home_folder
    columns = ["country_code", "party_id", "location_id", "latitude", "longitude"]
    locations = pq.read_table(home / _file(placement.locations, "locations"), columns=columns)
    boundaries = pq.read_table(home / _file(placement.boundaries, "municipality_boundaries"))
    rows = place(
        locations,
        boundaries,
        delivery_id=placement.locations.delivery.delivery_id,
        boundaries_delivery_id=placement.boundaries.delivery.delivery_id,
        border_distance_m=settings.border_distance_m,
    )
    goal = home / placement.path
    durable.make_folder(goal.parent)
    with durable.replacing(goal) as temporary:
        parquet.write(temporary, rows.schema, rows.to_batches())


def place(
    locations: pa.Table,
    boundaries: pa.Table,
    *,
    delivery_id: str,
    boundaries_delivery_id: str,
    border_distance_m: float,
) -> pa.Table:
    """The municipality of each location, and whether a border is within the set distance.

    Args:
        locations: key columns, latitude and longitude (WGS 84, degrees).
        boundaries: municipality_code and geometry (WKB, longitude and latitude).
        delivery_id: of the locations.
        boundaries_delivery_id: of the boundaries.
        border_distance_m: locations at most this far from a border are flagged.

    Returns:
        A table of the contract derived/location_municipality, in the order of `locations`.
    """
    import numpy as np
    import pyarrow as pa
    import shapely

    order = np.argsort(boundaries["municipality_code"].to_numpy(zero_copy_only=False))
    codes = boundaries["municipality_code"].to_numpy(zero_copy_only=False)[order]
    outlines = shapely.from_wkb(boundaries["geometry"].to_numpy(zero_copy_only=False)[order])
    points = shapely.points(_degrees(locations["longitude"]), _degrees(locations["latitude"]))
    distance = _border_distance(outlines, points, border_distance_m)
    is_near = ~np.isnan(distance)
    number = locations.num_rows
    schema = derived()[PLACEMENT].tables[0].arrow_schema()
    columns = {
        "country_code": locations["country_code"],
        "party_id": locations["party_id"],
        "location_id": locations["location_id"],
        "municipality_code": pa.array(_municipality(codes, outlines, points), pa.string()),
        "near_border": pa.array(is_near),
        "border_distance_m": pa.array(np.round(distance, 1), mask=~is_near, type=pa.float64()).cast(
            schema.field("border_distance_m").type
        ),
        "delivery_id": pa.array([delivery_id] * number, pa.string()),
        "boundaries_delivery_id": pa.array([boundaries_delivery_id] * number, pa.string()),
    }
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _degrees(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """Exact numbers as the floats nearest to them, so that a corner stays on its border."""
    import pyarrow as pa

    # Arrow's own cast is off by the last digit for one in three.
    exact: np.ndarray[Any, Any] = column.cast(pa.string()).cast(pa.float64()).to_numpy()
    return exact


def _municipality(codes: Any, outlines: Any, points: Any) -> np.ndarray[Any, Any]:
    """Code of the first outline, by code, that each point lies in or on; None for none."""
    import numpy as np
    import shapely

    point, outline = shapely.STRtree(outlines).query(points, predicate="intersects")
    found = np.full(len(points), None, dtype=object)
    # From the highest code down, so that the lowest is what stays on a shared border.
    last_first = np.argsort(-outline, kind="stable")
    found[point[last_first]] = codes[outline[last_first]]
    return found


def _border_distance(outlines: Any, points: Any, limit: float) -> np.ndarray[Any, Any]:
    """Metres from each point to the nearest border; NaN beyond the limit."""
    import numpy as np
    import shapely

    borders = shapely.STRtree(shapely.transform(shapely.boundary(outlines), _metres))
    (point, _), distance = borders.query_nearest(
        shapely.transform(points, _metres),
        # Zero is no distance to the library; a point on the border itself is still found.
        max_distance=max(limit, 1e-9),
        return_distance=True,
        all_matches=False,
    )
    result = np.full(len(points), np.nan)
    result[point] = distance
    return result


def _metres(degrees: Any) -> Any:
    return degrees * [
        METRES_A_DEGREE * math.cos(math.radians(REGION_LATITUDE)),
        METRES_A_DEGREE,
    ]


def _file(current: Current, table: str) -> str:
    return next(file.path for file in current.files if file.table_name == table)


def _path(snapshot: Current, edition: Current, border_distance_m: float) -> Path:
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    contract = hashlib.sha256(derived()[PLACEMENT].path.read_bytes()).hexdigest()
    made_of = (snapshot.staging_id, edition.staging_id, repr(border_distance_m), code, contract)
    name = hashlib.sha256("|".join(made_of).encode()).hexdigest()[:16]
    folder = Path("staging") / PLACEMENT
    return folder / f"{snapshot.delivery.delivery_id}-{name}" / "location_municipality.parquet"
