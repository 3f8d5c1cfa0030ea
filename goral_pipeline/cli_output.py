"""How the command line speaks: messages, tables, CSV and JSON.

Belongs here: showing rows that are given. Does not belong here: commands (`cli`).
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from goral_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from _typeshed import SupportsWrite

WIDEST = 10_000
# Characters that make a spreadsheet program take a cell for a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class Format(StrEnum):
    """How rows are shown."""

    table = "table"
    csv = "csv"
    json = "json"


def say(text: str) -> None:
    """Tell on standard error, so that standard output holds rows alone."""
    print(text, file=sys.stderr, flush=True)


def complain(*lines: str) -> None:
    """Tell of a failure on standard error."""
    for line in lines:
        print(f"goral: {line}", file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """A text without what would break a line, or command a terminal: others wrote it."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def print_rows(rows: list[dict[str, Any]]) -> None:
    """Show rows, one at least, as a table for people."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name, value in rows[0].items():
        is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        table.add_column(name, no_wrap=True, justify="right" if is_number else "left")
    for row in rows:
        table.add_row(
            *("" if value is None else escape(printable(str(value))) for value in row.values())
        )
    # As wide as it needs to be: a cell cut short cannot be searched for.
    Console(width=WIDEST, highlight=False).print(table)


def print_table(rows: pa.Table, format_: Format) -> None:
    """Show rows in a form."""
    if format_ is Format.csv:
        _write_csv(rows, _Lines())
    elif format_ is Format.json:
        print(json.dumps(rows.to_pylist(), indent=2, default=str))
    else:
        print_rows(rows.to_pylist()) if rows.num_rows else say("no rows")


def write_csv(rows: pa.Table, path: Path) -> None:
    """Write rows to a new CSV file, as spreadsheet programs open it.

    Raises:
        SettingsError: when there is such a file.
    """
    try:
        # With the mark by which they know UTF-8.
        with path.open("x", encoding="utf-8-sig", newline="") as file:
            _write_csv(rows, file)
    except FileExistsError:
        raise SettingsError(f"{path} is there already; give another name") from None


def _write_csv(rows: pa.Table, file: SupportsWrite[str]) -> None:
    import csv

    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(_harmless(name) for name in rows.column_names)
    writer.writerows([_harmless(value) for value in row.values()] for row in rows.to_pylist())


class _Lines:
    """Rows as lines end here. The writer is told otherwise, for only so does it quote a lone CR."""

    def write(self, row: str) -> int:
        """Write one row."""
        return sys.stdout.write(row.removesuffix("\r\n") + "\n")


def _harmless(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula, made text; numbers stay numbers."""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
