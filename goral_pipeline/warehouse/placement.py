"""Placement: which municipality each location of a snapshot, or place of a session, lies in.

A function of one staged delivery, the editions of the boundaries and the set distance; its file is
named by these three, so that a month is placed once. Belongs here: geometry, which SQL here lacks.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

LOCATIONS = "locations"
"""Table that tells a snapshot of locations: DOT-NL's, and each concession's own."""
BOUNDARIES = "pdok/municipality_boundaries"
PLACEMENT = "derived/location_municipality"
SESSIONS = "sessions"
"""Table that tells a dataset of sessions: each concession has its own."""
SESSION_PLACEMENT = "derived/session_location_municipality"
KEY = ("country_code", "party_id", "location_id")

# A degree in metres at the region's latitude. Over the few hundred metres that are measured, a
# plane is right to half a per cent, and to one and a half at the region's northern edge.
REGION_LATITUDE = 52.2
METRES_A_DEGREE = 111_195.0


@dataclass(frozen=True)
class Placement:
    """One delivery to be placed on the boundaries of its months, and the file it comes to."""

    contract: str
    """What it comes to, a name of the derived contracts."""
    placed: Current
    boundaries: tuple[tuple[str, Current], ...]
    """The edition for each month of it."""
    path: Path
    """Relative to GORAL_HOME."""


def placements(
    settings: Settings, pointed: list[Current], months: Mapping[str, Sequence[str]]
) -> list[Placement]:
    """What has to be placed for these pointers.

    Args:
        settings: how near to a border is near.
        pointed: what the pointers point at.
        months: by staging, the months that its rows fall in; a snapshot's is its partition.

    Raises:
        GoralError: when there are locations but no boundaries.
    """
    editions = [current for current in pointed if current.delivery.dataset == BOUNDARIES]
    snapshots = [current for current in pointed if _holds(current, LOCATIONS)]
    sessions = [current for current in pointed if _holds(current, SESSIONS)]
    if (snapshots or sessions) and not editions:
        raise GoralError(
            f"there are locations but no boundaries to place them in: deliver {BOUNDARIES} "
            "(`goral deliver`) or fetch it (`goral run`)"
        )
    wanted = [(PLACEMENT, one, [one.delivery.partition]) for one in snapshots]
    wanted += [(SESSION_PLACEMENT, one, list(months.get(one.staging_id, ()))) for one in sessions]
    result = []
    for contract, current, of_it in wanted:
        on = tuple((month, edition_for(month, editions)) for month in of_it)
        path = _path(contract, current, on, settings.border_distance_m)
        result.append(Placement(contract, current, on, path))
    return result


def _holds(current: Current, table: str) -> bool:
    return any(file.table_name == table for file in current.files)


def edition_for(month: str, editions: list[Current]) -> Current:
    """The latest edition of or before the month's year; the earliest where there is none."""
    ordered = sorted(editions, key=lambda current: current.delivery.partition)
    fitting = [edition for edition in ordered if edition.delivery.partition <= month[:4]]
    return fitting[-1] if fitting else ordered[0]


def place_all(
    settings: Settings, ledger: Ledger, pointed: list[Current] | None = None
) -> tuple[int, int]:
    """Place every delivery that is not placed yet; gives how many were and how many there are.

    Args:
        settings: where files are, and how near to a border is near.
        ledger: what the pointers point at, and which months that touches.
        pointed: other deliveries than those that the pointers point at now.
    """
    pointed = ledger.current() if pointed is None else pointed
    wanted = placements(settings, pointed, ledger.months_by_staging())
    todo = [one for one in wanted if not (settings.home_folder / one.path).exists()]
    for one in todo:
        write(settings, one)
    return len(todo), len(wanted)


def write(settings: Settings, placement: Placement) -> None:
    """Compute one placement and write its file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    home = settings.home_folder
    schema = derived()[placement.contract].tables[0].arrow_schema()
    placed = schema.empty_table()
    for edition, months in _by_edition(placement):
        if placement.contract == PLACEMENT:
            columns = [*KEY, "latitude", "longitude"]
            locations = pq.read_table(home / _file(placement.placed, LOCATIONS), columns=columns)
        else:
            locations = _places(home / _file(placement.placed, SESSIONS), months)
        rows = place(
            locations,
            pq.read_table(home / _file(edition, "municipality_boundaries")),
            contract=placement.contract,
            delivery_id=placement.placed.delivery.delivery_id,
            boundaries_delivery_id=edition.delivery.delivery_id,
            border_distance_m=settings.border_distance_m,
        )
        placed = pa.concat_tables([placed, rows])
    rows = placed.combine_chunks()
    goal = home / placement.path
    durable.make_folder(goal.parent)
    with durable.replacing(goal) as temporary:
        parquet.write(temporary, rows.schema, rows.to_batches())


def _by_edition(placement: Placement) -> list[tuple[Current, list[str]]]:
    found: dict[str, tuple[Current, list[str]]] = {}
    for month, edition in placement.boundaries:
        found.setdefault(edition.staging_id, (edition, []))[1].append(month)
    return list(found.values())


def _places(path: Path, months: Sequence[str]) -> pa.Table:
    """The distinct places of sessions begun in these months, in order."""
    import duckdb

    with duckdb.connect() as con:
        # The order does not hang on that of the rows, so neither does the file.
        return con.execute(
            "select strftime(timezone('Europe/Amsterdam', started_at), '%Y-%m') as month, "
            "country_code, party_id, location_id, latitude, longitude "
            "from read_parquet($path) where month in (select unnest($months)) "
            "group by all order by all",
            {"path": str(path), "months": list(months)},
        ).to_arrow_table()


def place(
    locations: pa.Table,
    boundaries: pa.Table,
    *,
    contract: str = PLACEMENT,
    delivery_id: str,
    boundaries_delivery_id: str,
    border_distance_m: float,
) -> pa.Table:
    """The municipality of each location, and whether a border is within the set distance.

    Args:
        locations: the other columns of the contract, latitude and longitude (WGS 84, degrees).
        boundaries: municipality_code and geometry (WKB, longitude and latitude).
        contract: what is made.
        delivery_id: of the locations.
        boundaries_delivery_id: of the boundaries.
        border_distance_m: locations at most this far from a border are flagged.

    Returns:
        A table of the contract, in the order of `locations`.
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
    schema = derived()[contract].tables[0].arrow_schema()
    columns = {
        **{name: locations[name] for name in locations.column_names},
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


def _path(
    contract: str,
    placed: Current,
    on: tuple[tuple[str, Current], ...],
    border_distance_m: float,
) -> Path:
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    form = hashlib.sha256(derived()[contract].path.read_bytes()).hexdigest()
    editions = [f"{month}={edition.staging_id}" for month, edition in on]
    made_of = (placed.staging_id, *editions, repr(border_distance_m), code, form)
    name = hashlib.sha256("|".join(made_of).encode()).hexdigest()[:16]
    folder = Path("staging") / contract / f"{placed.delivery.delivery_id}-{name}"
    return folder / f"{derived()[contract].tables[0].name}.parquet"
