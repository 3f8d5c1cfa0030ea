"""Lists of OCPI objects as they lie in landing, made ready for DuckDB to read in one pass.

A crawl lands pages, one a line: `{"page": n, "offset": o, "body": <answer as it came>}`, with
`"again": true` where the first object is the last of the page before, and so no record. People
deliver one answer, a list, a single object, or objects line by line; those are written down as
pages first.

Belongs here: pages and what is wrong with one. Does not belong here: members of objects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goral_pipeline import durable
from goral_pipeline.contracts.model import quote
from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.sources.hostile import (
    CHUNK_BYTES,
    check_json,
    looks_like,
    unreadable_is_rejected,
)
from goral_pipeline.sources.ocpi import envelope

if TYPE_CHECKING:
    import duckdb

    from goral_pipeline.sources.reading import Reading

MAX_PAGE_BYTES = 96 * 1024**2
"""Of a line: a crawl takes pages of 64 MiB at most."""
MOST_OBJECTS_A_PAGE = 1 << 27
"""More than fit in one. A row's id is its page's number times this, plus its place in the page."""
OBJECTS_A_PAGE = 1000
"""Of what is written down as pages."""
_OWN_START = b'{"page":'
_LEAST_OBJECT_BYTES = 16 * 1024**2


def objects(reading: Reading, members: Mapping[str, str], expected: str) -> str:
    """SQL of a relation with the columns row_id, record_number and `it`, the object.

    `it` is a struct of the members, each of the type given; a member that is of another kind than
    its type is null, and so is `it` for what is no object. The record number is the object's place
    in the publisher's list, from 1; where the list moved it may be there twice.

    Raises:
        DeliveryRejected: when the file holds no pages. That a page cannot be read is found once
            the rows are there (`Reading.later`).
    """
    struct = ", ".join(f"{name} {kind}" for name, kind in members.items())
    return _objects(reading, f"STRUCT({struct})", expected)


def read_records(reading: Reading, expected: str) -> None:
    """Read the objects into the table `records`: row_id and record_number as above, and `json`.

    For lists that are short and go deep: an object stands there whole, as JSON text.

    Raises:
        DeliveryRejected: as above, and when the JSON nests absurdly deep.
    """
    check_json(reading.path, expected, gzipped=False)
    given = _objects(reading, "JSON", expected)
    with unreadable_is_rejected(expected):
        reading.con.execute(
            f"create temp table records as select row_id, record_number, it as json from {given}"
        )


def _objects(reading: Reading, kind: str, expected: str) -> str:
    """SQL of the objects, each read as a value of a type of DuckDB."""
    path = reading.path if _is_crawled(reading.path) else _as_pages(reading, expected)
    lines, longest = _extent(path, expected)
    columns = (
        "{page: 'UINTEGER', \"offset\": 'UINTEGER', again: 'BOOLEAN', "
        f"body: {quote(f'STRUCT(data {kind}[])')}}}"
    )
    reading.later.append(partial(_check_pages, path, lines, expected))
    (table, *_) = reading.contract.tables
    # The last place of each page says how many objects it holds.
    reading.received[table.name] = (
        f"select sum(places) from (select max(row_id % {MOST_OBJECTS_A_PAGE}) as places "
        f"from typed_{table.name} group by row_id // {MOST_OBJECTS_A_PAGE})"
    )
    # With `ignore_errors` a member of another kind than its type is null, instead of the end of
    # all; but a line that is no JSON goes without a word, so the pages are counted afterwards.
    return f"""(
        select
            if(
                "offset" is not null, page::bigint * {MOST_OBJECTS_A_PAGE} + place - told, null
            ) as row_id,
            "offset" + place as record_number, it
        from (
            select page, "offset", coalesce(again, false)::int as told,
                unnest(body.data) as it, generate_subscripts(body.data, 1) as place
            from read_json(
                {quote(str(path))}, format = 'newline_delimited', columns = {columns},
                maximum_object_size = {max(longest + 1024, _LEAST_OBJECT_BYTES)},
                ignore_errors = true
            )
        )
        where place > told
    )"""


def _is_crawled(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_OWN_START)) == _OWN_START


def _extent(path: Path, expected: str) -> tuple[int, int]:
    """Number of lines, and bytes of the longest."""
    lines = longest = length = 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK_BYTES):
            begin = 0
            while end := chunk.find(b"\n", begin) + 1:
                lines, longest = lines + 1, max(longest, length + end - begin)
                length, begin = 0, end
            length += len(chunk) - begin
            if max(longest, length) > MAX_PAGE_BYTES:
                raise DeliveryRejected(
                    f"a page (about the {lines + 1}th) is larger than "
                    f"{MAX_PAGE_BYTES // 1024**2} MiB, expected {expected}"
                )
    return (lines + 1, max(longest, length)) if length else (lines, longest)


def _check_pages(
    path: Path, lines: int, expected: str, con: duckdb.DuckDBPyConnection, table: str
) -> None:
    """See that of each page the objects were read.

    Raises:
        DeliveryRejected: naming the first page that is damaged.
    """
    found = {
        page
        for (page,) in con.execute(
            f"select distinct row_id // {MOST_OBJECTS_A_PAGE} from {table}"
        ).fetchall()
    }
    if len(found) == lines and None not in found:
        return
    seen = set()
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            content = _content(line)
            page = content.get("page") if isinstance(content, dict) else None
            body = content.get("body") if isinstance(content, dict) else None
            data = body.get("data") if isinstance(body, dict) else None
            is_told = isinstance(data, list) and len(data) <= (content.get("again") is True)
            is_read = isinstance(page, int) and (page in found or is_told)
            if not is_read or page in seen:
                raise DeliveryRejected(
                    f"page {number} is damaged, holds no list of objects or is there twice, "
                    f"expected {expected}; ask for it again"
                )
            seen.add(page)


def _as_pages(reading: Reading, expected: str) -> Path:
    """Write what people deliver down as pages."""
    if reading.path.stat().st_size > MAX_PAGE_BYTES:
        raise DeliveryRejected(
            f"a file made by hand is read up to {MAX_PAGE_BYTES // 1024**2} MiB; deliver it in "
            "parts, or have the server asked"
        )
    content = reading.path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    durable.make_folder(reading.spill, durable.PRIVATE)
    path = reading.spill / "pages.ndjson"
    with path.open("wb") as file:
        for number, page in enumerate(_pages(content, expected), start=1):
            told = {"page": number, "offset": (number - 1) * OBJECTS_A_PAGE, "body": {"data": page}}
            line = json.dumps(told, separators=(",", ":")).encode()
            file.write(envelope.legible(line) + b"\n")
    return path


def _pages(content: bytes, expected: str) -> Iterator[list[Any]]:
    whole = _content(content)
    if isinstance(whole, dict):
        _check_status(whole, expected)
        data = whole.get("data", whole)
        found = data if isinstance(data, list) else [data]
    elif isinstance(whole, list):
        found = whole
    else:
        found = [_content(line) for line in content.splitlines() if line.strip()]
        if not found or not all(isinstance(one, dict) for one in found):
            raise DeliveryRejected(f"found {looks_like(content[:512])}, expected {expected}")
    for first in range(0, len(found), OBJECTS_A_PAGE):
        yield found[first : first + OBJECTS_A_PAGE]


def _check_status(answer: dict[str, Any], expected: str) -> None:
    """Let pass what says that it succeeded, or is no answer of a server.

    Raises:
        DeliveryRejected: when it says that the request failed.
    """
    code = answer.get("status_code")
    if isinstance(code, int) and code not in envelope.SUCCESS:
        raise DeliveryRejected(
            f"found an answer that failed (OCPI status {code}), expected {expected}"
        )


def _content(text: bytes) -> Any:
    """What a JSON text says, though a string in it be illegible; None where it is none."""
    for form in (text, envelope.legible(text)):
        with suppress(ValueError, RecursionError):
            return json.loads(form)
    return None
