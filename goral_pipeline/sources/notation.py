"""How values are written in exports: SQL that brings one cell into the notation staging reads.

Each function takes SQL for the text of a cell. `text`, `number` and `date` give SQL for the text in
staging's notation, or as it was where it is in none that is known; `day`, `moment`, `utc` and
`zoned` give SQL for a typed value, null where there is none. Cheap tests come first: an export has
millions of cells, of which all but a few are as the mapping says.

Belongs here: dates, moments, numbers, blanks. Does not belong here: which column is where
(`tabular`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from goral_pipeline.contracts.model import quote

if TYPE_CHECKING:
    import duckdb

    from goral_pipeline.sources.mapping import Mapping

# Blanks, and what spreadsheets leave behind: line breaks and no-break spaces.
_BLANKS = "' ' || chr(9) || chr(10) || chr(13) || chr(160)"
# Day 0 of Excel's calendar, as its day 60 is a 29 February 1900 that never was.
_EXCEL_EPOCH = "timestamp '1899-12-30'"
_EXCEL_SERIAL = r"[1-9][0-9]{4}(\.[0-9]+)?"
_ISO_WITHOUT_ZONE = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?"
_ISO_WITH_ZONE = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}(:?\d{2})?)"
# Zones change their clocks on the half hour at the finest.
_HALF_HOUR = 1_800_000_000


def text(cell: str) -> str:
    """A text without blanks at its ends; null when there is nothing else."""
    begins = f"{cell} < '!' or ({cell} >= chr(160) and {cell} < chr(161))"
    ends = " or ".join(f"suffix({cell}, chr({sign}))" for sign in (32, 160, 9, 10, 13))
    return f"case when {begins} or {ends} then nullif(trim({cell}, {_BLANKS}), '') else {cell} end"


def is_filled(cell: str) -> str:
    """Whether a cell holds more than blanks; never null."""
    surely = f"{cell} >= '!' and ({cell} < chr(160) or {cell} >= chr(161))"
    return f"case when {surely} then true else coalesce(trim({cell}, {_BLANKS}) <> '', false) end"


def number(cell: str, mapping: Mapping) -> str:
    """A number with the mapping's separators; one that has none of them is left alone."""
    decimal, thousands = re.escape(mapping.decimal), re.escape(mapping.thousands)
    if mapping.thousands.isspace():
        thousands = "[ \u00a0\u202f]"
    forms = []
    if mapping.thousands:
        forms.append(rf"[+-]?[1-9]\d{{0,2}}({thousands}\d{{3}})+({decimal}\d+)?")
    if mapping.decimal != ".":
        forms.append(rf"[+-]?\d+{decimal}\d+")
    if not forms:
        return text(cell)
    trimmed = text(cell)
    plain = f"regexp_replace({trimmed}, {quote(thousands)}, '', 'g')" if thousands else trimmed
    return (
        f"case when regexp_full_match({trimmed}, {quote('|'.join(forms))}) "
        f"then replace({plain}, {quote(mapping.decimal)}, '.') else {trimmed} end"
    )


def date(cell: str, mapping: Mapping) -> str:
    """A date, as ISO text."""
    return f"coalesce(({day(cell, mapping)})::varchar, {text(cell)})"


def day(cell: str, mapping: Mapping) -> str:
    """SQL for a DATE: ISO, Excel's count of days, or in one of the mapping's formats."""
    found = moment(cell, mapping.date_formats + mapping.timestamp_formats)
    # The day in the mapping's zone, where the cell names its own: 22:30Z is the next in summer.
    of_zoned = f"timezone({quote(mapping.time_zone)}, {zoned(cell)})::date"
    return _if_given(cell, f"coalesce(({found})::date, {of_zoned})")


def zoned(cell: str) -> str:
    """SQL for a moment that names its zone itself, as TIMESTAMPTZ."""
    trimmed = text(cell)
    # DuckDB reads no zone behind minutes.
    whole = f"regexp_replace({trimmed}, '^(.{{16}})([Z+-])', '\\1:00\\2')"
    return (
        f"case when regexp_full_match({trimmed}, {quote(_ISO_WITH_ZONE)}) "
        f"then try_cast({whole} as timestamptz) end"
    )


def moment(cell: str, formats: tuple[str, ...]) -> str:
    """SQL for a local date or moment as TIMESTAMP; null when it is none that is known."""
    listed = ", ".join(quote(form) for form in formats)
    trimmed = text(cell)
    # Dates that the workbook itself marks as such come as ISO text, with a fraction where they
    # have one.
    iso = (
        f"case when regexp_full_match({trimmed}, {quote(_ISO_WITHOUT_ZONE)}) "
        f"then try_cast({trimmed} as timestamp) end"
    )
    serial = (
        f"case when regexp_full_match({trimmed}, {quote(_EXCEL_SERIAL)}) then {_EXCEL_EPOCH} + "
        f"to_seconds(round(try_cast({trimmed} as double) * 86400)) end"
    )
    if not formats:
        return f"coalesce({serial}, {iso})"
    # Words such as `infinity` it takes for 1 January 1900, whatever the format.
    written = (
        f"case when regexp_matches({trimmed}, '\\d') then try_strptime({trimmed}, [{listed}]) end"
    )
    anyhow = f"coalesce({serial}, {iso}, {written})"
    sign = _literal_sign(formats[0])
    if sign is None:
        return anyhow
    # What begins with a digit and has the format's own sign is no word and no count of days.
    usual = (
        f"case when {cell} >= '0' and {cell} < ':' and contains({cell}, {quote(sign)}) "
        f"then try_strptime({cell}, [{listed}]) end"
    )
    return _if_given(cell, f"coalesce({usual}, {anyhow})")


def utc(moment: str, offsets: str) -> str:
    """SQL for a local moment as TIMESTAMPTZ; `offsets` is the row of that name by `half_hour`."""
    return f"make_timestamptz(epoch_us({moment}) - {offsets}.microseconds)"


def half_hour(moment: str) -> str:
    """SQL for the number of the half hour that a moment falls in."""
    return f"(epoch_us({moment}) // {_HALF_HOUR})"


def create_offsets(
    con: duckdb.DuckDBPyConnection, moments: list[str], relation: str, zone: str
) -> None:
    """Table `offsets`: half_hour, and how far the zone's clock is ahead of UTC in it.

    DuckDB needs a microsecond to convert one moment; the half hours of an export are few.
    """
    found = " union ".join(
        f"select distinct {half_hour(moment)} as half_hour from {relation} "
        f"where {moment} is not null"
        for moment in moments
    )
    local = f"make_timestamp((half_hour * {_HALF_HOUR})::bigint)"
    con.execute(
        f"create or replace temp table offsets as select half_hour, epoch_us({local}) - "
        f"epoch_us(timezone({quote(zone)}, {local})) as microseconds from ({found})"
    )


def _if_given(cell: str, expression: str) -> str:
    # Many cells are empty, and each test of them would cost as much as of the others.
    return f"case when {cell} is not null then {expression} end"


def _literal_sign(form: str) -> str | None:
    """The first sign that a date or moment of a format surely holds, and a number does not."""
    literal = re.sub(r"%-?.", "", form)
    return next((sign for sign in literal if sign in "-/: "), None)
