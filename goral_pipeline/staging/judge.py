"""Judging rows: SQL that types the delivered text and says of each row how it ends.

Belongs here: functions that make SQL from a contract, and nothing else. A row is `accepted`; a
`duplicate` (a better row has its key, or its parent is one); or `quarantined`, with each rule it
breaks. Does not belong here: running it.
"""

from __future__ import annotations

from goral_pipeline.contracts import Column, Contract, Table
from goral_pipeline.contracts.model import Rule, quote, type_rule
from goral_pipeline.staging import pseudonym

PARENT_QUARANTINED = "parent_quarantined"
PARENT_DUPLICATE = "parent_duplicate"
SAME_KEY = "same_key"
LONGEST_FOUND = 60

_CALENDAR = ("0001-01-01", "9999-12-31")
_WHOLE_NUMBER = r"[+-]?[0-9]{1,18}(\.0+)?"


def judged_table(contract: Contract, table: Table) -> str:
    """SQL that makes `judged_<table>` from `raw_<table>` (and its parent's judgement).

    Columns: row_id, record_number, every delivered column typed, `broken` (a list of structs rule,
    column, found), outcome and reason.
    """
    columns = table.delivered_columns
    typed = ", ".join(f"{_typed(column)} as {column.name}" for column in columns)
    raw = ", ".join(f"{column.name} as raw_{column.name}" for column in columns)
    breaks = ", ".join(
        [_type_break(contract, column) for column in columns if _can_fail(column)]
        + [_rule_break(contract, table, rule) for rule in table.rules]
    )
    parent = table.parent
    # Only what is needed of the parent: its columns have the names that rules speak of.
    join = (
        f"left join (select row_id as parent_id, outcome as outcome_of_parent "
        f"from judged_{parent}) on parent_id = parent_row_id"
        if parent
        else ""
    )
    parent_outcome = "outcome_of_parent" if parent else "'accepted'"
    key = ", ".join(table.key)
    version = f"{table.version_column} desc, " if table.version_column else ""
    return f"""
create temp table judged_{table.name} as
with typed as (
    select row_id, parent_row_id, record_number, {raw}, {typed} from raw_{table.name}
), ruled as (
    select typed.*,
        list_filter([{breaks}], entry -> entry is not null) as broken,
        coalesce({parent_outcome}, 'quarantined') as parent_outcome
    from typed {join}
), first_judged as (
    select *,
        case
            when parent_outcome = 'quarantined' then 'quarantined'
            when parent_outcome = 'duplicate' then 'duplicate'
            when len(broken) > 0 then 'quarantined'
            else 'accepted'
        end as first_outcome
    from ruled
), ranked as (
    select *,
        row_number() over (
            partition by first_outcome, {key} order by {version}row_id
        ) as place
    from first_judged
)
select row_id, record_number, {", ".join(column.name for column in columns)}, broken,
    case
        when first_outcome = 'accepted' and place > 1 then 'duplicate'
        else first_outcome
    end as outcome,
    case
        when first_outcome = 'accepted' then case when place > 1 then {quote(SAME_KEY)} else '' end
        when parent_outcome = 'quarantined' then {quote(PARENT_QUARANTINED)}
        when parent_outcome = 'duplicate' then {quote(PARENT_DUPLICATE)}
        else broken[1].rule
    end as reason
from ranked
"""


def accepted_rows(table: Table) -> str:
    """SQL for the accepted rows, in the contract's columns and sorted by key."""
    columns = ", ".join(
        "$delivery_id as delivery_id" if column.name == "delivery_id" else column.name
        for column in table.columns
    )
    return (
        f"select {columns} from judged_{table.name} where outcome = 'accepted' "
        f"order by {', '.join(table.key)}"
    )


def quarantined_rows(table: Table) -> str:
    """SQL for what was quarantined: one row a broken rule, with what was found, redacted."""
    return f"""
select $delivery_id as delivery_id, record_number, row_id,
    entry.rule as rule, entry.column_name as column_name, entry.found as found
from (
    select record_number, row_id, unnest(
        case
            when reason = {quote(PARENT_QUARANTINED)}
                then [struct_pack(rule := reason, column_name := '', found := null::varchar)]
            else broken
        end
    ) as entry
    from judged_{table.name}
    where outcome = 'quarantined'
)
order by record_number, row_id, rule
"""


def _typed(column: Column) -> str:
    name = column.name
    if column.personal == "pseudonymise":
        return f"case when {name} is not null then {pseudonym.expression(name)} end"
    if column.type == "VARCHAR":
        return f"nullif(trim({name}), '')"
    if column.type == "BLOB":
        return f"unhex({name})"
    if column.type in ("INTEGER", "BIGINT"):
        whole = f"regexp_full_match(trim({name}), {quote(_WHOLE_NUMBER)})"
        return f"case when {whole} then try_cast({name} as {column.type}) end"
    if column.type in ("DATE", "TIMESTAMPTZ"):
        # DuckDB reads `infinity`, years before Christ and beyond 9999; no other reader does.
        first, last = (f"{column.type} {quote(day)}" for day in _CALENDAR)
        moment = f"try_cast({name} as {column.type})"
        return f"case when {moment} between {first} and {last} then {moment} end"
    return f"try_cast({name} as {column.type})"


def _can_fail(column: Column) -> bool:
    return column.type not in ("VARCHAR", "BLOB")


def _is_given(column: Column) -> str:
    return f"nullif(trim(raw_{column.name}), '') is not null"


def _type_break(contract: Contract, column: Column) -> str:
    fails = f"{_is_given(column)} and {column.name} is null"
    return _entry(contract, column, type_rule(column).name, fails)


def _rule_break(contract: Contract, table: Table, rule: Rule) -> str:
    column = next(column for column in table.columns if column.name == rule.column)
    fails = f"not ({rule.predicate})"
    if rule.name == f"{column.name}_required" and _can_fail(column):
        # A value that cannot be read broke the type rule, not this one.
        fails = f"{column.name} is null and not ({_is_given(column)})"
    return _entry(contract, column, rule.name, fails)


def _entry(contract: Contract, column: Column, rule: str, fails: str) -> str:
    found = redacted(contract, column, f"raw_{column.name}")
    return (
        f"case when {fails} then struct_pack(rule := {quote(rule)}, "
        f"column_name := {quote(column.name)}, found := {found}) end"
    )


def redacted(contract: Contract, column: Column, text: str) -> str:
    """SQL for what may be shown of a value that broke a rule.

    Where deliveries hold personal data a cell can hold it in any column, for columns shift; so only
    the shape of the value is shown: x for a letter, 9 for a digit.
    """
    if column.personal != "none" or column.type == "BLOB":
        return "null::varchar"
    short = f"left({text}, {LONGEST_FOUND})"
    if not contract.holds_personal_data:
        return short
    letters = rf"regexp_replace({short}, '\p{{L}}', 'x', 'g')"
    return rf"regexp_replace({letters}, '\p{{N}}', '9', 'g')"
