"""Mappings: one YAML file a layout of a tabular export, read and checked.

A mapping says where the columns of a contract stand in a file and how codes, dates and numbers are
written there; the contract says what they must become. Belongs here: the mapping as an object, and
what is wrong with a YAML file that is none. Does not belong here: reading deliveries by it
(`tabular`), or knowing where mappings lie (the registry in `goral_pipeline.sources`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from goral_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from goral_pipeline.contracts import Contract, Table

FileType = Literal["xlsx", "csv"]
_NOT_RE2 = re.compile(r"\(\?(?:[=!>]|<[=!])|\\[1-9]|\(\?P=")
_FORMAT = re.compile(r"(?=.*%)(?:[^%]|%(?:[aAbBcdfgGHIjmMnpSuUVwWxXyYzZ%]|-[dHIjmMSy]))+")
"""What DuckDB's strptime knows."""

PARTITION = "partition"
"""Among `latest_of` the first day of the partition that the file is for."""
PLACE = "{in}"
"""In a header: where the text of an unpivoted entry stands."""


@dataclass(frozen=True)
class Layout:
    """How the file is made, before any column is looked for."""

    type: FileType
    header_rows: tuple[int, ...]
    """Rows of the sheet or file, from 1; several are read as one header, joined by a blank."""
    sheet: str | None = None
    """Name of the sheet; None takes the only one."""
    encodings: tuple[str, ...] = ("utf-8",)
    """Tried in this order; a byte order mark is passed over."""
    separator: str = ";"
    quote: str = '"'


@dataclass(frozen=True)
class SkippedRows:
    """Rows that are no records, such as totals: those whose cell under a header matches."""

    header: str
    pattern: str
    """Regular expression (RE2) for the whole cell, without regard to case."""


@dataclass(frozen=True)
class ColumnMapping:
    """Where the value of one column of the contract comes from, and how it is written there.

    Just one of headers, constant, from_partition, derived_from and latest_of is given.
    """

    headers: tuple[str, ...] = ()
    """Names the column may have in the file; at most one of them stands in it."""
    optional: bool = False
    """Whether the column may be missing from the file; its values are then null."""
    constant: str | None = None
    from_partition: bool = False
    """The partition the delivery is for, e.g. the edition."""
    derived_from: str | None = None
    """Another column of the contract, whose delivered text `pattern` is taken from."""
    pattern: str = ""
    replacement: str = ""
    latest_of: tuple[str, ...] = ()
    """Columns of the contract (dates or moments), the latest of which is the value."""
    codes: dict[str, str] = field(default_factory=dict)
    """Code as written (see `plain`) → code of the contract."""
    register: str | None = None
    """Register that gives the code of a name; `municipality_names` is the only one."""
    separator: str | None = None
    """Only in a child table: what parts the values of one cell, each of which becomes a row."""


@dataclass(frozen=True)
class Unpivoted:
    """One of the groups of columns that become rows of their own."""

    text: str
    """What takes the place of `{in}` in the headers."""
    values: dict[str, str]
    """Columns of the contract that tell the groups apart, with their values."""


@dataclass(frozen=True)
class Concession:
    """What the mapping of a concession's dataset says of the concession."""

    name: str | None
    """As the yearly report writes it; one mapping of the source is enough to say so."""
    first_day: date | None
    """First day on which this dataset's events (requests, placing) can happen."""
    end_day: date | None
    """First day on which they no longer can; None where there is no end."""
    participants: tuple[str, ...] | None
    """Codes of municipalities that take part; None: by the reference list."""
    everybody: bool = False
    """Whether all municipalities of the region take part."""


@dataclass(frozen=True)
class Mapping:
    """One layout of one dataset's files."""

    path: Path
    dataset: str
    contract: str
    """Id of the contract."""
    layout: Layout
    columns: dict[str, ColumnMapping]
    child_columns: dict[str, dict[str, ColumnMapping]]
    """Columns of child tables, by table: values that stand several to a cell."""
    skipped: tuple[SkippedRows, ...]
    unpivoted: tuple[Unpivoted, ...]
    personal_headers: tuple[str, ...]
    """Headers of personal data that no column of the contract is for: known, and never read."""
    ignored_headers: tuple[str, ...]
    """Headers that are known and not wanted."""
    time_zone: str
    date_formats: tuple[str, ...]
    timestamp_formats: tuple[str, ...]
    decimal: str
    """Decimal separator of numbers written as text."""
    thousands: str
    """Separator of thousands; empty where there is none."""
    concession: Concession | None

    @property
    def source(self) -> str:
        """First part of the dataset's name."""
        return self.dataset.split("/", 1)[0]


