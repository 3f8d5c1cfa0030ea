"""Charging sessions from an OCPI server to staged rows: however they come, they are the same rows.

The lists are served over real HTTP, crawled, landed and staged by the code that does so in a run.
What they are held against is one undisturbed crawl, of one page that holds the whole list.
"""

import itertools
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from goral_pipeline import http_session
from goral_pipeline.errors import PermanentHttpError, TransientHttpError
from goral_pipeline.http_session import HttpSession
from goral_pipeline.landing import store
from goral_pipeline.sources.ocpi import crawl as crawling
from goral_pipeline.sources.ocpi.crawl import Listing, crawl
from goral_pipeline.staging import quality
from goral_pipeline.staging.quality import Quality
from tests.fetching.ocpi_server import OcpiList, envelope
from tests.fetching.publisher import Asked, Publisher, Reply, Script
from tests.sources.test_cdrs_reading import SESSIONS, cdr
from tests.support_files import Row, Staged, stage_file

FILLERS = 40
"""Good records at the head of each list, so that bad ones are never too many."""
BAD: list[tuple[Row, set[str]]] = [
    ({"total_energy": -1}, {"energy_kwh_range"}),
    ({"end_date_time": "2022-07-12T09:00:00Z"}, {"start_before_end"}),
    ({"currency": "euro"}, {"currency_pattern"}),
]
BREAKS = {
    "cut": Reply(200, b'{"data":[', announced=1000),
    "500": Reply(500),
    "401": Reply(401),
    "3000": Reply(200, envelope([], status_code=3000)),
}
PROVENANCE = ("record_number", "delivery_id")
numbers = itertools.count()


class Stopped(BaseException):
    """The process is told to stop."""


