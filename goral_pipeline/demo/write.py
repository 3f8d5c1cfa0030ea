"""All invented deliveries as files, for a look at them without HTTP.

Belongs here: file names, all of which begin with DEMO, and the form in which what is served page by
page comes as a file. Not: what is in a file.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from goral_pipeline.demo import ocpi_lists, regions, rvo_counts, sessions
from goral_pipeline.demo.deliveries import FILES
from goral_pipeline.demo.months import MONTHS, YEAR, YEARS


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
    for files in FILES:
        for partition in files.partitions:
            yield _name(files.dataset, partition, files.extension), files.make(partition)
    boundaries = json.dumps(regions.feature_collection(), ensure_ascii=False).encode()
    yield _name("pdok/municipality_boundaries", str(YEAR), ".geojson"), boundaries
    # Klimaatmonitor is asked page by page; by hand RVO's counts come as workbooks.
    for month in MONTHS:
        workbook = rvo_counts.charge_point_workbook(month)
        yield _name("rvo/charge_point_counts", month, ".xlsx"), workbook
    for year in YEARS:
        yield _name("rvo/vehicles", year, ".xlsx"), rvo_counts.vehicle_workbook(year)
        yield _name("rvo/inhabitants", year, ".xlsx"), rvo_counts.inhabitant_workbook(year)
    for month in sessions.PUBLISHED_MONTHS:
        yield _name("vattenfall/sessions", month, ".json"), sessions.file_of(month)
    for kind in ocpi_lists.KINDS:
        for month in ocpi_lists.PUBLISHED_MONTHS:
            yield _name(f"vattenfall/{kind}", month, ".json"), ocpi_lists.file_of(kind, month)


def _name(dataset: str, partition: str, extension: str) -> str:
    return f"{dataset.replace('/', '_')}_{partition}{extension}"
