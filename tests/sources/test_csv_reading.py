"""CSV files: encodings, line ends, quotes, and records that are broken. No record is lost."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.sources import csv_file
from tests.sources.exports import COLUMNS, HEADERS, ROW, Cells, csv_bytes, layout, read, xlsx_bytes

NUMBERS = "record_number, request_id"
HEADER_LINE = ";".join(HEADERS)
ROW_LINE = ";".join(ROW)


def _in(*encodings: str, **file: Any) -> Any:
    return layout(file={"type": "csv", "encoding": [*encodings]} | file)


def _lines(*lines: str, end: str = "\n") -> bytes:
    return end.join((HEADER_LINE, *lines, "")).encode()


def _row(number: str) -> str:
    return ";".join((number, *ROW[1:]))


# --- encodings -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", ["utf-8"]),
        ("utf-8-sig", ["utf-8"]),
        ("utf-8-sig", ["windows-1252"]),
        ("utf-16", ["utf-8", "utf-16"]),
        ("utf-16", ["windows-1252"]),
        ("utf-16-le", ["utf-16-le"]),
        ("windows-1252", ["windows-1252"]),
        ("windows-1252", ["utf-8", "windows-1252"]),
        ("cp850", ["cp850"]),
    ],
)
def test_a_text_is_the_same_in_each_encoding_that_the_mapping_allows(
    encoding: str, declared: list[str]
) -> None:
    content = csv_bytes([HEADERS, ("Café 1", *ROW[1:])], encoding)
    assert read(content, _in(*declared), columns="request_id") == [("Café 1",)]


@pytest.mark.parametrize("chunk_bytes", [1, 7, 4096])
def test_a_byte_that_the_encoding_does_not_have_is_told_with_line_and_place(
    chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_file, "CHUNK_BYTES", chunk_bytes)
    good = csv_bytes([HEADERS, *[("Café", *ROW[1:])] * 9000])
    assert len(good) > 2 * 131072
    bad = good + b"R9;\x81;;\r\n"
    for encoding in ("utf-8", "windows-1252"):
        with pytest.raises(DeliveryRejected, match="line 9002 cannot be read as") as rejection:
            read(bad, _in(encoding))
        assert f"byte {len(good) + 3} of the file" in str(rejection.value)


def test_an_encoding_that_fails_late_gives_way_to_the_next() -> None:
    rows = [HEADERS, *[ROW] * 9000, ("Café", *ROW[1:])]
    found = read(csv_bytes(rows, "windows-1252"), _in("utf-8", "windows-1252"), columns=NUMBERS)
    assert found[-1] == (9002, "Café")


def test_mixed_encodings_never_give_another_municipality() -> None:
    mixed = csv_bytes([HEADERS, ("R1", "’s-Gravenmoer", *ROW[2:])]) + "R2;Café;;\n".encode("cp1252")
    (first, _) = read(mixed, _in("utf-8", "windows-1252"), columns="municipality_code")
    assert not first[0].startswith("GM")


@pytest.mark.parametrize("place", [0, 1000])
def test_a_file_with_nul_bytes_is_refused(place: int) -> None:
    rows = [_row("R1")] * place
    with pytest.raises(DeliveryRejected, match="NUL bytes"):
        read(_lines(*rows, "R\0;;;", *[_row("R1")] * 6000), _in("utf-8"))


def test_a_picture_is_refused() -> None:
    with pytest.raises(DeliveryRejected):
        read(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 9, _in("utf-8", "windows-1252"))


# --- records ---------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_kind_are_known(end: str) -> None:
    found = read(_lines(_row("R1"), _row("R2"), end=end), layout(), columns=NUMBERS)
    assert found == [(2, "R1"), (3, "R2")]


def test_line_ends_may_be_mixed_and_the_last_be_missing() -> None:
    content = f"{HEADER_LINE}\n{_row('R1')}\r\n{_row('R2')}\n{_row('R3')}".encode()
    assert read(content, layout(), columns=NUMBERS) == [(2, "R1"), (3, "R2"), (4, "R3")]


def test_blank_lines_count_as_rows_and_are_no_records() -> None:
    content = _lines("", _row("R1"), "", "   ", ";;;", _row("R2"), "")
    assert read(content, layout(), columns=NUMBERS) == [(3, "R1"), (7, "R2")]


def test_a_quoted_cell_may_hold_line_breaks_and_separators() -> None:
    more = layout(columns=COLUMNS | {"rejection_reason": {"headers": ["Reden"]}})
    reason = 'te ver;\nen "duur"\n\nook'
    rows: list[Cells] = [(*HEADERS, "Reden"), (*ROW, reason), ("R2", *ROW[1:], "x")]
    found = read(csv_bytes(rows), more, columns=f"{NUMBERS}, rejection_reason")
    assert found == [(2, "R1", reason), (3, "R2", "x")]
    # The same beside what must be mended.
    found = read(csv_bytes([*rows, ("R3",)]), more, columns=f"{NUMBERS}, rejection_reason")
    assert found == [(2, "R1", reason), (3, "R2", "x"), (4, None, None)]


def test_a_quote_in_the_middle_of_a_cell_is_a_quote() -> None:
    more = layout(columns=COLUMNS | {"rejection_reason": {"headers": ["Reden"]}})
    content = _lines(f'{_row("R1")};5" kabel', f'{_row("R2")};5" of 3"', f"{_row('R3')};")
    content = content.replace(b"Gewijzigd\n", b"Gewijzigd;Reden\n")
    for damage in (b"", b"x\n"):
        found = read(content + damage, more, columns=f"{NUMBERS}, rejection_reason")
        assert found[:3] == [(2, "R1", '5" kabel'), (3, "R2", '5" of 3"'), (4, "R3", None)]


BROKEN = {
    "a field too few": "R2;Ede;01-07-2022",
    "a field too many": f"{_row('R2')};more",
    "a separator in a text": "R2;Ede; noord;01-07-2022;02-07-2022 12:00",
    "text after a closed quote": 'R2;"Ede" x;01-07-2022;02-07-2022 12:00',
    "a quote that is not closed": 'R2;"Ede;01-07-2022;02-07-2022 12:00',
    "one word": "R2",
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_broken_record_is_a_row_of_nothing_and_its_neighbours_are_whole(
    line: str, place: str
) -> None:
    rows = [_row("R1"), _row("R3"), _row("R4")]
    at = {"first": 0, "middle": 1, "last": 3}[place]
    expected: list[tuple[int, str | None]] = [
        (number + 2, None if text == line else text.split(";")[0])
        for number, text in enumerate([*rows[:at], line, *rows[at:]])
    ]
    found = read(_lines(*rows[:at], line, *rows[at:]), layout(), columns=NUMBERS)
    assert found == expected
    nothing = read(_lines(line, _row("R1")), layout(), columns="* exclude (occasion, in_period)")[0]
    assert set(nothing[3:]) == {None}


def test_two_quotes_that_are_not_closed_do_not_make_one_record_of_all_between() -> None:
    swallowing = ['R2;"Ede;01-07-2022;02-07-2022 12:00', _row("R3"), 'R4;Ede;01-07-2022;02-07"']
    found = read(_lines(_row("R1"), *swallowing, _row("R5")), layout(), columns=NUMBERS)
    assert found[0] == (2, "R1")
    assert found[-1] == (6, "R5")
    assert {number for number, _ in found} == {2, 3, 4, 5, 6}
    exact = ['R2;"x;01-07-2022;02-07-2022 12:00', 'R4;y";01-07-2022;02-07-2022 12:00']
    found = read(_lines(_row("R1"), *exact, _row("R5")), layout(), columns=NUMBERS)
    assert found == [(2, "R1"), (3, None), (4, None), (5, "R5")]


def test_empty_cells_beyond_the_headers_are_no_fault_nor_is_their_lack_below_unnamed_ones() -> None:
    wide = _lines(f"{_row('R1')};", f"{_row('R2')};;;", _row("R3"))
    expected = [(2, "R1"), (3, "R2"), (4, "R3")]
    assert read(wide, layout(), columns=NUMBERS) == expected
    unnamed = wide.replace(b"Gewijzigd\n", b"Gewijzigd;;\n")
    assert read(unnamed, layout(), columns=NUMBERS) == expected


def test_totals_that_have_fewer_fields_are_no_records_either() -> None:
    skipping = layout(skip_rows=[{"header": "Nummer", "matches": "totaal"}])
    found = read(_lines(_row("R1"), "Totaal;1", "Totaal", "einde"), skipping, columns=NUMBERS)
    assert found == [(2, "R1"), (5, None)]


@pytest.mark.parametrize(
    ("length", "below"), [(1_900_000, []), (2_100_000, [_row("R3")]), (40_000_000, [])]
)
def test_a_line_longer_than_duckdb_reads_is_one_broken_record(
    length: int, below: list[str]
) -> None:
    content = _lines(_row("R1"), "x" * length, *below)
    found = [name for (name,) in read(content, layout(), columns="request_id")]
    assert found == ["R1", None, *("R3" for _ in below)]


@pytest.mark.parametrize(
    ("chunks", "is_long"),
    [
        (["a" * 10 + "\n"], False),
        (["a" * 11 + "\n"], True),
        (["a" * 11], True),
        (["a" * 6, "a" * 4 + "\n" + "a" * 10], False),
        (["a" * 6, "a" * 5 + "\n"], True),
        (["a\n" * 20 + "a" * 6, "a" * 5], True),
        (["a\n" * 20 + "a" * 11 + "\n" + "a\n" * 20], True),
        (["a\n" * 20 + "a" * 10 + "\n" + "a\n" * 20], False),
    ],
)
def test_the_length_of_a_line_is_known_wherever_the_file_is_cut(
    chunks: list[str], is_long: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_file, "_LONGEST_LINE", 10)
    monkeypatch.setattr(csv_file, "CHUNK_BYTES", len(chunks[0]))
    file = tmp_path / "lines.csv"
    file.write_text("".join(chunks))
    assert csv_file._decode(file, "utf-8", None).some_long is is_long


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(
    ("text", "number", "some_blank"),
    [
        ("", 0, False),
        ("a", 1, False),
        ("a\nbc\n", 2, False),
        ("a\r\nb\r\nc", 3, False),
        ("ab\n\nc\n", 3, True),
        ("ab\r\n\r\nc\r\n", 3, True),
        ("\na", 2, True),
        ("é\ra\nx\n", 2, False),
    ],
)
def test_lines_are_counted_and_blank_ones_seen_wherever_the_file_is_cut(
    text: str,
    number: int,
    size: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    some_blank: bool,
) -> None:
    monkeypatch.setattr(csv_file, "CHUNK_BYTES", size)
    file = tmp_path / "lines.csv"
    file.write_bytes(text.encode())
    lines = csv_file._decode(file, "utf-8", None)
    assert (lines.number, lines.some_blank) == (number, some_blank)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.text('ab;"\n\r é', max_size=6), min_size=4, max_size=4).filter(
            lambda cells: any(cell.strip() for cell in cells)
        ),
        max_size=6,
    ),
    st.lists(st.tuples(st.integers(0, 6), st.sampled_from([*BROKEN.values(), ""])), max_size=3),
)
def test_however_a_file_is_damaged_no_line_that_is_whole_is_lost(
    rows: list[list[str]], damage: list[tuple[int, str]]
) -> None:
    """Whole rows without quotes or line breaks come out whole; the others leave a record each."""
    lines: list[str] = []
    plain = []
    for number, cells in enumerate(rows):
        text = csv_bytes([cells]).decode().rstrip("\r\n")
        lines.append(text)
        if not set(text) & set('"\n\r'):
            plain.append(number)
    sentinels = [_row(f"S{number}") for number in range(4)]
    for at, line in damage:
        lines.insert(min(at, len(lines)), line)
    for number, sentinel in enumerate(sentinels):
        lines.insert(min(number * 2, len(lines)), sentinel)
    found = [name for (name,) in read(_lines(*lines), layout(), columns="request_id")]
    assert [name for name in found if name in {f"S{n}" for n in range(4)}] == [
        f"S{number}" for number in range(4)
    ]
    assert len(found) >= len(plain) + len(sentinels) + sum(1 for _, line in damage if line)


# --- the same table in any dress -------------------------------------------------------------

WORDS = st.text("abcXYZ09 ,'\"\u00e9\u20ac.-", min_size=1, max_size=8).map(str.strip).filter(len)
TABLES = st.lists(
    st.tuples(
        WORDS,
        st.sampled_from(["Ede", "ARNHEM", "hengelo  (o)", "Atlantis", ""]),
        st.sampled_from(["01-07-2022", "2022-07-01", "44743", "31-02-2022", ""]),
        st.sampled_from(["02-07-2022 12:00", "2022-07-02 12:00", "nooit", ""]),
    ),
    min_size=1,
    max_size=5,
)
VALUES = (
    "request_id, municipality_code, takes_part, in_period, occasion, requested_on, last_updated"
)


@settings(max_examples=50, deadline=None)
@given(table=TABLES, data=st.data())
def test_a_table_gives_the_same_rows_however_it_is_written(table: list[Cells], data: Any) -> None:
    usual = read(csv_bytes([HEADERS, *table]), layout(), columns=VALUES)
    draw = data.draw
    order = draw(st.permutations([0, 1, 2, 3, *["Overig", "Nog een"][: draw(st.integers(0, 2))]]))
    extra = draw(WORDS)

    def arranged(cells: Cells, is_header: bool) -> list[Any]:
        return [cells[at] if isinstance(at, int) else (at if is_header else extra) for at in order]

    rows: list[list[Any]] = [arranged(cells, False) for cells in table]
    for _ in range(draw(st.integers(0, 3))):
        blank_or_total = draw(st.sampled_from([[""] * len(order), [" "] * len(order), None]))
        total = [("Totaal" if at == 0 else "") for at in order]
        rows.insert(draw(st.integers(0, len(rows))), blank_or_total or total)
    above = draw(st.integers(0, 3))
    preamble = [[draw(st.sampled_from(["Export", "", "x"]))] for _ in range(above)]
    grid = [*preamble, arranged(HEADERS, True), *rows]
    skip = [{"header": "Nummer", "matches": "totaal"}]

    if draw(st.booleans()):
        book = layout(file={"type": "xlsx", "header_row": above + 1}, skip_rows=skip)
        assert read(xlsx_bytes(grid), book, columns=VALUES) == usual
        return
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "windows-1252", "utf-16"]))
    dialect = {
        "delimiter": draw(st.sampled_from([";", ",", "\t", "|"])),
        "lineterminator": draw(st.sampled_from(["\n", "\r\n"])),
        "quoting": draw(st.sampled_from([0, 1])),
    }
    text = layout(
        file={
            "type": "csv",
            "encoding": draw(st.permutations(["utf-8", encoding]))
            if encoding != "windows-1252"
            else ["utf-8", encoding],
            "separator": dialect["delimiter"],
            "header_row": above + 1,
        },
        skip_rows=skip,
    )
    assert read(csv_bytes(grid, encoding, **dialect), text, columns=VALUES) == usual
