"""The draft as YAML: what was found, with the reasons as comments, and what a person must fill in.

No cell of the file is shown, but for codes that occur often and tell of nobody; and no header that
looks like a person rather than a header. Belongs here: the text. Does not belong here: guessing.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from goral_pipeline.contracts import Column, Contract
from goral_pipeline.contracts.model import Table
from goral_pipeline.sources.drafting import matching
from goral_pipeline.sources.drafting.cells import Cells, DateForm, Personal, personal_kind
from goral_pipeline.sources.drafting.matching import SURE, Match, Place, Vocabulary, likeness
from goral_pipeline.sources.drafting.sniffing import Grid

FILL_IN = "FILL_IN"
"""Stands where a person must write; the check of the mapping fails as long as it does."""
LEAST_OFTEN = 5
"""A value that occurs less often is not shown."""
MOST_CODES = 40
LEAST_LIKE_A_CODE = 0.6
LAST_MONTH = 12

_DATE_WORDS = (
    *(("%d", "dd"), ("%Y", "yyyy"), ("%y", "yy"), ("%H:%M", "hh:mm"), ("%m", "mm")),
    *((":%S", ":ss"), (".%f", ".ffffff")),
)
_NUMBER_WORDS = {
    "whole": "whole numbers",
    "comma": "numbers with a decimal comma",
    "comma groups": "numbers such as 1.234,5",
    "point": "numbers with a decimal point",
    "point groups": "numbers such as 1,234.5",
}
_YAML_WORDS = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
_PERSONAL_WORDS = frozenset(
    [
        "naam",
        "voornaam",
        "achternaam",
        "tussenvoegsel",
        "voorletters",
        "aanvrager",
        "bewoner",
        "contactpersoon",
        "contact",
        "behandelaar",
        "mail",
        "telefoon",
        "mobiel",
        "kenteken",
        "adres",
        "straat",
        "straatnaam",
        "huisnummer",
        "toevoeging",
        "postcode",
        "iban",
        "rekening",
        "rekeningnummer",
        "geboortedatum",
        "bsn",
        "geslacht",
        "opmerking",
        "opmerkingen",
        "toelichting",
        "notitie",
        "notities",
        "bijzonderheden",
    ]
)


@dataclass(frozen=True)
class Totals:
    """Rows that are no records."""

    place: int
    header: str
    pattern: str
    rows: int

    def is_one(self, row: list[str]) -> bool:
        """Whether a row is one of them."""
        return re.fullmatch(self.pattern, row[self.place], re.IGNORECASE) is not None


@dataclass(frozen=True)
class Found:
    """All that was found out about a file."""

    grid: Grid
    header_row: int
    records: int
    totals: Totals | None
    match: Match
    next_best: Match | None
    vocabulary: Vocabulary

    def may_show(self, cells: Cells) -> bool:
        """Whether a header is one, and nothing of a person that stands where headers should."""
        sure = sum(place.score >= SURE for place in self.match.places)
        return is_header(cells.header, self.vocabulary, trusting=sure >= 2)

    @property
    def unplaced(self) -> tuple[list[Cells], list[Cells], list[Cells]]:
        """Columns not placed: those that look personal, the others, those that cannot be named."""
        shown = [cells for cells in self.match.unplaced if self.may_show(cells)]
        personal = [
            cells
            for cells in shown
            if cells.personal
            # A date tells of what happened, not of who: `door aanvrager ingetrokken`.
            or (matching.has_word_of(cells.header, _PERSONAL_WORDS) and not cells.holds_dates)
        ]
        hidden = [cells for cells in self.match.unplaced if not self.may_show(cells)]
        return personal, [cells for cells in shown if cells not in personal], hidden


def is_header(text: str, vocabulary: Vocabulary, *, trusting: bool) -> bool:
    """Whether a text where headers stand is one, and nothing of a person.

    What has no word of the field is one only where the others have been found to be headers.
    """
    if not text or re.search(r"@|\d{4,}", text):
        return False
    if vocabulary.has_word_of(text) or matching.has_word_of(text, _PERSONAL_WORDS):
        return True
    return trusting and personal_kind(text) is None


def summary(found: Found) -> str:
    """The draft in a line."""
    personal, others, hidden = found.unplaced
    placed = sum(place.column.personal == "none" for place in found.match.places)
    marked = len(found.match.places) - placed + len(personal)
    return (
        f"{found.records} records; contract {found.match.contract.id}: {placed} columns found, "
        f"{len(found.match.missing)} required but not found, {marked} look personal, "
        f"{len(others) + len(hidden)} not placed"
    )


def mapping(found: Found, dataset: str | None, *, is_named: bool, is_listed: bool) -> str:
    """The whole draft."""
    contract = found.match.contract
    told = _concession(found, dataset, is_named=is_named, is_listed=is_listed)
    return "\n".join(
        [
            *_preface(found),
            *_dataset(contract, dataset),
            f"contract: {contract.id}",
            *(told if contract.is_per_concession else ()),
            *_file(found),
            *_skipped(found),
            *_notations(found),
            "columns:",
            *(line for entry in _columns(found) for line in entry),
            *_children(found),
            *_left_over(found),
            "",
        ]
    )


def _preface(found: Found) -> Iterator[str]:
    first = " first" if found.grid.cut else ""
    yield f"# Draft, by the look of the{first} {found.records} records of a file: read every line."
    yield f'# What says "fill in" only a person knows; nothing is accepted where {FILL_IN} stands.'
    yield "# Then try it: goral sources check MAPPING FILE"
    own, other = found.match, found.next_best
    if len(own.missing) * 2 > len(own.places):
        yield f"# {own.contract.id} fits badly: perhaps no contract is for this file."
    if other is not None:
        yield (
            f"# Contract: of all, {own.contract.id} fits best ({len(own.places)} columns found); "
            f"then {other.contract.id} ({len(other.places)})."
        )


def _dataset(contract: Contract, dataset: str | None) -> Iterator[str]:
    if dataset or not contract.is_per_concession:
        yield f"dataset: {dataset or contract.dataset}"
    else:
        kind = contract.dataset.split("/", 1)[1]
        yield f"dataset: {FILL_IN.lower()}/{kind}  # fill in: id of the concession/{kind}"


def _concession(
    found: Found, dataset: str | None, *, is_named: bool, is_listed: bool
) -> Iterator[str]:
    yield "concession:"
    if not is_named:
        name = dataset.split("/", 1)[0].replace("_", " ").title() if dataset else FILL_IN
        yield f"  name: {scalar(name)}  # fill in: as the report is to call it"
    earliest = _earliest(found)
    day = (
        earliest.strftime("%Y-%m-01") if earliest else found.match.contract.first_partition + "-01"
    )
    yield (
        f"  from: {day}  # fill in: first day of the concession; "
        + ("that is the first month in the file" if earliest else "the file does not tell")
    )
    if not is_listed:
        yield "  municipalities: all  # fill in: all, or those that take part: [GM0202, GM0228]"


def _earliest(found: Found) -> datetime | None:
    """The earliest day in the column that tells a record's month."""
    main = found.match.contract.tables[0]
    days: list[datetime] = []
    for place in found.match.places:
        if place.column.name == main.month_column:
            for text in place.cells.texts:
                days += _read_days(text, found)
    return min(days, default=None)


