"""Every record received is accepted, a duplicate or quarantined: counted again in Python."""

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from goral_pipeline.checks.reconciliation import reconcile
from goral_pipeline.contracts import staged
from tests.checks.frames import judged
from tests.staging import raw_cases
from tests.support_files import (
    Row,
    connector,
    evse,
    fillers,
    location,
    stage_locations,
    stage_requests,
)
from tests.support_files import request as request_row
from tests.support_files import requests as filler_requests

NOT_OBJECTS = st.sampled_from([None, 5, "text", True, [], [[]], {}])
MOMENTS = ("2022-06-01T10:00:00Z", "2022-06-01T12:00:00+02:00", "2022-06-01T12:00:00.5Z")
LATENESS = {moment: place for place, moment in enumerate(("", MOMENTS[0], MOMENTS[2]))} | {
    MOMENTS[1]: 1
}
"""The first two moments are one, written in two ways."""


@dataclass(frozen=True)
class Made:
    """An element of the delivery, whether it keeps all rules by itself, its key and children."""

    content: Any
    is_good: bool
    key: str = ""
    moment: str = ""
    children: tuple["Made", ...] = ()


def _without(row: Row, name: str) -> Row:
    return {key: value for key, value in row.items() if key != name}


@st.composite
def _connectors(draw: st.DrawFn) -> Made:
    if draw(st.integers(0, 9)) == 0:
        return Made(draw(NOT_OBJECTS), is_good=False)
    key = draw(st.sampled_from(["1", "2"]))
    row = connector(id=key)
    spoilt = draw(
        st.sampled_from(
            [None, None, None, {"power_type": "NONE"}, {"max_voltage": "low"}, "standard"]
        )
    )
    row = _without(row, spoilt) if isinstance(spoilt, str) else row | (spoilt or {})
    return Made(row, spoilt is None, key)


@st.composite
def _evses(draw: st.DrawFn) -> Made:
    if draw(st.integers(0, 9)) == 0:
        return Made(draw(NOT_OBJECTS), is_good=False)
    key = draw(st.sampled_from(["E1", "E2", "E3"]))
    children, listed = _list_of(draw, _connectors(), 3)
    row = evse(uid=key, connectors=listed)
    spoilt = draw(st.sampled_from([None, None, None, {"status": "ODD"}, {"uid": ""}, "status"]))
    row = _without(row, spoilt) if isinstance(spoilt, str) else row | (spoilt or {})
    return Made(row, spoilt is None, key, children=children)


@st.composite
def _locations(draw: st.DrawFn) -> Made:
    if draw(st.integers(0, 9)) == 0:
        return Made(draw(NOT_OBJECTS), is_good=False)
    key = draw(st.sampled_from(["A", "B", "C"]))
    moment = draw(st.sampled_from(MOMENTS))
    children, listed = _list_of(draw, _evses(), 3)
    row = location(key, evses=listed, last_updated=moment)
    spoilt = draw(
        st.sampled_from(
            [None, None, None, None, {"coordinates": None}, {"publish": "?"}, "last_updated", "id"]
        )
    )
    row = _without(row, spoilt) if isinstance(spoilt, str) else row | (spoilt or {})
    return Made(row, spoilt is None, key, moment, children)


def _list_of(
    draw: st.DrawFn, elements: st.SearchStrategy[Made], most: int
) -> tuple[tuple[Made, ...], Any]:
    """Children and how they are written; where there are none, sometimes without a list."""
    children = tuple(draw(st.lists(elements, max_size=most)))
    if not children:
        return (), draw(st.sampled_from([[], None, {}, "none"]))
    return children, [child.content for child in children]


def _judged(siblings: list[Made], outcome_of_parent: str) -> list[str]:
    """How the rows of one parent end, by the rules told in words."""
    if outcome_of_parent != "accepted":
        return [outcome_of_parent] * len(siblings)
    best: dict[str, int] = {}
    for place, row in enumerate(siblings):
        if row.is_good and (
            row.key not in best or LATENESS[row.moment] > LATENESS[siblings[best[row.key]].moment]
        ):
            best[row.key] = place
    return [
        "quarantined" if not row.is_good else "accepted" if best[row.key] == place else "duplicate"
        for place, row in enumerate(siblings)
    ]


