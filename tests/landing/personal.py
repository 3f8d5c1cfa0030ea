"""Persons that nobody could mistake for anything else, and a search for them in every byte."""

import gzip
import sqlite3
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from tests.support_files import Row, request

# Each with a mark of its own, so that a find tells where it came from.
PERSON: dict[str, str] = {
    "Naam aanvrager": "Zwaantje Quuxvliegenberg",
    "E-mailadres": "zwaantje.quux@canarymail.example",
    "Telefoonnummer": "06-55519273",
    "Straat en huisnummer": "Kanariepietweg 987",
    "Postcode": "9876 QX",
    "Kenteken": "QX-987-Z",
    "Toelichting": "Gebeld met mevrouw Quuxvliegenberg, belt terug op 0655519273",
}
MARKS = (
    "Quux",
    "Zwaantje",
    "canarymail",
    "55519273",
    "Kanariepiet",
    "9876 QX",
    "9876QX",
    "QX-987",
    "QX987",
)


def of_person(number: str, **changes: Any) -> Row:
    """A good request of that person."""
    return request(number, **PERSON) | changes


def shifted(number: str, by: int) -> Row:
    """Her cells some columns further on: in columns that may be shown."""
    row = of_person(number)
    names = list(row)
    return {name: row[names[place - by]] for place, name in enumerate(names)}


def misplaced() -> list[Row]:
    """Bad rows, each with something of her in a column where it does not belong."""
    wrong = [
        {"Aanvraagnummer": PERSON["Naam aanvrager"]},
        {"Aanvraagnummer": PERSON["E-mailadres"]},
        {"Gemeente": PERSON["Straat en huisnummer"]},
        {"Aanleiding": PERSON["Toelichting"]},
        {"Datum aanvraag": PERSON["Telefoonnummer"]},
        {"Datum afwijzing": PERSON["Postcode"], "Reden afwijzing": PERSON["Toelichting"]},
        {"Datum realisatie": PERSON["Kenteken"]},
        {"Laatst gewijzigd": PERSON["Naam aanvrager"]},
    ]
    rows = [of_person(f"bad-{number}", **changes) for number, changes in enumerate(wrong)]
    return rows + [shifted(f"shifted-{by}", by) for by in (1, 2, 4, 8)]


# ── the search ───────────────────────────────────────────────────────────────────────────────────


def places(folder: Path, *but: Path, marks: Iterable[str] = MARKS) -> list[str]:
    """Where a mark stands in files below a folder, but for those below `but`."""
    paths = [path for path in sorted(folder.rglob("*")) if not {*but} & {path, *path.parents}]
    return [
        f"{path.relative_to(folder)} {part}: {mark}"
        for path in paths
        if path.is_file()
        for part, content in _contents(path)
        for mark in found(content, marks)
    ] + [
        f"name of {path.relative_to(folder)}: {mark}"
        for path in paths
        for mark in found(str(path.relative_to(folder)).encode(), marks)
    ]


def found(content: bytes, marks: Iterable[str] = MARKS) -> list[str]:
    """The marks in some bytes, in any case, as UTF-8 or UTF-16."""
    lower = content.lower()
    return [mark for mark in marks if any(form in lower for form in _forms(mark))]


def _forms(mark: str) -> list[bytes]:
    return [mark.lower().encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be")]


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """The bytes of a file, and what they hide: compressed pages, rows of databases."""
    content = path.read_bytes()
    yield "bytes", content
    if content.startswith(b"PAR1"):
        yield "rows", str(pq.read_table(path).to_pylist()).encode()
        yield "footer", str(pq.read_metadata(path).to_dict()).encode()
    elif content.startswith(b"SQLite format 3"):
        yield "rows", "\n".join(_dump(path)).encode()
    elif path.suffix == ".duckdb":
        yield "rows", "\n".join(_tables(path)).encode()
    elif content.startswith(b"\x1f\x8b"):
        yield "unpacked", gzip.decompress(content)
    elif content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield name, archive.read(name)
    elif content[:1] == b"\x78":
        yield "unpacked", zlib.decompress(content)


def _dump(path: Path) -> Iterator[str]:
    con = sqlite3.connect(path)
    con.text_factory = lambda raw: raw.decode("utf-8", "replace")
    for (table,) in con.execute("select name from sqlite_master where type = 'table'").fetchall():
        for row in con.execute(f'select * from "{table}"'):
            yield repr(row)
    con.close()


def _tables(path: Path) -> Iterator[str]:
    with duckdb.connect(str(path), read_only=True) as con:
        for schema, table in con.execute(
            "select schema_name, table_name from duckdb_tables()"
        ).fetchall():
            yield repr(con.execute(f'select * from "{schema}"."{table}"').fetchall())
        yield repr(con.execute("select sql from duckdb_views()").fetchall())
