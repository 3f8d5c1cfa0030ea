"""Reading an OCPI list whole: page by page while it moves, and on from where a try before stopped.

Lands as NDJSON, one line a page: `{"page": n, "offset": o, "body": <the page as it came>}`, made
legible (`envelope.legible`). Before the body stands `"again": true` where its first object is the
last of the page before, and `"demo": true` where the demo's server sent it.

A list moves while it is read: what is removed, or updated and so goes to its end, makes all after
it stand further in front, and a page asked for at the next offset would skip as many. So each page
is asked for one object before the end of the page before, and must begin with an object of it; if
it does not, it is asked for again from further back. The last page is asked for when all others are
there. What stood in the list all the while is then in the landed pages, whatever moved; what stands
in them twice is for staging to see.

Two things limit that. Of a server that gives one object a page, no two pages overlap: that it lost
objects is seen by a smaller X-Total-Count only. And a server that pages by cursors is followed
without a check, as only it knows where they lead.

Does not belong here: what the objects mean, or which list is asked for when.
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import parse_qs, urlencode, urlsplit

from goral_pipeline.errors import DeliveryRejected, PermanentHttpError, TransientHttpError
from goral_pipeline.http_session import (
    FIRST_WAIT_SECONDS,
    HttpSession,
    Token,
    describe,
    place_of,
    referred,
)
from goral_pipeline.landing import store
from goral_pipeline.sources.asking import DEMO_HEADER, Answer, next_url, whole
from goral_pipeline.sources.ocpi import envelope
from goral_pipeline.sources.ocpi.envelope import Envelope

EXPECTED = "an OCPI list"
MOST_PAGES = 100_000
MOST_STALLS = 50
"""So many answers in a row that lead no further, and the list is given up."""
SERVER_ERRORS = 3000
"""OCPI status codes from here on may pass."""
HOUR_SECONDS = 3600.0
CONTINUED_SECONDS = 24 * HOUR_SECONDS
LEFT_SECONDS = 48 * HOUR_SECONDS
FORMAT = "2"
"""Of the lines of a page; it is part of a part file's name, so that no other is gone on with."""

_LINE = re.compile(rb'\{"page":(\d+),"offset":(\d+),(?:"again":true,)?(?:"demo":(true),)?"body":')


@dataclass(frozen=True)
class Listing:
    """A list, or what was updated in it from a moment on and before another."""

    dataset: str
    """The dataset that it lands in, below whose folder an unfinished crawl waits."""
    url: str
    date_from: datetime | None = None
    """Inclusive; without a zone it is UTC."""
    date_to: datetime | None = None
    """Exclusive."""
    page_size: int = 1000
    """Objects asked for at a time; the server may give fewer."""
    together: int = 4
    """Pages asked for at a time, within what the publisher allows."""


def authorization(secret: str, encoding: Literal["base64", "plain"], url: str) -> Token:
    """The token of OCPI, for the place of `url` only; older peers want it unencoded."""
    value = secret if encoding == "plain" else base64.b64encode(secret.encode()).decode()
    return Token(f"Token {value}", url)


def crawl(asking: HttpSession, listing: Listing, incoming: store.Incoming) -> Answer:
    """Read the whole list.

    The content key is made of the objects without the pages, so it is the same for pages of any
    size as long as the server writes the objects the same way and the list does not move.

    Raises:
        PermanentHttpError: when the server refuses, answers with no OCPI list, refers to another
            host or finds no end.
        TransientHttpError: when the server fails, or the list does not hold still.
        DeliveryRejected: when the list is too large.
    """
    folder = incoming.landing / listing.dataset
    store.remove_left(folder, "crawl-*.part", LEFT_SECONDS)
    landed = _Landed(incoming)
    try:
        incoming.continue_at(folder / _part_name(listing), CONTINUED_SECONDS, landed.recall)
        _read(asking, listing, landed)
    except BaseException as problem:
        # Where going on would only end the same way, or nobody knows where to go on.
        if isinstance(problem, _Hopeless | DeliveryRejected) or landed.by_cursor:
            incoming.start_anew()
        raise
    return Answer(origin=describe(listing.url), content_key=landed.content_key, demo=landed.is_demo)


