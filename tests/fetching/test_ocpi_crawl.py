"""OCPI lists: nothing is lost however they move, break off or lie, and what broke off goes on."""

import base64
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from goral_pipeline import http_session
from goral_pipeline.errors import (
    DeliveryRejected,
    GoralError,
    PermanentHttpError,
    TransientHttpError,
)
from goral_pipeline.http_session import HttpSession, Token
from goral_pipeline.landing import store
from goral_pipeline.sources.asking import DEMO_HEADER, Answer
from goral_pipeline.sources.ocpi import crawl as crawling
from goral_pipeline.sources.ocpi.crawl import MOST_STALLS, Listing, authorization, crawl
from tests.conftest import REPOSITORY
from tests.fetching.ocpi_server import OcpiList, cdr, envelope, failing_from
from tests.fetching.publisher import Asked, MakePublisher, Publisher, Reply, Script, Silence

DATASET = "vattenfall/ocpi_cdrs"
SECRET = "s3cr3t-that-nobody-may-see"
CDRS = [cdr(number) for number in range(40)]
numbers = itertools.count()


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, in seconds, which are not waited for."""
    seconds: list[float] = []

    class Time:
        sleep = staticmethod(seconds.append)

    monkeypatch.setattr(http_session, "time", Time)
    monkeypatch.setattr(crawling, "time", Time)
    return seconds


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    return tmp_path / "landing"


@pytest.fixture(scope="module")
def lists() -> Iterator["Lists"]:
    with Lists() as running:
        yield running


class Lists(Publisher):
    """One server for many lists, each at a path of its own: late questions reach only theirs."""

    def __init__(self) -> None:
        self.by_path: dict[str, Script] = {}
        super().__init__(self._answer)

    def serve(self, one: Script) -> str:
        path = f"/{next(numbers)}"
        self.by_path[path] = one
        return self.url + path

    def _answer(self, asked: Asked) -> Reply:
        return self.by_path[asked.path.partition("?")[0]](asked)


@dataclass
class Crawled:
    """What came of a crawl."""

    answer: Answer
    lines: list[dict[str, Any]]
    raw: bytes = b""

    @property
    def objects(self) -> list[Any]:
        return [one for line in self.lines for one in line["body"]["data"]]

    @property
    def ids(self) -> set[str]:
        return {one["id"] for one in self.objects}


def crawled(
    landing: Path, url: str, *, token: Token | None = None, mib: int = 10, **listing: Any
) -> Crawled:
    asking = HttpSession(timeout_seconds=5, attempts=2, token=token)
    try:
        with store.receiving(landing, mib) as incoming:
            answer = crawl(asking, Listing(DATASET, url, **listing), incoming)
            incoming.close()
            raw = incoming.path.read_bytes()
    finally:
        asking.close()
    lines = [
        json.loads(line, parse_int=lambda digits: int(digits[:18])) for line in raw.splitlines()
    ]
    assert [line["page"] for line in lines] == list(range(1, len(lines) + 1))
    return Crawled(answer, lines, raw)


def fails(landing: Path, url: str, kind: type[GoralError], message: str, **listing: Any) -> None:
    with pytest.raises(kind, match=message) as problem:
        crawled(landing, url, **listing)
    assert "offset" not in str(problem.value).replace("at offset", ""), "no query in messages"


def parts(landing: Path) -> list[Path]:
    return [path for path in landing.rglob("*") if path.is_file()]


# ── a list that moves ────────────────────────────────────────────────────────────────────────────

KINDS = ("remove", "insert", "move")


@dataclass(frozen=True)
class Shift:
    """What happens to a list before a request."""

    request: int
    kind: str
    at: int
    number: int


@dataclass
class Moving:
    """Makes the shifts of a script, and knows which objects were there all the while."""

    script: list[Shift]
    gone: set[str] = field(default_factory=set)
    updates: int = 0
    new: int = 1000

    def __call__(self, one: OcpiList) -> None:
        for shift in self.script:
            if shift.request == len(one.asked):
                self.make(shift, one.objects)

    def make(self, shift: Shift, objects: list[Any]) -> None:
        at = shift.at % (len(objects) + 1)
        if shift.kind == "insert":
            self.new += shift.number
            objects[at:at] = [cdr(self.new - further) for further in range(shift.number)]
        elif shift.kind == "remove":
            self.gone |= {each["id"] for each in objects[at : at + shift.number]}
            del objects[at : at + shift.number]
        elif at < len(objects):
            self.updates += 1
            objects.append(objects.pop(at) | {"last_updated": f"later {self.updates}"})


def shifts(*kinds: str) -> st.SearchStrategy[list[Shift]]:
    one = st.builds(
        Shift,
        request=st.integers(1, 20),
        kind=st.sampled_from(kinds),
        at=st.integers(0, 40) | st.integers(0, 5),
        number=st.integers(1, 9),
    )
    return st.lists(one, max_size=8)


moderately = effort(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@moderately
@given(
    number=st.integers(0, 40),
    page_size=st.integers(1, 7),
    most=st.integers(2, 7),
    together=st.integers(1, 4),
    has_total=st.booleans(),
    has_limit=st.booleans(),
    script=shifts(*KINDS),
)
def test_what_stays_in_a_list_is_landed_however_it_moves(
    lists: Lists,
    tmp_path_factory: pytest.TempPathFactory,
    number: int,
    page_size: int,
    most: int,
    together: int,
    has_total: bool,
    has_limit: bool,
    script: list[Shift],
) -> None:
    moving = Moving(script)
    one = OcpiList(CDRS[:number], most, has_total=has_total, has_limit=has_limit, before=moving)
    url = lists.serve(one)
    landed = crawled(tmp_path_factory.mktemp("l"), url, page_size=page_size, together=together)
    assert {each["id"] for each in CDRS[:number]} - moving.gone <= landed.ids
    if not script:
        assert len(landed.objects) == number + max(0, len(landed.lines) - 1)


@moderately
@given(
    number=st.integers(0, 20),
    together=st.integers(1, 4),
    has_total_and_script=st.tuples(st.just(True), shifts("remove"))
    | st.tuples(st.booleans(), shifts("insert")),
)
def test_of_pages_of_one_object_what_shrinks_or_grows_is_landed(
    lists: Lists,
    tmp_path_factory: pytest.TempPathFactory,
    number: int,
    together: int,
    has_total_and_script: tuple[bool, list[Shift]],
) -> None:
    has_total, script = has_total_and_script
    moving = Moving(script)
    one = OcpiList(CDRS[:number], 1, has_total=has_total, before=moving)
    landed = crawled(tmp_path_factory.mktemp("l"), lists.serve(one), together=together)
    assert {each["id"] for each in CDRS[:number]} - moving.gone <= landed.ids


BREAKS = {
    "cut": Reply(200, b'{"data":[', announced=1000),
    "500": Reply(500),
    "401": Reply(401),
    "3000": Reply(200, envelope([], status_code=3000)),
}


@moderately
@given(
    number=st.integers(0, 40),
    page_size=st.integers(2, 7),
    together=st.integers(1, 4),
    has_total=st.booleans(),
    script=shifts(*KINDS),
    broken_at=st.lists(
        st.tuples(st.integers(1, 12), st.sampled_from(sorted(BREAKS))), min_size=1, max_size=3
    ),
)
def test_what_stays_in_a_list_is_landed_though_the_crawl_breaks_off(
    lists: Lists,
    tmp_path_factory: pytest.TempPathFactory,
    number: int,
    page_size: int,
    together: int,
    has_total: bool,
    script: list[Shift],
    broken_at: list[tuple[int, str]],
) -> None:
    moving = Moving(script)
    fails_from, reply = 0, Reply(500)

    def before(one: OcpiList) -> Reply | None:
        moving(one)
        return reply if 0 < fails_from <= len(one.asked) else None

    one = OcpiList(CDRS[:number], has_total=has_total, before=before)
    url, landing = lists.serve(one), tmp_path_factory.mktemp("l")
    for request, kind in broken_at:
        fails_from, reply = len(one.asked) + request, BREAKS[kind]
        with suppress(PermanentHttpError, TransientHttpError):
            crawled(landing, url, page_size=page_size, together=together)
    fails_from = 0
    landed = crawled(landing, url, page_size=page_size, together=together)
    assert {each["id"] for each in CDRS[:number]} - moving.gone <= landed.ids
    assert parts(landing) == []


# ── what is asked for ────────────────────────────────────────────────────────────────────────────


def test_the_filters_are_asked_for_in_utc(lists: Lists, landing: Path) -> None:
    one = OcpiList(CDRS[:3])
    crawled(
        landing,
        lists.serve(one) + "?country=NL",
        date_from=datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
        date_to=datetime(2024, 2, 1),  # noqa: DTZ001 - without a zone it is UTC
    )
    (asked,) = one.asked
    assert asked.path.partition("?")[2] == (
        "country=NL&date_from=2024-01-01T00%3A00%3A00Z&date_to=2024-02-01T00%3A00%3A00Z"
        "&offset=0&limit=1000"
    )


def test_pages_overlap_by_one_object(lists: Lists, landing: Path) -> None:
    one = OcpiList(CDRS)
    landed = crawled(landing, lists.serve(one), page_size=10, together=1)
    assert one.offsets == [0, 9, 18, 27, 36]
    assert [line["offset"] for line in landed.lines] == one.offsets
    assert list(landed.lines[0]) == ["page", "offset", "body"]
    assert [line.get("again", False) for line in landed.lines] == [False] + [True] * 4
    assert landed.lines[0]["body"] == json.loads(envelope(CDRS[:10]))


def test_the_limit_of_the_server_is_kept_to(lists: Lists, landing: Path) -> None:
    one = OcpiList(CDRS, most=7)
    landed = crawled(landing, lists.serve(one), page_size=100)
    assert landed.ids == {each["id"] for each in CDRS}
    assert one.limits[0] == 100
    assert set(one.limits[1:]) == {7}


@pytest.mark.parametrize("has_limit", [True, False])
def test_nothing_is_asked_for_beyond_the_total(
    lists: Lists, landing: Path, has_limit: bool
) -> None:
    one = OcpiList(CDRS, most=9, has_limit=has_limit)
    crawled(landing, lists.serve(one), page_size=10, together=4)
    assert max(one.offsets) < 40
    assert len(set(one.offsets)) >= len(one.offsets) - 1


@pytest.mark.parametrize("together", [1, 3])
def test_so_many_pages_are_asked_for_together_and_no_more(
    lists: Lists, landing: Path, together: int
) -> None:
    now, most, lock = [0], [0], threading.Lock()
    one = OcpiList(CDRS)

    def answer(asked: Asked) -> Reply:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        try:
            return one(asked)
        finally:
            with lock:
                now[0] -= 1

    url = lists.serve(answer)
    assert len(crawled(landing, url, page_size=4, together=together).ids) == 40
    assert most[0] == together


def test_what_goes_to_an_end_that_was_read_ahead_is_landed(lists: Lists, landing: Path) -> None:
    one = OcpiList([cdr(number) for number in range(8)], most=3)
    end_is_read = threading.Event()

    def script(asked: Asked) -> Reply:
        offset, _ = one.question(asked)
        if offset == 4 and not end_is_read.is_set():
            # The end was asked for meanwhile: what is updated now is in neither page.
            assert end_is_read.wait(4)
            one.objects.append(one.objects.pop(5))
        reply = one(asked)
        if offset == 6:
            end_is_read.set()
        return reply

    done = crawled(landing, lists.serve(script), page_size=3, together=2)
    assert done.ids == {f"S{number}" for number in range(8)}


def test_fewer_objects_than_asked_for_are_gone_on_from(lists: Lists, landing: Path) -> None:
    sizes = itertools.cycle([3, 5, 2, 4])

    def before(one: OcpiList) -> None:
        one.most = next(sizes)

    one = OcpiList(CDRS, has_limit=False, before=before)
    landed = crawled(landing, lists.serve(one), page_size=10, together=1)
    assert landed.ids == {each["id"] for each in CDRS}


def test_objects_kept_back_by_the_server_are_no_gap(lists: Lists, landing: Path) -> None:
    """Offsets count what is not handed out too."""

    def render(page: list[Any]) -> bytes:
        return envelope([each for each in page if int(each["id"][1:]) % 5 > 1])

    one = OcpiList(CDRS, render=render)
    landed = crawled(landing, lists.serve(one), page_size=7)
    assert landed.ids == {each["id"] for each in CDRS if int(each["id"][1:]) % 5 > 1}


def test_without_a_link_the_total_says_whether_there_is_more(lists: Lists, landing: Path) -> None:
    one = OcpiList(CDRS, most=7, has_link=False)
    assert len(crawled(landing, lists.serve(one)).ids) == 40


def test_an_empty_list_lands_as_one_page(lists: Lists, landing: Path) -> None:
    landed = crawled(landing, lists.serve(OcpiList([])))
    assert [line["body"]["data"] for line in landed.lines] == [[]]


@pytest.mark.parametrize("objects", [CDRS[:0], CDRS[:1], CDRS[:7], CDRS])
@pytest.mark.parametrize("has_total", [True, False])
def test_a_link_to_nothing_is_no_more(
    lists: Lists, landing: Path, objects: list[Any], has_total: bool
) -> None:
    one = OcpiList(objects, most=7, has_total=has_total, has_link=False)

    def answer(asked: Asked) -> Reply:
        reply, (offset, limit) = one(asked), one.question(asked)
        link = {"Link": f'<?offset={offset + min(limit, 7)}&limit=7>; rel="next"'}
        return replace(reply, headers=reply.headers | link)

    landed = crawled(landing, lists.serve(answer))
    assert landed.ids == {each["id"] for each in objects}


def by_cursor(one: OcpiList) -> Callable[[Asked], Reply]:
    """Pages of 7 that refer to the next by what only the server understands."""
    one.has_link = one.has_total = False
    one.most = 7

    def answer(asked: Asked) -> Reply:
        at = int(asked.path.partition("cursor=x")[2] or 0)
        link = {"Link": f'<?cursor=x{at + 7}>; rel="next"'} if at + 7 < len(one.objects) else {}
        question = replace(asked, path=f"/?offset={at}")
        return replace(one(question), headers=link)

    return answer


def test_cursors_are_followed_as_they_are(lists: Lists, landing: Path) -> None:
    one = OcpiList(CDRS)
    landed = crawled(landing, lists.serve(by_cursor(one)))
    assert landed.objects == CDRS
    assert one.offsets == [0, 7, 14, 21, 28, 35]
    assert (
        landed.answer.content_key
        == crawled(landing, lists.serve(OcpiList(CDRS))).answer.content_key
    )


def test_cursors_begin_anew_after_a_failure(lists: Lists, landing: Path) -> None:
    one = OcpiList(CDRS, before=failing_from(4, Reply(500)))
    url = lists.serve(by_cursor(one))
    fails(landing, url, TransientHttpError, "HTTP 500")
    assert parts(landing) == []
    one.before = lambda _: None
    assert crawled(landing, url).objects == CDRS


# ── where the token goes ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("encoding", ["base64", "plain"])
def test_the_token_is_sent_as_the_peer_wants_it(
    lists: Lists, landing: Path, encoding: Literal["base64", "plain"]
) -> None:
    one = OcpiList(CDRS, most=7)
    url = lists.serve(one)
    crawled(landing, url, token=authorization(SECRET, encoding, url))
    value = SECRET if encoding == "plain" else base64.b64encode(SECRET.encode()).decode()
    assert {asked.headers["authorization"] for asked in one.asked} == {f"Token {value}"}


@pytest.mark.parametrize(
    "link",
    [
        "<{path}?offset=7&limit=7>; rel=next",
        '<{url}?offset=7>; rel="last next"; title="a, b"',
        '<{url}?offset=0>; rel="prev", <{url}?offset=7>;rel="NEXT"',
        "<?offset=7>;rel='next'",
        *(
            "",
            ";",
            "<",
            "<>; rel=next",
            "next",
            "<{url}?offset=-3>; rel=next",
        ),
        *("<{url}?offset=x>; rel=next", "<{url}?offset=99999999999999999999>; rel=next"),
    ],
)
def test_a_link_in_any_form_leads_through_the_whole_list(
    lists: Lists, landing: Path, link: str
) -> None:
    one = OcpiList(CDRS, most=7, has_link=False)

    def answer(asked: Asked) -> Reply:
        reply, (offset, _) = one(asked), one.question(asked)
        path = asked.path.partition("?")[0]
        told = link.format(url=lists.url + path, path=path).replace("=7", f"={offset + 7}")
        has_more = {"Link": told} if offset + 7 < len(CDRS) else {}
        return replace(reply, headers=reply.headers | has_more)

    assert crawled(landing, lists.serve(answer)).ids == {each["id"] for each in CDRS}


@pytest.mark.parametrize(
    "link",
    [
        *("//other.example/x", "https:", "ftp://127.0.0.1/x", "file:///etc/passwd"),
        *("http://[::1/x", "http://127.0.0.1:99999/x", "http://user@other.example/x"),
        *("http://127.0.0.1:{port}@other.example/x", "javascript:alert(1)"),
    ],
)
def test_a_link_that_is_none_is_not_followed(lists: Lists, landing: Path, link: str) -> None:
    goal = link.format(port=lists.place.partition(":")[2])
    one = OcpiList(CDRS, has_link=False, headers={"Link": f'<{goal}?offset=7>; rel="next"'})
    url = lists.serve(one)
    with pytest.raises(PermanentHttpError) as problem:
        crawled(landing, url, token=authorization(SECRET, "plain", url))
    assert "offset" not in str(problem.value)
    assert len(one.asked) == 1


@pytest.mark.parametrize("total", ["0", "1", "3", "39", "41", "-5", "many", "1e3", "9" * 30, ""])
def test_a_total_that_lies_loses_nothing_that_is_linked_to(
    lists: Lists, landing: Path, total: str
) -> None:
    one = OcpiList(CDRS, most=7)

    def answer(asked: Asked) -> Reply:
        reply = one(asked)
        return replace(reply, headers=reply.headers | {"X-Total-Count": total})

    try:
        landed = crawled(landing, lists.serve(answer))
    except GoralError as problem:
        assert "X-Total-Count" in str(problem) or "no end" in str(problem)  # noqa: PT017
    else:
        assert landed.ids == {each["id"] for each in CDRS}


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("?offset=7&limit=7", "http://localhost:{port}"),
        ("?cursor=x7", "http://localhost:{port}"),
        ("?cursor=x7", "https://127.0.0.1:{port}"),
        ("?cursor=x7", "other"),
    ],
)
@pytest.mark.parametrize("has_token", [True, False])
def test_a_link_to_elsewhere_is_not_followed(
    lists: Lists,
    make_publisher: MakePublisher,
    landing: Path,
    query: str,
    place: str,
    has_token: bool,
) -> None:
    other = make_publisher()
    port = lists.place.partition(":")[2]
    goal = other.url if place == "other" else place.format(port=port)
    one = OcpiList(CDRS, has_link=False, headers={"Link": f'<{goal}/x{query}>; rel="next"'})
    url = lists.serve(one)
    with pytest.raises(PermanentHttpError, match="refers to another host"):
        crawled(landing, url, token=authorization(SECRET, "plain", url) if has_token else None)
    assert len(one.asked) == 1
    assert other.asked == []


def test_a_link_by_another_name_of_the_scheme_or_port_is_read_and_not_followed(
    lists: Lists, landing: Path
) -> None:
    one = OcpiList(CDRS, most=7, has_total=False)

    def answer(asked: Asked) -> Reply:
        reply, own = one(asked), f"http://{asked.headers['host']}/"
        other = "https://127.0.0.1:1/"
        headers = {name: value.replace(own, other) for name, value in reply.headers.items()}
        return replace(reply, headers=headers)

    assert crawled(landing, lists.serve(answer)).ids == {each["id"] for each in CDRS}


def test_the_token_follows_no_redirect_to_elsewhere(
    lists: Lists, publisher: Publisher, landing: Path
) -> None:
    one = OcpiList(CDRS, before=lambda _: Reply(302, headers={"Location": publisher.url}))
    url = lists.serve(one)
    with pytest.raises(PermanentHttpError, match="the token is not sent there"):
        crawled(landing, url, token=authorization(SECRET, "base64", url))
    assert publisher.asked == []


# ── answers that are none ────────────────────────────────────────────────────────────────────────


def test_a_refusal_in_the_envelope_is_not_asked_again(lists: Lists, landing: Path) -> None:
    body = envelope([], status_code=2001, status_message="no such 'offset', Jan Jansen")
    one = OcpiList([], before=lambda _: Reply(200, body))
    fails(landing, lists.serve(one), PermanentHttpError, r"refuses with OCPI status 2001$")
    assert len(one.asked) == 1


def test_a_failure_in_the_envelope_is_asked_again(
    lists: Lists, landing: Path, waits: list[float]
) -> None:
    body = b'{"status_code":3000,"timestamp":""}'
    one = OcpiList(CDRS, before=lambda _: Reply(200, body))
    fails(landing, lists.serve(one), TransientHttpError, r"2 attempts \(OCPI status 3000\)")
    assert waits == [0.5]
    one.before = lambda one: Reply(200, body) if len(one.asked) == 3 else None
    assert len(crawled(landing, lists.serve(one)).ids) == 40


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", b"[]", b"7", b"{}", b'{"data":{}}', b'{"data":null,"status_code":1000}'),
        *(b'{"data":[],"status_code":1000', b'{"data":[1,2,}', '{"data":[]}'.encode("utf-16")),
        *(b'{"data":[],"status_code":"well"}', b'{"data":[],}', b'{"data":[]}}', b"{1:[]}"),
        b'{"x":{"data":[{"id":1}],"status_code":1000}}',
        b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b',"status_code":1000}',
    ],
)
def test_what_is_no_list_is_told(lists: Lists, landing: Path, body: bytes) -> None:
    one = OcpiList([], before=lambda _: Reply(200, body))
    fails(landing, lists.serve(one), PermanentHttpError, "did not answer with an OCPI list")
    assert parts(landing) == []


STRANGE = {
    "null": b"null",
    "number": b"17",
    "text": b'"a text, ]}"',
    "list": b'[{"id":"S0"}]',
    "empty": b"{}",
    "NaN": b'{"id":"S0","total_energy":NaN,"x":[-Infinity,1e400]}',
    "huge": b'{"id":' + b"9" * 6000 + b"}",
    "deep": b'{"id":"S0","x":' + b"[" * 500 + b"]" * 500 + b"}",
    "twice": b'{"id":"S0","data":[],"id":"S1","status_code":2001}',
    "bad UTF-8": b'{"id":"S\xff0","\xc0\xaf":1}',
    "surrogate": rb'{"id":"S\ud8000"}',
    "controls": b'{"id":"S\t0\0","x":"\x1b[31m"}',
    "no letters": '{"id":"\u2028\ufeff"}'.encode(),
    "17 MB": b'{"id":"' + b"x" * 17_000_000 + b'"}',
}


@pytest.mark.parametrize("place", [0, 3, 4, 9], ids=["first", "inside", "at an end", "last"])
@pytest.mark.parametrize("strange", STRANGE)
def test_one_strange_object_keeps_no_other_from_being_landed(
    lists: Lists, landing: Path, strange: str, place: int
) -> None:
    mark = {"strange": 1}

    def render(page: list[Any]) -> bytes:
        return envelope(page).replace(json.dumps(mark).encode(), STRANGE[strange])

    one = OcpiList([*CDRS[:place], mark, *CDRS[place:9]], render=render)
    landed = crawled(landing, lists.serve(one), mib=60, page_size=5, together=1)
    good = [each["id"] for each in landed.objects if each in CDRS]
    assert sorted(set(good)) == [each["id"] for each in CDRS[:9]]
    assert one.offsets == [0, 4, 8]


ALWAYS = {"Link": '<?offset=999999&limit=1000>; rel="next"'}


@pytest.mark.parametrize(
    "answer",
    {
        "the same page for ever": lambda _: Reply(200, envelope(CDRS), ALWAYS),
        "the same object for ever": lambda _: Reply(200, envelope(CDRS[:1]), ALWAYS),
        "two pages in turn": lambda asked: Reply(
            200, envelope([CDRS[0], CDRS[1]][:: -1 if "offset=1&" in asked.path else 1]), ALWAYS
        ),
        "other objects each time": lambda _: Reply(200, envelope([cdr(next(numbers))] * 2), ALWAYS),
        "far beyond the total": lambda asked: Reply(
            200,
            envelope([cdr(OcpiList.question(asked)[0] + k) for k in range(1000)]),
            ALWAYS | {"X-Total-Count": "10"},
        ),
        "a total and nothing": lambda _: Reply(200, envelope([]), {"X-Total-Count": "10"}),
        "cursors in a circle": lambda _: Reply(200, envelope(CDRS), {"Link": "<?c=1>; rel=next"}),
        "cursors without end": lambda _: Reply(
            200, envelope(CDRS), {"Link": f"<?c={next(numbers)}>; rel=next"}
        ),
        "cursors to nothing": lambda _: Reply(
            200, envelope([]), {"Link": f"<?c={next(numbers)}>; rel=next"}
        ),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_list_without_end_is_given_up(
    lists: Lists, landing: Path, answer: tuple[str, Callable[[Asked], Reply]]
) -> None:
    asked: list[Asked] = []

    def counted(one: Asked) -> Reply:
        asked.append(one)
        return answer[1](one)

    with pytest.raises(GoralError, match=r"no end|circle|still gives objects"):
        crawled(landing, lists.serve(counted))
    assert len(asked) <= 3 * MOST_STALLS


def test_a_list_too_large_is_given_up_and_forgotten(lists: Lists, landing: Path) -> None:
    one = OcpiList([cdr(number, x="x" * 50_000) for number in range(40)])
    fails(landing, lists.serve(one), DeliveryRejected, "larger than 1 MiB", mib=1, page_size=5)
    assert parts(landing) == []


def test_more_pages_than_can_be_are_given_up(
    lists: Lists, landing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crawling, "MOST_PAGES", 5)
    url = lists.serve(OcpiList(CDRS))
    fails(landing, url, PermanentHttpError, "has not ended after 5 pages", page_size=5)
    assert parts(landing) == []


# ── going on where it broke off ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", sorted(BREAKS))
def test_a_crawl_goes_on_where_it_broke_off(lists: Lists, landing: Path, kind: str) -> None:
    one = OcpiList(CDRS, before=failing_from(4, BREAKS[kind]))
    url = lists.serve(one)
    with pytest.raises((PermanentHttpError, TransientHttpError)):
        crawled(landing, url, page_size=10, together=1)
    (part,) = parts(landing)
    assert part.parent == landing / DATASET
    assert (part.stat().st_mode & 0o777, part.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    one.before, one.asked = lambda _: None, []
    landed = crawled(landing, url, page_size=10, together=1)
    assert one.offsets == [27, 36]
    assert landed.raw == crawled(landing, url, page_size=10).raw
    assert parts(landing) == []


def test_what_broke_off_is_for_the_same_list_only(lists: Lists, landing: Path) -> None:
    one = OcpiList(CDRS, before=failing_from(4, Reply(401)))
    url = lists.serve(one)
    fails(landing, url, PermanentHttpError, "HTTP 401", page_size=10, together=1)
    one.before, one.asked = lambda _: None, []
    crawled(landing, url, page_size=10, date_from=datetime(2024, 1, 1, tzinfo=UTC))
    assert one.offsets[0] == 0


def broken_off(lists: Lists, landing: Path) -> tuple[OcpiList, str, Path]:
    """A crawl of which three pages are there."""
    one = OcpiList(CDRS, before=failing_from(4, Reply(500)))
    url = lists.serve(one)
    fails(landing, url, TransientHttpError, "HTTP 500", page_size=10, together=1)
    one.before, one.asked = lambda _: None, []
    (part,) = parts(landing)
    return one, url, part


@pytest.mark.parametrize(
    ("spoil", "first_offset"),
    [
        (lambda lines: b"".join(lines)[:-1], 18),
        (lambda lines: b"".join(lines) + b'{"page":4,"off', 27),
        (lambda lines: b"".join(lines) + b"\0" * 5000, 27),
        (lambda lines: lines[0] + lines[1].replace(b"NUO", b"\0\0\0") + lines[2], 9),
        (lambda lines: lines[0] + lines[2], 9),
        (lambda lines: b'{"form":2}\n' + b"".join(lines), 0),
        (lambda lines: b"", 0),
    ],
    ids=["half", "begun", "zeros after", "zeros", "gap", "other format", "empty"],
)
def test_what_is_damaged_of_it_is_read_again(
    lists: Lists, landing: Path, spoil: Callable[[list[bytes]], bytes], first_offset: int
) -> None:
    one, url, part = broken_off(lists, landing)
    part.write_bytes(spoil(part.read_bytes().splitlines(keepends=True)))
    landed = crawled(landing, url, page_size=10, together=1)
    assert one.offsets[0] == first_offset
    assert landed.raw == crawled(landing, url, page_size=10).raw


@pytest.mark.parametrize(("hours", "first_offset"), [(23, 27), (25, 0)])
def test_after_a_day_it_begins_anew(
    lists: Lists, landing: Path, hours: int, first_offset: int
) -> None:
    one, url, part = broken_off(lists, landing)
    before = time.time() - hours * 3600
    os.utime(part, (before, before))
    assert crawled(landing, url, page_size=10, together=1).objects
    assert one.offsets[0] == first_offset


def test_what_was_left_two_days_ago_goes(lists: Lists, landing: Path) -> None:
    _, _, part = broken_off(lists, landing)
    before = time.time() - 49 * 3600
    os.utime(part, (before, before))
    other = part.with_name("other.ndjson")
    other.touch()
    os.utime(other, (before, before))
    crawled(landing, lists.serve(OcpiList([])))
    assert parts(landing) == [other]


def test_two_at_once_do_not_get_into_each_other(lists: Lists, landing: Path) -> None:
    one, url, part = broken_off(lists, landing)
    with store.receiving(landing, 10) as incoming:
        incoming.continue_at(part, 3600, lambda _: True)
        landed = crawled(landing, url, page_size=10, together=1)
        assert one.offsets == [0, 9, 18, 27, 36]
        assert landed.ids == {each["id"] for each in CDRS}
        one.before = failing_from(7, Reply(500))
        fails(landing, url, TransientHttpError, "HTTP 500", page_size=10)
        assert parts(landing) == [part]


PROGRAM = """
import sys
from pathlib import Path
from goral_pipeline.http_session import HttpSession
from goral_pipeline.landing import store
from goral_pipeline.sources.ocpi.crawl import Listing, crawl

