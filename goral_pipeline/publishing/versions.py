"""Versions of published contracts, by rule: what changed decides whether major, minor or patch.

Major is what breaks a reader of the version before; minor is what one may not notice; patch is
words. A column goes only after it was deprecated in a stated number of drops. Belongs here: the
rule. Does not belong here: where contracts come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from goral_pipeline.contracts import Contract, Table
from goral_pipeline.contracts.model import Column

Level = Literal["major", "minor", "patch"]
LEVELS: tuple[Level, ...] = ("major", "minor", "patch")

DROPS_OF_NOTICE = 3
"""In how many drops a column or dataset is deprecated before one may be published without it."""


@dataclass(frozen=True)
class Change:
    """One difference between two versions of a contract."""

    level: Level
    column: str
    """Empty where it is of the whole dataset."""
    what: str


def problems(
    before: Mapping[str, Contract], now: Mapping[str, Contract], deprecated: Mapping[str, int]
) -> list[str]:
    """What keeps contracts from following those of the drop before, in words; none is good.

    Args:
        before: contracts of the drop before, by dataset.
        now: contracts of the drop to come, by dataset.
        deprecated: in how many drops so far a column (`dataset.column`) or dataset was deprecated.
    """
    found = []
    for dataset, old in before.items():
        new = now.get(dataset)
        if new is None:
            found += _gone(dataset, deprecated)
            continue
        changed = list(changes(old, new))
        for change in changed:
            if change.level == "major" and change.what == REMOVED:
                found += _gone(f"{dataset}.{change.column}", deprecated)
        found += _under_declared(dataset, old.version, new.version, changed)
    return found


def _gone(name: str, deprecated: Mapping[str, int]) -> list[str]:
    times = deprecated.get(name, 0)
    if times >= DROPS_OF_NOTICE:
        return []
    return [
        f"{name} is gone, but was deprecated in {times} of the {DROPS_OF_NOTICE} drops that its "
        "readers are given: put it back, deprecated"
    ]


def _under_declared(dataset: str, old: str, new: str, changed: list[Change]) -> list[str]:
    if _parts(new) < _parts(old):
        return [f"{dataset} went back from version {old} to {new}"]
    for level in LEVELS:
        of_level = [change for change in changed if change.level == level]
        if of_level and _parts(new) < (needed := _next(old, level)):
            told = "; ".join(
                f"{change.column or 'the dataset'} {change.what}" for change in of_level
            )
            asked = ".".join(map(str, needed))
            return [f"{dataset}: {told}: that is a {level} change and asks for version {asked}, "
                    f"the contract says {new}"]  # fmt: skip
    return []


def deprecated(contracts: Mapping[str, Contract], before: Mapping[str, int]) -> dict[str, int]:
    """In how many drops each deprecated column and dataset was that, the one to come included."""
    names = [dataset for dataset, contract in contracts.items() if contract.is_deprecated]
    names += [
        f"{dataset}.{column.name}"
        for dataset, contract in contracts.items()
        for column in contract.tables[0].columns
        if column.is_deprecated
    ]
    return {name: before.get(name, 0) + 1 for name in sorted(names)}


REMOVED = "is removed"
WORDS = "_nl"
"""Properties that end so are text for people."""


def changes(old: Contract, new: Contract) -> Iterator[Change]:
    """Each difference between two versions of a contract of one table."""
    was, became = old.tables[0], new.tables[0]
    columns = {column.name: column for column in became.columns}
    for column in was.columns:
        if column.name in columns:
            yield from _column_changes(column, columns.pop(column.name))
        else:
            yield Change("major", column.name, REMOVED)
    for name in columns:
        yield Change("minor", name, "is added")
    yield from _table_changes(was, became)
    if _facts(old.properties) != _facts(new.properties):
        yield Change("minor", "", "has other properties")
    if _words_of(old) != _words_of(new):
        yield Change("patch", "", "is described in other words")


def _table_changes(was: Table, became: Table) -> Iterator[Change]:
    if was.key != became.key:
        yield Change(
            "major", "", f"had the key ({', '.join(was.key)}), now ({', '.join(became.key)})"
        )
    kept = {column.name for column in became.columns}
    order = [column.name for column in was.columns if column.name in kept]
    if order != [name for name in (c.name for c in became.columns) if name in order]:
        yield Change("minor", "", "has its columns in another order")
    if _rules(was) != _rules(became):
        yield Change("minor", "", "has other rules")
    if _facts(was.properties) != _facts(became.properties):
        yield Change("minor", "", "has other properties")
    if (_words_of(was), _words_of_rules(was)) != (_words_of(became), _words_of_rules(became)):
        yield Change("patch", "", "is described in other words")


def _rules(table: Table) -> list[tuple[str, str]]:
    return sorted((rule.name, rule.predicate) for rule in (*table.own_rules, *table.profile))


def _words_of_rules(table: Table) -> dict[str, str]:
    return {rule.name: rule.description for rule in (*table.own_rules, *table.profile)}


def _column_changes(was: Column, became: Column) -> Iterator[Change]:
    name = was.name
    if was.type != became.type:
        yield Change("major", name, f"was {was.type} and is {became.type}")
    if was.unit != became.unit:
        yield Change("major", name, f"was in {was.unit} and is in {became.unit}")
    if was.required and not became.required:
        yield Change("major", name, "may now be empty")
    if became.required and not was.required:
        yield Change("minor", name, "is never empty any more")
    if was.codes and not became.codes:
        yield Change("major", name, "may now be any value")
    elif set(was.codes) != set(became.codes):
        yield Change("minor", name, "has other codes")
    if was.options != became.options:
        yield Change("minor", name, "has other limits")
    if was.personal != became.personal:
        yield Change("minor", name, f"was {was.personal} and is {became.personal}")
    if was.is_deprecated != became.is_deprecated:
        word = "is deprecated" if became.is_deprecated else "is deprecated no more"
        yield Change("minor", name, word)
    if _words(was) != _words(became):
        yield Change("patch", name, "is described in other words")


def _words(column: Column) -> tuple[object, ...]:
    return column.description, column.codes, column.synonyms, _told(column.properties)


def _words_of(described: Contract | Table) -> tuple[object, ...]:
    name = described.name if isinstance(described, Contract) else described.grain
    return name, described.description, _told(described.properties)


def _facts(properties: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in properties.items() if not name.endswith(WORDS)}


def _told(properties: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in properties.items() if name.endswith(WORDS)}


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _next(version: str, level: Level) -> tuple[int, ...]:
    """The lowest version that a change of this level asks for."""
    parts = _parts(version)
    place = LEVELS.index(level)
    return (*parts[:place], parts[place] + 1, *(0 for _ in parts[place + 1 :]))
