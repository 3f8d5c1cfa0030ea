"""What a file never seen is made of: its type, encoding, separator, sheets, and rows of text.

Belongs here: reading the first rows of any workbook or text file, after the same checks as a
delivery. Does not belong here: what the rows mean.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.sources import hostile

if TYPE_CHECKING:
    from goral_pipeline.sources.mapping import FileType

MOST_ROWS = 10_000
MOST_BYTES = 32 * 1024**2
MOST_COLUMNS = 500
MOST_SHEETS = 30
SEPARATORS = (";", "\t", "|", ",")
EXPECTED = "a workbook (.xlsx) or a text file with separators (.csv)"

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ZIP = b"PK\x03\x04"
_NO_TEXT = [chr(code) for code in range(32) if chr(code) not in "\t\n\v\f\r"]


@dataclass(frozen=True)
class Grid:
    """The first rows of a sheet or text file, and how it is made."""

    type: FileType
    rows: list[list[str]]
    """From the first row on, blank ones too; all of one width, cells without outer blanks."""
    cut: bool
    """Whether there are more rows than were read."""
    sheet: str | None = None
    """Name of the sheet, where there are several."""
    encodings: tuple[str, ...] = ()
    separator: str = ""


def grids(path: Path, sheet: str | None = None) -> list[Grid]:
    """Read the file: a grid for each sheet of a workbook, or one.

    Raises:
        DeliveryRejected: when it is neither workbook nor text, or is not safe to read.
    """
    with path.open("rb") as file:
        head = file.read(MOST_BYTES)
    if head.startswith(_ZIP):
        return _workbook(path, sheet)
    found = hostile.looks_like(head[:512])
    if found != "something else" or not head.strip():
        raise DeliveryRejected(f"found {found}, expected {EXPECTED}")
    return [_text_file(head, path.stat().st_size > len(head))]


def _workbook(path: Path, wanted: str | None) -> list[Grid]:
    import fastexcel

    hostile.check_workbook(path, EXPECTED)
    try:
        workbook = fastexcel.read_excel(str(path))
        names = workbook.sheet_names
        if wanted is not None and wanted not in names:
            raise DeliveryRejected(
                f"it has no sheet {wanted!r}, but {len(names)} of other names; see `--sheet`"
            )
        chosen = names[:MOST_SHEETS] if wanted is None else [wanted]
        sheets = [
            (
                name,
                workbook.load_sheet(
                    name, header_row=None, skip_rows=0, n_rows=MOST_ROWS + 1, dtypes="string"
                ).to_arrow(),
            )
            for name in chosen
        ]
    except fastexcel.FastExcelError as error:
        # Its own words may quote cells.
        raise DeliveryRejected(
            f"the workbook cannot be read ({type(error).__name__}), expected {EXPECTED}"
        ) from None
    return [
        Grid(
            type="xlsx",
            rows=_even([list(row) for row in zip(*columns, strict=True)][:MOST_ROWS]),
            cut=cells.num_rows > MOST_ROWS,
            sheet=name if len(names) > 1 else None,
        )
        for name, cells in sheets
        if (columns := [column.to_pylist() for column in cells.columns[:MOST_COLUMNS]])
    ]


def _text_file(head: bytes, more: bool) -> Grid:
    encodings = _encodings(head)
    text = head.decode(encodings[-1], errors="replace").removeprefix("\ufeff")
    if sum(map(text.count, _NO_TEXT)) > len(text) // 100:
        raise DeliveryRejected(f"found a file that is no text, expected {EXPECTED}")
    if more:
        text = text[: text.rfind("\n") + 1]
    text = text.replace("\0", "")
    separator = _separator(text)
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            rows.append(row[:MOST_COLUMNS])
            if len(rows) > MOST_ROWS:
                break
    except csv.Error:
        raise DeliveryRejected(
            f"row {len(rows) + 1} cannot be read as text with separators, expected {EXPECTED}"
        ) from None
    return Grid(
        type="csv",
        rows=_even(rows[:MOST_ROWS]),
        cut=more or len(rows) > MOST_ROWS,
        encodings=encodings,
        separator=separator,
    )


def _encodings(head: bytes) -> tuple[str, ...]:
    """Encodings that the file may have; the last one reads what was seen of it."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return (name,)
    # Text in UTF-16 without its mark has a zero byte in every other place.
    if len(head) > 1 and head[:4096].count(0) > len(head[:4096]) // 4:
        return ("utf-16-be",) if head[0] == 0 else ("utf-16-le",)
    if head.isascii():
        # Nothing tells; the first delivery with an accent may be either.
        return ("utf-8", "windows-1252")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return ("windows-1252",)
    return ("utf-8",)


def _separator(text: str) -> str:
    """The separator that gives most rows the same number of cells, and many of them."""

    def fit(separator: str) -> int:
        lines = csv.reader(io.StringIO(text[:1_000_000], newline=""), delimiter=separator)
        widths: Counter[int] = Counter()
        try:
            for row, _ in zip(lines, range(500), strict=False):
                widths[len(row)] += 1
        except csv.Error:
            return 0
        return max(((width - 1) * number for width, number in widths.items()), default=0)

    return max(SEPARATORS, key=fit)


def _even(rows: list[list[str | None]] | list[list[str]]) -> list[list[str]]:
    """Rows of one width, cells with single blanks and none at the ends."""
    width = max((len(row) for row in rows), default=0)
    return [
        [re.sub(r"\s+", " ", cell or "").strip() for cell in row] + [""] * (width - len(row))
        for row in rows
    ]
