"""CSV files: which encoding they have, where their rows begin and end.

DuckDB reads them, as UTF-8. A file of another encoding is copied first, and so is one that DuckDB
cannot read as it stands, or would number otherwise than a spreadsheet program does: blank lines
above records, fields too many or too few, quotes that are not closed, line ends of several kinds.

Belongs here: bytes, lines, fields. Does not belong here: what the fields mean (`tabular`).
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from goral_pipeline.contracts.model import quote as literal
from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.sources import grid
from goral_pipeline.sources.grid import Misfit, Statement
from goral_pipeline.sources.hostile import (
    CHUNK_BYTES,
    MAX_UNPACKED_BYTES,
    looks_like,
    unreadable_is_rejected,
)
from goral_pipeline.sources.mapping import Layout

if TYPE_CHECKING:
    import duckdb

_HEAD_BYTES = 256 * 1024
_MOST_OPEN_LINES = 10_000
# DuckDB's own limit. Beyond its buffer it passes over the last record without a word.
_LONGEST_LINE = 2_000_000
_NEW_LINE, _RETURN = b"\n\r"
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass
class CsvFile:
    """A CSV file whose headers were read; see `grid.Grid`."""

    path: Path
    layout: Layout
    encoding: str
    spill: Path
    header: list[list[str]]
    lines_above: int
    """Lines of the file down to the last header row."""
    _mended: Path | None = None
    _broken: list[int] = field(default_factory=list)

    @property
    def expected(self) -> str:
        """What the layout says, for messages."""
        return _expected(self.layout)

    @property
    def first_record(self) -> int:
        """Number of the first row below the headers."""
        return max(self.layout.header_rows) + 1

    @cached_property
    def _utf8(self) -> tuple[Path, _Lines]:
        """The file as UTF-8, and what its lines are like."""
        if codecs.lookup(self.encoding).name in ("utf-8", "utf-8-sig", "ascii"):
            return self.path, _decode(self.path, self.encoding, None)
        target = self.spill / "decoded.csv"
        return target, _decode(self.path, self.encoding, target)

    def fill(
        self, con: duckdb.DuckDBPyConnection, statement: Statement, numeric: list[int]
    ) -> list[int]:
        """See `grid.Grid.fill`."""
        del numeric
        if self._mended is None and self._fill_as_it_stands(con, statement):
            return []
        if self._mended is None:
            self._mended, self._broken = self._mend()
        with unreadable_is_rejected(self.expected):
            con.execute(statement(self._relation(self._mended, 0)))
        return self._broken

    def _fill_as_it_stands(self, con: duckdb.DuckDBPyConnection, statement: Statement) -> bool:
        """Fill from the file unchanged; whether that gave each record as a row of its own."""
        import duckdb

        path, lines = self._utf8
        if lines.some_long:
            return False
        relation = self._relation(path, max(self.layout.header_rows))
        try:
            made = con.execute(statement(relation)).fetchone()
        except duckdb.Error:
            return False
        rows = made[0] if made else 0
        if rows == lines.number - self.lines_above:
            return True
        # Records of several lines are as they should be, if no quote was left open among them.
        return not lines.some_blank and not self._swallows(con, relation)

    def _swallows(self, con: duckdb.DuckDBPyConnection, relation: str) -> bool:
        """Whether a cell of several lines holds as many separators as a record."""
        separator, fields = literal(self.layout.separator), grid.named_width(self.header)
        cells = [f"c{place}" for place in range(grid.width(self.header))]
        suspect = " or ".join(
            f"(contains({cell}, chr(10)) and length({cell}) - "
            f"length(replace({cell}, {separator}, '')) >= {fields - 1})"
            for cell in cells
        )
        return (
            con.execute(f"select 1 from {relation} where {suspect} limit 1").fetchone() is not None
        )

    def _relation(self, path: Path, skip: int) -> str:
        sign = literal(self.layout.quote)
        columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(grid.width(self.header)))
        return (
            f"read_csv({literal(str(path))}, auto_detect = false, header = false, skip = {skip}, "
            f"delim = {literal(self.layout.separator)}, quote = {sign}, escape = {sign}, "
            f"columns = {{{columns}}})"
        )

    def _mend(self) -> tuple[Path, list[int]]:
        """Write the rows as DuckDB reads them, one record each; tells the broken ones."""
        path, _ = self._utf8
        target, broken = self.spill / "mended.csv", []
        with (
            path.open(encoding="utf-8-sig", newline="") as lines,
            target.open("w", encoding="utf-8", newline="") as mended,
        ):
            for _ in range(self.lines_above):
                next(lines, None)
            records = _Records(self)
            for place, (line, is_whole) in enumerate(records.of(lines)):
                is_short = 4 * len(line) <= _LONGEST_LINE or len(line.encode()) <= _LONGEST_LINE
                mended.write(line if is_short else records.blank)
                if not (is_whole and is_short):
                    broken.append(place)
        return target, broken


class _Records:
    """Splits damaged text into records, of which each becomes one.

    Only files that DuckDB cannot read come here, so a loop over lines may be as slow as it is.
    """

    def __init__(self, file: CsvFile) -> None:
        self._separator, self._quote = file.layout.separator, file.layout.quote
        self._width, self._least = grid.width(file.header), grid.named_width(file.header)

    @property
    def blank(self) -> str:
        """A record of empty cells."""
        return self._line([])

    def of(self, lines: Iterator[str]) -> Iterator[tuple[str, bool]]:
        """Each record as a line to write, and whether it is whole.

        A quote that is not closed makes its line a broken record, and so each that follows, up to
        one that is a record by itself.
        """
        open_lines: list[str] = []
        for line in lines:
            text = line.rstrip("\r\n")
            if not open_lines and self._is_plain(text):
                yield text + "\n", True
                continue
            if open_lines and (self._stands_alone(text) or len(open_lines) > _MOST_OPEN_LINES):
                yield from (self._broken(self._lenient(one)) for one in open_lines)
                open_lines = []
            open_lines.append(text)
            if len(open_lines) > 1 and text.count(self._quote) % 2 == 0:
                continue
            cells = self._cells(open_lines)
            if cells is None:
                continue
            if self._is_swallowed(open_lines):
                yield from (self._broken(self._lenient(one)) for one in open_lines)
            else:
                yield self._written(cells)
            open_lines = []
        yield from (self._broken(self._lenient(one)) for one in open_lines)

    def _is_plain(self, line: str) -> bool:
        """Whether a line is a record as DuckDB reads it; so are nearly all, also in these files."""
        is_quoted = bool(self._quote) and self._quote in line
        return (
            not is_quoted and line.count(self._separator) == self._width - 1 and line.strip() != ""
        )

    def _cells(self, lines: list[str]) -> list[str] | None:
        """The cells of a record; None when its last quote is still open."""
        if len(lines) == 1 and not (self._quote and self._quote in lines[0]):
            return lines[0].split(self._separator)
        try:
            (cells,) = self._parser("\n".join(lines), strict=True)
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                return None
            return []
        return cells

    def _parser(self, text: str, *, strict: bool) -> Iterator[list[str]]:
        return csv.reader(
            io.StringIO(text, newline=""),
            delimiter=self._separator,
            quotechar=self._quote or None,
            quoting=csv.QUOTE_MINIMAL if self._quote else csv.QUOTE_NONE,
            strict=strict,
        )

    def _lenient(self, line: str) -> list[str]:
        """Cells of a line as they seem to be, for finding totals by."""
        return line.replace(self._quote, "").split(self._separator) if self._quote else []

    def _stands_alone(self, line: str) -> bool:
        """Whether a line is a record by itself, so that what is open above it was never closed."""
        if line.count(self._quote) % 2:
            return False
        cells = self._cells([line])
        return cells is not None and self._fits(cells)

    def _is_swallowed(self, lines: list[str]) -> bool:
        """Whether the first and the last line of several each have the separators of a record."""
        return len(lines) > 1 and all(
            line.count(self._separator) >= self._least - 1 for line in (lines[0], lines[-1])
        )

    def _fits(self, cells: list[str]) -> bool:
        return self._least <= len(cells) and not any(cells[self._width :])

    def _written(self, cells: list[str]) -> tuple[str, bool]:
        if not any(cell.strip() for cell in cells):
            return self.blank, bool(cells)
        return (self._line(cells), True) if self._fits(cells) else self._broken(cells)

    def _broken(self, cells: list[str]) -> tuple[str, bool]:
        return self._line(cells), False

    def _line(self, cells: list[str]) -> str:
        padded = (cells + [""] * self._width)[: self._width]
        out = io.StringIO(newline="")
        writer = csv.writer(
            out,
            delimiter=self._separator,
            quotechar=self._quote or None,
            quoting=csv.QUOTE_MINIMAL if self._quote else csv.QUOTE_NONE,
            lineterminator="\n",
        )
        writer.writerow(padded)
        return out.getvalue()


@dataclass
class _Lines:
    """What the lines of a file are like, as far as it was looked at."""

    number: int = 0
    some_blank: bool = False
    some_long: bool = False
    """Whether one is longer than DuckDB reads."""
    _begun: int = 0
    """Bytes of the line that has not ended yet, and the last of them."""
    _last: int = 0

    def add(self, data: bytes) -> None:
        """Look at the next piece of the file."""
        import numpy as np

        if not data:
            return
        signs = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero(signs == _NEW_LINE)
        lengths = np.diff(ends, prepend=-1 - self._begun) - 1
        of_one = ends[lengths == 1]
        only_sign = np.where(of_one > 0, signs[of_one - 1], self._last)
        self.number += len(ends)
        self.some_blank |= bool((lengths == 0).any() or (only_sign == _RETURN).any())
        self._begun = len(data) - int(ends[-1]) - 1 if len(ends) else self._begun + len(data)
        self._last = data[-1]
        longest = max(self._begun, int(lengths.max(initial=0)))
        self.some_long |= longest > _LONGEST_LINE

    def end(self) -> _Lines:
        """The whole file was looked at: its last line need not end with a sign."""
        self.number += bool(self._begun)
        return self


def encodings(path: Path, layout: Layout) -> tuple[str, ...]:
    """The encodings that a file may have: that of its byte order mark, or those of the layout."""
    head = _head(path)
    marked = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    return (marked,) if marked else layout.encodings


def open_csv(path: Path, layout: Layout, encoding: str, spill: Path) -> CsvFile:
    """The file in one encoding, as far as its beginning tells.

    Raises:
        Misfit: when it is none such, or ends before its headers.
        DeliveryRejected: when it is too large.
    """
    expected = _expected(layout)
    if path.stat().st_size > MAX_UNPACKED_BYTES:
        raise DeliveryRejected(
            f"the file is larger than {MAX_UNPACKED_BYTES // 1024**3} GiB, expected {expected}"
        )
    head = _head(path)
    found = looks_like(head)
    if found != "something else":
        raise Misfit(f"found {found}, expected {expected}", 0)
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeError as error:
        at = error.start if isinstance(error, UnicodeDecodeError) else 0
        line = head[:at].count(b"\n") + 1
        raise Misfit(
            f"line {line} cannot be read as {encoding} (byte {at} of the file), "
            f"expected {expected}",
            0.5,
        ) from None
    if "\0" in text:
        raise Misfit(f"found a binary file (it has NUL bytes), expected {expected}", 0.25)
    header, lines_above = _header(text, layout)
    return CsvFile(path, layout, encoding, spill, header, lines_above)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _header(text: str, layout: Layout) -> tuple[list[list[str]], int]:
    """The header rows, and how many lines the file has down to the last of them."""
    last = max(layout.header_rows)
    parser = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=layout.separator,
        quotechar=layout.quote or None,
        quoting=csv.QUOTE_MINIMAL if layout.quote else csv.QUOTE_NONE,
    )
    rows: list[list[str]] = []
    try:
        while len(rows) < last:
            rows.append(next(parser))
    except (StopIteration, csv.Error):
        raise Misfit(
            f"the file ends after {len(rows)} row(s), expected {_expected(layout)}", 1
        ) from None
    header = [rows[number - 1] for number in layout.header_rows]
    if grid.named_width(header) == 0:
        raise Misfit(f"row {last} is blank, expected {_expected(layout)}", 1)
    return header, parser.line_num


def _decode(source: Path, encoding: str, target: Path | None) -> _Lines:
    """Decode the whole file, into `target` as UTF-8 if there is one.

    Raises:
        Misfit: at the first byte that the encoding does not have, or NUL.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    lines, offset = _Lines(), 0
    with source.open("rb") as file, target.open("wb") if target else io.BytesIO() as copy:
        while True:
            chunk = file.read(CHUNK_BYTES)
            rest = decoder.getstate()[0]
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeError as error:
                at = error.start if isinstance(error, UnicodeDecodeError) else 0
                line = lines.number + (rest + chunk)[:at].count(b"\n") + 1
                raise Misfit(
                    f"line {line} cannot be read as {encoding} (byte {offset - len(rest) + at} of "
                    "the file), expected one encoding throughout",
                    3,
                ) from None
            if not chunk and not text:
                return lines.end()
            offset += len(chunk)
            data = chunk if target is None else text.encode()
            if target:
                copy.write(data)
            if b"\0" in data:
                raise Misfit(
                    f"found NUL bytes after line {lines.number}: it is a binary file or a damaged "
                    "one",
                    0,
                )
            lines.add(data)


def _expected(layout: Layout) -> str:
    rows = " and ".join(str(row) for row in layout.header_rows)
    return (
        f"a CSV file ({' or '.join(layout.encodings)}, separator {layout.separator!r}), headers on "
        f"row {rows}"
    )
