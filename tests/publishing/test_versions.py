"""Which version a change of a contract asks for, and how long what is deprecated stays."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from goral_pipeline.contracts import Contract, Table, published
from goral_pipeline.contracts.model import Column, Rule
from goral_pipeline.publishing import versions

DATASET = "mart_charge_points"
Change = Callable[[Contract], Contract]


@pytest.fixture
def contract() -> Contract:
    return replace(published()[DATASET], version="1.2.3", status="active")


def of_table(change: Callable[[Table], Table]) -> Change:
    return lambda contract: replace(contract, tables=(change(contract.tables[0]),))


def of_column(name: str, **facts: object) -> Change:
    def changed(table: Table) -> Table:
        columns = (replace(c, **facts) if c.name == name else c for c in table.all_columns)  # type: ignore[arg-type]
        return replace(table, all_columns=tuple(columns))

    return of_table(changed)


def without(name: str) -> Change:
    return of_table(
        lambda table: replace(
            table, all_columns=tuple(c for c in table.all_columns if c.name != name)
        )
    )


def with_a_column(table: Table) -> Table:
    more = replace(table.all_columns[-1], name="remark", required=False)
    return replace(table, all_columns=(*table.all_columns, more))


def in_another_order(table: Table) -> Table:
    return replace(table, all_columns=table.all_columns[::-1])


def with_a_rule(table: Table) -> Table:
    rule = Rule("some", "charge_points < 1000000", "charge_points", "Not too many.")
    return replace(table, own_rules=(*table.own_rules, rule))


CHANGES: dict[str, tuple[Change, str, str]] = {
    "type": (of_column("charge_points", type="INTEGER"), "2.0.0", "charge_points was BIGINT"),
    "unit": (
        of_column("charge_points", properties={"unit": "kW"}),
        "2.0.0",
        "charge_points was in",
    ),
    "empty": (of_column("definition", required=False), "2.0.0", "definition may now be empty"),
    "any value": (of_column("access", codes={}), "2.0.0", "access may now be any value"),
    "key": (of_column("speed", key_position=None), "2.0.0", "the dataset had the key"),
    "added": (of_table(with_a_column), "1.3.0", "remark is added"),
    "order": (of_table(in_another_order), "1.3.0", "the dataset has its columns in another order"),
    "rule": (of_table(with_a_rule), "1.3.0", "the dataset has other rules"),
    "codes": (of_column("access", codes={"public": ""}), "1.3.0", "access has other codes"),
    "limits": (of_column("charge_points", options={}), "1.3.0", "charge_points has other limits"),
    "class": (
        of_column("access", personal="personal"),
        "1.3.0",
        "access was none and is personal",
    ),
    "deprecated": (
        of_column("definition_note", properties={"deprecated": True}),
        "1.3.0",
        "definition_note is deprecated",
    ),
    "words of a column": (
        of_column("access", description="Who may charge."),
        "1.2.4",
        "access is described in other words",
    ),
    "Dutch words": (
        lambda contract: replace(
            contract, properties=contract.properties | {"name_nl": "Laadpunten, geteld"}
        ),
        "1.2.4",
        "the dataset is described in other words",
    ),
    "words": (
        lambda contract: replace(contract, name="Charge points, counted"),
        "1.2.4",
        "the dataset is described in other words",
    ),
}


def problems(before: Contract, now: Contract, **deprecated: int) -> list[str]:
    return versions.problems({DATASET: before}, {DATASET: now}, deprecated)


@pytest.mark.parametrize("kind", CHANGES)
def test_an_under_declared_change_is_told_with_its_column(contract: Contract, kind: str) -> None:
    change, needed, told = CHANGES[kind]
    (problem,) = problems(contract, change(contract))
    assert told in problem
    assert f"asks for version {needed}, the contract says 1.2.3" in problem


@pytest.mark.parametrize("kind", CHANGES)
def test_the_version_that_the_rule_asks_for_is_enough(contract: Contract, kind: str) -> None:
    change, needed, _ = CHANGES[kind]
    assert problems(contract, replace(change(contract), version=needed)) == []


@pytest.mark.parametrize("kind", [kind for kind, (_, v, _) in CHANGES.items() if v != "1.2.4"])
def test_a_lower_version_than_that_is_not(contract: Contract, kind: str) -> None:
    change, needed, _ = CHANGES[kind]
    lower = "1.3.0" if needed == "2.0.0" else "1.2.4"
    (problem,) = problems(contract, replace(change(contract), version=lower))
    assert f"asks for version {needed}, the contract says {lower}" in problem


def test_other_words_of_a_rule_are_a_patch(contract: Contract) -> None:
    def in_other_words(table: Table) -> Table:
        rules = (replace(rule, description="As said.") for rule in table.own_rules)
        return replace(table, own_rules=tuple(rules))

    before = of_table(with_a_rule)(contract)
    now = of_table(in_other_words)(before)
    (problem,) = problems(before, now)
    assert "that is a patch change and asks for version 1.2.4" in problem
    assert problems(before, replace(now, version="1.2.4")) == []


def test_the_greatest_change_decides(contract: Contract) -> None:
    changed = of_column("charge_points", type="INTEGER")(of_table(with_a_column)(contract))
    (problem,) = problems(contract, replace(changed, version="1.3.0"))
    assert "that is a major change" in problem
    assert "remark" not in problem


def test_what_is_the_same_keeps_its_version(contract: Contract) -> None:
    assert problems(contract, contract) == []


def test_a_version_does_not_go_back(contract: Contract) -> None:
    assert problems(contract, replace(contract, version="1.2.2")) == [
        f"{DATASET} went back from version 1.2.3 to 1.2.2"
    ]


# ── what goes ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("times", range(versions.DROPS_OF_NOTICE))
def test_a_column_does_not_go_before_its_time(contract: Contract, times: int) -> None:
    gone = replace(without("definition_note")(contract), version="2.0.0")
    deprecated = {f"{DATASET}.definition_note": times}
    (problem,) = versions.problems({DATASET: contract}, {DATASET: gone}, deprecated)
    assert problem.startswith(
        f"{DATASET}.definition_note is gone, but was deprecated in {times} of the 3 drops"
    )


def test_a_column_goes_after_its_time_by_a_major_version(contract: Contract) -> None:
    deprecated = {f"{DATASET}.definition_note": versions.DROPS_OF_NOTICE}
    gone = without("definition_note")(contract)
    assert (
        versions.problems(
            {DATASET: contract}, {DATASET: replace(gone, version="2.0.0")}, deprecated
        )
        == []
    )
    (problem,) = versions.problems({DATASET: contract}, {DATASET: gone}, deprecated)
    assert "definition_note is removed: that is a major change" in problem


def test_a_dataset_goes_after_its_time_only(contract: Contract) -> None:
    (problem,) = versions.problems({DATASET: contract}, {}, {})
    assert problem.startswith(f"{DATASET} is gone, but was deprecated in 0 of the 3 drops")
    assert versions.problems({DATASET: contract}, {}, {DATASET: 3}) == []


def test_drops_are_counted_in_which_something_is_deprecated(contract: Contract) -> None:
    change, _, _ = CHANGES["deprecated"]
    name = f"{DATASET}.definition_note"
    contracts = {DATASET: change(contract)}
    first = versions.deprecated(contracts, {})
    assert first == {name: 1}
    assert versions.deprecated(contracts, first) == {name: 2}
    assert versions.deprecated({DATASET: contract}, first) == {}, "taken back"
    whole = {DATASET: replace(contract, status="deprecated")}
    assert versions.deprecated(whole, {DATASET: 4}) == {DATASET: 5}


def test_every_kind_of_fact_of_a_column_is_judged() -> None:
    judged = {"type", "required", "key_position", "codes", "options", "properties"}
    words = {"name", "description", "synonyms"}
    # What is published holds no personal data: a test of the contracts says so.
    assert {*Column.__dataclass_fields__} == judged | words | {"personal"}
