"""What is expected of a delivery, as suites of Great Expectations made from its contract.

Each rule of the contract is an expectation that warns: rows that break it are quarantined. The gate
is two expectations more, which decide whether the delivery is taken at all. Up to `MOST_ROWS` rows
they look at the typed rows; above that at counts of violations, which one pass of SQL gives: the
same verdicts for a tenth of the memory.

Belongs here: the expectations, their verdicts, and these as a file. Does not belong here: the SQL
(`staging.judge`), or what follows from a verdict (`staging.stage`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from goral_pipeline.contracts import Column, Contract, Table
from goral_pipeline.contracts.model import Rule, column_rules, type_rule

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.expectations.expectation import Expectation

FILE = "expectations.json"
MOST_ROWS = 250_000
MOST_RECORDS = 5

HAS_ROWS = "has_rows"
FEW_BAD_ROWS = "few_bad_rows"
SOUND = "is_sound"
"""Column that says of a row that it is not bad in itself."""

Severity = Literal["warning", "critical"]


@dataclass(frozen=True)
class Verdict:
    """What became of one expectation: counts and record numbers, never a value."""

    table: str
    rule: str
    severity: Severity
    success: bool
    violations: int
    """How many of the received rows break it."""
    records: tuple[int, ...]
    """Numbers of the first records that break it."""


@dataclass(frozen=True)
class LookedAt:
    """What a suite looks at: columns, and rules for which SQL computes one (`computed`)."""

    typed: tuple[str, ...]
    """Columns of the contract."""
    given: tuple[str, ...]
    """True, or null where a required value that is no text was not given."""
    flags: tuple[str, ...]
    """Whether the row holds to a rule that only SQL can say."""


@dataclass(frozen=True)
class Broken:
    """How often a rule is broken, and in which records first."""

    violations: int
    records: Sequence[int]


def computed(rule: str) -> str:
    """The column that holds what SQL says of a rule; a column can have the name of a rule."""
    return f"holds__{rule}"


def looked_at(table: Table) -> LookedAt:
    """The columns that the suite of a table looks at."""
    columns = {column.name: column for column in table.delivered_columns}
    direct = [rule for rule in _rules(table) if _is_direct(rule, columns[rule.column])]
    given = [r for r in direct if _is_required(r) and columns[r.column].type != "VARCHAR"]
    return LookedAt(
        typed=tuple(dict.fromkeys(rule.column for rule in direct if rule not in given)),
        given=tuple(rule.name for rule in given),
        flags=tuple(rule.name for rule in _rules(table) if rule not in direct),
    )


def judge_rows(
    contract: Contract, table: Table, rows: pd.DataFrame, broken: Sequence[Broken]
) -> list[Verdict]:
    """Judge the received rows of a table.

    The library says what fails. How often and where is told by `broken`, as in `judge_counts`, for
    to ask the library costs as much again.
    """
    from goral_pipeline.checks import gx

    results = gx.validate(rows, list(suite(contract, table).values()))
    return _verdicts(table, results, broken)


def judge_counts(
    contract: Contract, table: Table, rows: int, broken: Sequence[Broken]
) -> list[Verdict]:
    """Judge a table by how often each of its rules is broken, and its rows are not sound."""
    import pandas as pd

    from goral_pipeline.checks import gx

    *by_rule, unsound = broken
    counts = {rule.name: [one.violations] for rule, one in zip(_rules(table), by_rule, strict=True)}
    share = unsound.violations / rows if rows else 0.0
    frame = pd.DataFrame(counts | {"rows": [rows], "bad_share": [share]})
    return _verdicts(table, gx.validate(frame, _suite_of_counts(contract, table)), broken)


def to_json(verdicts: Sequence[Verdict]) -> str:
    """Verdicts as the text of a file: the same verdicts, the same text."""
    return json.dumps([asdict(verdict) for verdict in verdicts], indent=1) + "\n"


def read(folder: Path) -> tuple[Verdict, ...]:
    """The verdicts that lie in a folder of quarantine; none where it is gone."""
    try:
        content = (folder / FILE).read_text()
    except FileNotFoundError:
        return ()
    return tuple(
        Verdict(**entry | {"records": tuple(entry["records"])}) for entry in json.loads(content)
    )


# --- suites ---


def suite(contract: Contract, table: Table) -> dict[str, Expectation]:
    """The expectations of a table's rows, by rule."""
    from great_expectations import expectations as gxe

    columns = {column.name: column for column in table.delivered_columns}
    expected: dict[str, Expectation] = {
        rule.name: _expectation(rule, columns[rule.column]) for rule in _rules(table)
    }
    if table.parent is None:
        expected[HAS_ROWS] = gxe.ExpectTableRowCountToBeBetween(
            min_value=1, **_told(HAS_ROWS, "critical")
        )
    expected[FEW_BAD_ROWS] = gxe.ExpectColumnValuesToBeInSet(
        column=SOUND,
        value_set=[True],
        # 1 - 0.05 as people reckon it, so that one in twenty is within a share of 5 %.
        mostly=float(1 - Decimal(str(contract.max_bad_share))),
        **_told(FEW_BAD_ROWS, "critical"),
    )
    return expected


