"""The envelope of an OCPI page: `{"data": [...], "status_code": 1000, ...}`.

A page is a megabyte of objects, so it is looked at from both ends, and read whole only where the
ends leave doubt. Does not belong here: asking for pages, or what objects mean.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SUCCESS = range(1000, 2000)
ENDS_BYTES = 4096
"""The envelope's members besides the data take less, before and after it."""
FIRST_SLICE_BYTES = 4096
MOST_ALIKE = 50
"""Objects from the end that are tried as the last of the page."""
MOST_BLANKS = 200
"""Before an object; where there are more, the objects are compared one by one."""

_DATA = re.compile(rb'"data"[ \t\r\n]*:[ \t\r\n]*\[[ \t\r\n]*')
_BLANKS = re.compile(r"[ \t\r\n]*")
_BEGINNING = re.compile(rb'\{[ \t\r\n]*"[^"\\]*"')
"""Of an object: its first name."""
_SEPARATOR = re.compile(rb"[ \t\r\n]*,[ \t\r\n]*")
_WHITE = b" \t\r\n"
_CONTROLS = bytes(range(32))
_NO_CONTROLS = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""A pair of surrogates, half of one, or any other escape."""
_DECODER = json.JSONDecoder(parse_int=str)
"""Whole numbers stay text, for Python refuses those of thousands of digits."""


class NotAList(ValueError):
    """The body is no envelope with a list of objects."""


class Failed(Exception):
    """The envelope says that the request failed."""

    def __init__(self, status_code: int) -> None:
        """Keep the code alone: the message beside it may hold anything."""
        super().__init__(status_code)
        self.status_code = status_code


@dataclass(frozen=True)
class Envelope:
    """Where the objects of a page stand in its body."""

    start: int
    """Place of the first object."""
    stop: int
    """Place after the last object."""
    first: bytes
    """The first object as it came; nothing when there is none."""
    count: int | None
    """How many objects there are; None: not counted."""


def legible(body: bytes) -> bytes:
    """A body on one line, in which no text of one object keeps all others from being read.

    Control characters stand in JSON as white space only, so they all become blanks. What is no
    UTF-8, and half a pair of surrogates, becomes the character that stands for such.
    """
    import numpy as np

    body = body.removeprefix(codecs.BOM_UTF8)
    # Each is looked for before anything is written anew: most pages have none of it.
    if body and np.frombuffer(body, np.uint8).min() < len(_CONTROLS):
        body = body.translate(_NO_CONTROLS)
    if not body.isascii():
        body = body.decode(errors="replace").encode()
    if b"\\" in body and (b"\\ud" in body or b"\\uD" in body):
        body = _ESCAPE.sub(lambda one: rb"\ufffd" if one["half"] else one.group(), body)
    return body


def look_at(body: bytes) -> Envelope:
    """Find the objects of a page, without reading them if that is possible.

    Raises:
        Failed: when the envelope says so.
        NotAList: when it is none.
    """
    return _from_both_ends(body) or read(body)


def read(body: bytes) -> Envelope:
    """Find and count the objects of a page by reading it whole.

    Raises:
        Failed: when the envelope says so.
        NotAList: when it is none.
    """
    try:
        text = body.decode()
        members = dict(_members(text))
        _check_status(members)
        objects, start, end = members["data"]
        if not isinstance(objects, list):
            raise NotAList
        start = _after_blanks(text, start + 1)
        first = text[start : _DECODER.raw_decode(text, start)[1]] if objects else ""
    except (ValueError, KeyError, RecursionError):
        raise NotAList from None
    begin = _bytes(text, start)
    inner = body[begin : _bytes(text, end) - 1].rstrip(_WHITE)
    return Envelope(begin, begin + len(inner), first.encode(), len(objects))


def objects(body: bytes) -> set[bytes]:
    """The objects of a page as they came.

    Raises:
        NotAList: when it is no envelope with a list.
    """
    found = read(body)
    text, at, every = body[found.start : found.stop].decode(), 0, set[bytes]()
    while at < len(text):
        end = _DECODER.raw_decode(text, at)[1]
        every.add(text[at:end].encode())
        at = _after_blanks(text, _after_blanks(text, end) + 1)
    return every


def separator(body: bytes, found: Envelope) -> bytes | None:
    """What stands between the objects; None when there is but one."""
    between = _SEPARATOR.match(body, found.start + len(found.first), found.stop)
    return between.group() if between else None


def ends_with(body: bytes, found: Envelope, last: bytes) -> bool:
    """Whether this is the last of the objects."""
    if not last or not body.endswith(last, found.start, found.stop):
        return False
    begin = found.stop - len(last)
    before = body[max(found.start, begin - MOST_BLANKS) : begin].rstrip(_WHITE)
    return begin == found.start or before.endswith(b",")


def _from_both_ends(body: bytes) -> Envelope | None:
    """What the head and the tail of a page tell; None in doubt.

    The head, with its list closed, and the tail, after the last bracket, must each be strict JSON
    without another list or object, and between them tell the status once. So the list that begins
    after the head is the envelope's own, and the last bracket closes a list of the envelope. That
    it is the same list shows in what stands before the bracket: an object written as the first is.
    """
    found = _DATA.search(body, 0, ENDS_BYTES)
    last = body.rfind(b"]", -ENDS_BYTES)
    if found is None or last <= found.end():
        return None
    head = _scalars(body[: found.end()] + b"]}", besides="data")
    tail = _scalars(b'{"":0' + body[last + 1 :], besides="")
    if head is None or tail is None or head.keys() & tail.keys():
        return None
    if "status_code" not in head | tail:
        return None
    _check_status({name: (value, 0, 0) for name, value in (head | tail).items()})
    start, stop = found.end(), last
    while body[stop - 1] in _WHITE:
        stop -= 1
    first = _first(body, start)
    if not first.startswith(b"{") or not _is_last_like(body, start, stop, first):
        return None
    return Envelope(start, stop, first, None)


def _is_last_like(body: bytes, start: int, stop: int, first: bytes) -> bool:
    """Whether an object that begins as the first does ends there, after another of its list."""
    if stop == start + len(first):
        return True
    beginning = _BEGINNING.match(first)
    begin = stop
    for _ in range(MOST_ALIKE if beginning else 0):
        begin = body.rfind(beginning.group(), start + len(first), begin) if beginning else -1
        if begin < 0:
            return False
        # Objects within the last one may begin as it does.
        is_after_another = body[begin - MOST_BLANKS : begin].rstrip(_WHITE).endswith(b",")
        if is_after_another and _first(body, begin) == body[begin:stop]:
            return True
    return False


def _scalars(text: bytes, *, besides: str) -> dict[str, Any] | None:
    """The members of an object that holds neither objects nor lists, but for one; None if not."""
    try:
        pairs = json.loads(text.decode(), object_pairs_hook=list)
    except (ValueError, RecursionError):
        return None
    members = dict(pairs)
    is_plain = not any(isinstance(value, list) for name, value in pairs if name != besides)
    return members if is_plain and len(members) == len(pairs) and besides in members else None


def _first(body: bytes, start: int) -> bytes:
    """The first object, from no more of the body than is needed; nothing if it is none."""
    size = FIRST_SLICE_BYTES
    while True:
        is_all = start + size >= len(body)
        try:
            text, _ = codecs.utf_8_decode(body[start : start + size], "strict", is_all)
            end = _end_of_value(text)
        except (UnicodeDecodeError, RecursionError):
            return b""
        # What ends with the slice may go on after it.
        if end < len(text):
            return text[:end].encode()
        if is_all:
            return b""
        size *= 8


def _end_of_value(text: str) -> int:
    """Where the JSON value ends that a text begins with; the text's end when it does not."""
    try:
        return _DECODER.raw_decode(text)[1]
    except json.JSONDecodeError:
        return len(text)


