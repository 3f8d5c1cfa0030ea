"""Depth and size of a file are measured before a parser sees it."""

import gzip
import io
import json
import os
import struct
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.sources import hostile
from tests.sources.exports import xlsx_bytes

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


# --- workbooks -------------------------------------------------------------------------------

SMALL = xlsx_bytes([("Kop", "Naam"), ("a", 1)])
SHEET_PART = "xl/worksheets/sheet1.xml"


def _good() -> dict[str, bytes]:
    """The parts of a small workbook."""
    with zipfile.ZipFile(io.BytesIO(SMALL)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _workbook(parts: dict[str, bytes], path: Path, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def _refused(path: Path) -> str:
    with pytest.raises(DeliveryRejected) as rejection:
        hostile.check_workbook(path, "this")
    assert "expected this" in str(rejection.value)
    return str(rejection.value)


def test_a_workbook_as_spreadsheet_programs_write_it_passes(tmp_path: Path) -> None:
    for compression in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        hostile.check_workbook(_workbook(_good(), tmp_path / "good.xlsx", compression), "this")


@pytest.mark.parametrize(
    ("part", "content", "words"),
    [
        ("xl/vbaProject.bin", b"\0", "holds macros"),
        ("xl/workbook.bin", b"\0", "binary workbook"),
        (
            "xl/sharedStrings.xml",
            b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
            b'<!ENTITY lol2 "&lol;&lol;&lol;">]><sst><si><t>&lol2;</t></si></sst>',
            "declares a document type or entities",
        ),
        (
            "xl/workbook.xml",
            b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><workbook/>',
            "declares a document type or entities",
        ),
        ("xl/styles.xml", "<styles/>".encode("utf-16"), "is no UTF-8"),
        ("docProps/x.xml", b" " * (hostile.CHUNK_BYTES - 5) + b"<!DOCTYPE x>", "document type"),
    ],
)
def test_what_no_export_needs_is_refused(
    part: str, content: bytes, words: str, tmp_path: Path
) -> None:
    assert words in _refused(_workbook(_good() | {part: content}, tmp_path / "bad.xlsx"))


def _far(cell: str) -> bytes:
    return (
        f'<worksheet><sheetData><row r="1"><c r="A1"><v>1</v></c><c s="0"  {cell}>'
        "<v>1</v></c></row></sheetData></worksheet>"
    ).encode()


@pytest.mark.parametrize(
    "cell", ['r="XFD1048576"', "r='XFD1048576'", 'r = "xfd1048576"', 'r="A999999999999"']
)
def test_a_single_cell_far_away_is_refused_before_a_parser_allots_all_between(
    cell: str, tmp_path: Path
) -> None:
    file = _workbook(_good() | {SHEET_PART: _far(cell)}, tmp_path / "far.xlsx")
    assert "a sheet reaches to row" in _refused(file)


def test_a_long_sheet_and_a_wide_one_pass(tmp_path: Path) -> None:
    for cell in ('r="Z1048576"', 'r="ZZ9000"'):
        file = _workbook(_good() | {SHEET_PART: _far(cell)}, tmp_path / "long.xlsx")
        hostile.check_workbook(file, "this")


def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    file = _workbook(_good() | {"xl/media/x.bin": b"\0" * 20 * 1024**2}, tmp_path / "bomb.xlsx")
    assert "times its size" in _refused(file)


@pytest.mark.parametrize("declared", [10, 5000])
def test_a_bomb_that_hides_its_size_is_refused_by_what_it_unpacks_to(
    declared: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hostile, "MAX_WORKBOOK_BYTES", 100_000)
    monkeypatch.setattr(hostile, "CHUNK_BYTES", 10_000)
    bomb = b"x" * 1_000_000
    file = _workbook(_good() | {"xl/media/x.bin": bomb}, tmp_path / "bomb.xlsx")
    content = file.read_bytes()
    # As its maker would: the size in the directory, and the checksum of just so much.
    for truth, lie in (
        (len(bomb), declared),
        (zlib.crc32(bomb), zlib.crc32(bomb[:declared])),
    ):
        content = content.replace(struct.pack("<L", truth), struct.pack("<L", lie))
    file.write_bytes(content)
    assert "unpacks to more than" in _refused(file)


def test_a_part_twice_is_refused_for_readers_differ_in_which_they_take(tmp_path: Path) -> None:
    file = _workbook(_good(), tmp_path / "twice.xlsx")
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(SHEET_PART, _far('r="A1"'))
    assert "parts" in _refused(file)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-30],
        lambda content: content[: len(content) // 2],
        lambda content: content[:60] + b"\xff" * 40 + content[100:],
    ],
)
def test_a_damaged_workbook_is_refused(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    file = _workbook(_good(), tmp_path / "damaged.xlsx")
    file.write_bytes(damage(file.read_bytes()))
    assert "damaged or cut off" in _refused(file)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_change_of_a_byte_fails_otherwise_than_by_rejection(data: st.DataObject) -> None:
    content = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        file.write_bytes(content)
        with suppress(DeliveryRejected):
            hostile.check_workbook(file, "this")
