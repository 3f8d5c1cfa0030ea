"""Exports for tests of the mapping reader: a mapping from YAML, a file, and the rows read of it."""

import csv
import io
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import xlsxwriter
import yaml

from goral_pipeline.contracts import Contract, staged
from goral_pipeline.sources import mapping, tabular
from goral_pipeline.sources.reading import TYPED, Reading
from tests.support_files import RECEIVED_AT

Cells = Sequence[Any]
REQUESTS = "third/requests"
PLACEMENTS = "third/placements"

# Plain columns of a concession's requests, as small as the contract allows.
COLUMNS: dict[str, dict[str, Any]] = {
    "request_id": {"headers": ["Nummer"]},
    "municipality_code": {"headers": ["Gemeente"], "register": "municipality_names"},
    "occasion": {"constant": "demand_driven"},
    "requested_on": {"headers": ["Aangevraagd"]},
    "last_updated": {"headers": ["Gewijzigd"]},
}
HEADERS = ("Nummer", "Gemeente", "Aangevraagd", "Gewijzigd")
ROW = ("R1", "Ede", "01-07-2022", "02-07-2022 12:00")


def layout(**changes: Any) -> mapping.Mapping:
    """A mapping of requests as CSV; changes are top-level keys, None takes one away."""
    content: dict[str, Any] = {
        "dataset": REQUESTS,
        "contract": "concession.requests",
        "concession": {"municipalities": "all"},
        "file": {"type": "csv"},
        "date_formats": ["%d-%m-%Y"],
        "timestamp_formats": ["%d-%m-%Y %H:%M"],
        "columns": COLUMNS,
    }
    content = {key: value for key, value in (content | changes).items() if value is not None}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "third.yaml"
        path.write_text(yaml.safe_dump(content, allow_unicode=True))
        made = mapping.load(path)
    mapping.check(made, contract_of(made))
    return made


def contract_of(made: mapping.Mapping) -> Contract:
    contract = next(one for one in staged().values() if one.id == made.contract)
    return contract.of_dataset(made.dataset) if contract.is_per_concession else contract


def csv_bytes(rows: Iterable[Cells], encoding: str = "utf-8", **dialect: Any) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, **({"delimiter": ";", "lineterminator": "\r\n"} | dialect)).writerows(rows)
    return out.getvalue().encode(encoding)


def xlsx_bytes(rows: Iterable[Cells], sheet: str = "Blad1") -> bytes:
    """A workbook of texts and numbers; None leaves a cell out."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False}) as workbook:
        page = workbook.add_worksheet(sheet)
        for line, cells in enumerate(rows):
            for place, cell in enumerate(cells):
                if isinstance(cell, int | float):
                    page.write_number(line, place, cell)
                elif cell:
                    page.write_string(line, place, cell)
    return out.getvalue()


def read(
    content: bytes,
    *layouts: mapping.Mapping,
    columns: str = "*",
    table: str | None = None,
    partition: str = "2022-07",
) -> list[tuple[Any, ...]]:
    """The rows of a raw table that reading a file gives, in order."""
    contract = contract_of(layouts[0])
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        file = Path(folder) / "landed"
        file.write_bytes(content)
        spill = Path(folder) / "spill"
        spill.mkdir()
        con.execute("set TimeZone = 'UTC'")
        tabular.read(Reading(con, file, contract, partition, spill, RECEIVED_AT), layouts)
        name = table or contract.tables[0].name
        return con.execute(
            f"select {columns} from (select {as_read(con, name)} from raw_{name}) order by row_id"
        ).fetchall()


def as_read(con: duckdb.DuckDBPyConnection, name: str) -> str:
    """SQL for the columns of `raw_<name>`, in which what was read typed stands for its text."""
    described = con.execute(f"describe raw_{name}").fetchall()
    types = {column: kind for column, kind, *_ in described}
    columns = []
    for column in types:
        kind = types.get(f"{TYPED}{column}")
        form = "%Y-%m-%d" if kind == "DATE" else "%Y-%m-%d %H:%M:%SZ"
        value = f"coalesce(strftime({TYPED}{column}, '{form}'), {column})" if kind else column
        if not column.startswith(TYPED):
            columns.append(f"{value} as {column}")
    return ", ".join(columns)