def _read_days(text: str, found: Found) -> Iterator[datetime]:
    for written in [*_formats(found, timed=False), *_formats(found, timed=True)]:
        try:
            yield datetime.strptime(text, written)  # noqa: DTZ007 - only the day is used
        except ValueError:
            continue
        return


def _file(found: Found) -> Iterator[str]:
    grid = found.grid
    yield "file:"
    yield f"  type: {grid.type}"
    if grid.sheet is not None:
        yield f"  sheet: {scalar(grid.sheet)}"
    if grid.type == "csv":
        unsure = "  # it has no accents, so either" if len(grid.encodings) > 1 else ""
        yield f"  encoding: [{', '.join(grid.encodings)}]{unsure}"
        yield f"  separator: {json.dumps(grid.separator)}"
    yield f"  header_row: {found.header_row}"


def _skipped(found: Found) -> Iterator[str]:
    if found.totals:
        rows = _number(found.totals.rows, "row")
        yield "skip_rows:"
        yield (
            f"  - {{header: {scalar(found.totals.header)}, "
            f"matches: {json.dumps(found.totals.pattern)}}}  # {rows} of totals"
        )


def _notations(found: Found) -> Iterator[str]:
    """Time zone, dates and numbers."""
    dates, moments = _formats(found, timed=False), _formats(found, timed=True)
    if dates or moments:
        yield "time_zone: Europe/Amsterdam"
        for key, formats in (("date_formats", dates), ("timestamp_formats", moments)):
            if formats:
                yield f"{key}: {json.dumps(formats)}"
        yield from _on_days_and_months(found)
    numbers: Counter[str] = Counter()
    for place in found.match.places:
        if place.column.type.startswith("DECIMAL"):
            numbers += place.cells.numbers
    comma = numbers["comma"] + numbers["comma groups"]
    point = numbers["point"] + numbers["point groups"]
    if comma > point:
        yield 'decimal: ","'
        if numbers["comma groups"]:
            yield 'thousands: "."'
    elif numbers["point groups"]:
        yield 'thousands: ","'
    if comma and point:
        yield f"# {comma} numbers have a decimal comma and {point} a point: ask which is meant"


