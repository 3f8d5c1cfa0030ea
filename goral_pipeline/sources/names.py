"""The registers that tabular exports are read with: municipality names, and who takes part.

Belongs here: the registers as tables of a connection. Does not belong here: guessing; a name that
no register has at that time stays as it was delivered, and is quarantined.
"""

from __future__ import annotations

import csv
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from goral_pipeline.contracts.model import quote
from goral_pipeline.settings import DBT_PROJECT

if TYPE_CHECKING:
    import duckdb

    from goral_pipeline.sources.mapping import Mapping

MUNICIPALITIES = DBT_PROJECT / "seeds" / "municipalities.csv"
MUNICIPALITY_NAMES = DBT_PROJECT / "seeds" / "municipality_names.csv"
CONCESSION_MUNICIPALITIES = DBT_PROJECT / "seeds" / "concession_municipalities.csv"
REGISTERS = (MUNICIPALITIES, MUNICIPALITY_NAMES, CONCESSION_MUNICIPALITIES)

_APOSTROPHES = "\u2018\u2019\u201b\u0060\u00b4\u02bc"
_MONTHS_A_QUARTER = 3


@cache
def codes_of_the_region() -> frozenset[str]:
    """Codes of the municipalities that take part in the programme."""
    with MUNICIPALITIES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return frozenset(row["municipality_code"] for row in rows if row["in_region"] == "true")


def create_names(con: duckdb.DuckDBPyConnection, partition: str) -> None:
    """The names of the region's municipalities in a partition's time as table `names`.

    Columns: name (see `plain_name`), municipality_code. A name counts when it was valid on any day
    of the partition.
    """
    first, end = days_of(partition)
    official = (
        f"select municipality_name as name, municipality_code from {_csv(MUNICIPALITIES)} "
        "where in_region = 'true'"
    )
    other = (
        f"select name, municipality_code from {_csv(MUNICIPALITY_NAMES)} "
        f"where coalesce(valid_from, '') < '{end}' and coalesce(valid_until, '9999') > '{first}'"
    )
    con.execute(
        f"create or replace temp table names as select distinct {plain_name('name')} as name, "
        f"municipality_code from ({official} union all {other})"
    )


def participants(con: duckdb.DuckDBPyConnection, mapping: Mapping) -> list[str]:
    """Codes of the municipalities that take part in a mapping's concession."""
    concession = mapping.concession
    if concession and concession.participants is not None:
        return [*concession.participants]
    if concession and concession.everybody:
        query = f"select municipality_code from {_csv(MUNICIPALITIES)} where in_region = 'true'"
    else:
        query = (
            f"select municipality_code from {_csv(CONCESSION_MUNICIPALITIES)} "
            f"where concession = {quote(mapping.source)}"
        )
    return sorted(code for (code,) in con.execute(query).fetchall())


def days_of(partition: str) -> tuple[date, date]:
    """First day of a month, year or edition, and the first day after it."""
    year, rest = int(partition[:4]), partition[4:]
    if rest.startswith("Q"):
        last = int(rest[1:]) * _MONTHS_A_QUARTER
        first = last - _MONTHS_A_QUARTER + 1
    elif rest:
        first = last = int(rest[1:3])
    else:
        first, last = 1, 12
    return date(year, first, 1), date(year + last // 12, last % 12 + 1, 1)


def plain_name(name: str) -> str:
    """SQL for a name as it is compared: as codes are, and with straight apostrophes."""
    straight = f"translate({name}, {quote(_APOSTROPHES)}, {quote(chr(39) * len(_APOSTROPHES))})"
    return plain_text(straight)


def plain_text(text: str) -> str:
    """SQL for `mapping.plain`: lower case, single blanks, none at the ends."""
    return f"trim(regexp_replace(lower(replace({text}, chr(160), ' ')), '\\s+', ' ', 'g'))"


def _csv(path: object) -> str:
    return f"read_csv({quote(str(path))}, header = true, all_varchar = true)"
