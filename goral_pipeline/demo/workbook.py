"""Workbooks, as the demo's publishers write them.

Belongs here: one sheet of cells as an .xlsx file, the same bytes every time. Not: any layout.
"""

import io
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime

from goral_pipeline.demo import LABEL

Cell = str | int | float | date | datetime | None

CREATED = datetime(2023, 1, 1, tzinfo=UTC)
WIDTH = 18


def workbook(
    sheet_name: str, above: Sequence[Cell], headers: Sequence[str], rows: Iterable[Sequence[Cell]]
) -> bytes:
    """A workbook of one sheet; cells `above` the headers take a row of their own, if there are any.

    A cell of None or "" is left out, as spreadsheet programs do.
    """
    import xlsxwriter  # heavy, and only workbooks need it

    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    book.set_properties({"created": CREATED, "title": LABEL})
    sheet = book.add_worksheet(sheet_name)
    sheet.set_column(0, len(headers) - 1, WIDTH)
    day = book.add_format({"num_format": "dd-mm-yyyy"})
    moment = book.add_format({"num_format": "dd-mm-yyyy hh:mm"})
    header_row = 1 if above else 0
    sheet.write_row(0, 0, above)
    sheet.write_row(header_row, 0, headers, book.add_format({"bold": True}))
    for index, row in enumerate(rows, start=header_row + 1):
        for column, cell in enumerate(row):
            if isinstance(cell, datetime):
                sheet.write_datetime(index, column, cell, moment)
            elif isinstance(cell, date):
                sheet.write_datetime(index, column, cell, day)
            elif isinstance(cell, str):
                # Not as a formula, whatever it begins with.
                if cell:
                    sheet.write_string(index, column, cell)
            elif cell is not None:
                sheet.write_number(index, column, cell)
    book.close()
    return buffer.getvalue()