@pytest.fixture(scope="module", autouse=True)
def _no_waiting() -> Iterator[None]:
    """Pauses between attempts are not waited for."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (http_session, crawling):
            patch.setattr(module, "time", SimpleNamespace(sleep=lambda _: None))
        yield


class Lists(Publisher):
    """One server for many lists, each at a path of its own: late questions reach only theirs."""

    def __init__(self) -> None:
        self.by_path: dict[str, Script] = {}
        super().__init__(lambda asked: self.by_path[asked.path.partition("?")[0]](asked))

    def serve(self, one: Script) -> str:
        path = f"/{next(numbers)}"
        self.by_path[path] = one
        return self.url + path


@pytest.fixture(scope="module")
def lists() -> Iterator[Lists]:
    with Lists() as running:
        yield running


# ── what the list holds ──────────────────────────────────────────────────────────────────────────


def record(kind: str, number: int) -> Row:
    """A record of a kind; that of a place is always the same."""
    identifier = f"S{number}"
    whole = cdr(identifier, last_updated=moment(number))
    if kind == "2.1.1":
        location = whole["cdr_location"]
        old = {
            "stop_date_time": whole["end_date_time"],
            "auth_id": "DEMO0002",
            "location": {
                name: location[name]
                for name in ("id", "address", "city", "postal_code", "coordinates")
            }
            | {"evses": [{"uid": "E1", "connectors": [{"id": "1"}]}]},
            "total_cost": 7.0,
        }
        gone = ("country_code", "party_id", "end_date_time", "cdr_token", "cdr_location")
        return {name: value for name, value in whole.items() if name not in gone} | old
    if kind == "credit":
        cost = {"excl_vat": -7.0}
        return whole | {"credit": True, "credit_reference_id": "S0", "total_cost": cost}
    if kind == "correction":
        return whole | {"id": f"S{number // 2}", "total_energy": 19.5}
    if kind == "again":
        return record("2.2.1", number // 2)
    if kind.startswith("bad"):
        return whole | BAD[int(kind[-1])][0]
    return whole


def moment(step: int) -> str:
    return f"2022-07-{20 + step // 3600:02d}T{step // 60 % 60:02d}:{step % 60:02d}:00Z"


KINDS = ("2.2.1", "2.1.1", "credit", "correction", "again")


@st.composite
def records(draw: st.DrawFn) -> list[Row]:
    """A list as OCPI has it, by `last_updated`; with one or two bad records in it."""
    kinds = draw(st.lists(st.sampled_from(KINDS), max_size=16))
    for number in range(draw(st.integers(0, 2))):
        kinds.insert(draw(st.integers(0, len(kinds))), f"bad{number}")
    drawn = [record(kind, FILLERS + at) for at, kind in enumerate(kinds)]
    fillers = [record("2.2.1", at) for at in range(FILLERS)]
    return sorted([*fillers, *drawn], key=lambda one: str(one["last_updated"]))


@dataclass(frozen=True)
class Shift:
    """What happens to a list before a request."""

    request: int
    kind: str
    at: int
    number: int = 1
    """Of so many records, one after the other."""


@dataclass
class Moving:
    """Makes the shifts of a script, and remembers the list as it was at each request."""

    script: list[Shift]
    history: list[list[Row]] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    """Ids of what was taken from the list."""
    steps: Iterator[int] = field(default_factory=lambda: itertools.count(200))

    def __call__(self, one: OcpiList) -> None:
        for shift in self.script:
            if shift.request == len(one.asked):
                for _ in range(shift.number):
                    self.make(shift, one.objects)
        self.history.append(list(one.objects))

    def make(self, shift: Shift, objects: list[Row]) -> None:
        step = next(self.steps)
        later = moment(step)
        if shift.kind == "add":
            objects.append(cdr(f"N{step}", last_updated=later))
        elif shift.kind == "remove":
            # All of its versions: else an older one would be what there is.
            name = objects[shift.at % len(objects)]["id"]
            self.gone.add(name)
            objects[:] = [each for each in objects if each["id"] != name]
        else:
            moved = objects.pop(shift.at % len(objects))
            objects.append(moved | {"last_updated": later, "total_parking_time": 0.25})


shifts = st.lists(
    st.builds(
        Shift,
        request=st.integers(1, 14),
        kind=st.sampled_from(["add", "remove", "update"]),
        at=st.integers(0, 50) | st.integers(0, 5),
        number=st.integers(1, 4),
    ),
    max_size=3,
)
breaks = st.lists(st.tuples(st.integers(1, 12), st.sampled_from([*BREAKS, "stop"])), max_size=3)


# ── how it is crawled and staged ─────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Way:
    """How a list is asked for and given."""

    page_size: int = 1000
    most: int = 1000
    together: int = 1
    has_total: bool = True
    slow: tuple[bool, ...] = (False,)
    """Which answers, in turn, come later than those to the questions after theirs."""
    broken_at: tuple[tuple[int, str], ...] = ()


def ways(least: int) -> st.SearchStrategy[Way]:
    """Any way, of a server that gives so many objects a page at least."""
    return st.builds(
        Way,
        page_size=st.integers(2, 9),
        most=st.integers(least, 9),
        together=st.integers(1, 4),
        has_total=st.booleans(),
        slow=st.lists(st.booleans(), min_size=1, max_size=5).map(tuple),
        broken_at=breaks.map(tuple),
    )


def served(lists: Lists, one: OcpiList, way: Way) -> str:
    one.most, one.has_total = way.most, way.has_total
    slow = itertools.cycle(way.slow)

    def answer(asked: Asked) -> Reply:
        reply = one(asked)
        time.sleep(0.004 * next(slow))
        return reply

    return lists.serve(answer)


def crawled(lists: Lists, folder: Path, one: OcpiList, way: Way) -> tuple[Path, int]:
    """Crawl a list, after each break again; its file, and how many requests the breaks took."""
    listing = Listing(SESSIONS, served(lists, one, way), None, None, way.page_size, way.together)
    moves, fails_from, reply = one.before, 0, Reply(500)

    def before(asked: OcpiList) -> Reply | None:
        moves(asked)
        return reply if 0 < fails_from <= len(asked.asked) else None

    def once(stops_at: int = 0) -> Path:
        asking = HttpSession(timeout_seconds=5, attempts=1)
        try:
            with store.receiving(folder / "landing", 10) as incoming:
                if stops_at:
                    stop_at(incoming, stops_at)
                crawl(asking, listing, incoming)
                incoming.close()
                return Path(shutil.copy(incoming.path, folder / "landed.ndjson"))
        finally:
            asking.close()

    one.before = before
    for at, kind in way.broken_at:
        fails_from = len(one.asked) + at if kind in BREAKS else 0
        reply = BREAKS.get(kind, reply)
        with suppress(PermanentHttpError, TransientHttpError, Stopped):
            once(0 if kind in BREAKS else at)
    fails_from, taken = 0, len(one.asked)
    return once(), taken


def stop_at(incoming: store.Incoming, pieces: int) -> None:
    """Stop in the middle of writing the so-manieth piece."""
    write, written = incoming.write, itertools.count(1)

    def stopping(content: bytes) -> None:
        if next(written) == pieces:
            write(content[: len(content) // 2])
            raise Stopped
        write(content)

    incoming.write = stopping  # type: ignore[method-assign]


def undisturbed(lists: Lists, folder: Path, objects: list[Row]) -> Staged:
    folder.mkdir()
    file, _ = crawled(lists, folder, OcpiList(list(objects)), Way())
    return stage_file(folder / "home", SESSIONS, file)


Key = tuple[str, str, str]


def rows(staged: Staged) -> dict[Key, Row]:
    """The accepted rows by key, without where they come from."""
    accepted = staged.accepted("sessions")
    by_key = {
        (row["country_code"], row["party_id"], row["cdr_id"]): {
            name: value for name, value in row.items() if name not in PROVENANCE
        }
        for row in accepted
    }
    assert len(by_key) == len(accepted), "each once"
    return by_key


def refused(staged: Staged) -> list[tuple[int, str, str]]:
    """Record number, rule and what was found of all that is in quarantine."""
    return [(q["record_number"], q["rule"], q["found"]) for q in staged.quarantine("sessions")]


def report(staged: Staged) -> list[Quality]:
    return quality.read(staged.job.quarantine_folder)


def told(staged: Staged) -> set[tuple[str, str]]:
    """Rule and id of the records that were refused; they are few enough for all to be shown."""
    return {
        (broken.rule, example)
        for one in report(staged)
        for broken in one.broken
        if broken.is_refused
        for example in broken.examples
    }


# ── what holds ───────────────────────────────────────────────────────────────────────────────────

moderately = effort(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@moderately
@given(objects=records(), way=ways(1), order=st.randoms(use_true_random=False) | st.none())
def test_a_list_that_holds_still_is_staged_the_same_however_it_is_given(
    lists: Lists,
    tmp_path_factory: pytest.TempPathFactory,
    objects: list[Row],
    way: Way,
    order: random.Random | None,
) -> None:
    """Accepted rows, quarantine with its record numbers, counts and quality report: all the same.

    Whatever the size and order of pages, and wherever it was interrupted. In another order of the
    list the same rows are accepted, and the same records refused for the same reasons.
    """
    folder = tmp_path_factory.mktemp("staged")
    by_change = undisturbed(lists, folder / "by_change", objects)
    if order:
        order.shuffle(objects)
    whole = undisturbed(lists, folder / "whole", objects) if order else by_change
    file, _ = crawled(lists, folder, OcpiList(list(objects)), way)
    staged = stage_file(folder / "home", SESSIONS, file)
    assert rows(staged) == rows(whole) == rows(by_change)
    assert refused(staged) == refused(whole)
    assert told(staged) == told(by_change)
    assert report(staged) == report(whole)
    assert (staged.received, staged.counts) == (whole.received, whole.counts)


@moderately
@given(objects=records(), way=ways(2), script=shifts)
def test_of_a_list_that_moves_the_latest_of_all_that_stays_is_staged_once(
    lists: Lists,
    tmp_path_factory: pytest.TempPathFactory,
    objects: list[Row],
    way: Way,
    script: list[Shift],
) -> None:
    """What stays in the list is staged once, as the list had it when its end was first read.

    That is: of each record which stood in the list then, and was never taken from it, there is one
    row, or it is refused for the same reasons, as of an undisturbed crawl of the list of that
    moment. What changed only after it may be seen or not: the row is then as of one of the lists
    there were since. Of what was taken from the list there may be a row, but not two; of what never
    stood in it there is none. Pages of one object cannot overlap, so this is of larger ones.
    """
    folder = tmp_path_factory.mktemp("staged")
    moving = Moving(script)
    one = OcpiList(objects, before=moving)
    file, taken = crawled(lists, folder, one, way)
    staged = stage_file(folder / "home", SESSIONS, file)

    reaches_end = [
        offset + min(limit, way.most) >= len(held)
        for (offset, limit), held in zip(map(one.question, one.asked), moving.history, strict=True)
    ]
    since = moving.history[reaches_end.index(True, taken) :]
    distinct = [held for at, held in enumerate(since) if held not in since[:at]]
    wholes = [undisturbed(lists, folder / str(at), held) for at, held in enumerate(distinct)]

    found, expected = rows(staged), [rows(whole) for whole in wholes]
    for key in set[Key]().union(found, *expected):
        if key[2] not in moving.gone:
            assert found.get(key) in [then.get(key) for then in expected], key
    is_known = {each["id"] for held in moving.history for each in held}
    assert {identifier for *_, identifier in found} <= is_known
    reasons = [told(whole) for whole in wholes]
    kept = {(rule, name) for rule, name in told(staged) if name not in moving.gone}
    assert set.intersection(*reasons) <= kept <= set.union(*reasons)
