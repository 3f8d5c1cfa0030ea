"""A real HTTP server on loopback that hands out the invented deliveries.

Belongs here: paths, status codes, headers and paging, as the publishers have them. Not: what is
in a delivery. Whatever a client sends is looked at as hostile: a path that is not exactly one of
those below is not found, and no path ever reaches the file system.
"""

import base64
import hashlib
import json
import re
import socketserver
import sys
import threading
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import itemgetter
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

from goral_pipeline.demo import LABEL, ocpi_lists, regions, rvo_counts, sessions
from goral_pipeline.demo.deliveries import FILES, Files
from goral_pipeline.demo.months import YEAR, published_at
from goral_pipeline.demo.ocpi import Json
from goral_pipeline.demo.ocpi_cdr import moment

HOST = "127.0.0.1"
TOKEN = "demo-token"  # noqa: S105  no secret: it opens nothing but invented data
# OCPI has the token encoded; servers of files take it as it is.
OCPI_TOKEN = base64.b64encode(TOKEN.encode()).decode()
API_KEY = "demo-key"
LABEL_HEADER = ("X-GORAL-Demo", "invented data")
IDLE_SECONDS = 30
STOP_WITHIN_SECONDS = 0.05

DEFAULT_LIMIT = 10
MAXIMUM_LIMIT = 50
# Of OCPI records: small, so that the demo has pages at all.
MAXIMUM_RECORDS = 200

GEOJSON = "application/geo+json"
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"