class _Hopeless(PermanentHttpError):
    """What has landed of the list is of no use."""


@dataclass(frozen=True)
class _Page:
    """A page as it came, without line breaks, and what its headers say."""

    offset: int
    body: bytes
    found: Envelope
    count: int
    """How many objects it holds, or how far the server says that the next page is."""
    following: str | None = None
    """URL of the next page."""
    total: int | None = None
    """How many objects the list holds."""
    most: int | None = None
    """How many objects the server gives at a time at most."""
    is_demo: bool = False

    @property
    def first(self) -> bytes:
        """The first object as it came; nothing when there is none."""
        return self.found.first

    @property
    def is_single(self) -> bool:
        """Whether it holds one object only, whatever the server says."""
        return 0 < len(self.first) == self.found.stop - self.found.start

    @property
    def end(self) -> int:
        """Offset of what comes after it."""
        return self.offset + self.count

    @property
    def next_offset(self) -> int:
        """Offset of the page that overlaps its last object."""
        return self.end - 1 if self.count > 1 else self.end


class _Landed:
    """The pages landed so far: what the next one must fit to, and the key of their content."""

    def __init__(self, incoming: store.Incoming) -> None:
        self.last: _Page | None = None
        self.is_demo = False
        self.by_cursor = False
        self._incoming = incoming
        self._number = 0
        self._content = hashlib.sha256()

    @property
    def content_key(self) -> str:
        """SHA-256 of the objects, hexadecimal."""
        return self._content.hexdigest()

    def add(self, page: _Page) -> None:
        """Land a page."""
        again = '"again":true,' if self._take(page) else ""
        demo = '"demo":true,' if page.is_demo else ""
        told = f'{{"page":{self._number},"offset":{page.offset},{again}{demo}"body":'
        for piece in (told.encode(), page.body, b"}\n"):
            self._incoming.write(piece)
        self._incoming.flush()

    def recall(self, line: bytes) -> bool:
        """Take a page that a try before landed; whether the line is one."""
        told = _LINE.match(line)
        # A power cut may leave a hole of zeros where a page was.
        if told is None or int(told[1]) != self._number + 1 or b"\0" in line:
            return False
        body = line[told.end() : -len(b"}\n")]
        try:
            found = envelope.look_at(body)
        except (envelope.NotAList, envelope.Failed):
            return False
        if not found.first:
            return False
        self._take(_Page(int(told[2]), body, found, found.count or 0, is_demo=bool(told[3])))
        return True

    def _take(self, page: _Page) -> bool:
        """Take a page in; whether its first object is the last of the page before."""
        self._number += 1
        self.is_demo = self.is_demo or page.is_demo
        objects = memoryview(page.body)[page.found.start : page.found.stop]
        is_again = self.last is not None and _begins_with_end_of(self.last, page)
        if is_again:
            # What is left begins with a separator, as it would in the middle of a page.
            self._content.update(objects[len(page.first) :])
        else:
            if self.last is not None:
                self._content.update(_separator(self.last, page))
            self._content.update(objects)
        self.last = page
        return is_again


# ── the way through the list ─────────────────────────────────────────────────────────────────────


def _read(asking: HttpSession, listing: Listing, landed: _Landed) -> None:
    """Land the pages of a list, on from the last one that is there."""
    url = _with(listing.url, _filters(listing))

    def ask(offset: int, limit: int, counts: bool) -> _Page:
        return _ask(asking, _with(url, {"offset": offset, "limit": limit}), offset, limit, counts)

    way = _Way(describe(url), listing.page_size)
    ahead = _Ahead(ask, listing.together)
    try:
        way.continue_after(landed.last)
        is_at_end = False
        while not is_at_end:
            further = way.predicted(listing.together - 1)
            page, was_ahead = ahead.take(way.at, way.limit, way.must_count, further)
            way.check(page)
            if not _joins(landed.last, page):
                way.step_back(page, landed.last)
                continue
            before = landed.last
            is_at_end = way.advance(page, before)
            if _is_news(before, page, is_at_end):
                landed.add(page)
            if is_at_end and was_ahead:
                # What was updated since, and so went to the end, is in no page.
                way.look_again(page)
                is_at_end = False
            if page.following and _offset_in(page.following) is None:
                landed.by_cursor = True
                _follow(asking, page, landed, way)
                return
    except envelope.NotAList:
        # Its ends looked well, so it was landed; what is between them is not.
        raise _Hopeless(f"{describe(url)} did not answer with {EXPECTED}") from None


