"""Which column of a contract each column of a file seems to be.

A header is held against a column's name, its synonyms and the Dutch terms in its description, and
the cells against its type. Belongs here: comparing and choosing. Does not belong here: words of the
field; those are the contracts'.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property, lru_cache

from goral_pipeline.contracts import Column, Contract, Table
from goral_pipeline.sources.drafting.cells import Cells, Personal
from goral_pipeline.sources.mapping import plain

SURE = 0.85
"""From this score on a header is one that is known; below it only resembles one."""
LEAST = 0.5

_IDLE = frozenset(
    ("datum", "tijd", "tijdstip", "date", "time", "de", "het", "een", "van", "op", "dd", "d")
)
_SHORT = {
    "nr": "nummer",
    "tel": "telefoon",
    "gem": "gemeente",
    "email": "mail",
    "mailadres": "mail",
}
# By the look of the cells alone; everything else that looks personal may be something else too.
_NEVER_PLAIN = frozenset([Personal.email, Personal.account])


@dataclass(frozen=True)
class Place:
    """A column of the file that is taken for one of the contract's."""

    table: Table
    column: Column
    cells: Cells
    score: float


@dataclass(frozen=True)
class Match:
    """How the columns of a file fit a contract."""

    contract: Contract
    places: tuple[Place, ...]
    """In the contract's order."""
    unplaced: tuple[Cells, ...]

    @cached_property
    def missing(self) -> tuple[Column, ...]:
        """Columns of the main table that are required and were not found."""
        placed = {place.column.name for place in self.places if not place.table.parent}
        return tuple(
            column
            for table, column in wanted(self.contract)
            if not table.parent and column.required and column.name not in placed
        )

    @property
    def fit(self) -> float:
        """How well they fit: what was found, less what is missing."""
        found = sum(place.score for place in self.places if place.column.personal == "none")
        personal = sum(place.score for place in self.places if place.column.personal != "none")
        return found + personal / 2 - len(self.missing) / 2


def wanted(contract: Contract) -> Iterator[tuple[Table, Column]]:
    """The columns that a file may have: not those that staging or a parent's row fills in."""
    for table in contract.tables:
        inherited = (
            {column.name for column in contract.table(table.parent).all_columns}
            if table.parent
            else set()
        )
        for column in table.all_columns:
            if not (column.is_provenance or column.is_transient or column.name in inherited):
                yield table, column


def match(contract: Contract, columns: Iterable[Cells]) -> Match:
    """Give each column of the contract the column of the file that fits it best, if one does."""
    columns = tuple(columns)
    often = Counter(plain(cells.header) for cells in columns)
    scored = [
        (_score(column, cells), table, column, cells)
        for table, column in wanted(contract)
        for cells in columns
        # A header that stands twice names no column.
        if often[plain(cells.header)] == 1
    ]
    # The best first; of equals the first, so sorted by the score alone.
    scored.sort(key=lambda entry: -entry[0])
    places: dict[tuple[str, str], Place] = {}
    taken = set()
    for score, table, column, cells in scored:
        key = (table.name, column.name)
        if score >= LEAST and key not in places and cells.position not in taken:
            places[key] = Place(table, column, cells, score)
            taken.add(cells.position)
    order = [(table.name, column.name) for table, column in wanted(contract)]
    return Match(
        contract,
        tuple(places[key] for key in order if key in places),
        tuple(cells for cells in columns if cells.position not in taken),
    )


@lru_cache(maxsize=100_000)
def likeness(text: str, term: str) -> float:
    """How much a header, or a value, is like a term; 1.0 is the same but for case and marks."""
    own, other = _words(text), _words(term)
    if not own or not other:
        return 0.0
    if own == other:
        return 1.0
    own, other = _telling(own), _telling(other)
    if _bag(own) == _bag(other):
        return 0.95
    same = SequenceMatcher(None, "".join(own), "".join(other))
    # The first is an upper bound, and much cheaper.
    if same.quick_ratio() >= SURE and (ratio := same.ratio()) >= SURE:
        return 0.95 * ratio
    small, large = sorted((set(own), set(other)), key=len)
    return 0.2 + 0.6 * len(small) / len(large) if small < large else 0.0


@dataclass(frozen=True)
class Vocabulary:
    """What headers are made of: the contracts' terms."""

    terms: frozenset[tuple[str, ...]]
    words: frozenset[str]

    @classmethod
    def of(cls, contracts: Iterable[Contract]) -> Vocabulary:
        """The terms of all columns of the contracts."""
        listed = [
            _words(term)
            for contract in contracts
            for _, column in wanted(contract)
            for term in terms(column)
        ]
        return cls(
            frozenset(_bag(words) for words in listed),
            frozenset(word for words in listed for word in words),
        )

    def has(self, header: str) -> bool:
        """Whether a header is one of the terms."""
        return _bag(_words(header)) in self.terms

    def has_word_of(self, header: str) -> bool:
        """Whether any word of a header is one of theirs."""
        return has_word_of(header, self.words)


def terms(column: Column) -> tuple[str, ...]:
    """What a column is called: its name, its synonyms, the terms in brackets."""
    in_brackets = re.findall(r"\(([^)]+)\)", column.description)
    return (column.name.replace("_", " "), *column.synonyms, *in_brackets)


def has_word_of(header: str, words: frozenset[str]) -> bool:
    """Whether any word of a header is among the words."""
    return bool(words & set(_words(header)))


def _score(column: Column, cells: Cells) -> float:
    if not _fits(column, cells):
        return 0.0
    best = max(likeness(cells.header, term) for term in terms(column))
    look = cells.personal
    if column.personal != "none" and look and look is not Personal.free_text:
        # What the cells look like counts as a header too, if not as much.
        best = max(best, *(0.8 * likeness(look.value, term) for term in terms(column)))
    return best


def _fits(column: Column, cells: Cells) -> bool:
    """Whether the cells can be the column's, by its type."""
    if not cells.filled or column.personal != "none":
        return True
    if cells.personal in _NEVER_PLAIN:
        return False
    if column.type in ("DATE", "TIMESTAMPTZ"):
        return cells.may_hold_dates
    if column.type == "VARCHAR":
        return not cells.holds_dates
    return cells.holds_numbers or column.type == "BOOLEAN"


@lru_cache(maxsize=10_000)
def _words(text: str) -> tuple[str, ...]:
    letters = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    bare = bare.replace("e-mail", "mail").replace("'", "").replace("’", "")
    return tuple(_SHORT.get(word, word) for word in re.findall(r"[a-z0-9]+", bare))


def _bag(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words that tell, whatever their order."""
    return tuple(sorted(_telling(words)))


def _telling(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in _IDLE) or words
