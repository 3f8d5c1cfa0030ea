"""A delivery that is no good is refused in words that help, and what was accepted stays in use."""

import gzip
import io
import json
import multiprocessing
import os
import re
import signal
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.ingestion import Ingested, in_words
from goral_pipeline.landing.ledger import Delivery
from goral_pipeline.sources import hostile
from tests.support_files import (
    BOUNDARIES,
    HEADERS,
    LOCATIONS,
    REQUESTS,
    feature,
    fillers,
    location,
    ocpi_file,
    request,
    requests,
    stage_file,
    workbook_file,
)

HTML = b"<!DOCTYPE html><html><body>Service unavailable</body></html>"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
DEEP = b"[" * 100_000 + b"]" * 100_000
WANTS_OCPI = "expected a JSON array of OCPI locations in gzip"
WANTS_SHEET = "expected a workbook with the sheet 'Aanvragen', headers on row 2"
WANTS_BOOK = "expected a workbook (.xlsx)"
WANTS_FEATURES = "expected a GeoJSON FeatureCollection of municipalities"


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, compresslevel=1, mtime=0)


def _ocpi(elements: Any) -> bytes:
    return _packed(json.dumps(elements).encode())


def _truncated_gzip() -> bytes:
    whole = _ocpi(fillers(50))
    return whole[: len(whole) * 2 // 3]


def _truncated_json_in_whole_gzip() -> bytes:
    return _packed(json.dumps(fillers(3)).encode()[:-40])


def _deep_inside_a_location() -> bytes:
    text = json.dumps([location(undeclared="HERE"), location("L2")])
    return _packed(text.encode().replace(b'"HERE"', DEEP))


def _workbook(*arguments: Any, **layout: Any) -> bytes:
    buffer = io.BytesIO()
    workbook_file(buffer, *arguments, **layout)  # type: ignore[arg-type]
    return buffer.getvalue()


def _zip(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _workbook_with_sheet(sheet: bytes) -> bytes:
    """A workbook with the XML of its sheet replaced."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(_workbook([request()]))) as whole,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for name in whole.namelist():
            is_sheet = name == "xl/worksheets/sheet1.xml"
            made.writestr(name, sheet if is_sheet else whole.read(name))
    return buffer.getvalue()


def _geojson(content: Any) -> bytes:
    return json.dumps(content).encode()


CSV = b"Aanvraagnummer;Gemeente\nR1;Ede\n"

BAD: dict[str, tuple[str, Callable[[], bytes], tuple[str, ...]]] = {
    # name: dataset, content, what the message says
    "truncated gzip": (LOCATIONS, _truncated_gzip, ("cut off or damaged", WANTS_OCPI)),
    "damaged gzip": (
        LOCATIONS,
        lambda: _ocpi([location()])[:30] + b"\xff" * 200,
        ("cut off or damaged", WANTS_OCPI),
    ),
    "truncated JSON": (LOCATIONS, _truncated_json_in_whole_gzip, ("cannot be read", WANTS_OCPI)),
    "HTML": (LOCATIONS, lambda: HTML, ("found HTML or XML", WANTS_OCPI)),
    "HTML in gzip": (LOCATIONS, lambda: _packed(HTML), ("found HTML or XML", WANTS_OCPI)),
    "JSON without gzip": (
        LOCATIONS,
        lambda: json.dumps([location()]).encode(),
        ("found JSON", WANTS_OCPI),
    ),
    "JSON object": (
        LOCATIONS,
        lambda: _ocpi({"data": [location()]}),
        ("cannot be read", WANTS_OCPI),
    ),
    "text after the array": (
        LOCATIONS,
        lambda: _packed(json.dumps([location()]).encode() + b" and more"),
        ("cannot be read", WANTS_OCPI),
    ),
    "not UTF-8": (
        LOCATIONS,
        lambda: _packed(json.dumps([location()]).encode().replace(b"Example", b"Ex\xff\xfele")),
        ("cannot be read", WANTS_OCPI),
    ),
    "empty file": (LOCATIONS, lambda: b"", ("found an empty file", WANTS_OCPI)),
    "empty gzip": (LOCATIONS, lambda: _packed(b""), ("found an empty file", WANTS_OCPI)),
    "empty array": (LOCATIONS, lambda: _ocpi([]), ("no records at all", "expected one at least")),
    "deep document": (
        LOCATIONS,
        lambda: _packed(DEEP),
        ("nests deeper than 100 levels", WANTS_OCPI),
    ),
    "deep in an undeclared key": (
        LOCATIONS,
        _deep_inside_a_location,
        ("nests deeper than 100 levels", WANTS_OCPI),
    ),
    "workbook for JSON": (
        LOCATIONS,
        lambda: _workbook([request()]),
        ("found a zip file or workbook", WANTS_OCPI),
    ),
    "too many bad locations": (
        LOCATIONS,
        lambda: _ocpi([*fillers(37), location("a", publish="?"), location("b", publish="?")]),
        ("2 of 39 locations break a rule", "publish_type 2 times", "expected at most 5.0%"),
    ),
    "password": (REQUESTS, lambda: OLE, ("password-protected workbook", WANTS_SHEET)),
    "csv named xlsx": (REQUESTS, lambda: CSV, ("found something else", WANTS_SHEET)),
    "empty workbook file": (REQUESTS, lambda: b"", ("found an empty file", WANTS_SHEET)),
    "zip that is no workbook": (
        REQUESTS,
        lambda: _zip({"requests.csv": CSV}),
        ("zip file that is no .xlsx workbook", WANTS_BOOK),
    ),
    "truncated workbook": (
        REQUESTS,
        lambda: _workbook([request()])[:3000],
        ("damaged or cut off", WANTS_BOOK),
    ),
    "workbook without content": (
        REQUESTS,
        lambda: _zip({"xl/workbook.xml": b"<workbook/>"}),
        ("cannot be read", WANTS_BOOK),
    ),
    "sheet of broken XML": (
        REQUESTS,
        lambda: _workbook_with_sheet(b"<worksheet><sheetData><row r='1'><c r='A1'"),
        ("cannot be read", WANTS_SHEET),
    ),
    "missing sheet": (
        REQUESTS,
        lambda: _workbook([request()], sheet="Blad1"),
        ("1 sheet(s) have other names", WANTS_SHEET),
    ),
    "missing column": (
        REQUESTS,
        lambda: _workbook([request()], [h for h in HEADERS if h != "Datum realisatie"]),
        ("missing column: 'Datum realisatie'", "16 of 17 found", WANTS_SHEET),
    ),
    "column twice": (
        REQUESTS,
        lambda: _workbook([request()], [*HEADERS, "gemeente"]),
        ("column twice: 'Gemeente'", WANTS_SHEET),
    ),
    "header on another row": (
        REQUESTS,
        lambda: _workbook([request()], header_row=4),
        ("missing column", "0 of 17 found", WANTS_SHEET),
    ),
    "blank sheet": (
        REQUESTS,
        lambda: _workbook([], [], preamble=None),
        ("the sheet has 0 row(s)", WANTS_SHEET),
    ),
    "headers alone": (
        REQUESTS,
        lambda: _workbook([]),
        ("no records at all", "expected one at least"),
    ),
    "too many bad requests": (
        REQUESTS,
        lambda: _workbook([*requests(10), request("a", Gemeente="Atlantis")]),
        ("1 of 11 requests break a rule", "municipality_code_pattern 1 times", "at most 5.0%"),
    ),
    "no features": (
        BOUNDARIES,
        lambda: _geojson({"type": "FeatureCollection", "features": []}),
        ("holds no features", WANTS_FEATURES),
    ),
    "features of another kind": (
        BOUNDARIES,
        lambda: _geojson({"type": "Feature", "geometry": None}),
        ("holds no features", WANTS_FEATURES),
    ),
    "one bad boundary": (
        BOUNDARIES,
        lambda: _geojson(
            {"features": [feature(), feature("GM0200", "Apeldoorn", {"type": "Point"})]}
        ),
        ("1 of 2 municipality_boundaries break a rule", "geometry_required", "at most 0.0%"),
    ),
    "HTML for GeoJSON": (BOUNDARIES, lambda: HTML, ("found HTML or XML", WANTS_FEATURES)),
    "deep GeoJSON": (BOUNDARIES, lambda: DEEP, ("nests deeper than 100 levels", WANTS_FEATURES)),
    "half a GeoJSON": (
        BOUNDARIES,
        lambda: _geojson({"features": [feature()]})[:-20],
        ("cannot be read", WANTS_FEATURES),
    ),
}


@dataclass(frozen=True)
class Before:
    """The accepted version and its files, before the bad delivery."""

    staging_id: str
    files: dict[Path, bytes]


def _before(house: Any, dataset: str) -> Before:
    current = house.current(dataset)
    paths = [house.settings.home_folder / file.path for file in current.files]
    return Before(current.staging_id, {path: path.read_bytes() for path in paths})


def _assert_still_in_use(house: Any, dataset: str, before: Before) -> None:
    assert house.current(dataset).staging_id == before.staging_id
    assert {path: path.read_bytes() for path in before.files} == before.files


@pytest.mark.parametrize("name", BAD)
def test_a_bad_delivery_is_rejected_in_words_and_changes_nothing(name: str, house: Any) -> None:
    dataset, make, words = BAD[name]
    content = make()
    before = _before(house, dataset)

    result = house.deliver_bytes(dataset, content)

    assert result.state == "failed"
    for text in (*words, result.delivery_id):
        assert text in result.message
    assert in_words(result).startswith(f"{dataset} {result.partition} failed: delivery ")
    delivery: Delivery = house.latest(dataset)
    assert (delivery.state, delivery.problem) == ("rejected", result.message)
    assert house.landed(delivery).read_bytes() == content
    _assert_still_in_use(house, dataset, before)
    assert len([*(house.settings.staging / dataset).iterdir()]) == 1


def test_a_rejected_delivery_gives_way_to_a_good_one(house: Any) -> None:
    assert house.deliver_bytes(LOCATIONS, HTML).state == "failed"
    result = house.deliver_bytes(LOCATIONS, _ocpi([location(city="Arnhem")]))
    assert result.state == "new"
    assert house.current(LOCATIONS).delivery.delivery_id == result.delivery_id


def test_the_same_bad_delivery_again_is_refused_again_and_kept_once(house: Any) -> None:
    first, second = (house.deliver_bytes(LOCATIONS, HTML) for _ in range(2))
    assert (first.message, first.state) == (second.message, second.state)
    assert len([d for d in house.ledger.deliveries() if d.dataset == LOCATIONS]) == 2


def test_quarantine_of_a_rejected_delivery_tells_record_column_and_what_was_found(
    house: Any,
) -> None:
    result = house.deliver_bytes(LOCATIONS, _ocpi([location(), location("b", publish="maybe")]))
    folder = house.settings.quarantine / LOCATIONS
    (job_folder,) = [path for path in folder.iterdir() if path.name.startswith(result.delivery_id)]
    import pyarrow.parquet as pq

    (row,) = pq.read_table(job_folder / "locations.parquet").to_pylist()
    assert (row["record_number"], row["column_name"], row["rule"]) == (2, "publish", "publish_type")
    assert (row["found"], row["expected"]) == ("maybe", "true or false.")


def test_exactly_the_share_of_bad_rows_that_the_contract_allows_is_accepted(house: Any) -> None:
    rows = [*fillers(38), location("a", publish="?"), location("b", publish="?")]
    result = house.deliver_bytes(LOCATIONS, _ocpi(rows))
    assert result.state == "new"
    assert result.rows["locations"] == {"accepted": 38, "duplicate": 0, "quarantined": 2}


def test_bad_children_are_weighed_by_themselves(house: Any) -> None:
    rows = fillers(10)
    rows[3]["evses"][0]["status"] = "ASLEEP"
    result = house.deliver_bytes(LOCATIONS, _ocpi(rows))
    assert result.state == "failed"
    assert "1 of 10 charge_points break a rule (status_code 1 times)" in result.message


def test_a_delivery_over_the_size_limit_is_refused_and_not_kept(house: Any) -> None:
    before = _before(house, LOCATIONS)
    small = replace(house, settings=house.settings.model_copy(update={"max_delivery_mib": 1}))
    result = small.deliver_bytes(LOCATIONS, _packed(os.urandom(1024 * 1024 + 1)))
    assert result.state == "failed"
    assert "larger than 1 MiB" in result.message
    assert "GORAL_MAX_DELIVERY_MIB" in result.message
    assert result.delivery_id is None
    _assert_still_in_use(house, LOCATIONS, before)
    assert not [*house.settings.landing.glob(".tmp-*")]


def test_a_gzip_file_that_unpacks_to_too_much_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hostile, "MAX_UNPACKED_BYTES", 1024**2)
    bomb = tmp_path / "bomb.json.gz"
    bomb.write_bytes(_packed(b"[" + b" " * (1024**2 + 10) + b"]"))
    assert bomb.stat().st_size < 20_000
    with pytest.raises(DeliveryRejected, match=rf"unpacks to more than .*{WANTS_OCPI}"):
        stage_file(tmp_path, LOCATIONS, bomb)


def test_a_workbook_that_unpacks_to_too_much_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hostile, "MAX_WORKBOOK_BYTES", 1024**2)
    bomb = tmp_path / "bomb.xlsx"
    bomb.write_bytes(_workbook_with_sheet(b"<worksheet>" + b" " * 1024**2 + b"</worksheet>"))
    with pytest.raises(DeliveryRejected, match="unpacks to more than 1 MiB, expected a workbook"):
        stage_file(tmp_path, REQUESTS, bomb)


@pytest.mark.parametrize("cell", ["XFD1048576", "CR1048576"])
def test_a_workbook_with_a_cell_far_from_all_others_is_refused_unread(
    cell: str, house: Any
) -> None:
    """A reader that makes room for every cell up to it needs 550 GB, and 3 GB."""
    before = _before(house, REQUESTS)
    filled = "<c r='{}' t='inlineStr'><is><t>x</t></is></c>"
    sheet = (
        "<?xml version='1.0'?><worksheet xmlns='http://schemas.openxmlformats.org/"
        "spreadsheetml/2006/main'><sheetData><row r='1'>"
        + filled.format("A1")
        + "</row><row r='1048576'>"
        + filled.format(cell)
        + "</row></sheetData></worksheet>"
    )
    result = house.deliver_bytes(REQUESTS, _workbook_with_sheet(sheet.encode()))
    assert result.state == "failed"
    assert "a sheet reaches to row 1048576" in result.message
    assert house.latest(REQUESTS).state == "rejected"
    _assert_still_in_use(house, REQUESTS, before)


# --- killed and too slow ---------------------------------------------------------------------


def _deliver_and_signal(house: Any, file: Path, number: signal.Signals) -> Ingested:
    """Deliver, and send the staging process a signal as soon as it is there."""
    results: list[Ingested] = []
    known = {process.pid for process in multiprocessing.active_children()}
    # The ledger's connections are made for each use, so another thread may use it.
    delivering = threading.Thread(target=lambda: results.append(house.deliver(LOCATIONS, file)))
    delivering.start()
    deadline = time.monotonic() + 60
    while delivering.is_alive() and time.monotonic() < deadline:
        started = [p for p in multiprocessing.active_children() if p.pid not in known]
        if started:
            os.kill(started[0].pid or 0, number)
            break
        time.sleep(0.001)
    delivering.join(60)
    assert results
    return results[0]


def test_a_delivery_whose_staging_was_killed_from_outside_is_not_rejected_and_passes_again(
    house: Any,
) -> None:
    before = _before(house, LOCATIONS)
    # Enough rows for the kill to come before the end.
    file = ocpi_file(house.desk / "many.json.gz", fillers(3000))
    result = _deliver_and_signal(house, file, signal.SIGKILL)

    assert result.state == "failed"
    assert "killed from outside" in result.message
    assert "run again" in result.message
    assert house.latest(LOCATIONS).state == "received"
    _assert_still_in_use(house, LOCATIONS, before)

    again = house.deliver(LOCATIONS, file)
    assert again.state == "new"
    assert again.delivery_id == result.delivery_id
    assert house.current(LOCATIONS).delivery.delivery_id == again.delivery_id
    assert not [*house.settings.staging.rglob(".tmp-*"), *house.settings.quarantine.rglob(".tmp-*")]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_a_parser_that_crashes_ends_the_child_and_not_the_pipeline(
    number: signal.Signals, house: Any
) -> None:
    before = _before(house, LOCATIONS)
    file = ocpi_file(house.desk / "many.json.gz", fillers(3000))
    result = _deliver_and_signal(house, file, number)
    assert result.state == "failed"
    assert "crashed the parser" in result.message
    assert house.latest(LOCATIONS).state == "rejected"
    _assert_still_in_use(house, LOCATIONS, before)


def test_staging_over_its_time_is_stopped_and_rejected(house: Any) -> None:
    before = _before(house, LOCATIONS)
    file = ocpi_file(house.desk / "many.json.gz", fillers(3000))
    hasty = replace(house, settings=house.settings.model_copy(update={"staging_seconds": 1}))
    result = _deliver_and_signal(hasty, file, signal.SIGSTOP)

    assert result.state == "failed"
    assert re.search(r"longer than 1 s \(GORAL_STAGING_SECONDS\)", result.message)
    assert house.latest(LOCATIONS).state == "rejected"
    assert not multiprocessing.active_children()
    _assert_still_in_use(house, LOCATIONS, before)