def _follow(asking: HttpSession, page: _Page, landed: _Landed, way: _Way) -> None:
    """Land the pages that a page without an offset refers to, each by the one before."""
    seen = set[str]()
    while page.following:
        if page.following in seen:
            raise _Hopeless(f"{way.origin} sends its pages round in a circle")
        seen.add(page.following)
        page = _ask(asking, page.following, page.end, way.limit, counts=True)
        way.advance(page, landed.last)
        if page.count:
            landed.add(page)


class _Way:
    """Which page comes next: forth, or back when the list moved; and when to give up."""

    def __init__(self, origin: str, page_size: int) -> None:
        self.origin = origin
        # Pages of one object cannot overlap.
        self.limit = max(2, page_size)
        self._due = 0
        self._step = 0
        """How far back from there it is asked for."""
        self._stride = 0
        self._is_steady = False
        self._total: int | None = None
        self._pages = 0
        self._stalls = 0
        self._furthest = -1
        self._firsts = set[bytes]()
        self._empty_at: int | None = None
        self._counted_until = -1

    @property
    def at(self) -> int:
        """Offset of the page to ask for."""
        return max(0, self._due - self._step)

    @property
    def must_count(self) -> bool:
        """Whether its objects are counted, whatever it says of the next page.

        Servers that refer to a next page though there is none say the same of each.
        """
        return self.at <= self._counted_until

    def predicted(self, number: int) -> list[int]:
        """Offsets of the pages after it, if they are as large as the one before."""
        if self._step or not self._is_steady:
            return []
        offsets = [self.at + self._stride * further for further in range(1, number + 1)]
        last = None if self._total is None else self._total - (self._stride > 1)
        return [offset for offset in offsets if last is None or offset < last]

    def continue_after(self, last: _Page | None) -> None:
        """Go on after a page that was landed by a try before."""
        if last is None:
            return
        count = last.count or envelope.read(last.body).count or 0
        # Whether more comes after it is not known, so that it is met again must be sure.
        self._due = last.offset + max(0, count - 1)

    def check(self, page: _Page) -> None:
        """Learn the server's limit; refuse a page that cannot be one of this list."""
        if page.total is not None and page.count and page.offset >= page.total + self.limit:
            raise _Hopeless(
                f"{self.origin} still gives objects at offset {page.offset}, though it says that "
                f"there are {page.total} (X-Total-Count)"
            )
        self.limit = min(self.limit, page.most or self.limit)

    def advance(self, page: _Page, before: _Page | None) -> bool:
        """Go on after a page that joins the one before; whether it is the last."""
        self._pages += 1
        if self._pages > MOST_PAGES:
            raise _Hopeless(f"{self.origin} has not ended after {MOST_PAGES} pages")
        if page.offset == 0:
            self._firsts.clear()
        # A list that holds still begins no two pages with the same object.
        digest = hashlib.sha256(page.first).digest()
        if not page.count or digest in self._firsts:
            self._stall()
        elif page.offset > self._furthest:
            self._stalls = 0
        self._firsts.add(digest)
        self._furthest = max(self._furthest, page.offset)
        is_last = self._ends(page, before)
        stride = max(1, page.count - 1)
        # Pages that do not overlap are safe only in the order they are asked for.
        self._is_steady = page.count > 1 and self._stride in (0, stride) and not self._stalls
        self._stride, self._total = stride, page.total
        self._due, self._step, self._empty_at = page.next_offset, 0, None
        return is_last

    def look_again(self, page: _Page) -> None:
        """Ask once more for the last object of a page."""
        self._due = max(0, page.end - 1)
        self._is_steady = False

    def step_back(self, page: _Page, before: _Page | None) -> None:
        """Ask again further back, after a page that does not join the one before."""
        self._stall()
        if not page.count:
            self._empty_at = page.offset
            self._counted_until = max(self._counted_until, page.offset)
        step = max(1, 2 * self._step)
        if before is not None and before.total is not None and page.total is not None:
            # One more where pages of one object do not overlap.
            step = max(step, before.total - page.total + before.is_single)
        if not page.count and page.total is not None:
            step = max(step, self._due - page.total + 1)
        self._step = step

    def _ends(self, page: _Page, before: _Page | None) -> bool:
        if not page.count:
            return not page.total
        if page.count == 1 and page.end == self._empty_at:
            # Nothing came after it, and now it is there again, alone: whatever the server says of
            # more, this is the end.
            return before is not None and _begins_with_end_of(before, page)
        if page.total is None:
            return page.following is None
        # A server that always refers to more is asked no further than there is.
        return page.end >= page.total and (page.following is None or page.count == 1)

    def _stall(self) -> None:
        self._stalls += 1
        if self._stalls > MOST_STALLS:
            raise TransientHttpError(
                f"the list of {self.origin} does not hold still, or has no end: {MOST_STALLS} "
                "answers in a row led no further; run again"
            )


