"""What a tabular file is once it is open: texts of its header rows, and rows of cells for DuckDB.

Belongs here: what `csv_file` and `workbook` have in common. Does not belong here: how either is
opened, and what the cells mean (`tabular`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import duckdb

Statement = Callable[[str], str]
"""Makes, of the relation of a file's rows, the SQL of a table with one row each, in their order."""


class Misfit(Exception):
    """A file is not laid out as a mapping says; another mapping may fit it."""

    def __init__(self, problem: str, closeness: float) -> None:
        """Keep what is wrong, and how near the layout came: the higher, the nearer."""
        super().__init__(problem)
        self.problem = problem
        self.closeness = closeness


class Grid(Protocol):
    """An open file."""

    @property
    def header(self) -> list[list[str]]:
        """The texts of each header row, from the left; an empty cell is an empty text."""

    @property
    def expected(self) -> str:
        """What the layout says, for messages."""

    @property
    def first_record(self) -> int:
        """Number of the row below the headers, as a spreadsheet program shows it."""

    def fill(
        self, con: duckdb.DuckDBPyConnection, statement: Statement, numeric: list[int]
    ) -> list[int]:
        """Execute the statement on a relation with the text columns `c0`, `c1`, ….

        Args:
            con: the connection.
            statement: what to execute.
            numeric: places of the columns that hold numbers.

        Returns:
            The rows, from 0, whose cells cannot be told apart: with a field too many or too few, or
            a quote that is not closed. They are in the table, with some cells or none.
        """


def width(header: list[list[str]]) -> int:
    """Number of columns."""
    return max(len(row) for row in header)


def named_width(header: list[list[str]]) -> int:
    """Number of columns up to the last one that has a header."""
    return max(
        (place + 1 for row in header for place, text in enumerate(row) if text.strip()), default=0
    )
