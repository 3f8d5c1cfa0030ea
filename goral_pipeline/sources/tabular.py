"""Tabular exports: a file read by a mapping, one YAML file a layout.

The mapping says where the columns stand and how codes, dates and names are written; the contract
says what they must become. What cannot be converted is handed on as it was, so that staging
quarantines it with what was found.

Belongs here: finding columns, converting notations. Does not belong here: typing and judging.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from goral_pipeline.contracts.model import quote
from goral_pipeline.errors import DeliveryRejected, GoralError
from goral_pipeline.settings import DBT_PROJECT
from goral_pipeline.http_session import Token
from goral_pipeline.sources import hostile, mapping
from goral_pipeline.sources.asking import Answer, Question, address, at_partition, download
from goral_pipeline.sources.hostile import check_workbook, unreadable_is_rejected
from goral_pipeline.sources.mapping import Mapping
from goral_pipeline.sources.reading import Reading

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from goral_pipeline.contracts import Column, Contract

MAPPINGS = Path(__file__).parent / "mappings"
MUNICIPALITIES = DBT_PROJECT / "seeds" / "municipalities.csv"
MUNICIPALITY_NAMES = DBT_PROJECT / "seeds" / "municipality_names.csv"

# Day 0 of Excel's calendar, as its day 60 is a 29 February 1900 that never was.
_EXCEL_EPOCH = "timestamp '1899-12-30'"
_EXCEL_SERIAL = r"[1-9][0-9]{4}(\.[0-9]+)?"
_ISO_WITHOUT_ZONE = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?"


def reading(layouts: tuple[Mapping, ...]) -> tuple[Path, ...]:
    """Every file that decides how files of these layouts are read."""
    code = (Path(__file__), Path(mapping.__file__), Path(hostile.__file__))
    return (*code, *(layout.path for layout in layouts), MUNICIPALITIES, MUNICIPALITY_NAMES)


def fetch(dataset: str, question: Question) -> Answer | None:
    """Ask for a partition's export at the dataset's URL; None when it has not changed."""
    settings = question.settings
    template = address(settings, dataset)
    url = at_partition(template, "edition" if "{edition}" in template else "month", question)
    secret = settings.token_of(dataset.split("/", 1)[0])
    token = Token(f"Token {secret.get_secret_value()}", template) if secret else None
    return download(question, url, token)


def read(reading: Reading, layouts: tuple[Mapping, ...]) -> None:
    """Read a file by the first of the layouts that it has."""
    raise NotImplementedError


def read_workbook(
    con: duckdb.DuckDBPyConnection, path: Path, contract: Contract, mapping: Mapping
) -> None:
    """Read a sheet into `raw_<table>`: one row a line that is not blank, all columns text.

    The record number is the line's number as a spreadsheet program shows it. Columns that the
    contract drops are not read; columns that the mapping does not know are left alone.

    Raises:
        DeliveryRejected: when sheet, header row or a column is not where the mapping says.
    """
    expected = f"a workbook with the sheet {mapping.sheet!r}, headers on row {mapping.header_row}"
    check_workbook(path, expected)
    cells = _cells(path, mapping, expected)
    header = [cells.column(i)[mapping.header_row - 1].as_py() for i in range(cells.num_columns)]
    places = _find_columns(header, mapping, expected)
    table = contract.table(mapping.table)
    columns = [column for column in table.delivered_columns if column.name in places]
    lines = cells.slice(mapping.header_row).select([places[column.name] for column in columns])
    everything = cells.slice(mapping.header_row)
    con.register("lines", _named(lines, [column.name for column in columns], everything, mapping))
    with unreadable_is_rejected(expected):
        _create_names(con)
        con.execute(_raw_table(mapping, columns))
    con.unregister("lines")


def _cells(path: Path, mapping: Mapping, expected: str) -> pa.Table:
    """All cells of the sheet as text, from its first row on."""
    import fastexcel
    import pyarrow as pa

    try:
        workbook = fastexcel.read_excel(str(path))
        if mapping.sheet not in workbook.sheet_names:
            raise DeliveryRejected(
                f"its {len(workbook.sheet_names)} sheet(s) have other names, expected {expected}"
            )
        # Without skip_rows blank rows at the top are left out, and every row number is wrong.
        sheet = workbook.load_sheet(mapping.sheet, header_row=None, skip_rows=0, dtypes="string")
    except fastexcel.FastExcelError as error:
        # Its own words may quote cells.
        raise DeliveryRejected(
            f"the workbook cannot be read ({type(error).__name__}), expected {expected}"
        ) from None
    cells = pa.table(sheet.to_arrow())
    if cells.num_rows < mapping.header_row:
        raise DeliveryRejected(f"the sheet has {cells.num_rows} row(s), expected {expected}")
    return cells


def _find_columns(header: list[str | None], mapping: Mapping, expected: str) -> dict[str, int]:
    """Place of each mapped column in the sheet."""
    places: dict[str, int] = {}
    missing, twice = [], []
    for name, column in mapping.columns.items():
        wanted = {_plain(text) for text in column.headers}
        found = [place for place, text in enumerate(header) if text and _plain(text) in wanted]
        if not found:
            missing.append(column.headers[0])
        elif len(found) > 1:
            twice.append(column.headers[0])
        else:
            places[name] = found[0]
    if missing or twice:
        problems = [
            f"{what}: {', '.join(repr(name) for name in names)}"
            for what, names in (("missing column", missing), ("column twice", twice))
            if names
        ]
        raise DeliveryRejected(
            f"{'; '.join(problems)} ({len(places)} of {len(mapping.columns)} found), expected "
            f"{expected}; if the layout changed, change the mapping of {mapping.dataset}"
        )
    return places


def _named(lines: pa.Table, names: list[str], everything: pa.Table, mapping: Mapping) -> pa.Table:
    """The wanted columns with their names, the line number, and whether the line is blank."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    filled = np.zeros(everything.num_rows, dtype=bool)
    for column in everything.columns:
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        filled |= pc.fill_null(pc.greater(pc.utf8_length(text), 0), False).to_numpy()
    numbers = np.arange(everything.num_rows) + mapping.header_row + 1
    table = pa.table(dict(zip(names, (c.cast(pa.string()) for c in lines.columns), strict=True)))
    return table.append_column("record_number", pa.array(numbers)).filter(pa.array(filled))


