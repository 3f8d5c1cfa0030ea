"""The quality report of a delivery: how many records of whom met the profile, and why not.

Belongs here: SQL and the report's form. Does not belong here: what becomes of a row (`judge`), or
whether a delivery is taken (`checks.expectations`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from goral_pipeline.contracts import Table
from goral_pipeline.contracts.model import column_rules

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

FILE = "quality.json"
MOST_EXAMPLES = 5


@dataclass(frozen=True)
class Broken:
    """A rule that records of an operator broke."""

    rule: str
    is_refused: bool
    """Whether they were quarantined; else the rule is one of the profile's."""
    records: int
    examples: tuple[str, ...]
    """Ids of the first; those without a proper one are left out."""


@dataclass(frozen=True)
class Quality:
    """What one operator delivered."""

    operator: str
    """The columns of `Table.report_by`, joined by a hyphen; ? where one is none."""
    received: int
    duplicate: int
    refused: int
    accepted: int
    met_profile: int
    """Of the accepted, those that break no rule of the profile."""
    broken: tuple[Broken, ...]


def report(con: duckdb.DuckDBPyConnection, table: Table) -> list[Quality]:
    """The report on the judged rows of a table, one an operator, if the contract wants it."""
    if not table.report_by:
        return []
    broken: dict[str, list[Broken]] = {}
    for operator, rule, is_refused, records, examples in con.execute(_broken(table)).fetchall():
        found = Broken(rule, is_refused, records, tuple(examples))
        broken.setdefault(operator, []).append(found)
    return [
        Quality(
            operator=operator,
            received=received,
            duplicate=duplicate,
            refused=refused,
            accepted=received - duplicate - refused,
            met_profile=met,
            broken=tuple(broken.get(operator, ())),
        )
        for operator, received, duplicate, refused, met in con.execute(_counts(table)).fetchall()
    ]


def to_json(report: Sequence[Quality]) -> str:
    """The report as the text of a file."""
    return json.dumps([asdict(one) for one in report], indent=1) + "\n"


def read(folder: Path) -> list[Quality]:
    """The report that lies in a folder of quarantine; none where there is none."""
    try:
        content = (folder / FILE).read_text()
    except FileNotFoundError:
        return []
    return [
        Quality(
            **one
            | {
                "broken": tuple(
                    Broken(**rule | {"examples": tuple(rule["examples"])}) for rule in one["broken"]
                )
            }
        )
        for one in json.loads(content)
    ]


def _proper(table: Table, name: str) -> str:
    """SQL for a value that holds to the rules of its column; else null, for it may be a person."""
    column = next(column for column in table.columns if column.name == name)
    holds = " and ".join(f"({rule.predicate}) is true" for rule in column_rules(column)) or "true"
    return f"case when {holds} then {name} end"


def _operator(table: Table) -> str:
    return " || '-' || ".join(f"coalesce({_proper(table, name)}, '?')" for name in table.report_by)


def _counts(table: Table) -> str:
    """SQL for operator, received, duplicate, refused and those that met the profile."""
    return f"""
select {_operator(table)} as operator, sum(received), sum(duplicate), sum(refused), sum(met)
from (
    -- What an operator's name is made of is looked at once each.
    select {", ".join(table.report_by)},
        count(*) as received,
        count(*) filter (outcome = 'duplicate') as duplicate,
        count(*) filter (outcome = 'quarantined') as refused,
        count(*) filter (outcome = 'accepted' and missed is null) as met
    from judged_{table.name} group by all
)
group by operator order by operator
"""


def _broken(table: Table) -> str:
    """SQL for operator, rule, whether it refuses, records and first ids."""
    (*_, id_column) = table.key
    judged = f"judged_{table.name}"
    named = ", ".join(dict.fromkeys((*table.report_by, id_column)))
    first = f"arg_min({_proper(table, id_column)}, record_number, {MOST_EXAMPLES})"
    told = f"count(*) as records, coalesce({first}, []) as examples"
    return f"""
select {_operator(table)} as operator, entry.rule as rule, true as is_refused, {told}
from (
    select {named}, record_number, unnest(broken) as entry
    from {judged} join broken_{table.name} using (row_id)
)
group by all
union all
select {_operator(table)}, rule, false, {told}
from (
    select {named}, record_number, unnest(missed) as rule
    from {judged} where outcome = 'accepted' and missed is not null
)
group by all
order by operator, records desc, rule
"""
