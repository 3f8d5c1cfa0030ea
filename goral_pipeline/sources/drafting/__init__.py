"""Drafts of mappings: what a file never seen seems to be, written down for a person to finish.

`sniffing` reads the file, `cells` looks at what stands in it, `matching` holds it against the
contracts, `writing` makes the YAML. It runs in a process of its own, as the file may be hostile.

Belongs here: the order of these steps, finding the header and the rows that are no records. Does
not belong here: reading deliveries by a finished mapping (`tabular`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from goral_pipeline.contracts import Contract, staged
from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.sources.drafting import matching, writing
from goral_pipeline.sources.drafting.cells import Cells, date_form
from goral_pipeline.sources.drafting.matching import Vocabulary
from goral_pipeline.sources.drafting.sniffing import Grid, grids
from goral_pipeline.sources.drafting.writing import Found, Totals
from goral_pipeline.sources.mapping import PLACE, Mapping, load, plain

FIRST_ROWS = 40
"""Rows among which the header is looked for."""
TOTALS = r"(sub|eind)?tota(a?l|len).*"
_NUMBER = re.compile(r"[+-]?[\d.,]+%?")


@dataclass(frozen=True)
class Wish:
    """What is asked for."""

    path: Path
    contracts: tuple[str, ...]
    """Ids of the contracts that it may be for."""
    dataset: str | None
    """Dataset that the mapping is for; None leaves it to be filled in."""
    is_named: bool
    """Whether another mapping gives the name of the dataset's concession."""
    is_listed: bool
    """Whether the reference list tells which municipalities take part in it."""
    sheet: str | None = None


@dataclass(frozen=True)
class Draft:
    """A mapping to be finished by a person."""

    text: str
    """YAML with comments."""
    summary: str


def draft(wish: Wish) -> Draft:
    """Propose a mapping for a file.

    Raises:
        DeliveryRejected: when it cannot be read, or holds no table.
    """
    contracts = [contract for contract in staged().values() if contract.id in wish.contracts]
    found = [
        finding
        for grid in grids(wish.path, wish.sheet)
        if (finding := _finding(grid, contracts)) is not None
    ]
    if not found:
        raise DeliveryRejected("found no table in it, expected a row of headers and records below")
    best = max(found, key=lambda finding: finding.match.fit)
    return Draft(
        writing.mapping(best, wish.dataset, is_named=wish.is_named, is_listed=wish.is_listed),
        writing.summary(best),
    )


def unused_headers(path: Path, mapping: Path) -> list[str]:
    """Headers of a file that a mapping does not name; what looks like no header by its column.

    None where few of those that it names are there: then that row is none of headers, and may be a
    record.
    """
    layout = load(mapping)
    vocabulary = Vocabulary.of(staged().values())
    named = {plain(header) for header in _headers(layout)}
    (grid, *_) = grids(path, layout.layout.sheet)
    if len(grid.rows) < max(layout.layout.header_rows):
        return []
    titles = [
        " ".join(filter(None, parts))
        for parts in zip(*(grid.rows[row - 1] for row in layout.layout.header_rows), strict=True)
    ]
    known = sum(plain(title) in named for title in titles if title)
    if 2 * known < len(layout.columns):
        return []
    return [
        repr(title) if writing.is_header(title, vocabulary, trusting=True) else f"column {place}"
        for place, title in enumerate(titles, 1)
        if title and plain(title) not in named
    ]


def _headers(layout: Mapping) -> Iterator[str]:
    """Every header that a mapping names."""
    columns = [*layout.columns.values()]
    columns += [column for table in layout.child_columns.values() for column in table.values()]
    for column in columns:
        for header in column.headers:
            yield from (
                [header.replace(PLACE, entry.text) for entry in layout.unpivoted] or [header]
            )
    yield from (*layout.personal_headers, *layout.ignored_headers)
    yield from (rows.header for rows in layout.skipped)


def _finding(grid: Grid, contracts: list[Contract]) -> Found | None:
    """What is in a sheet, held against the contract that fits it best."""
    vocabulary = Vocabulary.of(contracts)
    at = _header_at(grid.rows, vocabulary)
    if at is None:
        return None
    header = grid.rows[at]
    below = grid.rows[at + 1 :]
    totals = _totals(header, below)
    records = [row for row in below if any(row) and not (totals and totals.is_one(row))]
    columns = [
        Cells(
            position=place + 1,
            header=title,
            texts=Counter(row[place] for row in records if row[place]),
        )
        for place, title in enumerate(header)
        if title or any(row[place] for row in records)
    ]
    ranked = sorted(
        (matching.match(contract, columns) for contract in contracts),
        key=lambda match: -match.fit,
    )
    return Found(
        grid=grid,
        header_row=at + 1,
        records=len(records),
        totals=totals,
        match=ranked[0],
        next_best=ranked[1] if len(ranked) > 1 else None,
        vocabulary=vocabulary,
    )


def _header_at(rows: list[list[str]], vocabulary: Vocabulary) -> int | None:
    """Index of the row that looks most like a header; None when none does."""
    most = max((sum(map(bool, row)) for row in rows[:FIRST_ROWS]), default=0)

    def fit(row: list[str]) -> float:
        texts = [cell for cell in row if cell]
        if len(texts) < 2 or len(texts) * 2 < most:
            return 0.0
        values = sum(bool(date_form(text) or _NUMBER.fullmatch(text)) for text in texts)
        known = sum(vocabulary.has(text) for text in texts)
        return len(set(texts)) + 3 * known - 4 * values

    fits = [fit(row) for row in rows[:FIRST_ROWS]]
    best = max(fits, default=0.0)
    return fits.index(best) if best > 0 else None


def _totals(header: list[str], rows: list[list[str]]) -> Totals | None:
    """The rows of totals: those that say so in one column, if there are few."""
    pattern = re.compile(TOTALS, re.IGNORECASE)
    places = Counter(
        place for row in rows for place, cell in enumerate(row) if cell and pattern.fullmatch(cell)
    )
    if not places:
        return None
    place, number = places.most_common(1)[0]
    if number * 2 > len(rows) or not header[place]:
        return None
    return Totals(place, header[place], TOTALS, number)
