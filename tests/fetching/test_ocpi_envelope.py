"""The envelope of an OCPI page: what its ends tell is what reading it whole tells."""

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from goral_pipeline.sources.ocpi import envelope
from goral_pipeline.sources.ocpi.envelope import Envelope, Failed, NotAList

TRICKY = [
    '"data":[',
    "]",
    '],"status_code":2001}',
    "}]",
    "\\",
    '"',
    "data",
    "é\u2028",
    "]}",
    ",",
    "",
]
texts = st.sampled_from(TRICKY) | st.text(max_size=5)
names = st.sampled_from(["data", "status_code", "x", "]", "a\\"]) | texts
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 3000) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.just("id"), texts, min_size=1) | values
members = st.lists(
    st.tuples(names, values)
    | st.tuples(st.just("data"), st.lists(objects, max_size=4))
    | st.tuples(st.just("status_code"), st.sampled_from([1000, 2001, "1000", "x"])),
    max_size=5,
)


def told(reader: Any, body: bytes) -> tuple[Any, ...]:
    try:
        found = reader(body)
    except Failed as failure:
        return ("failed", failure.status_code)
    except NotAList:
        return ("no list",)
    return (found.start, found.stop, found.first)


def has_twice(pairs: list[tuple[str, Any]]) -> bool:
    return len({name for name, _ in pairs}) < len(pairs)


def is_misleading(pairs: list[tuple[str, Any]]) -> bool:
    """Whether another list of the envelope follows the data and ends with an object like theirs."""
    at = [name for name, _ in pairs].index("data") if "data" in dict(pairs) else len(pairs)
    return any(isinstance(value, list | dict) for _, value in pairs[at + 1 :])


@effort(max_examples=400, deadline=None)
@given(members, st.sampled_from([(", ", ": "), (",", ":"), (" ,\r\n\t", " : ")]), st.booleans())
@example([("data", [{"id": 1}]), ("x", [1]), ("status_code", 2001)], (",", ":"), False)
def test_the_ends_tell_what_the_whole_tells(
    pairs: list[tuple[str, Any]], marks: tuple[str, str], is_escaped: bool
) -> None:
    def written(value: Any) -> str:
        return json.dumps(value, separators=marks, ensure_ascii=is_escaped)

    inner = marks[0].join(written(name) + marks[1] + written(value) for name, value in pairs)
    body = f" {{{inner}}} ".encode()
    if not has_twice(pairs) and not is_misleading(pairs):
        assert told(envelope.look_at, body) == told(envelope.read, body)
    found = told(envelope.read, body)
    if len(found) == 3:
        data = dict(pairs)["data"]
        assert json.loads(b"[" + body[found[0] : found[1]] + b"]") == data
        assert found[2] == (written(data[0]).encode() if data else b"")


ONE = b'{"id":"S1"}'


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":[%b,%b],"x":[1],"status_code":1000}',
        b'{"data":[%b,%b],"status_code":1000,"x":["]"]}',
        b'{"data":[%b,%b],"status_code":1000,"x":{"y":[{"z":1}]}}',
        b'{"x":{"data":[1]},"data":[%b,%b],"status_code":1000}',
        b'{"x":"\\"data\\":[","data":[%b,%b],"status_code":1000}',
        b'{"data":[%b,%b],"status_code":1000,"status_message":"] \\"data\\":[{}]"}',
        b'{"data":[%b,%b],"status_code":1000,"status_message":"],"}',
        b'{"status_code":1000,"data" : [ %b , %b ] }',
        b'{"data":[0],"data":[%b,%b],"status_code":1000}',
    ],
)
def test_what_misleads_is_read_whole(body: bytes) -> None:
    whole = body % (ONE, b'{"id":"S2"}')
    found = envelope.look_at(whole)
    assert whole[found.start : found.stop].replace(b" ", b"") == ONE + b',{"id":"S2"}'
    assert found.first == ONE
    assert envelope.objects(whole) == {ONE, b'{"id":"S2"}'}


def test_a_page_is_not_read_whole_without_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope, "read", lambda _: pytest.fail("it was read whole"))
    body = b'{"data": [\n%b\n], "status_code": 1000, "timestamp": "]"}' % b" , ".join([ONE] * 1000)
    found = envelope.look_at(body.replace(b'"]"', b'"2024"'))
    assert found == Envelope(11, 11 + 14 * 1000 - 3, ONE, None)


@pytest.mark.parametrize("size", [10, 4080, 4090, 5000, 100_000])
def test_a_first_object_of_any_size_is_found(size: int) -> None:
    first = json.dumps({"id": "é" * size}, ensure_ascii=False).encode()
    body = b'{"data":[%b,{"id":""}],"status_code":1000}' % first
    assert envelope.look_at(body).first == first


@pytest.mark.parametrize(
    ("written", "legible"),
    [
        (b"plain", b"plain"),
        (b"\xef\xbb\xbf{}", b"{}"),
        (b"a\r\n\tb\0c", b"a   b c"),
        ("Café 🔌".encode(), "Café 🔌".encode()),
        (b"caf\xe9!", "caf\ufffd!".encode()),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd".encode()),
        (rb"\ud83d\udd0c \uD83D\uDD0C", rb"\ud83d\udd0c \uD83D\uDD0C"),
        (rb"E\ud800de \uDC00\udc00", rb"E\ufffdde \ufffd\ufffd"),
        (rb"\ud83d\ud83d\udd0c", rb"\ufffd\ud83d\udd0c"),
        (rb"\\ud800 \\\ud800", rb"\\ud800 \\\ufffd"),
    ],
)
def test_a_text_that_cannot_be_read_keeps_no_other_from_it(written: bytes, legible: bytes) -> None:
    assert envelope.legible(written) == legible


@effort(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["\\", "\\ud83d", "\\udd0c", "ud8", "é", '\\"']), max_size=6))
def test_what_was_legible_stays_as_it_is_and_what_was_not_becomes_so(pieces: list[str]) -> None:
    text = '"' + "".join(pieces) + '"'
    made = envelope.legible(text.encode())
    try:
        meant = json.loads(text)
    except ValueError:
        return
    assert json.loads(made) == re.sub("[\ud800-\udfff]", "\ufffd", meant)
    assert (made == text.encode()) == (not re.search("[\ud800-\udfff]", meant))
    assert envelope.legible(made) == made
