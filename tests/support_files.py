"""Small deliveries written as real files, and the staging of one, for tests of several folders."""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import xlsxwriter

from goral_pipeline.landing.ledger import Staging
from goral_pipeline.settings import Settings
from goral_pipeline.staging.stage import Job, stage

LOCATIONS = "ndw_dotnl/locations"
REQUESTS = "vattenfall/requests"
BOUNDARIES = "pdok/municipality_boundaries"
KEY = "a-key-that-is-made-up-for-these-tests"
Row = dict[str, Any]

SHEET = "Aanvragen"
HEADERS = (
    "Aanvraagnummer",
    "Gemeente",
    "Naam aanvrager",
    "E-mailadres",
    "Telefoonnummer",
    "Straat en huisnummer",
    "Postcode",
    "Kenteken",
    "Aanleiding",
    "Datum aanvraag",
    "Datum afwijzing",
    "Reden afwijzing",
    "Datum intrekking",
    "Datum goedkeuring",
    "Datum realisatie",
    "Laatst gewijzigd",
    "Toelichting",
)


@dataclass(frozen=True)
class Formula:
    """A formula and the value that the spreadsheet program left of it."""

    text: str
    value: Any


def settings(home: Path, **overrides: Any) -> Settings:
    return Settings.load(**({"home": home, "pseudonym_key": KEY, "duckdb_threads": 1} | overrides))


# --- OCPI ------------------------------------------------------------------------------------


def connector(**changes: Any) -> Row:
    return {
        "id": "1",
        "standard": "IEC_62196_T2",
        "format": "SOCKET",
        "power_type": "AC_3_PHASE",
        "max_voltage": 230,
        "max_amperage": 16,
        "max_electric_power": 11000,
        "last_updated": "2022-06-01T10:00:00Z",
    } | changes


def evse(**changes: Any) -> Row:
    return {
        "uid": "E1",
        "evse_id": "NL*ABC*E1*1",
        "status": "AVAILABLE",
        "connectors": [connector()],
        "last_updated": "2022-06-01T11:00:00Z",
    } | changes


def location(identifier: str = "L1", **changes: Any) -> Row:
    return {
        "country_code": "NL",
        "party_id": "ABC",
        "id": identifier,
        "publish": True,
        "address": "Dorpsstraat 1",
        "city": "Ede",
        "postal_code": "6711 AA",
        "country": "NLD",
        "coordinates": {"latitude": "52.04", "longitude": "5.66"},
        "parking_type": "ON_STREET",
        "operator": {"name": "Example"},
        "evses": [evse()],
        "last_updated": "2022-06-01T12:00:00Z",
    } | changes


def fillers(number: int) -> list[Row]:
    """Good locations, so that the bad ones stay below the contract's share."""
    return [location(f"filler-{place}") for place in range(number)]


def ocpi_file(path: Path, elements: Any) -> Path:
    path.write_bytes(gzip.compress(json.dumps(elements).encode(), compresslevel=1, mtime=0))
    return path


def pages_file(folder: Path, *pages: list[Any], overlap: int = 0) -> Path:
    """Pages as a crawl lands them; each says that it begins so many objects before the last end."""
    folder.mkdir(parents=True, exist_ok=True)
    lines, offset = [], 0
    for number, page in enumerate(pages, start=1):
        body = {"data": page, "status_code": 1000, "timestamp": "2022-08-01T00:00:00Z"}
        told = {"page": number, "offset": offset, "body": body}
        lines.append(json.dumps(told, separators=(",", ":")))
        offset += len(page) - overlap
    path = folder / "pages.ndjson"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


# --- workbooks -------------------------------------------------------------------------------


def request(number: str = "R1", **changes: Any) -> Row:
    """A good row by header: requested, approved and realised."""
    row = dict.fromkeys(HEADERS) | {
        "Aanvraagnummer": number,
        "Gemeente": "Ede",
        "E-mailadres": f"{number}@example.nl",
        "Aanleiding": "aanvraag bewoner",
        "Datum aanvraag": "01-07-2022",
        "Datum goedkeuring": "10-07-2022",
        "Datum realisatie": "01-08-2022",
        "Laatst gewijzigd": "02-08-2022 12:00:00",
    }
    return row | changes


def requests(number: int) -> list[Row]:
    return [request(f"filler-{place}") for place in range(number)]


