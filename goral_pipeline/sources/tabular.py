"""Tabular exports: a file read by a mapping, one YAML file a layout.

The mapping says where the columns stand and how codes, dates and names are written; the contract
says what they must become. What cannot be converted is handed on as it was, so that staging
quarantines it with what was found.

Belongs here: finding columns, and the SQL that makes a contract's tables of a file's rows. Does not
belong here: opening files (`csv_file`, `workbook`), converting one value (`notation`), typing and
judging.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from goral_pipeline import clock
from goral_pipeline.contracts.model import quote
from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.http_session import Token
from goral_pipeline.sources import (
    csv_file,
    grid,
    hostile,
    mapping,
    names,
    notation,
    workbook,
)
from goral_pipeline.sources.asking import Answer, Question, address, at_partition, download
from goral_pipeline.sources.grid import Grid, Misfit
from goral_pipeline.sources.mapping import (
    PARTITION,
    PLACE,
    ColumnMapping,
    Mapping,
    Unpivoted,
    plain,
)
from goral_pipeline.sources.reading import TYPED, Reading

if TYPE_CHECKING:
    import duckdb

    from goral_pipeline.contracts import Column, Table

Places = dict[str, int]
"""Where columns of the contract stand in a file, counted from the left, from 0."""


def reading(layouts: tuple[Mapping, ...]) -> tuple[Path, ...]:
    """Every file that decides how files of these layouts are read."""
    modules = (csv_file, grid, hostile, mapping, names, notation, workbook)
    code = (Path(__file__), *(Path(module.__file__) for module in modules if module.__file__))
    return (*code, *(layout.path for layout in layouts), *names.REGISTERS)


def fetch(dataset: str, question: Question) -> Answer | None:
    """Ask for a partition's export at the dataset's URL; None when it has not changed."""
    settings = question.settings
    template = address(settings, dataset)
    url = at_partition(template, "edition" if "{edition}" in template else "month", question)
    secret = settings.token_of(dataset.split("/", 1)[0])
    token = Token(f"Token {secret.get_secret_value()}", template) if secret else None
    return download(question, url, token)


def read(reading: Reading, layouts: tuple[Mapping, ...]) -> None:
    """Read a file by the first of the layouts that it has.

    The record number is the row's number as a spreadsheet program shows it; in a CSV file a record
    of several lines is one row there too. Blank rows and those that the mapping skips are no
    records. Columns that the mapping does not know are left alone.

    Raises:
        DeliveryRejected: when it has none of the layouts (telling of the one that it is nearest
            to), or is made to do harm.
    """
    nearest: tuple[Misfit, Mapping] | None = None
    for layout, attempt in _attempts(reading, layouts):
        try:
            _load(reading, layout, attempt())
            return
        except Misfit as misfit:
            if nearest is None or misfit.closeness > nearest[0].closeness:
                nearest = misfit, layout
    if nearest is None:
        raise DeliveryRejected("there is no mapping that tells how it is laid out")
    found, layout = nearest
    of_many = f" (the nearest of {len(layouts)})" if len(layouts) > 1 else ""
    raise DeliveryRejected(
        f"{found.problem}; if the layout changed, change the mapping {layout.path.name}{of_many} "
        f"of {layout.dataset}"
    )


def _attempts(
    reading: Reading, layouts: tuple[Mapping, ...]
) -> Iterator[tuple[Mapping, Callable[[], Grid]]]:
    """Each way to open the file: by each layout, and a CSV file in each of its encodings."""
    books: list[workbook.Workbook] = []

    def sheet(layout: Mapping) -> Grid:
        if not books:
            books.append(workbook.open_workbook(reading.path, layout))
        return books[0].sheet(layout)

    for layout in layouts:
        if layout.layout.type == "xlsx":
            yield layout, partial(sheet, layout)
        else:
            for encoding in csv_file.encodings(reading.path, layout.layout):
                opened = partial(csv_file.open_csv, reading.path, layout.layout, encoding)
                yield layout, partial(opened, reading.spill)


def _load(reading: Reading, mapping: Mapping, file: Grid) -> None:
    """Make the tables of a file.

    Raises:
        Misfit: when a column is not where the mapping says.
        DeliveryRejected: when the file cannot be read.
    """
    columns = _find_columns(mapping, file)
    lines = _Lines(reading.con, file, columns.skipped)
    main, *children = reading.contract.tables
    tables = _Tables(reading, mapping, main, columns, lines)
    lines.fill()
    tables.create(file.first_record)
    for table in children:
        tables.create_child(table, file.first_record)


# --- where the columns stand ---


@dataclass(frozen=True)
class _Group:
    """What makes a row of a row of the file: one group, or one for each that is unpivoted."""

    values: dict[str, str]
    """Values by column, the same in each row."""
    places: Places


@dataclass(frozen=True)
class _Columns:
    """Where the columns that a mapping speaks of stand in a file."""

    groups: list[_Group]
    children: dict[str, Places]
    skipped: list[tuple[int, str]]
    """Places and patterns of the cells that mark a row as no record."""


def _find_columns(mapping: Mapping, file: Grid) -> _Columns:
    finder = _Finder(file.header)
    entries = mapping.unpivoted or (Unpivoted("", {}),)
    found = _Columns(
        groups=[
            _Group(entry.values, finder.places(mapping.columns, entry.text)) for entry in entries
        ],
        children={
            table: finder.places(columns, "") for table, columns in mapping.child_columns.items()
        },
        skipped=[
            (place, rows.pattern)
            for rows in mapping.skipped
            if (place := finder.place((rows.header,), optional=False)) is not None
        ],
    )
    finder.complain(mapping, file)
    return found


class _Finder:
    """Finds columns by their headers, and keeps account of those that are missing or twice."""

    def __init__(self, header: list[list[str]]) -> None:
        self._full, self._bare = _carried(header), _joined(header)
        self._found: set[str] = set()
        self._missing: dict[str, None] = {}
        self._twice: dict[str, None] = {}

    def places(self, columns: dict[str, ColumnMapping], text: str) -> Places:
        """Places of the columns that have headers; `text` stands where the headers have {in}."""
        found = {}
        for name, column in columns.items():
            headers = tuple(header.replace(PLACE, text) for header in column.headers)
            if headers:
                place = self.place(headers, optional=column.optional)
                if place is not None:
                    found[name] = place
        return found

    def place(self, headers: tuple[str, ...], *, optional: bool) -> int | None:
        """Place of the column that has one of the headers."""
        wanted = {plain(header) for header in headers}
        for texts in (self._full, self._bare):
            found = [place for place, text in enumerate(texts) if text in wanted]
            if len(found) > 1:
                self._twice[headers[0]] = None
                return None
            if found:
                self._found.add(headers[0])
                return found[0]
        if not optional:
            self._missing[headers[0]] = None
        return None

    def complain(self, mapping: Mapping, file: Grid) -> None:
        """Say what is missing or twice."""
        if not (self._missing or self._twice):
            return
        problems = [
            f"{what}: {', '.join(repr(name) for name in names)}"
            for what, names in (("missing column", self._missing), ("column twice", self._twice))
            if names
        ]
        number = len(self._found) + len(self._missing) + len(self._twice)
        # Headers that the mapping does not know are not told: they may be cells of records.
        raise Misfit(
            f"{'; '.join(problems)} ({len(self._found)} of {number} found, and "
            f"{self._unknown(mapping)} that it does not know), expected {file.expected}",
            1 + len(self._found) / number,
        )

    def _unknown(self, mapping: Mapping) -> int:
        """Number of headers that the mapping says nothing of."""
        texts = [entry.text for entry in mapping.unpivoted] or [""]
        columns = [*mapping.columns.values()]
        columns += [c for child in mapping.child_columns.values() for c in child.values()]
        known = {
            plain(header.replace(PLACE, text))
            for column in columns
            for header in column.headers
            for text in texts
        }
        known |= {plain(text) for text in (*mapping.personal_headers, *mapping.ignored_headers)}
        known |= {plain(rows.header) for rows in mapping.skipped}
        pairs = zip(self._full, self._bare, strict=True)
        return sum(1 for full, bare in pairs if full and not known & {full, bare})


def _joined(header: list[list[str]]) -> list[str]:
    """The header of each column: the texts above each other."""
    rows = [row + [""] * (grid.width(header) - len(row)) for row in header]
    return [plain(" ".join(texts)) for texts in zip(*rows, strict=True)]


def _carried(header: list[list[str]]) -> list[str]:
    """The same, where a text of an upper row goes for the columns right of it too.

    So merged headers come: the text stands in the first cell, and the others are empty.
    """
    rows = [row + [""] * (grid.width(header) - len(row)) for row in header]
    for number, row in enumerate(rows[:-1]):
        carried = ""
        for place, text in enumerate(row):
            carried = text if text.strip() else carried
            if any(lower[place].strip() for lower in rows[number + 1 :]):
                row[place] = carried
    return [plain(" ".join(texts)) for texts in zip(*rows, strict=True)]


# --- the rows of the file ---


class _Lines:
    """The table `lines`: a row for each of the file, in its order.

    It has the cells that are wanted, as text, the moments among them, and whether the row is
    `filled` and `skipped`. Reading the file is the greatest cost, so it is read once.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, file: Grid, skipped: list[tuple[int, str]]
    ) -> None:
        self._con, self._file, self._skipped = con, file, skipped
        self._places: set[int] = set()
        self._numeric: set[int] = set()
        self._moments: dict[str, str] = {}

    def cell(self, place: int, *, is_number: bool = False) -> str:
        """Name of the column with the cells at a place."""
        self._places.add(place)
        if is_number:
            self._numeric.add(place)
        return f"c{place}"

    def moment(self, expression: str) -> str:
        """Name of the column with moments, computed of cells."""
        return self._moments.setdefault(expression, f"moment_{len(self._moments)}")

    def fill(self) -> None:
        """Read the file."""
        every = [*range(grid.width(self._file.header))]
        wanted = sorted(self._places)
        broken = self._read(wanted)
        # A row that is blank as far as it is read may have something in columns that are not.
        if len(wanted) < len(every) and self._some_blank():
            broken = self._read(every)
        if broken:
            cells = [*(f"c{place}" for place in wanted), *self._moments.values()]
            emptied = "".join(f", {cell} = null" for cell in cells)
            self._con.execute(
                f"update lines set filled = true{emptied} where rowid in (select unnest($rows))",
                {"rows": broken},
            )

    def _some_blank(self) -> bool:
        found = self._con.execute("select 1 from lines where not filled limit 1").fetchone()
        return found is not None

    def _read(self, tested: list[int]) -> list[int]:
        cases = " ".join(f"when {notation.is_filled(f'c{place}')} then true" for place in tested)
        skipped = " or ".join(
            f"coalesce(regexp_full_match(c{place}, {quote(_around_blanks(pattern))}, 'is'), false)"
            for place, pattern in self._skipped
        )
        columns = [
            *(f"c{place}" for place in sorted(self._places)),
            *(f"{moment} as {name}" for moment, name in self._moments.items()),
            f"case {cases} else false end as filled" if cases else "false as filled",
            f"{skipped or 'false'} as skipped",
        ]
        return self._file.fill(
            self._con,
            lambda rows: (
                f"create or replace temp table lines as select {', '.join(columns)} from {rows}"
            ),
            sorted(self._numeric),
        )


