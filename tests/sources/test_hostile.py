"""Depth and size of a file are measured before a parser sees it."""

import gzip
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.sources import hostile

AWKWARD = st.text(alphabet='[]{}",:\\ \n\u00e9\u20ac\U0001f50cab', max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | AWKWARD,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(AWKWARD, inner, max_size=4),
    max_leaves=25,
)
DOCUMENTS = st.lists(JSON, max_size=4) | st.dictionaries(AWKWARD, JSON, max_size=4)


def _depth(value: Any) -> int:
    """The plain reference: depth of the parsed document."""
    if isinstance(value, dict):
        return 1 + max((_depth(inner) for inner in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((_depth(inner) for inner in value), default=0)
    return 0


def _is_deeper_than(limit: int, content: bytes, chunk_bytes: int, *, gzipped: bool) -> bool:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(hostile, "CHUNK_BYTES", chunk_bytes)
        patch.setattr(hostile, "MAX_JSON_DEPTH", limit)
        file = Path(folder) / "file"
        file.write_bytes(gzip.compress(content, 1) if gzipped else content)
        refusal = _refusal(file, gzipped=gzipped)
    assert refusal is None or f"deeper than {limit} levels" in refusal
    return refusal is not None


def _refusal(file: Path, *, gzipped: bool) -> str | None:
    try:
        hostile.check_json(file, "this", gzipped=gzipped)
    except DeliveryRejected as problem:
        return str(problem)
    return None


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS, st.integers(1, 64), st.booleans(), st.sampled_from([None, 0, 3]), st.booleans())
def test_depth_is_that_of_the_parsed_document_at_any_chunk_size(
    document: Any, chunk_bytes: int, ascii_only: bool, indent: int | None, gzipped: bool
) -> None:
    content = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode()
    depth = _depth(document)
    assert not _is_deeper_than(depth, content, chunk_bytes, gzipped=gzipped)
    assert _is_deeper_than(depth - 1, content, chunk_bytes, gzipped=gzipped)


@pytest.mark.parametrize("backslashes", range(9))
def test_a_quote_is_escaped_by_an_odd_number_of_backslashes_wherever_the_chunk_ends(
    backslashes: int,
) -> None:
    # Closed string: the bracket after it counts. Escaped quote: it is in the string.
    content = b'["' + b"\\" * backslashes + b'",[1]'
    depth = 1 if backslashes % 2 else 2
    for chunk_bytes in range(1, len(content) + 1):
        assert not _is_deeper_than(depth, content, chunk_bytes, gzipped=False)
        assert _is_deeper_than(depth - 1, content, chunk_bytes, gzipped=False)


def test_a_file_of_backslashes_takes_no_more_time_than_another() -> None:
    # Kept for the next chunk, they would be copied again with each.
    content = b'["' + b"\\" * 4_000_000
    before = time.monotonic()
    assert not _is_deeper_than(1, content, 1000, gzipped=False)
    assert time.monotonic() - before < 5


def test_the_limit_is_a_hundred_levels(tmp_path: Path) -> None:
    for depth, is_too_deep in ((100, False), (101, True)):
        file = tmp_path / f"{depth}.json"
        file.write_bytes(b"[" * depth + b"]" * depth)
        if is_too_deep:
            with pytest.raises(DeliveryRejected, match="deeper than 100 levels"):
                hostile.check_json(file, "this", gzipped=False)
        else:
            hostile.check_json(file, "this", gzipped=False)


@pytest.mark.parametrize("chunk_bytes", [7, 100, 4096])
def test_size_counts_over_all_chunks(
    chunk_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hostile, "CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(hostile, "MAX_UNPACKED_BYTES", 2000)
    fits, does_not = tmp_path / "fits.gz", tmp_path / "does_not.gz"
    fits.write_bytes(gzip.compress(b"[" + b" " * 1998 + b"]"))
    does_not.write_bytes(gzip.compress(b"[" + b" " * 1999 + b"]"))
    hostile.check_json(fits, "this", gzipped=True)
    with pytest.raises(DeliveryRejected, match="unpacks to more than"):
        hostile.check_json(does_not, "this", gzipped=True)


def test_the_limits_leave_room_for_what_is_really_delivered() -> None:
    assert hostile.MAX_UNPACKED_BYTES >= 1024**3
    assert hostile.MAX_WORKBOOK_BYTES >= 100 * 1024**2


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "an empty file"),
        (b"\x1f\x8b\x08", "a gzip file"),
        (b"PK\x03\x04....", "a zip file or workbook"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "a password-protected workbook or one of before 2007",
        ),
        (b"<?xml version='1.0'?>", "HTML or XML"),
        (b"\xef\xbb\xbf\r\n <html>", "HTML or XML"),
        (b"\xef\xbb\xbf [1]", "JSON"),
        (b' {"a": 1}', "JSON"),
        (b"a;b;c", "something else"),
        (b"\x00\x00", "something else"),
    ],
)
def test_what_a_file_is_is_told_from_its_first_bytes(head: bytes, words: str) -> None:
    assert hostile.looks_like(head) == words


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", b"[", b"\x1f\x8b\x08\x00", b"PK\x03\x04"]))
def test_no_content_makes_the_checks_fail_otherwise_than_by_rejection(
    content: bytes, head: bytes
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        file.write_bytes(head + content)
        refusals = {_refusal(file, gzipped=gzipped) for gzipped in (True, False)}
        with pytest.raises(DeliveryRejected, match="expected this"):
            hostile.check_workbook(file, "this")
    assert all(refusal is None or "expected this" in refusal for refusal in refusals)


def test_any_cut_of_a_gzip_file_is_rejected(tmp_path: Path) -> None:
    whole = gzip.compress(b"[" + os.urandom(60).hex().encode() + b"]")
    file = tmp_path / "cut.gz"
    for length in range(2, len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(DeliveryRejected, match="expected this"):
            hostile.check_json(file, "this", gzipped=True)


def test_a_parsers_words_stay_out_of_the_rejection_and_only_the_place_is_kept() -> None:
    import duckdb

    with (
        pytest.raises(DeliveryRejected) as rejection,
        hostile.unreadable_is_rejected("this"),
        duckdb.connect() as con,
    ):
        con.execute("select 'secret@example.nl'::integer")
    assert "secret" not in str(rejection.value)
    assert rejection.value.__suppress_context__