def workbook_file(
    path: Path,
    rows: Iterable[Row],
    headers: Sequence[str | None] = HEADERS,
    *,
    header_row: int = 2,
    sheet: str = SHEET,
    preamble: str | None = "Export",
) -> Path:
    """Write rows under their headers; each cell by the type of its Python value."""
    with xlsxwriter.Workbook(path, {"strings_to_formulas": False}) as workbook:
        page = workbook.add_worksheet(sheet)
        formats = {
            "date": workbook.add_format({"num_format": "dd-mm-yyyy"}),
            "datetime": workbook.add_format({"num_format": "dd-mm-yyyy hh:mm:ss"}),
        }
        if preamble and header_row > 1:
            page.write_string(0, 0, preamble)
        for column, header in enumerate(headers):
            if header is not None:
                page.write_string(header_row - 1, column, header)
        for line, row in enumerate(rows, start=header_row):
            for column, header in enumerate(headers):
                _write_cell(page, line, column, row.get(header) if header else None, formats)
    return path


def _write_cell(page: Any, line: int, column: int, value: Any, formats: dict[str, Any]) -> None:
    if value is None:
        return
    if isinstance(value, Formula):
        page.write_formula(line, column, value.text, None, value.value)
    elif isinstance(value, str):
        page.write_string(line, column, value)
    elif isinstance(value, int | float):
        page.write_number(line, column, value)
    else:
        page.write_datetime(line, column, value, formats[type(value).__name__])


# --- boundaries ------------------------------------------------------------------------------


def square(west: float, south: float, size: float = 0.1) -> Row:
    east, north = west + size, south + size
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def feature(code: Any = "GM0228", name: Any = "Ede", geometry: Any = None) -> Row:
    return {
        "type": "Feature",
        "properties": {"statcode": code, "statnaam": name},
        "geometry": square(5.6, 52.0) if geometry is None else geometry,
    }


def geojson_file(path: Path, features: list[Any]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


# --- staging ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Staged:
    """What staging made of a file, to be looked at."""

    job: Job
    staging: Staging

    def accepted(self, table: str) -> list[Row]:
        return _rows(self.job.accepted_folder / f"{table}.parquet")

    def quarantine(self, table: str) -> list[Row]:
        return quarantine_of(self.job, table)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Rows by table and outcome; outcomes that did not occur are left out."""
        counts: dict[str, Counter[str]] = {
            file.table_name: Counter() for file in self.staging.files
        }
        for count in self.staging.counts:
            counts[count.table_name][count.outcome] += count.rows
        return {table: dict(outcomes) for table, outcomes in counts.items()}

    @property
    def received(self) -> dict[str, int]:
        return {file.table_name: file.received for file in self.staging.files}


RECEIVED_AT = datetime(2026, 1, 1, tzinfo=UTC)


def job_of(home: Path, dataset: str, file: Path, **overrides: Any) -> Job:
    values = {
        "dataset": dataset,
        "partition": "2022-07",
        "delivery_id": "d" * 16,
        "fingerprint": "f" * 16,
        "landed": file,
        "home": home,
        "spill": home / "landing" / "spill",
        "key": KEY.encode(),
        "received_at": RECEIVED_AT,
        "memory_limit": "1GB",
        "threads": 1,
    }
    return Job(**(values | overrides))


def stage_file(home: Path, dataset: str, file: Path, **overrides: Any) -> Staged:
    """Stage a file in this process."""
    job = job_of(home, dataset, file, **overrides)
    return Staged(job, stage(job))


def stage_locations(home: Path, elements: Any) -> Staged:
    home.mkdir(parents=True, exist_ok=True)
    return stage_file(home, LOCATIONS, ocpi_file(home / "locations.json.gz", elements))


def stage_requests(home: Path, rows: Iterable[Row], *layout: Any, **layouts: Any) -> Staged:
    home.mkdir(parents=True, exist_ok=True)
    file = workbook_file(home / "requests.xlsx", rows, *layout, **layouts)
    return stage_file(home, REQUESTS, file)


def quarantine_of(job: Job, table: str) -> list[Row]:
    return _rows(job.quarantine_folder / f"{table}.parquet")


def _rows(path: Path) -> list[Row]:
    rows: list[Row] = pq.read_table(path).to_pylist()
    return rows