def _around_blanks(pattern: str) -> str:
    return f"[\\s\u00a0]*(?:{pattern})[\\s\u00a0]*"


# --- the tables of the contract ---


@dataclass(frozen=True)
class _Value:
    """SQL for the value of a column."""

    text: str
    typed: str | None = None
    """In the column's own type, where the mapping says how it is written."""


class _Tables:
    """Makes the tables `raw_<table>` of `lines`."""

    def __init__(
        self,
        reading: Reading,
        mapping: Mapping,
        main: Table,
        columns: _Columns,
        lines: _Lines,
    ) -> None:
        self._con, self._reading, self._mapping = reading.con, reading, mapping
        self._main, self._columns, self._lines = main, columns, lines
        self._values: list[str] = []
        """SQL of tables that give the value of each text of a column with few different ones."""
        self._joins: list[list[str]] = [[] for _ in columns.groups]
        self._zoned: dict[str, None] = {}
        """Moments to be brought to UTC."""
        self._groups = [
            {column.name: self._value(column, number) for column in main.delivered_columns}
            for number in range(len(columns.groups))
        ]
        self._typed = [
            column.name
            for column in main.delivered_columns
            if any(group[column.name].typed for group in self._groups)
        ]
        self._pieces = {
            table: {name: lines.cell(place) for name, place in places.items()}
            for table, places in columns.children.items()
        }

    def create(self, first_record: int) -> None:
        """Make the main table."""
        names.create_names(self._con, self._reading.partition)
        for number, query in enumerate(self._values):
            self._con.execute(f"create or replace temp table values_{number} as {query}")
        if self._zoned:
            notation.create_offsets(self._con, [*self._zoned], "lines", self._mapping.time_zone)
        rows = " union all ".join(
            self._group_rows(number, first_record) for number in range(len(self._groups))
        )
        # The tables on the right are small. Were the lines the side that is kept in memory, because
        # DuckDB thinks them fewer than they are, they would be written to disk once a join.
        self._con.execute("set disabled_optimizers = 'join_order,build_side_probe_side'")
        # A view, which is read once: to write a million rows down takes as long as to read them.
        self._con.execute(
            f"create temp view raw_{self._main.name} as select row_id, null::bigint as "
            f"parent_row_id, record_number, {', '.join(self._outer_columns())} from ({rows})"
        )

    def _group_rows(self, number: int, first_record: int) -> str:
        values = [f"{value.text} as {name}" for name, value in self._groups[number].items()]
        values += [
            f"{value.typed or 'null'} as {TYPED}{name}"
            for name, value in self._groups[number].items()
            if name in self._typed
        ]
        return (
            f"select lines.rowid * {len(self._groups)} + {number} as row_id, "
            f"lines.rowid + {first_record} as record_number, {', '.join(values)} "
            f"from lines {' '.join(self._joins[number])} where filled and not skipped"
        )

    def _outer_columns(self) -> list[str]:
        """The columns of the main table, with what the concession's mapping says of a row."""
        told: dict[str, str | None] = {}
        for column in self._main.delivered_columns:
            if column.name not in self._mapping.columns and column.is_transient:
                told |= {column.name: self._told(column.name)}
        return [
            *(
                f"{told[c.name]} as {c.name}" if told.get(c.name) else c.name
                for c in self._main.delivered_columns
            ),
            *(f"{TYPED}{name}" for name in self._typed),
        ]

    def _told(self, name: str) -> str | None:
        if name == "takes_part":
            listed = ", ".join(quote(code) for code in names.participants(self._con, self._mapping))
            # Of a name that no register has it is not known; the rule of the code itself tells.
            is_code = "length(municipality_code) = 6 and prefix(municipality_code, 'GM')"
            is_in = f"municipality_code in ({listed})" if listed else "false"
            return f"case when {is_code} then ({is_in})::varchar end"
        if name == "in_period":
            return self._in_period()
        return None

    def _in_period(self) -> str:
        """Whether the day that counts for the table is one of the concession's; null without."""
        concession, day = self._mapping.concession, self._main.month_column
        day = f"{TYPED}{day}" if day in self._typed else f"try_cast({day} as date)"
        bounds = [f"{day} is not null"]
        if concession and concession.first_day:
            bounds.append(f"{day} >= date '{concession.first_day}'")
        if concession and concession.end_day:
            bounds.append(f"{day} < date '{concession.end_day}'")
        return f"case when {day} is not null then ({' and '.join(bounds)})::varchar end"

    # --- one value ---

    def _value(self, column: Column, number: int) -> _Value:
        """The value of a column in the rows of a group."""
        group, how = self._columns.groups[number], self._mapping.columns.get(column.name)
        if column.name in group.values:
            return _Value(quote(group.values[column.name]))
        if how is None:
            return _Value("null::varchar")
        if how.constant is not None:
            return _Value(quote(how.constant))
        if how.from_partition:
            return _Value(quote(self._reading.partition))
        if how.latest_of:
            return self._latest(column, how, number)
        place = group.places.get(how.derived_from or column.name)
        if place is None:
            return _Value("null::varchar")
        if how.codes or how.register or how.derived_from:
            return _Value(self._looked_up(column, how, place, number))
        cell = self._lines.cell(place, is_number=_is_number(column))
        if column.type == "TIMESTAMPTZ":
            moment = self._lines.moment(notation.moment(cell, self._formats))
            utc = self._in_utc(moment, number)
            return _Value(notation.text(cell), f"coalesce({utc}, {notation.zoned(cell)})")
        if column.type == "DATE":
            return _Value(notation.text(cell), notation.day(cell, self._mapping))
        return _Value(_written(cell, column, self._mapping))

    @property
    def _formats(self) -> tuple[str, ...]:
        return self._mapping.timestamp_formats + self._mapping.date_formats

    def _latest(self, column: Column, how: ColumnMapping, number: int) -> _Value:
        places = self._columns.groups[number].places
        moments = [
            notation.moment(self._lines.cell(places[name]), self._formats)
            for name in how.latest_of
            if name in places
        ]
        if not moments:
            return _Value("null::varchar")
        if PARTITION in how.latest_of:
            moments.append(f"timestamp '{clock.first_day_of(self._reading.partition)}'")
        moment = self._lines.moment(f"greatest({', '.join(moments)})")
        is_day = column.type == "DATE"
        typed = f"{moment}::date" if is_day else self._in_utc(moment, number)
        return _Value(f"{moment}::varchar", typed)

    def _in_utc(self, moment: str, number: int) -> str:
        self._zoned[moment] = None
        offsets = f"offset_of_{moment}"
        join = (
            f"left join offsets as {offsets} on {offsets}.half_hour = {notation.half_hour(moment)}"
        )
        if join not in self._joins[number]:
            self._joins[number].append(join)
        return notation.utc(moment, offsets)

    def _looked_up(self, column: Column, how: ColumnMapping, place: int, number: int) -> str:
        """A value by code list, register or pattern: worked out once for each different text."""
        cell = self._lines.cell(place)
        value = notation.text("cell")
        if how.derived_from:
            value = (
                f"case when regexp_full_match({value}, {quote(how.pattern)}) then regexp_replace("
                f"{value}, {quote(f'^(?:{how.pattern})$')}, {quote(how.replacement)}) "
                f"else {value} end"
            )
        value = _written(value, column, self._mapping) if how.derived_from else value
        if how.codes:
            cases = " ".join(
                f"when {quote(code)} then {quote(meaning)}" for code, meaning in how.codes.items()
            )
            value = f"case {names.plain_text(value)} {cases} else {value} end"
        join = ""
        if how.register:
            join = f"left join names on names.name = {names.plain_name(value)}"
            value = f"coalesce(names.municipality_code, {value})"
        query = (
            f"select cell, {value} as value from (select distinct {cell} as cell from lines "
            f"where {cell} is not null) {join}"
        )
        if query not in self._values:
            self._values.append(query)
        values = f"values_{self._values.index(query)}"
        self._joins[number].append(f"left join {values} on {values}.cell = {cell}")
        return f"{values}.value"

    # --- child tables ---

    def create_child(self, table: Table, first_record: int) -> None:
        """Make a child table: each part of a cell is a row, with the key of the row it is in."""
        pieces = self._pieces.get(table.name, {})
        if not pieces:
            columns = ", ".join(f"null::varchar as {c.name}" for c in table.delivered_columns)
            self._con.execute(
                f"create temp table raw_{table.name} as select null::bigint as row_id, "
                f"null::bigint as parent_row_id, null::bigint as record_number, {columns} "
                "where false"
            )
            return
        how = self._mapping.child_columns[table.name]
        lists = {
            name: f"string_split({cell}, {quote(sign)})" if (sign := how[name].separator) else ""
            for name, cell in pieces.items()
        }
        split = [name for name, parts in lists.items() if parts]
        longest = ", ".join(f"len({lists[name]})" for name in split) or "1"
        parts = ", ".join(
            f"{lists[name]}[position] as part_{name}" if lists[name] else f"{cell} as part_{name}"
            for name, cell in pieces.items()
        )
        values = {
            column.name: self._child_value(column, column.name in pieces)
            for column in table.delivered_columns
        }
        some = " or ".join(notation.is_filled(f"part_{name}") for name in split or pieces)
        self._con.execute(f"""
create temp table raw_{table.name} as
select row_number() over (order by parent_row_id, position) as row_id, parent_row_id, record_number,
    {", ".join(f"{sql} as {name}" for name, sql in values.items())}
from (
    select row_id as parent_row_id, record_number, position, {", ".join(self._main.key)}, {parts}
    from (
        select parent.*, lines.*, unnest(range(1, greatest({longest}) + 1)) as position
        from raw_{self._main.name} as parent
        join lines on lines.rowid + {first_record} = parent.record_number
    )
)
where {some}
""")

    def _child_value(self, column: Column, is_mapped: bool) -> str:
        if is_mapped:
            return _written(f"part_{column.name}", column, self._mapping)
        return column.name if column.name in self._main.key else "null::varchar"


def _is_number(column: Column) -> bool:
    return column.type in ("INTEGER", "BIGINT") or column.type.startswith("DECIMAL")


def _written(cell: str, column: Column, mapping: Mapping) -> str:
    """SQL for a cell in the notation that staging reads."""
    if column.type == "DATE":
        return notation.date(cell, mapping)
    if _is_number(column):
        return notation.number(cell, mapping)
    if column.properties.get("notation") == "emi3":
        return f"upper(replace({notation.text(cell)}, '*', ''))"
    return notation.text(cell)
