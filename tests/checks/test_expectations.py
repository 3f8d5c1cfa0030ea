"""Suites made from contracts find what its predicates find, row by row or by counts."""

import json
import random
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pytest
from great_expectations import expectations as gxe
from hypothesis import given, settings
from hypothesis import strategies as st

from goral_pipeline.checks import expectations, gx
from goral_pipeline.checks.expectations import FEW_BAD_ROWS, HAS_ROWS, Verdict
from goral_pipeline.contracts import Column, Contract, Table, staged
from goral_pipeline.errors import GoralError
from tests.checks.frames import Raw, by_counts, by_rows, judged, rows_of_table

REQUESTS = staged()["concession/requests"]

# ── rows of any kind ─────────────────────────────────────────────────────────────────────────────

ANY_TEXT = [None, "", "  ", "x", "x\n", "\nx", "é", "a" * 300, "true", "GM0202", "GM0202\n", "NL"]
NUMBERS = ["0", "1", "-1", "2.5", "1e3", "52.0", "5.5", "2023", "99999999999", "infinity", "NaN"]
DAYS = ["2022-05-06", "2020-10-31", "2020-11-01", "2018-02-29", "0000-00-00", "infinity", "43000"]
MOMENTS = ["2022-05-06T10:00:00Z", "2022-05-06 24:30:00", "1900-01-01", "2022-13-01T00:00:00Z"]


FITTING: dict[str, list[str | None]] = {
    "[A-Za-z0-9._/-]{1,40}": ["A-1", "a" * 40, "a" * 41, "a b"],
    "BU[0-9]{8}": ["BU02020101", "BU0202010"],
    ".{1,36}": ["a" * 36, "a" * 37, "é\n"],
    "[A-Z]{3}": ["EUR", "EUR\n", "eur"],
    "[A-Z0-9]{3}": ["ABC", "AB"],
    "[0-9]{4}": ["0202", "202", "٠٢٠٢"],
}


def texts_of(column: Column) -> list[str | None]:
    """What may be delivered in a column: what fits it, what just does not, and what is no such."""
    if column.type == "BLOB":
        return ["00ff"]
    options = column.options
    texts: list[str | None] = [*column.codes, *ANY_TEXT]
    texts += {"DATE": DAYS, "TIMESTAMPTZ": MOMENTS, "VARCHAR": []}.get(column.type, NUMBERS)
    for bound in (options.get("minimum"), options.get("maximum")):
        if isinstance(bound, int | float):
            texts += [str(bound), str(bound - 1), str(bound + 1), f"{bound}.001"]
        elif bound is not None:
            texts += [str(bound)]
    if "maxLength" in options:
        texts += ["é" * int(options["maxLength"]), "é" * (int(options["maxLength"]) + 1)]
    return texts + FITTING.get(options.get("pattern", ""), [])


def rows_of(table: Table, drawn: random.Random) -> list[Raw]:
    texts = {column.name: texts_of(column) for column in table.delivered_columns}
    number = drawn.choice([0, 1, 30])
    return [{name: drawn.choice(any_) for name, any_ in texts.items()} for _ in range(number)]


@pytest.mark.parametrize("dataset", sorted(staged()))
@given(drawn=st.randoms(use_true_random=False))
@settings(max_examples=3, deadline=None)
def test_rows_and_counts_give_the_same_verdicts(dataset: str, drawn: random.Random) -> None:
    """And the counts, which SQL gives for either, are those that the library itself finds."""
    contract = staged()[dataset]
    rows = {table.name: rows_of(table, drawn) for table in contract.tables}
    with judged(contract, rows) as con:
        for table in contract.tables:
            of_rows = by_rows(con, contract, table)
            assert of_rows == by_counts(con, contract, table)
            warned = {v.rule: v for v in of_rows if v.severity == "warning"}
            assert {rule: v.success for rule, v in warned.items()} == {
                rule: v.violations == 0 for rule, v in warned.items()
            }
            broken = {rule: v for rule, v in warned.items() if not v.success}
            assert found_by_library(con, contract, table, broken) == {
                rule: (v.violations, v.records) for rule, v in broken.items()
            }


def found_by_library(
    con: duckdb.DuckDBPyConnection, contract: Contract, table: Table, rules: Iterable[str]
) -> dict[str, tuple[int, tuple[int, ...]]]:
    """How often and in which records first rules are broken, as the library tells it."""
    suite = expectations.suite(contract, table)
    chosen = [suite[rule] for rule in rules]
    details = {
        "result_format": "SUMMARY",
        "unexpected_index_column_names": ["record_number"],
        "partial_unexpected_count": expectations.MOST_RECORDS,
    }
    rows = rows_of_table(con, table).sort_values("record_number")
    results = gx.validate(rows, chosen, details) if chosen else []
    return {
        expectations.rule_of(result): (
            result.result["unexpected_count"],
            tuple(e["record_number"] for e in result.result["partial_unexpected_index_list"]),
        )
        for result in results
    }