def _suite_of_counts(contract: Contract, table: Table) -> list[Expectation]:
    """The same expectations, of a frame with a count of violations to each rule."""
    from great_expectations import expectations as gxe

    suite: list[Expectation] = [
        gxe.ExpectColumnValuesToBeInSet(
            column=rule.name, value_set=[0], **_told(rule.name, "warning")
        )
        for rule in _rules(table)
    ]
    if table.parent is None:
        suite.append(
            gxe.ExpectColumnValuesToBeBetween(
                column="rows", min_value=1, **_told(HAS_ROWS, "critical")
            )
        )
    share = contract.max_bad_share
    suite.append(
        gxe.ExpectColumnValuesToBeBetween(
            column="bad_share", max_value=share, **_told(FEW_BAD_ROWS, "critical")
        )
    )
    return suite


def _expectation(rule: Rule, column: Column) -> Expectation:
    from great_expectations import expectations as gxe

    told, own = _told(rule.name, "warning"), computed(rule.name)
    if not _is_direct(rule, column):
        return gxe.ExpectColumnValuesToBeInSet(column=own, value_set=[True], **told)
    name, options = column.name, column.options
    match _kind(rule):
        case "required":
            where = name if column.type == "VARCHAR" else own
            return gxe.ExpectColumnValuesToNotBeNull(column=where, **told)
        case "code":
            return gxe.ExpectColumnValuesToBeInSet(
                column=name, value_set=list(column.codes), **told
            )
        case "pattern":
            # The whole value, line ends too, as regexp_full_match has it.
            whole = rf"\A(?:{options['pattern']})\Z"
            return gxe.ExpectColumnValuesToMatchRegex(column=name, regex=whole, **told)
        case "length":
            return gxe.ExpectColumnValueLengthsToBeBetween(
                column=name, max_value=int(options["maxLength"]), **told
            )
        case _:
            return gxe.ExpectColumnValuesToBeBetween(
                column=name,
                min_value=_bound(options.get("minimum"), column),
                max_value=_bound(options.get("maximum"), column),
                **told,
            )


def _rules(table: Table) -> list[Rule]:
    """Every rule of a table: that values can be read, those of its columns, those over several."""
    readable = [type_rule(column) for column in table.delivered_columns if column.can_be_unreadable]
    return [*readable, *table.rules]


def _is_direct(rule: Rule, column: Column) -> bool:
    """Whether the library has an expectation for the rule, so that it looks at values itself."""
    return rule in column_rules(column)


def _kind(rule: Rule) -> str:
    return rule.name.removeprefix(f"{rule.column}_")


def _is_required(rule: Rule) -> bool:
    return _kind(rule) == "required"


def _bound(value: Any, column: Column) -> Any:
    """A bound as the frame has values: days and moments as such."""
    if column.type == "DATE":
        return value and datetime.fromisoformat(str(value))
    if column.type == "TIMESTAMPTZ":
        return value and datetime.fromisoformat(str(value)).replace(tzinfo=UTC)
    return value


def _told(rule: str, severity: Severity) -> dict[str, Any]:
    return {"severity": severity, "meta": {"rule": rule}}


# --- results ---


def _verdicts(
    table: Table, results: Sequence[ExpectationValidationResult], broken: Sequence[Broken]
) -> list[Verdict]:
    names = [*(rule.name for rule in _rules(table)), FEW_BAD_ROWS]
    found = dict(zip(names, broken, strict=True))
    return [_verdict(table, result, found) for result in results]


def _verdict(
    table: Table, result: ExpectationValidationResult, broken: Mapping[str, Broken]
) -> Verdict:
    rule, success = rule_of(result), bool(result.success)
    found = broken.get(rule, Broken(int(not success), []))
    return Verdict(
        table=table.name,
        rule=rule,
        severity="critical" if rule in (HAS_ROWS, FEW_BAD_ROWS) else "warning",
        success=success,
        violations=found.violations,
        records=tuple(dict.fromkeys(found.records)),
    )


def rule_of(result: ExpectationValidationResult) -> str:
    """The rule that an expectation stands for."""
    config = result.expectation_config
    return str(config.meta["rule"]) if config and config.meta else ""