def _expected(made: list[Made]) -> tuple[dict[str, Counter[str]], dict[str, int]]:
    """Outcomes by table, and how many rows break a rule themselves."""
    counts = {table: Counter[str]() for table in ("locations", "charge_points", "connectors")}
    bad = Counter[str]()

    def count(siblings: list[Made], outcome_of_parent: str, tables: list[str]) -> None:
        if not tables:
            return
        outcomes = _judged(siblings, outcome_of_parent)
        counts[tables[0]].update(outcomes)
        bad[tables[0]] += sum(not row.is_good for row in siblings)
        for row, outcome in zip(siblings, outcomes, strict=True):
            count(list(row.children), outcome, tables[1:])

    count(made, "accepted", list(counts))
    return counts, bad


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(_locations(), max_size=10))
@example([Made(None, is_good=False), Made([[]], is_good=False), Made({}, is_good=False)])
def test_outcomes_of_any_mixture_of_locations_are_those_counted_in_python(made: list[Made]) -> None:
    expected, bad = _expected(made)
    padding = 20 * max([1, *bad.values()])
    for table in expected:
        expected[table]["accepted"] += padding
    elements = [*(row.content for row in made), *fillers(padding)]

    with tempfile.TemporaryDirectory() as home:
        staged = stage_locations(Path(home), elements)
        accepted = {table: len(staged.accepted(table)) for table in expected}

    assert staged.counts == {table: dict(counts) for table, counts in expected.items()}
    assert staged.received == {table: counts.total() for table, counts in expected.items()}
    assert accepted == {table: counts["accepted"] for table, counts in expected.items()}
    assert reconcile(staged.received, staged.staging.counts) == []


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.sampled_from(["good", "twice", "conflict", "bad number", "bad date", "blank", "unread"]),
        max_size=12,
    )
)
def test_outcomes_of_any_mixture_of_request_rows_are_those_counted_in_python(
    kinds: list[str],
) -> None:
    changes: dict[str, Row] = {
        "good": {},
        "twice": request_row("twice"),
        "conflict": {"Aanvraagnummer": "conflict"},
        "bad number": {"Aanvraagnummer": "no blanks allowed"},
        "bad date": {"Datum aanvraag": "soon"},
    }
    rows = [
        request_row(f"R{place}") | changes[kind] if kind in changes else {}
        for place, kind in enumerate(kinds)
    ]
    # A cell in a column that is not read makes a line that must be accounted for.
    for row, kind in zip(rows, kinds, strict=True):
        if kind == "unread":
            row["Toelichting"] = "only a remark"
    bad = sum(kind in ("bad number", "bad date", "unread") for kind in kinds)
    conflicts = kinds.count("conflict")
    bad += conflicts if conflicts > 1 else 0
    twice = kinds.count("twice")
    padding = 20 * max(1, bad)

    with tempfile.TemporaryDirectory() as home:
        staged = stage_requests(Path(home), [*rows, *filler_requests(padding)])

    expected = {
        "accepted": padding + kinds.count("good") + min(1, twice) + (conflicts == 1),
        "duplicate": max(0, twice - 1),
        "quarantined": bad,
    }
    assert staged.counts["requests"] == {k: number for k, number in expected.items() if number}
    assert staged.received["requests"] == len(kinds) - kinds.count("blank") + padding


@pytest.mark.parametrize("table", raw_cases.GOOD, ids=".".join)
@given(drawn=st.data())
@settings(max_examples=10, deadline=None)
def test_rows_of_any_table_are_accepted_duplicates_or_quarantined(
    table: raw_cases.Table, drawn: st.DataObject
) -> None:
    good, cases = raw_cases.GOOD[table], raw_cases.cases_of(table)
    kinds = drawn.draw(st.lists(st.none() | st.sampled_from(cases), max_size=20))
    rows = [good | (case.changes if case else {}) for case in kinds]

    con = judged(staged()[table[0]], raw_cases.rows_among(table, rows))

    whole = kinds.count(None)
    expected = {
        "accepted": min(1, whole),
        "duplicate": max(0, whole - 1),
        "quarantined": len(kinds) - whole,
    }
    query = f"select outcome, count(*) from judged_{table[1]} group by all"
    assert dict(con.execute(query).fetchall()) == {k: n for k, n in expected.items() if n}