def _raw_table(mapping: Mapping, columns: list[Column]) -> str:
    """SQL that makes the raw table of the named lines."""
    trimmed = ", ".join(_trimmed(column.name) for column in columns)
    converted = ", ".join(f"{_conversion(column, mapping)} as {column.name}" for column in columns)
    return f"""
create temp table raw_{mapping.table} as
select record_number as row_id, null::bigint as parent_row_id, record_number, {converted}
from (select record_number, {trimmed} from lines) as line
"""


def _trimmed(name: str) -> str:
    # No-break spaces and line breaks are what spreadsheets leave behind.
    return f"nullif(trim(replace({name}, chr(160), ' '), e' \\t\\r\\n'), '') as {name}"


def _conversion(column: Column, mapping: Mapping) -> str:
    """SQL that turns a column's text into the notation staging reads, or leaves it as it was."""
    how = mapping.columns[column.name]
    if how.codes:
        cases = " ".join(
            f"when {quote(code)} then {quote(meaning)}" for code, meaning in how.codes.items()
        )
        return f"case {_plain_sql(column.name)} {cases} else {column.name} end"
    if how.register:
        return (
            f"coalesce((select names.municipality_code from names where names.name = "
            f"{_plain_sql('line.' + column.name)}), {column.name})"
        )
    if column.type == "DATE":
        moment = _moment(column.name, mapping.date_formats + mapping.timestamp_formats)
        return f"coalesce(strftime({moment}, '%Y-%m-%d'), {column.name})"
    if column.type == "TIMESTAMPTZ":
        moment = _moment(column.name, mapping.timestamp_formats + mapping.date_formats)
        utc = f"timezone('UTC', timezone({quote(mapping.time_zone)}, {moment}))"
        return f"coalesce(strftime({utc}, '%Y-%m-%dT%H:%M:%S.%fZ'), {column.name})"
    return column.name


def _moment(name: str, formats: tuple[str, ...]) -> str:
    """SQL for a date or moment written in one of the formats, or as Excel's count of days."""
    listed = ", ".join(quote(text) for text in formats)
    # Dates that the workbook itself marks as such come as ISO text, with a fraction where they
    # have one. What names its own zone is left to staging.
    iso = (
        f"case when regexp_full_match({name}, {quote(_ISO_WITHOUT_ZONE)}) "
        f"then try_cast({name} as timestamp) end"
    )
    serial = (
        f"case when regexp_full_match({name}, {quote(_EXCEL_SERIAL)}) then {_EXCEL_EPOCH} + "
        f"to_seconds(round(try_cast({name} as double) * 86400)) end"
    )
    # Words such as `infinity` it takes for 1 January 1900, whatever the format.
    written = f"case when regexp_matches({name}, '\\d') then try_strptime({name}, [{listed}]) end"
    return f"coalesce({serial}, {iso}, {written})"


def _create_names(con: duckdb.DuckDBPyConnection) -> None:
    """The register of the region's municipality names, in all spellings, as table `names`."""
    official = (
        f"select municipality_name as name, municipality_code from {_csv('$official')} "
        "where in_region = 'true'"
    )
    other = f"select name, municipality_code from {_csv('$other')}"
    con.execute(
        f"create temp table names as select distinct {_plain_sql('name')} as name, "
        f"municipality_code from ({official} union all {other})",
        {"official": str(MUNICIPALITIES), "other": str(MUNICIPALITY_NAMES)},
    )


def _csv(path: str) -> str:
    return f"read_csv({path}, header = true, all_varchar = true)"


def _plain(text: str) -> str:
    """Text as it is compared: lower case, single blanks."""
    return " ".join(text.replace("\u00a0", " ").lower().split())


def _plain_sql(name: str) -> str:
    """The same in SQL."""
    return f"regexp_replace(trim(lower(replace({name}, chr(160), ' '))), '\\s+', ' ', 'g')"