# ── verdicts ─────────────────────────────────────────────────────────────────────────────────────

GOOD: Raw = {
    "request_id": "1",
    "municipality_code": "GM0202",
    "takes_part": "true",
    "in_period": "true",
    "occasion": "demand_driven",
    "requested_on": "2022-05-06",
    "last_updated": "2022-05-07T10:00:00Z",
}


def verdicts(*rows: Raw, contract: Contract = REQUESTS) -> dict[str, Verdict]:
    (table,) = contract.tables
    numbered = [{"request_id": str(number)} for number in range(len(rows))]
    with judged(
        contract, {table.name: [GOOD | n | row for n, row in zip(numbered, rows, strict=True)]}
    ) as con:
        of_rows = by_rows(con, contract, table)
        assert of_rows == by_counts(con, contract, table)
    return {verdict.rule: verdict for verdict in of_rows}


def test_a_verdict_counts_and_names_the_first_records() -> None:
    found = verdicts({}, *[{"municipality_code": "Arnhem"}] * 7, {})["municipality_code_pattern"]
    assert found == Verdict(
        "requests", "municipality_code_pattern", "warning", False, 7, (2, 3, 4, 5, 6)
    )


def test_good_rows_pass_every_expectation_and_each_rule_has_one() -> None:
    found = verdicts({}, {})
    assert all(verdict.success and verdict.violations == 0 for verdict in found.values())
    (table,) = REQUESTS.tables
    assert {rule.name for rule in table.rules} <= set(found)
    assert {rule for rule, v in found.items() if v.severity == "critical"} == {
        HAS_ROWS,
        FEW_BAD_ROWS,
    }


def test_a_value_that_cannot_be_read_was_given_all_the_same() -> None:
    found = verdicts({"requested_on": "2018-02-29"}, {"requested_on": " "})
    assert found["requested_on_type"].records == (1,)
    assert found["requested_on_required"].records == (2,)


@pytest.mark.parametrize(("bad", "of", "passes"), [(1, 20, True), (2, 39, False), (3, 60, True)])
def test_the_gate_is_the_share_of_bad_rows(bad: int, of: int, passes: bool) -> None:
    assert REQUESTS.max_bad_share == 0.05
    found = verdicts(*[{"occasion": "?"}] * bad, *[{}] * (of - bad))[FEW_BAD_ROWS]
    assert (found.success, found.violations) == (passes, bad)


def test_a_delivery_without_rows_does_not_pass_the_gate() -> None:
    found = verdicts()
    assert not found[HAS_ROWS].success
    assert found[FEW_BAD_ROWS].success


def test_verdicts_as_a_file_hold_no_value(tmp_path: Path) -> None:
    found = list(verdicts({"request_id": "J. de Vries", "occasion": "Dorpsstraat 1"}).values())
    text = expectations.to_json(found)
    assert "Vries" not in text
    assert "Dorpsstraat" not in text
    (tmp_path / expectations.FILE).write_text(text)
    assert expectations.read(tmp_path) == tuple(found)
    assert expectations.read(tmp_path / "gone") == ()
    assert {key for entry in json.loads(text) for key in entry} == set(Verdict.__annotations__)


# ── the library ──────────────────────────────────────────────────────────────────────────────────


def test_what_cannot_be_evaluated_is_no_violation() -> None:
    import pandas as pd

    frame = pd.DataFrame({"a": [1]})
    expectation = gxe.ExpectColumnValuesToNotBeNull(column="b", meta={"rule": "b"})
    with pytest.raises(GoralError, match="expect_column_values_to_not_be_null cannot be"):
        gx.validate(frame, [expectation])


def test_the_library_is_left_as_it_was() -> None:
    from great_expectations.expectations.expectation import Expectation

    before = vars(Expectation)["configuration"]
    verdicts({})
    assert vars(Expectation)["configuration"] is before


def test_nobody_who_stages_nothing_loads_the_library() -> None:
    """It takes seconds: a run without news, and the parent of staging processes, go without."""
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import goral_pipeline.ingestion, goral_pipeline.staging.stage, sys\n"
            "print('great_expectations' in sys.modules, 'pandas' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == ["False", "False"]
