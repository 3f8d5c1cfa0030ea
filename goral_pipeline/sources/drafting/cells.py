"""What the cells of a column hold, by their look alone: dates, numbers, what may be personal.

Belongs here: patterns and counting. Does not belong here: contracts, or showing any cell.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TypeVar

from goral_pipeline.sources.mapping import plain

Kind = TypeVar("Kind", bound=Hashable)

LONGEST_LOOKED_AT = 200
"""Characters of a cell that patterns are held against; no pattern then takes long."""
LONGEST_CODE = 60
MOST_WORDS_OF_A_LABEL = 5
MOST = 0.5
"""Share of cells from which a column is said to hold something."""
MOST_BUT_FEW = 0.8

_TIME = r"(?P<time>[ T]\d{1,2}:\d{2}(?P<seconds>:\d{2}(?P<fraction>\.\d{1,6})?)?)?"
_DUTCH_DATE = re.compile(
    rf"(?P<first>\d{{1,2}})(?P<sep>[-/.])(?P<second>\d{{1,2}})(?P=sep)(?P<year>\d{{4}}|\d{{2}}){_TIME}"
)
_ISO_DATE = re.compile(rf"\d{{4}}(?P<sep>[-/])\d{{1,2}}(?P=sep)\d{{1,2}}{_TIME}")
_EXCEL_SERIAL = re.compile(r"[2-5]\d{4}(\.\d+)?")
_WHOLE = re.compile(r"[+-]?\d{1,18}")
_NUMBERS = (
    ("whole", _WHOLE),
    ("comma groups", re.compile(r"[+-]?\d{1,3}(\.\d{3})+,\d+")),
    ("point groups", re.compile(r"[+-]?\d{1,3}(,\d{3})+\.\d+")),
    ("comma", re.compile(r"[+-]?\d+,\d+")),
    ("point", re.compile(r"[+-]?\d+\.\d+")),
)


class Personal(StrEnum):
    """Kinds of personal data that have a look of their own; the value is the Dutch word for it."""

    email = "e-mail"
    postcode = "postcode"
    account = "rekeningnummer"
    plate = "kenteken"
    phone = "telefoon"
    name = "naam"
    address = "adres"
    free_text = "vrije tekst"


_NAME = r"[A-ZÀ-Þ](?:[^\W\d_]|['’-])+"
_PARTICLES = r"(?:(?:van|de|der|den|het|ten|ter|te|'t|la|el|al)\s)*"
_PERSONAL = (
    (Personal.email, re.compile(r"[^\s@]+@[^\s@]+")),
    (Personal.postcode, re.compile(r"[1-9]\d{3}\s?[A-Za-z]{2}")),
    (Personal.account, re.compile(r"[A-Z]{2}\d{2}\s?[A-Z]{4}[\d\s]{8,14}")),
    (
        Personal.plate,
        re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9]{1,3}-[A-Za-z0-9]{1,3}-[A-Za-z0-9]{1,3}"),
    ),
    (Personal.phone, re.compile(r"(?:\+|0)[\d\s()-]{8,18}\d")),
    (Personal.name, re.compile(rf"(?:[A-Z]\.\s?)+{_PARTICLES}{_NAME}")),
    (Personal.name, re.compile(rf"{_NAME}\s{_PARTICLES}{_NAME}(?:\s{_NAME})?")),
    (Personal.address, re.compile(r"[^\W\d_][^\d]*\s\d{1,5}\s?[A-Za-z]?(?:[-,/ ].*)?")),
)
# What must not be anywhere in a text that is shown: an address of mail, a postcode, a number that
# may be somebody's, initials, or a word that stands out like a name.
_TELLING = re.compile(
    r"@|\b[1-9]\d{3}\s?[A-Z]{2}\b|\d{4,}|\b[A-Z]\.|(?<=\S)\s+(?:[A-ZÀ-Þ][^\W\d_]*[a-zß-ÿ]|[A-Z]{5,})"
)


def personal_kind(text: str) -> Personal | None:
    """What kind of personal data a text looks like, if any."""
    for kind, pattern in _PERSONAL:
        if pattern.fullmatch(text[:LONGEST_LOOKED_AT]):
            return kind
    return Personal.free_text if len(text.split()) > MOST_WORDS_OF_A_LABEL else None


def tells_of_nobody(text: str, *, is_code: bool) -> bool:
    """Whether a text that occurs often may be shown, as far as its look tells.

    What is like a code of the contract may look like an address: `paal binnen 250 meter`.
    """
    if len(text) > LONGEST_CODE or _TELLING.search(text):
        return False
    return is_code or personal_kind(text) in (None, Personal.free_text)


@dataclass(frozen=True)
class DateForm:
    """How a date is written."""

    separator: str
    year_first: bool
    short_year: bool
    time: str
    """What parts it from the time of day, and that one's format; empty without one."""

    def format(self, *, month_first: bool = False) -> str:
        """As DuckDB and Python write formats."""
        year = "%y" if self.short_year else "%Y"
        days = ["%m", "%d"] if month_first else ["%d", "%m"]
        parts = [year, "%m", "%d"] if self.year_first else [*days, year]
        return self.separator.join(parts) + self.time