def _joins(before: _Page | None, page: _Page) -> bool:
    """Whether nothing that stayed in the list can stand between two pages.

    An object of both tells: what comes after it in the list comes after it in both pages.
    """
    if page.offset == 0:
        # It starts anew.
        return True
    if before is None or not page.count:
        return False
    if _begins_with_end_of(before, page):
        return True
    if before.is_single and page.offset == before.end:
        has_both = before.total is not None and page.total is not None
        return not has_both or (page.total or 0) >= (before.total or 0)
    return page.first in envelope.objects(before.body) or before.first in envelope.objects(
        page.body
    )


def _is_news(before: _Page | None, page: _Page, is_at_end: bool) -> bool:
    """Whether a page is to be landed: all but those that tell no more than that the list ends."""
    if before is None or not is_at_end:
        return page.count > 0 or is_at_end
    return page.count > 1 or (page.count == 1 and not _begins_with_end_of(before, page))


def _begins_with_end_of(before: _Page, page: _Page) -> bool:
    if before.is_single and page.offset == before.offset + 1:
        # They do not overlap: what is alike then stands in the list twice.
        return False
    return envelope.ends_with(before.body, before.found, page.first)


def _separator(before: _Page, page: _Page) -> bytes:
    """What this server writes between two objects."""
    return (
        envelope.separator(page.body, page.found)
        or envelope.separator(before.body, before.found)
        or b","
    )


# ── asking ───────────────────────────────────────────────────────────────────────────────────────


class _Ahead:
    """Pages asked for before they are due, each in a thread of its own.

    The threads are not waited for when a crawl ends early: what they bring, or fail with, is only
    looked at when the page is due.
    """

    def __init__(self, ask: Callable[[int, int, bool], _Page], together: int) -> None:
        """Ask for so many pages together at most, those included that are no longer wanted."""
        self._ask = ask
        self._slots = threading.Semaphore(max(1, together))
        self._waiting: dict[int, Future[_Page]] = {}

    def take(self, offset: int, limit: int, counts: bool, then: list[int]) -> tuple[_Page, bool]:
        """The page at an offset, while those at the offsets `then` are asked for.

        Whether it was asked for before it was due is told too.
        """
        mine = self._waiting.pop(offset, None)
        if mine is None:
            self._slots.acquire()
        self._waiting = {at: page for at, page in self._waiting.items() if at in then}
        for at in then:
            if at not in self._waiting and self._slots.acquire(blocking=False):
                self._waiting[at] = self._start(at, limit)
        if mine is not None:
            return mine.result(), True
        try:
            return self._ask(offset, limit, counts), False
        finally:
            self._slots.release()

    def _start(self, offset: int, limit: int) -> Future[_Page]:
        page = Future[_Page]()

        def work() -> None:
            try:
                page.set_result(self._ask(offset, limit, False))
            except BaseException as problem:  # noqa: BLE001 - raised again where it is taken
                page.set_exception(problem)
            finally:
                self._slots.release()

        threading.Thread(target=work, name="goral-crawl", daemon=True).start()
        return page