with store.receiving(Path(sys.argv[1]), 10) as incoming:
    asking = HttpSession(timeout_seconds=30, attempts=1)
    crawl(asking, Listing(sys.argv[2], sys.argv[3], page_size=10, together=1), incoming)
"""


@pytest.mark.kill
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_process_is_gone_on_from(
    publisher: Publisher, landing: Path, how: signal.Signals
) -> None:
    one, is_asked = OcpiList(CDRS), threading.Event()

    def script(asked: Asked) -> Reply:
        if len(one.asked) == 3:
            is_asked.set()
            raise Silence
        return one(asked)

    publisher.script = script
    program = [sys.executable, "-c", PROGRAM, str(landing), DATASET, publisher.url]
    with subprocess.Popen(program, cwd=REPOSITORY, stderr=subprocess.DEVNULL) as running:
        assert is_asked.wait(30)
        running.send_signal(how)
        assert running.wait(30) != 0
    publisher.script, one.asked = one, []
    landed = crawled(landing, publisher.url, page_size=10, together=1)
    assert one.offsets == [27, 36]
    assert landed.ids == {each["id"] for each in CDRS}


# ── what is told of it ───────────────────────────────────────────────────────────────────────────


def compact(objects: list[Any]) -> bytes:
    return json.dumps({"status_code": 1000, "data": objects}, separators=(",", ":")).encode()


def indented(objects: list[Any]) -> bytes:
    return json.dumps({"data": objects, "status_code": 1000}, indent=2).encode()


@pytest.mark.parametrize("render", [envelope, compact, indented])
def test_the_content_key_is_of_the_objects_not_of_the_pages(
    lists: Lists, landing: Path, render: Callable[[list[Any]], bytes]
) -> None:
    def key(objects: list[Any], size: int, **changes: Any) -> str:
        one = OcpiList(objects, render=render, **changes)
        return crawled(landing, lists.serve(one), page_size=size).answer.content_key

    keys = {key(CDRS, size) for size in (2, 3, 7, 39, 40, 41)}
    keys |= {key(CDRS, 10, has_link=False), key(CDRS, 10, has_total=False, has_limit=False)}
    assert len(keys) == 1
    assert key(CDRS[1:], 7) not in keys
    assert key([cdr(0, 1), *CDRS[1:]], 7) not in keys


def test_the_moment_of_asking_is_not_in_the_content_key(lists: Lists, landing: Path) -> None:
    def key(moment: str) -> str:
        one = OcpiList(CDRS, render=lambda page: envelope(page, timestamp=moment))
        return crawled(landing, lists.serve(one), page_size=7).answer.content_key

    assert key("2024-01-01T00:00:00Z") == key("2025-01-01T00:00:00.123Z")


def test_the_content_key_is_the_same_after_a_break(lists: Lists, landing: Path) -> None:
    _, url, _ = broken_off(lists, landing)
    resumed = crawled(landing, url, page_size=7).answer.content_key
    assert resumed == crawled(landing, url).answer.content_key


@pytest.mark.parametrize("page", [1, 3, 4])
def test_a_page_of_the_demo_makes_all_of_it_demo(lists: Lists, landing: Path, page: int) -> None:
    def before(one: OcpiList) -> Reply | None:
        one.headers = {DEMO_HEADER: "1"} if len(one.asked) == page else {}
        return Reply(500) if len(one.asked) in (4, 5) and page < 4 else None

    url = lists.serve(OcpiList(CDRS, before=before))
    if page < 4:
        fails(landing, url, TransientHttpError, "HTTP 500", page_size=10, together=1)
    landed = crawled(landing, url + "?secret=1" * (page == 4), page_size=10, together=1)
    assert landed.answer.demo
    assert landed.answer.origin == url
    assert [line.get("demo", False) for line in landed.lines].count(True) == 1


def test_a_body_lands_as_it_came(lists: Lists, landing: Path) -> None:
    name = 'Geldrop–Mierlo \\u00e9 \u2028 \\\\ \\n ]} \\"data\\":[{'
    objects = ",\r\n  ".join(
        f'{{"id": "S{number}", "x": 1.10, "evses": [[], {{}}], "name": "{name}"}}'
        for number in range(3)
    )
    text = f'{{"status_message": "\\"data\\":[]", "data": [\n  {objects}\r\n], "status_code":1000}}'
    one = OcpiList([], before=lambda _: Reply(200, b"\xef\xbb\xbf" + text.encode()))
    landed = crawled(landing, lists.serve(one))
    blanks = text.replace("\r", " ").replace("\n", " ")
    assert landed.raw.decode() == f'{{"page":1,"offset":0,"body":{blanks}}}\n'
    assert len(landed.ids) == 3