def date_form(text: str) -> DateForm | None:
    """The form of a date, or None when the text is none."""
    iso = _ISO_DATE.fullmatch(text)
    found = iso or _DUTCH_DATE.fullmatch(text)
    if not found:
        return None
    time = ""
    if found["time"]:
        time = found["time"][0] + "%H:%M"
        time += (":%S" if found["seconds"] else "") + (".%f" if found["fraction"] else "")
    return DateForm(
        separator=found["sep"],
        year_first=iso is not None,
        short_year=iso is None and len(found["year"]) == 2,
        time=time,
    )


@dataclass(frozen=True)
class Cells:
    """The cells of one column below its header, blank ones left out."""

    position: int
    """Of the column in the sheet, from 1."""
    header: str
    """As written, with single blanks; empty where there is none."""
    texts: Counter[str]
    """Each text with how often it stands there."""

    @property
    def filled(self) -> int:
        """How many are not blank."""
        return self.texts.total()

    def _count(self, kind_of: Callable[[str], Kind | None]) -> Counter[Kind]:
        kinds: Counter[Kind] = Counter()
        for text, number in self.texts.items():
            if (kind := kind_of(text)) is not None:
                kinds[kind] += number
        return kinds

    def _share(self, number: int) -> float:
        return number / self.filled if self.filled else 0.0

    @cached_property
    def dates(self) -> Counter[DateForm]:
        """Forms of the cells that look like a date, or a date and time."""
        return self._count(date_form)

    @cached_property
    def serials(self) -> int:
        """Cells that could be Excel's count of days."""
        return self._count(lambda text: _EXCEL_SERIAL.fullmatch(text) and True).total()

    @cached_property
    def numbers(self) -> Counter[str]:
        """Numbers by how they are written: `whole`, `comma`, `point`, with `… groups` apart."""
        return self._count(_number_kind)

    @property
    def holds_dates(self) -> bool:
        """Whether most cells are dates."""
        return self._share(self.dates.total()) >= MOST

    @property
    def may_hold_dates(self) -> bool:
        """Whether most cells are dates, or numbers that may be Excel's."""
        return self._share(self.dates.total() + self.serials) >= MOST

    @property
    def holds_numbers(self) -> bool:
        """Whether most cells are numbers."""
        return self._share(self.numbers.total()) >= MOST

    @cached_property
    def personal(self) -> Personal | None:
        """The kind of personal data that most of its cells look like."""
        kinds = self._count(personal_kind)
        if not kinds or self.holds_dates:
            return None
        kind, _ = kinds.most_common(1)[0]
        return kind if self._share(kinds.total()) >= MOST else None

    def often(self, least: int, is_code: Callable[[str], bool]) -> dict[str, int]:
        """Values, as codes are compared, that occur at least so often and tell of nobody.

        Empty unless they are nearly all that stands there: else it holds no codes.
        """
        values: Counter[str] = Counter()
        for text, number in self.texts.items():
            values[plain(text)] += number
        often = {value: number for value, number in values.most_common() if number >= least}
        if self._share(sum(often.values())) < MOST_BUT_FEW:
            return {}
        hidden = {
            value
            for text in self.texts
            if (value := plain(text)) in often and not tells_of_nobody(text, is_code=is_code(value))
        }
        return {value: number for value, number in often.items() if value not in hidden}

    def days_and_months(self) -> Iterable[tuple[str, int, int]]:
        """Separator and the first two parts of each date that does not begin with its year."""
        for text in self.texts:
            if found := _DUTCH_DATE.fullmatch(text):
                yield found["sep"], int(found["first"]), int(found["second"])


def _number_kind(text: str) -> str | None:
    return next((kind for kind, pattern in _NUMBERS if pattern.fullmatch(text)), None)
