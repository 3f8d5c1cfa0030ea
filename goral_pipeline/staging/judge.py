"""Judging rows: SQL that types the delivered text and says of each row how it ends.

Belongs here: functions that make SQL from a contract, and nothing else. A row is `accepted`; a
`duplicate` (a better row has its key, or its parent is one); or `quarantined`, with each rule it
breaks. Does not belong here: running it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from goral_pipeline.checks import expectations
from goral_pipeline.contracts import Column, Contract, Table
from goral_pipeline.contracts.model import Rule, quote, type_rule
from goral_pipeline.sources.reading import TYPED
from goral_pipeline.staging import pseudonym

PARENT_QUARANTINED = "parent_quarantined"
PARENT_DUPLICATE = "parent_duplicate"
SAME_KEY = "same_key"
CONFLICTING_KEY = "conflicting_key"
LONGEST_FOUND = 60

_CALENDAR = ("0001-01-01", "9999-12-31")
# Three zeros after a point may be thousands: 1.000 is not taken for 1.
_WHOLE_NUMBER = r"[+-]?[0-9]{1,18}(\.(0{1,2}|0{4,}))?"


def typed_table(table: Table, given: Collection[str] = ()) -> str:
    """SQL that makes `typed_<table>` from `raw_<table>` (and its parent's judgement).

    Columns: row_id, record_number, every delivered column typed; outcome and reason as far as the
    parent decides them; and what the whole row is needed for, so that no later look at many rows
    reads them whole again: key_hash and content (a hash of its values), missed (a list of the rules
    of the profile that it breaks, or null), and again (a list of one struct: each column as
    `raw_<column>`, the delivered text, and typed; or null where it is sure at first sight that no
    rule is broken). `settlement` comes next.

    Args:
        table: the table to type.
        given: columns of `raw_<table>`; of those in it `typed_<column>` is taken as it is.
    """
    columns = table.delivered_columns
    typed = ", ".join(
        f"{_in_calendar(column.type, TYPED + column.name)} as {column.name}"
        if TYPED + column.name in given
        else f"{_typed(column)} as {column.name}"
        for column in columns
    )
    raw = ", ".join(f"{column.name} as raw_{column.name}" for column in columns)
    both = ", ".join(f"raw_{c.name} := raw_{c.name}, {c.name} := {c.name}" for c in columns)
    sound = " and ".join(f"({check.sound})" for check in _checks(table)) or "true"
    missed = ", ".join(
        f"if(({rule.predicate}) is true, null, {quote(rule.name)})" for rule in table.profile
    )
    meets = " and ".join(f"({rule.predicate}) is true" for rule in table.profile) or "true"
    values = ", ".join(column.name for column in table.columns if not column.is_provenance)
    parent = table.parent
    # Only what is needed of the parent: its columns have the names that rules speak of.
    join = (
        f"left join (select row_id as parent_id, outcome as outcome_of_parent "
        f"from judged_{parent}) on parent_id = parent_row_id"
        if parent
        else ""
    )
    outcome = "coalesce(outcome_of_parent, 'quarantined')" if parent else "'accepted'"
    return f"""
create table typed_{table.name} as
with typed as (
    select row_id, parent_row_id, record_number, {raw}, {typed} from raw_{table.name}
)
select row_id, record_number, {", ".join(column.name for column in columns)},
    hash({", ".join(table.key)}) as key_hash,
    {"0" if parent else f"hash({values})"} as content,
    case when not ({meets})
        then list_filter([{missed or "null"}], lambda rule: rule is not null)
    end as missed,
    case when not ({sound}) then [struct_pack({both})] end as again,
    {outcome} as outcome,
    case {outcome}
        when 'quarantined' then {quote(PARENT_QUARANTINED)}
        when 'duplicate' then {quote(PARENT_DUPLICATE)}
        else ''
    end as reason
from typed {join}
"""


def settlement(contract: Contract, table: Table) -> str:
    """SQL statements that settle how each row of `typed_<table>` ends: `judged_<table>`.

    `broken_<table>` has row_id and `broken` (a list of structs rule, column_name, found) of each
    row that breaks a rule. Of the others with one key, the latest version stays accepted; but
    where rows of that version differ nobody can tell which is right, and all are quarantined. In a
    parent's row the first stays. `judged_<table>` is a view of all rows, as typed, with what became
    of them: few end otherwise than they began, so the rows themselves stay as they were written.
    """
    shown = ", ".join(
        f"{_shown(contract, column)} as shown_{column.name}" for column in table.delivered_columns
    )
    breaks = ", ".join(_entry(check) for check in _checks(table)) or "null"
    key = ", ".join(table.key)
    versions = [table.version_column] if table.version_column else []
    latest = "".join(f"{name} desc, " for name in versions)
    typed, broken, ends = (f"{of}_{table.name}" for of in ("typed", "broken", "ends"))
    # To group by a hash costs little, and leaves few rows to be ranked by their real key.
    return f"""
create temp table {broken} as
select row_id, broken::struct(rule varchar, column_name varchar, found varchar)[] as broken
from (
    select row_id, list_filter([{breaks}], lambda entry: entry is not null) as broken
    from (
        select *, {shown}
        from (select row_id, unnest(again, max_depth := 2) from {typed} where again is not null)
    )
)
where len(broken) > 0;

create temp table {ends} as
select row_id, 'quarantined' as outcome, broken[1].rule as reason
from {typed} join {broken} using (row_id)
where outcome = 'accepted';

create or replace temp table same_key as
with alike as (
    select row_id, {key}, content,
        row_number() over (partition by {key} order by {latest}row_id) as place,
        rank() over (partition by {key} order by {latest}null) = 1 as is_latest
    from {typed} anti join {broken} using (row_id)
    where outcome = 'accepted' and key_hash in (
        select key_hash from {typed} where outcome = 'accepted'
        group by all having count(*) > 1
    )
)
select row_id, place,
    min(content) filter (where is_latest) over of_key
        <> max(content) filter (where is_latest) over of_key as is_conflict
from alike
window of_key as (partition by {key});

insert into {broken}
select row_id,
    [struct_pack(rule := {quote(CONFLICTING_KEY)}, column_name := '', found := null::varchar)]
from same_key where is_conflict;

insert into {ends}
select row_id, if(is_conflict, 'quarantined', 'duplicate'),
    if(is_conflict, {quote(CONFLICTING_KEY)}, {quote(SAME_KEY)})
from same_key where is_conflict or place > 1;

create temp view judged_{table.name} as
select typed.* exclude (outcome, reason),
    coalesce(ends.outcome, typed.outcome) as outcome,
    coalesce(ends.reason, typed.reason) as reason
from {typed} as typed left join {ends} as ends using (row_id);
"""


def pseudonyms(table: Table) -> str:
    """SQL statements that make the pseudonyms of the accepted rows, each text's once.

    `judged_<table>` has the texts themselves, which leave it in no other way.
    """
    return ";".join(
        f"create or replace temp table pseudonyms_{name} as "
        f"select {name} as text, {pseudonym.expression(name)} as pseudonym from ("
        f"select distinct {name} from judged_{table.name} "
        f"where outcome = 'accepted' and {name} is not null)"
        for name in _pseudonymised(table)
    )


def accepted_rows(table: Table) -> str:
    """SQL for the accepted rows, in the contract's columns and sorted by key."""
    personal = _pseudonymised(table)
    made = {name: f"pseudonyms_{name}.pseudonym as {name}" for name in personal}
    made["delivery_id"] = "$delivery_id as delivery_id"
    columns = ", ".join(made.get(column.name, column.name) for column in table.columns)
    joins = "".join(
        f" left join pseudonyms_{name} on {name} = pseudonyms_{name}.text" for name in personal
    )
    return (
        f"select {columns} from judged_{table.name}{joins} where outcome = 'accepted' "
        f"order by {', '.join(table.key)}"
    )


def _pseudonymised(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.personal == "pseudonymise"]


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
    from judged_{table.name} left join broken_{table.name} using (row_id)
    where outcome = 'quarantined'
)
order by record_number, row_id, rule
"""


@dataclass(frozen=True)
class _Check:
    """A rule as a row is judged by it: two pieces of SQL that are true or false, never null."""

    rule: str
    column: Column
    holds: str
    sound: str
    """Cheap, and false wherever `holds` is; the few rows that are not sound are looked at again."""


def _checks(table: Table) -> list[_Check]:
    """All rules of a table: that values can be read first, then what the contract says of them."""
    columns = {column.name: column for column in table.delivered_columns}
    types = [
        _Check(
            type_rule(column).name,
            column,
            holds=f"{name} is not null or not {_is_given(column)}",
            sound=f"raw_{name} is null or {name} is not null",
        )
        for name, column in columns.items()
        if _can_fail(column)
    ]
    return types + [_check(columns[rule.column], rule) for rule in table.rules]


def _check(column: Column, rule: Rule) -> _Check:
    if rule.name == f"{column.name}_required" and _can_fail(column):
        # A value that cannot be read broke the type rule, not this one.
        holds = f"{column.name} is not null or {_is_given(column)}"
        return _Check(rule.name, column, holds, sound=rule.predicate)
    holds = f"({rule.predicate}) is not false"
    return _Check(rule.name, column, holds, sound=holds)


def _can_fail(column: Column) -> bool:
    return column.type not in ("VARCHAR", "BLOB")


def _is_given(column: Column) -> str:
    return f"nullif(trim(raw_{column.name}), '') is not null"


def _typed(column: Column) -> str:
    name = column.name
    if column.personal == "pseudonymise":
        return f"nullif({pseudonym.alike(name)}, '')"
    if column.type == "VARCHAR":
        return f"nullif({pseudonym.trimmed(name)}, '')"
    if column.type == "BLOB":
        return f"unhex({name})"
    if column.type in ("INTEGER", "BIGINT"):
        whole = f"regexp_full_match(trim({name}), {quote(_WHOLE_NUMBER)})"
        return f"case when {whole} then try_cast({name} as {column.type}) end"
    if column.type in ("DATE", "TIMESTAMPTZ"):
        return _in_calendar(column.type, f"try_cast({name} as {column.type})")
    if column.type == "BOOLEAN":
        return f"try_cast({name} as BOOLEAN)"
    # DuckDB reads 1_0 as ten.
    return f"case when not contains({name}, '_') then try_cast({name} as {column.type}) end"


def _in_calendar(kind: str, moment: str) -> str:
    """A moment that every reader knows: DuckDB has `infinity`, and years beyond 1 and 9999."""
    first, last = (f"{kind} {quote(day)}" for day in _CALENDAR)
    return f"case when {moment} between {first} and {last} then {moment} end"


def _entry(check: _Check) -> str:
    name = check.column.name
    return (
        f"case when not ({check.holds}) then struct_pack(rule := {quote(check.rule)}, "
        f"column_name := {quote(name)}, found := shown_{name}) end"
    )


def _shown(contract: Contract, column: Column) -> str:
    """SQL for what may be shown of a value that broke a rule.

    Where deliveries hold personal data a cell can hold it in any column, for columns shift; so only
    the shape of the value is shown: x for a letter, 9 for a digit.
    """
    if column.personal != "none" or column.type == "BLOB":
        return "null::varchar"
    short = f"left(raw_{column.name}, {LONGEST_FOUND})"
    if not contract.holds_personal_data:
        return short
    letters = rf"regexp_replace({short}, '\p{{L}}', 'x', 'g')"
    return rf"regexp_replace({letters}, '\p{{N}}', '9', 'g')"


# --- what the expectations of a delivery are judged on (`checks.expectations`) ---


def rows_to_judge(table: Table) -> str:
    """SQL for the received rows: typed columns, and what only SQL can say of each row."""
    looked_at = expectations.looked_at(table)
    # Of a text that becomes a pseudonym no more than that it is there.
    there = {name: f"if({name} is null, null, '') as {name}" for name in _pseudonymised(table)}
    columns = [
        "record_number",
        *(there.get(name, name) for name in looked_at.typed),
        *(
            f"nullif({_holds(rule)}, false) as {expectations.computed(rule)}"
            for rule in looked_at.given
        ),
        *(f"{_holds(rule)} as {expectations.computed(rule)}" for rule in looked_at.flags),
        f"{_IS_SOUND} as {expectations.SOUND}",
    ]
    return (
        f"select {', '.join(columns)} from judged_{table.name} "
        f"left join (select row_id, {_RULES} from broken_{table.name}) using (row_id)"
    )


def counts_to_judge(table: Table) -> str:
    """SQL for one row: rows received, then of each rule how many break it, and the first records.

    The last of them is that a row is sound.
    """
    sound = expectations.SOUND
    columns = [f"(select count(*) from judged_{table.name})"]
    for rule in (*(check.rule for check in _checks(table)), sound):
        columns.append(f"coalesce(broken[{quote(rule)}].violations, 0)")
        columns.append(f"coalesce(broken[{quote(rule)}].records, [])")
    rows = f"judged_{table.name} join broken_{table.name} using (row_id)"
    return f"""
with entries as (
    select record_number, unnest(broken).rule as rule from {rows}
    union all
    select record_number, {quote(sound)} from {rows} where not ({_IS_SOUND})
), counted as (
    select rule, struct_pack(
        violations := count(*), records := min(record_number, {expectations.MOST_RECORDS})
    ) as found
    from entries group by rule
)
select {", ".join(columns)} from (select map(list(rule), list(found)) as broken from counted)
"""


_RULES = "[entry.rule for entry in broken] as broken_rules"
_IS_SOUND = f"not (outcome = 'quarantined' and reason <> {quote(PARENT_QUARANTINED)})"


def _holds(rule: str) -> str:
    return f"not coalesce(list_contains(broken_rules, {quote(rule)}), false)"