def plain(text: str) -> str:
    """Text as headers and codes are compared: lower case, single blanks, none at the ends."""
    return " ".join(text.replace("\u00a0", " ").lower().split())


def check(mapping: Mapping, contract: Contract) -> None:
    """Check that a mapping fills the tables of its contract, and nothing else.

    Raises:
        SettingsError: naming the file, the column and what is wrong with it.
    """
    for problem in _problems(mapping, contract):
        raise SettingsError(f"mapping {mapping.path.name}: {problem}")


def _problems(mapping: Mapping, contract: Contract) -> Iterator[str]:
    (main, *others) = contract.tables
    groups = {name for entry in mapping.unpivoted for name in entry.values}
    yield from _column_problems("columns", main, mapping.columns, groups)
    for name, columns in mapping.child_columns.items():
        table = next((table for table in others if table.name == name), None)
        if table is None:
            yield f"children.{name}: contract {contract.id} has no such child table"
        else:
            yield from _column_problems(f"children.{name}", table, columns, {*main.key})
    for name, column in mapping.columns.items():
        for origin in [*column.latest_of, *_listed(column.derived_from)]:
            if origin == PARTITION and origin in column.latest_of:
                continue
            if not (origin in mapping.columns and mapping.columns[origin].headers):
                yield f"columns.{name} is made of {origin}, which is no column with headers"
    for entry in mapping.unpivoted:
        for name, value in entry.values.items():
            known = _codes_of(main, name)
            if known and value not in known:
                yield f"unpivot sets {name} to {value!r}, expected one of {', '.join(known)}"


def _column_problems(
    place: str, table: Table, columns: dict[str, ColumnMapping], given: set[str]
) -> Iterator[str]:
    known = {column.name: column for column in table.all_columns if not column.is_provenance}
    for name in sorted({*columns, *given} - known.keys()):
        if name in columns or place == "columns":
            yield f"{place}.{name}: {table.name} has no such column; it has {', '.join(known)}"
    for name in sorted(columns.keys() & given):
        yield f"{place}.{name} is given twice: here, and for the row it belongs to"
    for name, column in known.items():
        if column.required and name not in columns and name not in given:
            yield f"{place}.{name} is missing; {table.name} requires it"
    for name, column_mapping in columns.items():
        codes = known[name].codes if name in known else ()
        made = {*column_mapping.codes.values(), *_listed(column_mapping.constant)}
        for code in sorted(made - {*codes}) if codes else ():
            yield f"{place}.{name}: {code!r} is no code of it; there are {', '.join(codes)}"


def _codes_of(table: Table, name: str) -> tuple[str, ...]:
    return next((tuple(column.codes) for column in table.all_columns if column.name == name), ())


def _listed(value: str | None) -> list[str]:
    return [] if value is None else [value]


def load(path: Path) -> Mapping:
    """Read a mapping.

    Raises:
        SettingsError: naming the file, the key and what is wrong with it.
    """
    import yaml

    try:
        text = path.read_bytes()
        # They can make a small file a huge one, and no mapping needs them.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise SettingsError(f"mapping {path.name} has YAML aliases (*); write it out")
        content = yaml.safe_load(text)
        return _Reader(path.name).mapping(path, content)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise SettingsError(f"mapping {path.name} is no YAML{where}") from None
    except (ValueError, RecursionError) as error:
        # A day such as 2022-13-45, or tables in tables without end.
        raise SettingsError(
            f"mapping {path.name} has a value that YAML cannot read ({type(error).__name__})"
        ) from None
    except OSError as error:
        raise SettingsError(f"mapping {path.name} cannot be read: {error.strerror}") from None


