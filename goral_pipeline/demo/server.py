"""A real HTTP server on loopback that hands out the invented deliveries.

Belongs here: paths, status codes, headers and paging, as the publishers have them. Not: what is
in a delivery. Whatever a client sends is looked at as hostile: a path that is not exactly one of
those below is not found, and no path ever reaches the file system.
"""

import hashlib
import json
import re
import socketserver
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs

from goral_pipeline.demo import LABEL, charge_points, regions, requests_export
from goral_pipeline.demo.months import YEAR, published_at

HOST = "127.0.0.1"
TOKEN = "demo-token"  # noqa: S105  no secret: it opens nothing but invented data
LABEL_HEADER = ("X-GORAL-Demo", "invented data")
IDLE_SECONDS = 30
STOP_WITHIN_SECONDS = 0.05

DEFAULT_LIMIT = 10
MAXIMUM_LIMIT = 50

GZIP = "application/gzip"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
GEOJSON = "application/geo+json"
TEXT = "text/plain; charset=utf-8"

MONTH = "([0-9]{4}-[0-9]{2})"
LOCATIONS_PATH = re.compile(f"/ndw_dotnl/{MONTH}/charging_point_locations_ocpi[.]json[.]gz")
REQUESTS_PATH = re.compile(f"/vattenfall/requests/{MONTH}[.]xlsx")
BOUNDARIES_PATH = re.compile(
    "/pdok/([0-9]{4})/collections/gemeente_gegeneraliseerd/items",
)
PAGE_NUMBER = re.compile("[0-9]{1,6}")


@dataclass(frozen=True)
class Answer:
    """What goes back to a client."""

    status: HTTPStatus
    content_type: str = TEXT
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class DemoServer:
    """The server, as a context manager; port 0 takes any free port; `log` gets a line a request."""

    def __init__(self, port: int = 0, *, log: Callable[[str], None] | None = None) -> None:
        """Take the port; nothing is answered before the context is entered."""
        self._server = _Server((HOST, port), _Handler)
        self._server.log = log
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(STOP_WITHIN_SECONDS,), daemon=True
        )

    @property
    def url(self) -> str:
        """The address without a slash at its end."""
        return self._server.url

    def wait(self) -> None:
        """Wait until the server is stopped, for instance by Ctrl-C."""
        self._thread.join()

    def __enter__(self) -> "DemoServer":
        """Begin to answer, in a thread of its own."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    request_queue_size = 64
    log: Callable[[str], None] | None = None

    def server_bind(self) -> None:
        """As in the base class, but without asking the name service, which is slow on macOS."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error; anything else is shown, as in the base class."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "GORAL-demo"
    sys_version = ""
    timeout = IDLE_SECONDS
    # Headers and body go out apart; waiting to join them would cost 40 ms an answer.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer with headers and body."""
        self._send(self._answer(), with_body=True)

    def do_HEAD(self) -> None:
        """Answer as to GET, without the body."""
        self._send(self._answer(), with_body=False)

    def end_headers(self) -> None:
        """Label every response, also those of the base class to malformed requests."""
        self.send_header(*LABEL_HEADER)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """One line a request, to whom it was asked for; never the headers, which hold a token."""
        if self.server.log:
            self.server.log((format % args).encode("unicode_escape").decode())

    def _answer(self) -> Answer:
        path, _, query = self.path.partition("?")
        if path == "/":
            return Answer(HTTPStatus.OK, body=_overview(self.server.url).encode())
        if found := LOCATIONS_PATH.fullmatch(path):
            return self._file(charge_points.locations_gz, found[1], GZIP)
        if found := REQUESTS_PATH.fullmatch(path):
            if self.headers.get("Authorization") != f"Token {TOKEN}":
                return _refusal(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Token"})
            return self._file(requests_export.export, found[1], XLSX)
        if (found := BOUNDARIES_PATH.fullmatch(path)) and found[1] == str(YEAR):
            return _boundaries(self.server.url + path, query)
        return _refusal(HTTPStatus.NOT_FOUND)

    def _file(self, make: Callable[[str], bytes], month: str, content_type: str) -> Answer:
        """A file with its validators, or 304 to a client that has it already."""
        try:
            body = make(month)
        except KeyError:
            return _refusal(HTTPStatus.NOT_FOUND)
        etag = _etag(body)
        modified = format_datetime(published_at(month), usegmt=True)
        validators = {"ETag": etag, "Last-Modified": modified}
        if _matches(self.headers.get("If-None-Match", ""), etag):
            return Answer(HTTPStatus.NOT_MODIFIED, headers=validators)
        return Answer(HTTPStatus.OK, content_type, body, validators)

    def _send(self, answer: Answer, *, with_body: bool) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)


def _refusal(status: HTTPStatus, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, body=f"DEMO: {status.phrase}\n".encode(), headers=headers or {})


@cache
def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()}"'


def _matches(if_none_match: str, etag: str) -> bool:
    """Weak comparison, as RFC 9110 asks for If-None-Match."""
    known = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return etag in known or known == ["*"]


def _boundaries(address: str, query: str) -> Answer:
    """A page of boundaries as OGC API Features has it; a limit above the maximum is lowered."""
    try:
        limit, offset = _page(query)
    except ValueError:
        return _refusal(HTTPStatus.BAD_REQUEST)
    every = regions.features()
    page = list(every[offset : offset + limit])
    links = [_link("self", address, limit, offset)]
    if offset + limit < len(every):
        links.append(_link("next", address, limit, offset + limit))
    body = {
        "type": "FeatureCollection",
        "description": LABEL,
        "timeStamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "links": links,
        "numberReturned": len(page),
        "features": page,
    }
    return Answer(HTTPStatus.OK, GEOJSON, json.dumps(body, ensure_ascii=False).encode())


def _page(query: str) -> tuple[int, int]:
    """The limit and offset asked for; ValueError if one of them is no such number."""
    asked = parse_qs(query, keep_blank_values=True, max_num_fields=10)
    limit = _number(asked.get("limit", [str(DEFAULT_LIMIT)]))
    offset = _number(asked.get("offset", ["0"]))
    if limit == 0:
        raise ValueError(limit)
    return min(limit, MAXIMUM_LIMIT), offset


def _number(values: list[str]) -> int:
    if len(values) != 1 or not PAGE_NUMBER.fullmatch(values[0]):
        raise ValueError(values)
    return int(values[0])


def _link(relation: str, address: str, limit: int, offset: int) -> dict[str, str]:
    href = f"{address}?limit={limit}&offset={offset}"
    return {"rel": relation, "type": GEOJSON, "href": href}


def _overview(url: str) -> str:
    locations, requests = charge_points.PUBLISHED_MONTHS, requests_export.PUBLISHED_MONTHS
    return (
        f"{LABEL}: an honest stand-in for the publishers of {YEAR}. All data are invented.\n\n"
        f"{url}/ndw_dotnl/MONTH/charging_point_locations_ocpi.json.gz\n"
        f"    MONTH from {locations[0]} to {locations[-1]}\n"
        f"{url}/pdok/{YEAR}/collections/gemeente_gegeneraliseerd/items?limit=N&offset=K\n"
        f"    N up to {MAXIMUM_LIMIT}, {DEFAULT_LIMIT} if it is not given\n"
        f"{url}/vattenfall/requests/MONTH.xlsx\n"
        f"    MONTH from {requests[0]} to {requests[-1]}; with 'Authorization: Token {TOKEN}'\n"
    )