def _date_places(found: Found) -> list[Place]:
    return [place for place in found.match.places if place.column.type in ("DATE", "TIMESTAMPTZ")]


def _forms(found: Found) -> Counter[DateForm]:
    forms: Counter[DateForm] = Counter()
    for place in _date_places(found):
        forms += place.cells.dates
    return forms


def _firsts(found: Found) -> dict[str, set[str]]:
    """By separator: `day`, `month` or both, as dates show that it comes first."""
    firsts: dict[str, set[str]] = {}
    for place in _date_places(found):
        for separator, first, second in place.cells.days_and_months():
            shown = firsts.setdefault(separator, set())
            if first > LAST_MONTH:
                shown.add("day")
            if second > LAST_MONTH:
                shown.add("month")
    return firsts


def _formats(found: Found, *, timed: bool) -> list[str]:
    firsts = _firsts(found)
    forms = [form for form, _ in _forms(found).most_common() if bool(form.time) == timed]
    return list(
        dict.fromkeys(
            form.format(month_first=firsts.get(form.separator) == {"month"}) for form in forms
        )
    )


def _on_days_and_months(found: Found) -> Iterator[str]:
    for separator, shown in _firsts(found).items():
        like = f"01{separator}02{separator}2003"
        if not shown:
            yield f"# fill in: is {like} a day in February? No date in the file tells; so taken."
        elif len(shown) > 1:
            yield (
                f"# fill in: dates like {like} have the day first, and some the month. They cannot "
                "be told apart; ask for another export."
            )


def _columns(found: Found) -> Iterator[list[str]]:
    places = {place.column.name: place for place in found.match.places if not place.table.parent}
    for table, column in matching.wanted(found.match.contract):
        if table.parent:
            continue
        if column.name in places:
            yield list(_placed(found, places[column.name]))
        elif column.required:
            yield list(_missing(found, table, column))


def _placed(found: Found, place: Place) -> Iterator[str]:
    column, cells = place.column, place.cells
    remark = "; ".join(_remarks(found, place))
    headers = f"headers: [{scalar(cells.header)}]"
    if not found.may_show(cells):
        headers = f"headers: [{FILL_IN}]"
        remark = f"fill in the header of column {cells.position}, which looks like no header"
    if column.name == "municipality_code" and not _are_codes(column, cells):
        headers += ", register: municipality_names"
    if not column.codes:
        yield f"  {column.name}: {{{headers}}}  # {remark}"
        return
    yield f"  {column.name}:  # {remark}"
    yield f"    {headers}"
    yield from _codes(column, cells)


def _are_codes(column: Column, cells: Cells) -> bool:
    pattern = re.compile(column.options["pattern"])
    return bool(cells.texts) and all(pattern.fullmatch(text) for text in cells.texts)


def _remarks(found: Found, place: Place) -> Iterator[str]:
    column, cells = place.column, place.cells
    if place.score < SURE:
        yield "by resemblance, so look twice"
    of = f"of {_number(cells.filled, 'cell')}"
    if not cells.filled:
        yield "all cells are blank"
    elif column.personal == "drop":
        yield "personal: never read"
    elif column.personal == "pseudonymise":
        yield "personal: becomes a pseudonym"
    elif column.type in ("DATE", "TIMESTAMPTZ"):
        forms = Counter[str]()
        for form, number in cells.dates.items():
            forms[_in_words(form)] += number
        for words, number in forms.most_common(3):
            yield f"{number} {of} are dates {words}"
        if rest := cells.filled - cells.dates.total():
            serials = min(rest, cells.serials)
            if serials:
                yield f"{serials} {of} may be Excel's serial dates"
            if rest > serials:
                yield f"{rest - serials} {of} are no date"
    elif column.type != "VARCHAR":
        for kind, number in cells.numbers.most_common(3):
            yield f"{number} {of} are {_NUMBER_WORDS[kind]}"
        if rest := cells.filled - cells.numbers.total():
            yield f"{rest} {of} are no number"
    else:
        yield f"{_number(cells.filled, 'cell')}, {len(cells.texts)} different"
    if column.required and (blank := found.records - cells.filled):
        yield f"{blank} blank, though it is required"
    yield from _wrong_form(column, cells)


def _wrong_form(column: Column, cells: Cells) -> Iterator[str]:
    pattern = column.options.get("pattern")
    if pattern and column.name != "municipality_code" and column.personal == "none":
        good = re.compile(pattern)
        wrong = sum(n for text, n in cells.texts.items() if not good.fullmatch(text))
        if wrong:
            yield f"{wrong} are not of the form {pattern}"