FILE_PATHS = {
    files.path.format(partition): (files, partition)
    for files in FILES
    for partition in files.partitions
}
ODATA = "/klimaatmonitor/odata"
VALUES_PATH = re.compile(
    ODATA + r"/Variables\('([a-z0-9_]+)'\)/GeoLevels\('gemeente'\)"
    r"/PeriodLevels\('(month|year)'\)/Periods\('([0-9a-z]+)'\)/Values"
)
MONTH_OF_ODATA = re.compile("m([1-9]|1[0-2])y([0-9]{4})")
BOUNDARIES_PATH = re.compile(
    "/pdok/([0-9]{4})/collections/gemeente_gegeneraliseerd/items",
)
PAGE_NUMBER = re.compile("[0-9]{1,6}")
CDRS_PATH = "/vattenfall/ocpi/2.2.1/cdrs"
# A real server has today's list only; this one has an archive, for the year is long past.
LIST_PATH = "/vattenfall/{month}/ocpi/2.2.1/{kind}"
LISTS = {
    LIST_PATH.format(month=month, kind=kind): (kind, month)
    for kind in ocpi_lists.KINDS
    for month in ocpi_lists.PUBLISHED_MONTHS
}
# OCPI has all moments in UTC, so there is no other zone than Z; without one it is UTC too.
OCPI_MOMENT = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?Z?")
OCPI_SUCCESS = 1000
OCPI_INVALID_PARAMETERS = 2001


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
        if path in FILE_PATHS:
            return self._file(*FILE_PATHS[path])
        if found := VALUES_PATH.fullmatch(unquote(path)):
            if self.headers.get("apikey") != API_KEY:
                return _refusal(HTTPStatus.UNAUTHORIZED)
            return _values(*found.groups())
        if (found := BOUNDARIES_PATH.fullmatch(path)) and found[1] == str(YEAR):
            return _boundaries(self.server.url + path, query)
        if path == CDRS_PATH or path in LISTS:
            if self.headers.get("Authorization") != f"Token {OCPI_TOKEN}":
                return _refusal(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Token"})
            every = ocpi_lists.listed(*LISTS[path]) if path in LISTS else sessions.cdrs()
            return _ocpi_page(self.server.url + path, query, every)
        return _refusal(HTTPStatus.NOT_FOUND)

    def _file(self, files: Files, partition: str) -> Answer:
        """A file with its validators, or 304 to a client that has it already."""
        if files.needs_token and self.headers.get("Authorization") != f"Token {TOKEN}":
            return _refusal(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Token"})
        body = files.make(partition)
        etag = _etag(body)
        modified = format_datetime(published_at(partition), usegmt=True)
        validators = {"ETag": etag, "Last-Modified": modified}
        if _matches(self.headers.get("If-None-Match", ""), etag):
            return Answer(HTTPStatus.NOT_MODIFIED, headers=validators)
        return Answer(HTTPStatus.OK, files.content_type, body, validators)

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


def _values(variable: str, level: str, period: str) -> Answer:
    """A variable's values by municipality, as Klimaatmonitor has them; 404 at another level."""
    month = MONTH_OF_ODATA.fullmatch(period)
    partition = f"{month[2]}-{int(month[1]):02d}" if month else period
    if (level == "month") != bool(month):
        return _refusal(HTTPStatus.NOT_FOUND)
    try:
        values = rvo_counts.values(variable, partition)
    except KeyError:
        return _refusal(HTTPStatus.NOT_FOUND)
    return Answer(HTTPStatus.OK, JSON, json.dumps({"value": values}).encode())


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
    return _limit_and_offset(_asked(query), DEFAULT_LIMIT, MAXIMUM_LIMIT)


def _asked(query: str) -> dict[str, list[str]]:
    """The parameters of a query; ValueError if there are absurdly many."""
    return parse_qs(query, keep_blank_values=True, max_num_fields=10)


def _limit_and_offset(asked: dict[str, list[str]], default: int, most: int) -> tuple[int, int]:
    limit = _number(asked.get("limit", [str(default)]))
    offset = _number(asked.get("offset", ["0"]))
    if limit == 0:
        raise ValueError(limit)
    return min(limit, most), offset


def _number(values: list[str]) -> int:
    if len(values) != 1 or not PAGE_NUMBER.fullmatch(values[0]):
        raise ValueError(values)
    return int(values[0])


def _link(relation: str, address: str, limit: int, offset: int) -> dict[str, str]:
    href = f"{address}?limit={limit}&offset={offset}"
    return {"rel": relation, "type": GEOJSON, "href": href}


def _ocpi_page(address: str, query: str, every: tuple[tuple[datetime, Json], ...]) -> Answer:
    """A page of a list as OCPI has it; a wrong question is told of in the body only.

    The list is sorted by when its objects were last changed, and answers as if asked just then.
    """
    last, _ = every[-1]
    try:
        asked = _asked(query)
        limit, offset = _limit_and_offset(asked, MAXIMUM_RECORDS, MAXIMUM_RECORDS)
        filters = {name: asked[name] for name in ("date_from", "date_to") if name in asked}
        bounds = {name: _ocpi_moment(values) for name, values in filters.items()}
    except ValueError:
        refused = {"status_code": OCPI_INVALID_PARAMETERS, "status_message": "DEMO: refused"}
        return _ocpi(refused, last)
    # The one is inclusive and the other exclusive: both mean the first record not before a moment.
    places = {name: bisect_left(every, at, key=itemgetter(0)) for name, at in bounds.items()}
    selected = every[places.get("date_from", 0) : places.get("date_to", len(every))]
    headers = {"X-Total-Count": str(len(selected)), "X-Limit": str(MAXIMUM_RECORDS)}
    if offset + limit < len(selected):
        # Only what was found to be well-formed comes back in a header.
        following = {name: value for name, (value,) in filters.items()}
        following |= {"offset": str(offset + limit), "limit": str(limit)}
        headers["Link"] = f'<{address}?{urlencode(following)}>; rel="next"'
    page = [record for _, record in selected[offset : offset + limit]]
    success = {"status_code": OCPI_SUCCESS, "status_message": "Success"}
    return _ocpi({"data": page, **success}, last, headers)


def _ocpi_moment(values: list[str]) -> datetime:
    """The moment that a filter names; ValueError if it is none or there are several."""
    if len(values) != 1 or not OCPI_MOMENT.fullmatch(values[0]):
        raise ValueError(values)
    return datetime.fromisoformat(values[0].removesuffix("Z")).replace(tzinfo=UTC)


def _ocpi(body: Json, at: datetime, headers: dict[str, str] | None = None) -> Answer:
    """An answer in OCPI's envelope, as if it were given at a moment."""
    content = json.dumps(body | {"timestamp": moment(at)}, ensure_ascii=False).encode()
    return Answer(HTTPStatus.OK, JSON, content, headers or {})


def _overview(url: str) -> str:
    lines = [
        f"{LABEL}: an honest stand-in for the publishers of {YEAR}. All data are invented.",
        "",
    ]
    for files in FILES:
        lines += [
            url + files.path.format("{partition}"),
            f"    {', '.join(files.partitions)}"
            + (f"; with 'Authorization: Token {TOKEN}'" if files.needs_token else ""),
        ]
    lines += [
        f"{url}/pdok/{YEAR}/collections/gemeente_gegeneraliseerd/items?limit=N&offset=K",
        f"    N up to {MAXIMUM_LIMIT}, {DEFAULT_LIMIT} if it is not given",
        f"{url}{ODATA}/Variables('{{code}}')/GeoLevels('gemeente')/PeriodLevels('{{level}}')"
        "/Periods('{period}')/Values",
        f"    level month: {', '.join(rvo_counts.COUNTED_BY_MONTH)}, period m11y{YEAR}",
        f"    level year: {', '.join(rvo_counts.COUNTED_BY_YEAR)}, period {YEAR}",
        f"    with 'apikey: {API_KEY}'",
        f"{url}{CDRS_PATH}?date_from=A&date_to=B&limit=N&offset=K",
        f"    A and B moments such as {YEAR}-12-01T00:00:00Z; N up to {MAXIMUM_RECORDS}",
        f"    with 'Authorization: Token {OCPI_TOKEN}'",
        f"{url}{LIST_PATH.format(month='{month}', kind='locations')}, and tariffs",
        f"    {', '.join(ocpi_lists.PUBLISHED_MONTHS)}; asked as the list above",
    ]
    return "\n".join(lines) + "\n"
