"""All invented deliveries as files, for a look at them without HTTP.

Belongs here: file names, all of which begin with DEMO. Not: what is in a file.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from goral_pipeline.demo import charge_points, regions, requests_export
from goral_pipeline.demo.months import YEAR


def write(directory: Path) -> list[Path]:
    """Write every delivery of the year into a folder, which is made if need be."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in _files():
        path = directory / f"DEMO_{name}"
        path.write_bytes(content)
        written.append(path)
    return written


def _files() -> Iterator[tuple[str, bytes]]:
    for month in charge_points.PUBLISHED_MONTHS:
        yield f"ndw_dotnl_locations_{month}.json.gz", charge_points.locations_gz(month)
    boundaries = json.dumps(regions.feature_collection(), ensure_ascii=False)
    yield f"pdok_municipality_boundaries_{YEAR}.geojson", boundaries.encode()
    for month in requests_export.PUBLISHED_MONTHS:
        yield f"vattenfall_requests_{month}.xlsx", requests_export.export(month)