def _codes(column: Column, cells: Cells) -> Iterator[str]:
    """What is written → code, for values that occur often; the others are counted."""
    often = cells.often(LEAST_OFTEN, lambda value: _code_of(column, value) is not None)
    values = dict(list(often.items())[:MOST_CODES])
    lines, known = [], False
    for value, number in values.items():
        code = _code_of(column, value)
        known = known or code is not None
        begin = "" if code else "# fill in: "
        lines.append(f"      {begin}{scalar(value)}: {code or FILL_IN}  # {number} times")
    if lines:
        yield "    codes:" if known else "    # codes:"
        yield from lines
    if rest := cells.filled - sum(values.values()):
        yield f"    # {_number(rest, 'cell')} with other values, which are not shown"
    if rest or not all(_code_of(column, value) for value in values):
        yield f"    # codes there are: {_listed(column)}"


def _code_of(column: Column, value: str) -> str | None:
    def like(code: str, description: str) -> float:
        names = re.split(r",|;| of ", description)
        return max(likeness(value, name) for name in (code.replace("_", " "), description, *names))

    scores = {code: like(code, description) for code, description in column.codes.items()}
    best = max(scores, key=lambda code: scores[code])
    return best if scores[best] >= LEAST_LIKE_A_CODE else None


def _missing(found: Found, table: Table, column: Column) -> Iterator[str]:
    contract = found.match.contract
    if column.name == table.version_column and (steps := _steps(found, table, column)):
        yield (
            f"  {column.name}: {{latest_of: [{', '.join(steps)}]}}  # not in the file; so the "
            "latest of its dates"
        )
    elif column.name in ("month", "year", "edition") and contract.partition == column.name:
        yield f"  {column.name}: {{from: partition}}  # not in the file; so as delivered"
    elif column.codes:
        yield f"  {column.name}: {{constant: {FILL_IN}}}  # fill in: one of {_listed(column)}"
    else:
        text = f"# fill in, required: {column.description}"
        yield f"  {column.name}: {{headers: [{FILL_IN}]}}  {text}"


def _steps(found: Found, table: Table, version: Column) -> list[str]:
    """Date columns that were found and that no rule lets lie after the row's last change."""
    judged = " ".join(rule.predicate for rule in table.own_rules if rule.column == version.name)
    return [
        place.column.name
        for place in _date_places(found)
        if re.search(rf"\b{place.column.name}\b", judged)
    ]


def _listed(column: Column) -> str:
    return ", ".join(
        f"{code} ({description})" if description else code
        for code, description in column.codes.items()
    )


def _children(found: Found) -> Iterator[str]:
    places = [place for place in found.match.places if place.table.parent]
    if places:
        yield "children:"
    for table in dict.fromkeys(place.table.name for place in places):
        yield f"  {table}:"
        for place in places:
            if place.table.name == table:
                parts = Counter(s for text in place.cells.texts for s in ",;|/\n" if s in text)
                separator = parts.most_common(1)[0][0] if parts else ","
                yield (
                    f"    {place.column.name}: {{headers: [{scalar(place.cells.header)}], "
                    f"separator: {json.dumps(separator)}}}"
                )


def _left_over(found: Found) -> Iterator[str]:
    personal, others, hidden = found.unplaced
    if personal:
        yield "# Look personal, by header or cells; the contract has no column for them."
        yield "personal:"
        for cells in personal:
            look = cells.personal if cells.personal is not Personal.free_text else None
            yield f"  - {scalar(cells.header)}" + (f"  # cells look like {look}" if look else "")
    if others:
        yield "# Not placed; say which column they are, or leave them here."
        yield "ignored:"
        for cells in others:
            yield f"  - {scalar(cells.header)}  # {_described(cells)}"
    for cells in hidden:
        what = "its header looks personal" if cells.header else "it has no header"
        yield f"# Not placed: column {cells.position}; {what}."


def _described(cells: Cells) -> str:
    if not cells.filled:
        return "blank"
    if cells.holds_dates:
        return f"{_number(cells.filled, 'cell')}, mostly dates"
    if cells.holds_numbers:
        return f"{_number(cells.filled, 'cell')}, mostly numbers"
    return f"{_number(cells.filled, 'cell')} of text, {len(cells.texts)} different"


def _in_words(form: DateForm) -> str:
    text = form.format()
    for code, words in _DATE_WORDS:
        text = text.replace(code, words)
    return text


def _number(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def scalar(text: str) -> str:
    """Text as YAML, without quotes where it needs none."""
    simple = re.fullmatch(r"[^\W\d_](?:[\w /()+%-]*[\w)%])?\.?", text)
    if simple and text.isprintable() and text.lower() not in _YAML_WORDS:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return "\\" + letter
    # What a screen might take for a command, too.
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"