class _Reader:
    """Takes the parts of a mapping from what YAML gave, and says where one is wrong."""

    def __init__(self, name: str) -> None:
        self._name = name

    def mapping(self, path: Path, content: Any) -> Mapping:
        top = self._table(content, "the file")
        self._only(
            top,
            *("dataset", "contract", "concession", "file", "skip_rows", "unpivot", "columns"),
            *("children", "personal", "ignored", "time_zone", "date_formats"),
            *("timestamp_formats", "decimal", "thousands"),
        )
        dataset = self._text(top, "dataset")
        if not re.fullmatch(r"[a-z][a-z0-9_]*/[a-z][a-z0-9_]*", dataset):
            self._fail(f"dataset {dataset!r} is not of the form source/dataset, in lower case")
        columns = self._columns(top.get("columns"), "columns")
        children = {
            table: self._columns(entry, f"children.{table}")
            for table, entry in self._table(top.get("children", {}), "children").items()
        }
        unpivoted = tuple(
            self._unpivoted(self._table(entry, "unpivot")) for entry in self._list(top, "unpivot")
        )
        self._check_unpivot(columns, unpivoted, children)
        self._check_children(children)
        decimal, thousands = self._sign(top, "decimal", "."), self._sign(top, "thousands", "")
        if decimal == thousands:
            self._fail(f"decimal and thousands are both {decimal!r}; without decimal it is '.'")
        return Mapping(
            path=path,
            dataset=dataset,
            contract=self._text(top, "contract", dataset.replace("/", ".")),
            layout=self._layout(self._table(top.get("file"), "file")),
            columns=columns,
            child_columns=children,
            skipped=tuple(
                self._skipped(self._table(entry, "skip_rows"))
                for entry in self._list(top, "skip_rows")
            ),
            unpivoted=unpivoted,
            personal_headers=self._texts(top, "personal"),
            ignored_headers=self._texts(top, "ignored"),
            time_zone=self._zone(top),
            date_formats=self._formats(top, "date_formats"),
            timestamp_formats=self._formats(top, "timestamp_formats"),
            decimal=decimal,
            thousands=thousands,
            concession=self._concession(top),
        )

    def _layout(self, entry: dict[str, Any]) -> Layout:
        self._only(entry, "type", "sheet", "header_row", "encoding", "separator", "quote")
        kind = self._text(entry, "type")
        if kind not in ("xlsx", "csv"):
            self._fail(f"file.type is {kind!r}, expected xlsx or csv")
        rows = entry.get("header_row", 1)
        rows = rows if isinstance(rows, list) else [rows]
        if not rows or not all(isinstance(row, int) and row > 0 for row in rows):
            self._fail("file.header_row is the number of a row, from 1, or a list of such")
        encodings = self._texts(entry, "encoding") or ("utf-8",)
        for encoding in encodings:
            self._check_encoding(encoding)
        return Layout(
            type="csv" if kind == "csv" else "xlsx",
            header_rows=tuple(rows),
            sheet=self._text(entry, "sheet") if "sheet" in entry else None,
            encodings=encodings,
            separator=self._sign(entry, "separator", ";"),
            quote=self._sign(entry, "quote", '"'),
        )

    def _check_encoding(self, encoding: str) -> None:
        import codecs

        try:
            codecs.lookup(encoding)
        except LookupError:
            self._fail(f"file.encoding {encoding!r} is none that Python knows")

    def _zone(self, top: dict[str, Any]) -> str:
        from zoneinfo import ZoneInfo

        zone = self._text(top, "time_zone", "Europe/Amsterdam")
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            self._fail(f"time_zone {zone!r} is no zone such as Europe/Amsterdam")
        return zone

    def _formats(self, top: dict[str, Any], key: str) -> tuple[str, ...]:
        formats = self._texts(top, key)
        for form in formats:
            if not _FORMAT.fullmatch(form):
                self._fail(f"{key}: {form!r} is no format such as %d-%m-%Y")
        return formats

    def _columns(self, content: Any, place: str) -> dict[str, ColumnMapping]:
        return {
            name: self._column(self._table(entry, f"{place}.{name}"), f"{place}.{name}")
            for name, entry in self._table(content, place).items()
        }

    def _column(self, entry: dict[str, Any], place: str) -> ColumnMapping:
        self._only(
            entry,
            *("headers", "optional", "constant", "from", "derive", "latest_of", "codes"),
            *("register", "separator"),
            place=place,
        )
        origins = [
            key for key in ("headers", "constant", "from", "derive", "latest_of") if key in entry
        ]
        if len(origins) != 1:
            self._fail(f"{place} needs one of headers, constant, from, derive and latest_of")
        derive = self._table(entry.get("derive", {}), f"{place}.derive")
        if derive:
            self._only(derive, "from", "pattern", "to", place=f"{place}.derive")
            self._pattern(self._text(derive, "pattern"), f"{place}.derive.pattern")
        if "from" in entry and entry["from"] != "partition":
            self._fail(f"{place}.from can only be partition")
        register = entry.get("register")
        if register not in (None, "municipality_names"):
            self._fail(f"{place}.register can only be municipality_names")
        return ColumnMapping(
            headers=self._texts(entry, "headers"),
            optional=bool(entry.get("optional", False)),
            constant=str(entry["constant"]) if "constant" in entry else None,
            from_partition="from" in entry,
            derived_from=self._text(derive, "from") if derive else None,
            pattern=str(derive.get("pattern", "")),
            replacement=str(derive.get("to", "")),
            latest_of=self._texts(entry, "latest_of"),
            codes={
                plain(str(code)): str(meaning)
                for code, meaning in self._table(entry.get("codes", {}), f"{place}.codes").items()
            },
            register=register,
            separator=self._sign(entry, "separator", ";") if "separator" in entry else None,
        )

    def _skipped(self, entry: dict[str, Any]) -> SkippedRows:
        self._only(entry, "header", "matches", place="skip_rows")
        pattern = self._text(entry, "matches")
        self._pattern(pattern, "skip_rows.matches")
        return SkippedRows(self._text(entry, "header"), pattern)

    def _unpivoted(self, entry: dict[str, Any]) -> Unpivoted:
        self._only(entry, "in", "set", place="unpivot")
        values = self._table(entry.get("set"), "unpivot.set")
        return Unpivoted(
            self._text(entry, "in"), {name: str(value) for name, value in values.items()}
        )

    def _concession(self, top: dict[str, Any]) -> Concession | None:
        if "concession" not in top:
            return None
        entry = self._table(top["concession"], "concession")
        self._only(entry, "name", "from", "until", "municipalities", place="concession")
        taking_part = entry.get("municipalities")
        if taking_part not in (None, "all") and not (
            isinstance(taking_part, list)
            and all(re.fullmatch(r"GM\d{4}", str(code)) for code in taking_part)
        ):
            self._fail("concession.municipalities is `all` or a list of codes such as GM0202")
        return Concession(
            name=self._name_of(entry),
            first_day=self._day(entry, "from"),
            end_day=self._day(entry, "until"),
            participants=tuple(taking_part) if isinstance(taking_part, list) else None,
            everybody=taking_part == "all",
        )

    def _name_of(self, entry: dict[str, Any]) -> str | None:
        name = entry.get("name")
        if name is not None and not (isinstance(name, str) and name.strip()):
            self._fail("concession.name is no text")
        return name

    def _check_unpivot(
        self,
        columns: dict[str, ColumnMapping],
        unpivoted: tuple[Unpivoted, ...],
        children: dict[str, dict[str, ColumnMapping]],
    ) -> None:
        placed = [n for n, c in columns.items() if any(PLACE in text for text in c.headers)]
        if unpivoted and not placed:
            self._fail(f"unpivot needs a header with {PLACE}")
        if placed and not unpivoted:
            self._fail(f"columns.{placed[0]} has {PLACE} in a header, but there is no unpivot")
        if unpivoted and children:
            self._fail("unpivot and children cannot be combined")

    def _check_children(self, children: dict[str, dict[str, ColumnMapping]]) -> None:
        for table, columns in children.items():
            for name, column in columns.items():
                if not column.headers or column.codes or column.register:
                    self._fail(
                        f"children.{table}.{name} can only have headers, separator and optional"
                    )

    # --- parts of YAML ---

    def _fail(self, text: str) -> None:
        raise SettingsError(f"mapping {self._name}: {text}")

    def _only(self, entry: dict[str, Any], *keys: str, place: str = "") -> None:
        unknown = sorted(set(map(str, entry)) - set(keys))
        if unknown:
            where = f" in {place}" if place else ""
            self._fail(f"unknown {', '.join(unknown)}{where}; known are {', '.join(sorted(keys))}")

    def _table(self, content: Any, place: str) -> dict[str, Any]:
        if not isinstance(content, dict):
            raise SettingsError(f"mapping {self._name}: {place} is no table of keys and values")
        return content

    def _list(self, entry: dict[str, Any], key: str) -> Iterable[Any]:
        content = entry.get(key, [])
        if not isinstance(content, list):
            self._fail(f"{key} is no list")
        return content if isinstance(content, list) else []

    def _text(self, entry: dict[str, Any], key: str, default: str | None = None) -> str:
        value = entry.get(key, default)
        if value is None or not isinstance(value, (str, int, float)):
            self._fail(f"{key} is missing" if value is None else f"{key} is no text")
        return str(value)

    def _sign(self, entry: dict[str, Any], key: str, default: str) -> str:
        sign = self._text(entry, key, default)
        if len(sign) > 1 or sign in ("\n", "\r") or (key == "separator" and not sign):
            self._fail(f"{key} is {sign!r}, expected one character")
        return sign

    def _texts(self, entry: dict[str, Any], key: str) -> tuple[str, ...]:
        value = entry.get(key, [])
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(text, (str, int)) for text in values):
            self._fail(f"{key} is no list of texts")
        return tuple(str(text) for text in values)

    def _day(self, entry: dict[str, Any], key: str) -> date | None:
        value = entry.get(key)
        if value is not None and not isinstance(value, date):
            self._fail(f"concession.{key} is no date such as 2022-04-01")
        return value if isinstance(value, date) else None

    def _pattern(self, pattern: str, place: str) -> None:
        try:
            re.compile(pattern)
        except re.error as error:
            self._fail(f"{place} is no regular expression: {error}")
        if _NOT_RE2.search(pattern):
            self._fail(f"{place} looks around or back, which RE2 cannot")
