"""Workbooks (.xlsx): the cells of a sheet as text, by calamine.

Belongs here: opening a workbook and taking a sheet out of it. Does not belong here: what is checked
before (`hostile`), and what the cells mean (`tabular`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.sources.grid import Misfit, Statement
from goral_pipeline.sources.hostile import check_workbook, looks_like, unreadable_is_rejected
from goral_pipeline.sources.mapping import Mapping

ERROR = "#ERROR"
"""What stands for a cell whose formula failed, whichever error it is."""

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


@dataclass
class Sheet:
    """A sheet whose cells were read; see `grid.Grid`."""

    workbook: Any
    name: str
    mapping: Mapping
    cells: pa.Table
    header: list[list[str]]

    @property
    def expected(self) -> str:
        """What the layout says, for messages."""
        return _expected(self.mapping)

    @property
    def first_record(self) -> int:
        """Number of the first row below the headers."""
        return max(self.mapping.layout.header_rows) + 1

    def fill(
        self, con: duckdb.DuckDBPyConnection, statement: Statement, numeric: list[int]
    ) -> list[int]:
        """See `grid.Grid.fill`."""
        cells = self._in_notation(numeric) if self.mapping.decimal != "." else self.cells
        names = [f"c{place}" for place in range(cells.num_columns)]
        con.register("cells", cells.slice(self.first_record - 1).rename_columns(names))
        with unreadable_is_rejected(self.expected):
            con.execute(statement("cells"))
        con.unregister("cells")
        return []

    def _in_notation(self, numeric: list[int]) -> pa.Table:
        """The cells, with those that are numbers, and no text, written as the mapping says."""
        import pyarrow.compute as pc

        cells = self.cells
        if not numeric:
            return cells
        # Text with a point in it is no whole number to calamine; a cell that is a number is one.
        whole = _table(
            self.workbook.load_sheet(
                self.name,
                header_row=None,
                skip_rows=0,
                use_columns=sorted(set(numeric)),
                dtypes="int",
            )
        )
        for place, column in zip(sorted(set(numeric)), whole.columns, strict=True):
            text = cells.column(place)
            written = pc.replace_substring(text, ".", self.mapping.decimal)
            chosen = pc.if_else(pc.is_valid(column), written, text)
            cells = cells.set_column(place, cells.schema.names[place], chosen)
        return cells


class Workbook:
    """A workbook that was checked and opened; sheets are read once."""

    def __init__(self, path: Path) -> None:
        """Check and open a file.

        Raises:
            DeliveryRejected: when it is damaged or made to do harm.
        """
        import fastexcel

        expected = "a workbook (.xlsx)"
        check_workbook(path, expected)
        try:
            self._workbook = fastexcel.read_excel(str(path))
        except fastexcel.FastExcelError as error:
            raise _unreadable(error, expected) from None
        self._cells: dict[str, pa.Table] = {}

    def sheet(self, mapping: Mapping) -> Sheet:
        """The sheet that a mapping is for.

        Raises:
            Misfit: when there is none such, or it ends before its headers.
            DeliveryRejected: when it cannot be read.
        """
        expected, names = _expected(mapping), self._workbook.sheet_names
        name = mapping.layout.sheet or names[0]
        if name not in names:
            raise Misfit(f"its {len(names)} sheet(s) have other names, expected {expected}", 0.5)
        if mapping.layout.sheet is None and len(names) > 1:
            raise Misfit(f"it has {len(names)} sheets, expected {expected}", 0.5)
        cells = self._cells_of(name, expected)
        rows = mapping.layout.header_rows
        if cells.num_rows < max(rows):
            raise Misfit(f"the sheet has {cells.num_rows} row(s), expected {expected}", 1)
        header = [
            [text or "" for text in (c[row - 1].as_py() for c in cells.columns)] for row in rows
        ]
        return Sheet(self._workbook, name, mapping, cells, header)

    def _cells_of(self, name: str, expected: str) -> pa.Table:
        """All cells of the sheet as text, from its first row on."""
        import fastexcel

        if name not in self._cells:
            try:
                # Without skip_rows blank rows at the top are left out, and all numbers are wrong.
                sheet = self._workbook.load_sheet(
                    name, header_row=None, skip_rows=0, dtypes="string"
                )
            except fastexcel.FastExcelError as error:
                raise _unreadable(error, expected) from None
            self._cells[name] = _table(sheet)
        return self._cells[name]


def open_workbook(path: Path, mapping: Mapping) -> Workbook:
    """Open a file that a mapping says to be a workbook.

    Raises:
        Misfit: when it is of another type.
        DeliveryRejected: when it is damaged or made to do harm.
    """
    with path.open("rb") as file:
        found = looks_like(file.read(512))
    if found != "a zip file or workbook":
        raise Misfit(f"found {found}, expected {_expected(mapping)}", 0)
    return Workbook(path)


def _table(sheet: Any) -> pa.Table:
    import pyarrow as pa

    batch, errors = sheet.to_arrow_with_errors()
    cells = _with_errors(pa.table(batch), errors.errors if errors else [])
    # A sheet may give the same name twice.
    return cells.rename_columns([str(place) for place in range(cells.num_columns)])


def _with_errors(cells: pa.Table, errors: list[Any]) -> pa.Table:
    """The cells, with the errors among them (#N/A, #DIV/0!) as text: they are no blanks."""
    import pyarrow as pa

    places: dict[int, list[int]] = {}
    for error in errors:
        if "'Error(" in error.detail:
            row, column = error.offset_position
            places.setdefault(column, []).append(row)
    for column, rows in places.items():
        texts = cells.column(column).to_pylist()
        for row in rows:
            texts[row] = ERROR
        cells = cells.set_column(column, cells.field(column), pa.array(texts, pa.string()))
    return cells


def _unreadable(error: Exception, expected: str) -> DeliveryRejected:
    # Its own words may quote cells.
    return DeliveryRejected(
        f"the workbook cannot be read ({type(error).__name__}), expected {expected}"
    )


def _expected(mapping: Mapping) -> str:
    rows = " and ".join(str(row) for row in mapping.layout.header_rows)
    sheet = f"the sheet {mapping.layout.sheet!r}" if mapping.layout.sheet else "one sheet"
    return f"a workbook with {sheet}, headers on row {rows}"
