"""What every publisher's module needs to ask: the question, the answer, a file or pages over HTTP.

Does not belong here: anything that only one publisher does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from goral_pipeline.errors import NoAddress, PermanentHttpError, SnapshotPast
from goral_pipeline.http_session import (
    CHUNK_BYTES,
    HttpSession,
    Token,
    describe,
    place_of,
    referred,
)
from goral_pipeline.landing.store import Incoming
from goral_pipeline.settings import Settings, url_variable

DEMO_HEADER = "X-GORAL-Demo"
"""Set by the demo's server, so that what is invented is known as such from the first byte."""

MOST_PAGES = 1000
MAX_PAGE_BYTES = 64 * 1024**2


@dataclass(frozen=True)
class Known:
    """What is known of the delivery before: where it came from and its validators."""

    origin: str
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True)
class Question:
    """One partition asked of a publisher."""

    partition: str
    current_partition: str
    """The partition that today falls in: the only one a snapshot can be asked for."""
    settings: Settings
    incoming: Incoming
    known: Known | None


@dataclass(frozen=True)
class Answer:
    """What is known of a delivery besides its bytes, which went into the question's `incoming`."""

    origin: str
    content_key: str
    etag: str | None = None
    last_modified: str | None = None
    demo: bool = False


def at_partition(url: str, name: str, question: Question) -> str:
    """The URL of a partition: `{month}` or `{edition}` filled in where the URL has it.

    Raises:
        SnapshotPast: when the URL has no such place and another than the current partition is
            asked for.
    """
    place = "{" + name + "}"
    if place in url:
        return url.replace(place, question.partition)
    if question.partition != question.current_partition:
        raise SnapshotPast(
            f"{describe(url)} gives today's state only, so {question.partition} cannot be asked "
            f"for; deliver a file kept from then with `goral deliver`, or set a URL with {place}"
        )
    return url


def session(settings: Settings, token: Token | None = None) -> HttpSession:
    """A session with the settings' limits."""
    return HttpSession(
        timeout_seconds=settings.http_timeout_seconds,
        attempts=settings.http_attempts,
        token=token,
    )


def download(question: Question, url: str, token: Token | None = None) -> Answer | None:
    """Ask for one file, only if it changed; None when it did not."""
    conditions = _conditions(url, question.known)
    asking = session(question.settings, token)
    try:
        with asking.get(url, conditions) as response:
            if response.status_code == 304:
                return None
            for chunk in response.iter_content(CHUNK_BYTES):
                question.incoming.write(chunk)
            return Answer(
                origin=describe(url),
                content_key=question.incoming.sha256,
                etag=_header(response.headers.get("ETag")),
                last_modified=_header(response.headers.get("Last-Modified")),
                demo=DEMO_HEADER in response.headers,
            )
    finally:
        asking.close()


@dataclass(frozen=True)
class Page:
    """One page of a list that is asked for page by page."""

    number: int
    """From 1."""
    offset: int
    """How many elements the pages before held."""
    body: bytes
    elements: list[Any]
    demo: bool

    def line(self, **members: str) -> bytes:
        """The page as a line of a landed delivery; its body stands there as it came."""
        told = {"page": self.number, "offset": self.offset} | members
        # A line break cannot stand inside a JSON string, so as white space it may become a blank.
        body = self.body.replace(b"\r", b" ").replace(b"\n", b" ")
        return json.dumps(told, separators=(",", ":"))[:-1].encode() + b',"body":' + body + b"}\n"


def pages(
    asking: HttpSession,
    url: str,
    *,
    elements: str,
    following: Callable[[dict[str, Any]], str | None],
    expected: str,
) -> Iterator[Page]:
    """Ask for `url` and for each page that a page refers to.

    `elements` is the member that holds a page's elements, `following` what it refers to.

    Raises:
        PermanentHttpError: for a page that is not what is expected, or is too large; for a
            reference to another host or to a page that was there before; for pages without end.
    """
    first, offset, seen = url, 0, set[str]()
    for number in range(1, MOST_PAGES + 1):
        seen.add(url)
        body, headers = whole(asking, url, {"Accept": "application/json, application/geo+json"})
        content = _content(body)
        if content is None or not isinstance(content.get(elements), list):
            raise PermanentHttpError(f"{describe(url)} did not answer with {expected}")
        yield Page(number, offset, body, content[elements], DEMO_HEADER in headers)
        offset += len(content[elements])
        reference = following(content)
        if reference is None:
            return
        url = next_url(url, reference)
        if url in seen:
            raise PermanentHttpError(f"{describe(url)} sends page {number} round in a circle")
    raise PermanentHttpError(f"{describe(first)} has not ended after {MOST_PAGES} pages")


def address(settings: Settings, dataset: str) -> str:
    """The URL that a dataset is asked at.

    Raises:
        NoAddress: when none is set.
    """
    if url := settings.url_of(dataset):
        return url
    raise NoAddress(f"{url_variable(dataset)} is not set; files are delivered by hand")


def whole(
    asking: HttpSession, url: str, headers: Mapping[str, str]
) -> tuple[bytes, Mapping[str, str]]:
    """The whole body of a page, and the headers it came with.

    Raises:
        PermanentHttpError: when it is too large for a page.
    """
    with asking.get(url, headers) as response:
        parts, size = [], 0
        for chunk in response.iter_content(CHUNK_BYTES):
            size += len(chunk)
            if size > MAX_PAGE_BYTES:
                raise PermanentHttpError(
                    f"a page of {describe(url)} is larger than {MAX_PAGE_BYTES // 1024**2} MiB"
                )
            parts.append(chunk)
        return b"".join(parts), response.headers


def next_url(url: str, reference: str) -> str:
    """The URL that a page refers to as the next.

    Raises:
        PermanentHttpError: when it is one of another host.
    """
    following = referred(url, reference)
    asked, told = place_of(url), place_of(following)
    if told != asked:
        raise PermanentHttpError(
            f"{describe(url)} refers to another host for its next page ({_in_words(*told)}, not "
            f"{_in_words(*asked)}); not followed"
        )
    return following


def _in_words(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://{host}:{port}"


def _content(body: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _conditions(url: str, known: Known | None) -> dict[str, str]:
    # A validator is the server's word about one URL, so it is only good for that one.
    if known is None or known.origin != describe(url):
        return {}
    headers = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    return {name: value for name, value in headers.items() if value}


def _header(value: str | None) -> str | None:
    return value[:200] if value else None