def _members(text: str) -> Iterator[tuple[str, tuple[Any, int, int]]]:
    """Name, value and place of each member of the object that a text is."""
    at = _after(text, 0, "{")
    while text[at : at + 1] != "}":
        name, at = _DECODER.raw_decode(text, at)
        if not isinstance(name, str):
            raise NotAList
        start = _after(text, at, ":")
        value, end = _DECODER.raw_decode(text, start)
        yield name, (value, start, end)
        at = _after_blanks(text, end)
        if text[at : at + 1] != "}":
            at = _after(text, at, ",")
            if text[at : at + 1] == "}":
                raise NotAList
    if _after_blanks(text, at + 1) != len(text):
        raise NotAList


def _check_status(members: dict[str, tuple[Any, int, int]]) -> None:
    """Let pass what says that it succeeded, or does not say."""
    code = members.get("status_code", (SUCCESS.start, 0, 0))[0]
    if isinstance(code, str) and re.fullmatch(r"-?\d{1,9}", code, re.ASCII):
        code = int(code)
    if not isinstance(code, int):
        raise NotAList
    if code >= SUCCESS.stop:
        raise Failed(code)


def _after(text: str, at: int, sign: str) -> int:
    at = _after_blanks(text, at)
    if text[at : at + 1] != sign:
        raise NotAList
    return _after_blanks(text, at + 1)


def _after_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found else at


def _bytes(text: str, place: int) -> int:
    """The place in the body of a place in its text."""
    return place if text.isascii() else len(text[:place].encode())
