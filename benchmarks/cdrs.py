"""Charging sessions: staging CDRs of national size, and crawling them over HTTP.

Beside a bare DuckDB script with the same columns, codec and order, dlt, and a bare HTTP client.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb

from benchmarks import cdr_pages
from benchmarks.measuring import Result, Run, apart, in_turn, median, median_ratio, peak, result

DATASET = "vattenfall/sessions"
DLT = Path(__file__).parent.parent / ".venv-dlt" / "bin" / "python"
KEY = b"key of the benchmarks, known to all"
THREADS = 2
MEMORY_LIMIT = "700MB"
"""Of DuckDB, on both sides; with the libraries it leaves room below 1.5 GiB."""
FEW, MANY = 1_000_000, 10_000_000
PAGES_CRAWLED = 300

_BARE = """
copy (
    select * from (
        select
            it.country_code, it.party_id, it.id as cdr_id, it.session_id,
            it.start_date_time as started_at, it.end_date_time as ended_at,
            it.cdr_token.uid as token, it.cdr_token.type as token_type, it.auth_method,
            it.cdr_location.id as location_id, it.cdr_location.address, it.cdr_location.city,
            it.cdr_location.postal_code, it.cdr_location.coordinates.latitude,
            it.cdr_location.coordinates.longitude, it.cdr_location.evse_uid,
            it.cdr_location.evse_id, it.cdr_location.connector_id,
            it.cdr_location.connector_standard,
            it.cdr_location.connector_power_type as power_type, it.tariffs[1].id as tariff_id,
            it.currency, it.total_cost.excl_vat as total_cost,
            it.total_fixed_cost.excl_vat as total_fixed_cost,
            it.total_energy_cost.excl_vat as total_energy_cost, it.total_energy as energy_kwh,
            it.total_time as connected_h, it.total_parking_time as parked_h,
            it.credit as is_credit, it.credit_reference_id as credited_cdr_id, it.last_updated,
            '0000000000000000' as delivery_id, record_number
        from (
            select unnest(body.data) as it,
                "offset" + generate_subscripts(body.data, 1) as record_number
            from read_json($path, format = 'newline_delimited', columns = {
                page: 'BIGINT', "offset": 'BIGINT', body: 'STRUCT(data STRUCT(
                    country_code VARCHAR, party_id VARCHAR, id VARCHAR, session_id VARCHAR,
                    start_date_time TIMESTAMP, end_date_time TIMESTAMP,
                    cdr_token STRUCT(uid VARCHAR, type VARCHAR), auth_method VARCHAR,
                    cdr_location STRUCT(id VARCHAR, address VARCHAR, city VARCHAR,
                        postal_code VARCHAR,
                        coordinates STRUCT(latitude DECIMAL(9, 6), longitude DECIMAL(9, 6)),
                        evse_uid VARCHAR, evse_id VARCHAR, connector_id VARCHAR,
                        connector_standard VARCHAR, connector_power_type VARCHAR),
                    currency VARCHAR, tariffs STRUCT(id VARCHAR)[],
                    total_cost STRUCT(excl_vat DECIMAL(12, 4)),
                    total_fixed_cost STRUCT(excl_vat DECIMAL(12, 4)),
                    total_energy DECIMAL(12, 4),
                    total_energy_cost STRUCT(excl_vat DECIMAL(12, 4)),
                    total_time DECIMAL(10, 4), total_parking_time DECIMAL(10, 4),
                    credit BOOLEAN, credit_reference_id VARCHAR, last_updated TIMESTAMP)[])'
            })
        )
    )
    order by country_code, party_id, cdr_id
) to $goal (format parquet, compression zstd)
"""


def measure(folder: Path, *, rows: int = FEW, runs: int = 5) -> list[Result]:
    """Stage a million records, with and without Great Expectations, and write them barely."""
    file = cdr_pages.write(folder / "pages.ndjson", rows)
    home = folder / "home"
    found = in_turn(
        {
            "staged": partial(stage_timing_expectations, file, home, folder / "judged"),
            "without expectations": partial(stage_without_expectations, file, home),
            "bare": partial(bare, file, folder / "bare.parquet"),
        },
        runs,
    )
    ours, unexpected, theirs = (found[n] for n in ("staged", "without expectations", "bare"))
    figure = partial(result, rows=rows, runs=runs)
    # Timed in the run itself: two runs differ by more than that.
    _, *judged = map(float, (folder / "judged").read_text().split())
    share = 100 * statistics.median(judged) / median(ours)
    return [
        figure("cdr_ingest_1m", median_ratio(unexpected, theirs), "times bare", goal=2.0),
        figure("cdr_ingest_1m_seconds", median(ours), "s"),
        figure("cdr_ingest_1m_bare_seconds", median(theirs), "s"),
        figure("cdr_ingest_1m_peak", peak(ours) / 1024, "GiB"),
        figure("gx_share", share, "% of ingestion", goal=10.0),
    ]


def measure_many(folder: Path, *, few: int = FEW, many: int = MANY, runs: int = 3) -> list[Result]:
    """The same for ten times as many, and how much more memory they take."""
    once = apart(partial(stage, cdr_pages.write(folder / "few.ndjson", few), folder / "home"))
    file = cdr_pages.write(folder / "pages.ndjson", many)
    found: dict[str, list[Run]] = {"staged": [], "bare": []}
    for _ in range(runs):
        found["staged"].append(apart(partial(stage, file, folder / "home")))
        found["bare"].append(apart(partial(bare, file, folder / "bare.parquet")))
    most = peak(found["staged"])
    figure = partial(result, rows=many, runs=runs)
    ratio = median_ratio(found["staged"], found["bare"])
    return [
        figure("cdr_ingest_10m", ratio, "times bare", goal=2.0),
        figure("cdr_ingest_10m_seconds", median(found["staged"]), "s"),
        figure("peak_memory_10m_gib", most / 1024, "GiB", goal=1.5),
        figure("memory_growth", most / once.peak_mib, "times", goal=1.3),
    ]


def measure_dlt(folder: Path, *, rows: int = FEW, runs: int = 3) -> list[Result]:
    """Stage a million records, and load the same with dlt, in turn.

    Raises:
        SystemExit: where dlt is not installed.
    """
    if not DLT.exists():
        raise SystemExit(f"there is no {DLT}: `make bench` makes it")
    file = cdr_pages.write(folder / "pages.ndjson", rows)
    ours, theirs = [], []
    for _ in range(runs):
        ours.append(apart(partial(stage, file, folder / "home")).seconds)
        theirs.append(load_with_dlt(file, folder / "dlt"))
    ratio = statistics.median(one / other for one, other in zip(theirs, ours, strict=True))
    figure = partial(result, rows=rows, runs=runs)
    return [
        figure("cdr_against_dlt", ratio, "times faster", goal=20.0, better="higher"),
        figure("cdr_against_dlt_seconds", statistics.median(theirs), "s"),
    ]


def measure_crawl(folder: Path, *, pages: int = PAGES_CRAWLED, runs: int = 5) -> list[Result]:
    """Crawl a list over loopback, beside a client that reads the same pages and does nothing."""
    rows = pages * (cdr_pages.OBJECTS_A_PAGE - 1)
    file = cdr_pages.write(folder / "pages.ndjson", rows)
    with _serving(file) as url:
        found = in_turn(
            {
                "crawled": partial(crawl, url, folder),
                "bare": partial(read_barely, url, pages),
            },
            runs,
        )
    share = 100 / median_ratio(found["crawled"], found["bare"])
    figure = partial(result, rows=rows, runs=runs)
    megabytes = file.stat().st_size / 1e6
    return [
        figure("crawl", share, "% of bare", goal=70.0, better="higher"),
        figure("crawl_rate", megabytes / median(found["crawled"]), "MB/s", better="higher"),
        figure("crawl_bare_rate", megabytes / median(found["bare"]), "MB/s", better="higher"),
    ]


def stage(file: Path, home: Path) -> None:
    """Stage the file as any delivery is, with all that is checked and written."""
    from goral_pipeline.staging.stage import Job
    from goral_pipeline.staging.stage import stage as stage_delivery

    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    stage_delivery(
        Job(
            dataset=DATASET,
            partition="2022-07",
            delivery_id="0" * 16,
            fingerprint="0" * 16,
            landed=file,
            home=home,
            spill=home / "landing" / ".tmp-spill",
            key=KEY,
            received_at=datetime.now(UTC),
            memory_limit=MEMORY_LIMIT,
            threads=THREADS,
        )
    )


def stage_timing_expectations(file: Path, home: Path, account: Path) -> None:
    """The same; a line with the seconds that Great Expectations took is added to `account`."""
    from goral_pipeline.staging import stage as module

    judge = module._judge

    def timed(*made_of: Any) -> Any:
        begin = time.perf_counter()
        try:
            return judge(*made_of)
        finally:
            with account.open("a") as lines:
                lines.write(f"{time.perf_counter() - begin}\n")

    module._judge = timed
    stage(file, home)


def stage_without_expectations(file: Path, home: Path) -> None:
    """The same, but for what Great Expectations says; the gate is then always open."""
    from goral_pipeline.staging import stage as module

    module._judge = lambda *_: []  # type: ignore[assignment]
    stage(file, home)


def bare(file: Path, goal: Path) -> None:
    """One typed read, sorted and written by DuckDB."""
    spill = goal.parent / "bare_spill"
    config = {"threads": THREADS, "memory_limit": MEMORY_LIMIT, "temp_directory": str(spill)}
    with duckdb.connect(config=config) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute("set enable_progress_bar = false")
        con.execute(_BARE, {"path": str(file), "goal": str(goal)})


def load_with_dlt(file: Path, folder: Path) -> float:
    """Let dlt load the file; gives its seconds, without those of its start and imports."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    told = subprocess.run(
        [str(DLT), str(Path(__file__).with_name("dlt_cdrs.py")), str(file), str(folder)],
        env=os.environ | {"RUNTIME__DLTHUB_TELEMETRY": "false"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(told.stdout)


def crawl(url: str, folder: Path) -> None:
    """Read the list as a run does, up to its place in landing."""
    from goral_pipeline.http_session import HttpSession
    from goral_pipeline.landing import store
    from goral_pipeline.sources.ocpi.crawl import Listing
    from goral_pipeline.sources.ocpi.crawl import crawl as crawl_list

    # A new place each time: to remove what lies there is no part of it.
    landing = Path(tempfile.mkdtemp(dir=folder))
    session = HttpSession(timeout_seconds=60, attempts=1)
    with store.receiving(landing, 1 << 20) as incoming:
        crawl_list(session, Listing(DATASET, url), incoming)
        store.keep(landing, DATASET, ".ndjson", incoming)
    session.close()


def read_barely(url: str, pages: int) -> None:
    """Read as many pages, one after the other, and keep nothing."""
    import requests

    with requests.Session() as session:
        for page in range(pages):
            offset = page * (cdr_pages.OBJECTS_A_PAGE - 1)
            where = f"{url}?offset={offset}&limit={cdr_pages.OBJECTS_A_PAGE}"
            with session.get(where, stream=True, timeout=60) as response:
                for _ in response.iter_content(1 << 20):
                    pass


@contextmanager
def _serving(file: Path) -> Iterator[str]:
    """A server of the pages in a process of its own; nothing is made while it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(file, port))
    process.start()
    try:
        yield f"http://127.0.0.1:{port}/cdrs"
    finally:
        process.terminate()
        process.join()


def _serve(file: Path, port: int) -> None:
    bodies = [line[line.index(b'"body":') + 7 : -2] for line in file.open("rb")]
    stride = cdr_pages.OBJECTS_A_PAGE - 1
    total = str(stride * (len(bodies) - 1) + bodies[-1].count(b'"session_id"'))

    class Pages(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            offset = int(parse_qs(urlsplit(self.path).query)["offset"][0])
            number = min(offset // stride, len(bodies) - 1)
            body = bodies[number]
            if rest := offset - number * stride:
                # Only the end of the list is asked for within a page.
                begin = [found.start() for found in cdr_pages.RECORD.finditer(body)][rest]
                body = b'{"data":[' + body[begin:]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Total-Count", total)
            self.send_header("X-Limit", str(cdr_pages.OBJECTS_A_PAGE))
            if number + 1 < len(bodies):
                following = f"http://127.0.0.1:{port}/cdrs?offset={offset + stride + 1}"
                self.send_header("Link", f'<{following}>; rel="next"')
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    ThreadingHTTPServer(("127.0.0.1", port), Pages).serve_forever()