def _ask(asking: HttpSession, url: str, offset: int, limit: int, counts: bool) -> _Page:
    """Ask for one page; again where the envelope tells of a failure that may pass."""
    code = 0
    for attempt in range(1, asking.attempts + 1):
        body, headers = whole(asking, url, {"Accept": "application/json"})
        body = envelope.legible(body)
        try:
            found = envelope.look_at(body)
            following = _following(url, headers.get("Link"))
            total = _number(headers.get("X-Total-Count"))
            most = limit if total is None else min(limit, total - offset)
            count = None if counts else _count_said(offset, most, following)
            if found.count is None and count is None:
                found = envelope.read(body)
            return _Page(
                offset=offset,
                body=body,
                found=found,
                count=count or 0 if found.count is None else found.count,
                following=following,
                total=total,
                most=_number(headers.get("X-Limit")),
                is_demo=DEMO_HEADER in headers,
            )
        except envelope.NotAList:
            raise PermanentHttpError(f"{describe(url)} did not answer with {EXPECTED}") from None
        except envelope.Failed as failure:
            code = failure.status_code
        if code < SERVER_ERRORS:
            raise PermanentHttpError(f"{describe(url)} refuses with OCPI status {code}")
        if attempt < asking.attempts:
            time.sleep(FIRST_WAIT_SECONDS * 2 ** (attempt - 1))
    raise TransientHttpError(
        f"{describe(url)} did not answer after {asking.attempts} attempts (OCPI status {code}); "
        "it may later: run again"
    )


def _count_said(offset: int, most: int, following: str | None) -> int | None:
    """How many objects a page holds by the offset of the next; None where that cannot be.

    Should it be wrong, the next page does not join, and is asked for further back.
    """
    said = (_offset_in(following) or 0) - offset if following else 0
    return said if 0 < said <= most else None


def _following(url: str, header: str | None) -> str | None:
    """The URL that a Link header gives for the next page."""
    from requests.utils import parse_header_links

    for link in parse_header_links(header or ""):
        if "next" in link.get("rel", "").lower().split():
            following = referred(url, link["url"])
            # Behind a proxy a server often takes itself for one of http. Of a link with an offset
            # only that is read, so its host need but be the same.
            if _offset_in(following) is not None and place_of(following)[1] == place_of(url)[1]:
                return following
            return next_url(url, following)
    return None


def _offset_in(url: str) -> int | None:
    """The offset that a URL asks for, 0 if it is no number; None when it has none."""
    offsets = parse_qs(urlsplit(url).query, keep_blank_values=True).get("offset")
    return None if offsets is None else _number(offsets[-1]) or 0


def _number(text: str | None) -> int | None:
    found = re.fullmatch(r"\s*(\d{1,15})\s*", text or "", re.ASCII)
    return int(found[1]) if found else None


def _filters(listing: Listing) -> dict[str, str]:
    moments = {"date_from": listing.date_from, "date_to": listing.date_to}
    return {name: _moment(moment) for name, moment in moments.items() if moment}


def _moment(moment: datetime) -> str:
    in_utc = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return in_utc.isoformat().replace("+00:00", "Z")


def _with(url: str, members: Mapping[str, str | int]) -> str:
    """A URL with more members in its query."""
    url = url.partition("#")[0]
    mark = "&" if "?" in url else "?"
    return f"{url}{mark}{urlencode(members)}" if members else url


def _part_name(listing: Listing) -> str:
    asked = [FORMAT, listing.url, *(f"{name}={at}" for name, at in _filters(listing).items())]
    return f"crawl-{hashlib.sha256(chr(10).join(asked).encode()).hexdigest()[:32]}.part"
