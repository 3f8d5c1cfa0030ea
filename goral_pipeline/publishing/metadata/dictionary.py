"""The dictionary of what a release publishes, in English and in Dutch.

Does not belong here: the dictionary of all datasets in the documentation (`contracts.generate`).
"""

from __future__ import annotations

from dataclasses import dataclass

from goral_pipeline.contracts import Column, Contract, Table

UNITS_NL = {
    "count": "aantal",
    "h": "uur",
    "charge points per vehicle": "laadpunten per voertuig",
    "vehicles per charge point": "voertuigen per laadpunt",
    "charge points per 1,000 inhabitants": "laadpunten per 1.000 inwoners",
}
"""Units whose name is not the same in Dutch."""


@dataclass(frozen=True)
class _Words:
    """What the page says by itself in one language."""

    title: str
    introduction: str
    limitations: str
    contract: str
    header: str
    yes: str
    one_of: str
    rules: str


_EN = _Words(
    title="Data dictionary",
    introduction="Every column of this drop, from the contracts in `contracts/`.",
    limitations="Limitations",
    contract="Contract `{id}`, version {version}.",
    header="| column | type | unit | key | required | meaning |",
    yes="yes",
    one_of="One of",
    rules="| rule | holds when |",
)
_NL = _Words(
    title="Datawoordenboek",
    introduction="Alle kolommen van deze levering, uit de contracten in `contracts/`.",
    limitations="Beperkingen",
    contract="Contract `{id}`, versie {version}.",
    header="| kolom | type | eenheid | sleutel | verplicht | betekenis |",
    yes="ja",
    one_of="Een van",
    rules="| regel | geldt als |",
)


def english(tables: list[tuple[Contract, Table]]) -> bytes:
    """The bytes of `dictionary.en.md`."""
    parts = _opening(_EN)
    for contract, table in tables:
        parts += _heading(contract, contract.name, _EN)
        limitations = contract.description.get("limitations", "")
        parts += _prose(contract.description["purpose"], limitations, _EN)
        parts += [f"{table.description} {table.grain}", ""]
        parts += [_EN.header, "|---|---|---|---|---|---|"]
        parts += [_row(c, c.description, c.unit or "", _EN) for c in table.columns]
        parts += _rules(table, _EN)
    return _page(parts)


def dutch(tables: list[tuple[Contract, Table]]) -> bytes:
    """The bytes of `dictionary.nl.md`."""
    parts = _opening(_NL)
    for contract, table in tables:
        parts += _heading(contract, contract.name_nl, _NL)
        parts += _prose(contract.purpose_nl, contract.limitations_nl, _NL)
        parts += [table.description_nl, ""]
        parts += [_NL.header, "|---|---|---|---|---|---|"]
        for column in table.columns:
            unit = column.unit or ""
            parts += [_row(column, column.description_nl, UNITS_NL.get(unit, unit), _NL)]
        parts += _rules(table, _NL)
    return _page(parts)


def _opening(words: _Words) -> list[str]:
    return [f"# {words.title}", "", words.introduction, ""]


def _heading(contract: Contract, name: str, words: _Words) -> list[str]:
    told = words.contract.format(id=contract.id, version=contract.version)
    return [f"## {contract.dataset}", "", f"**{name}.** {told}", ""]


def _prose(purpose: str, limitations: str, words: _Words) -> list[str]:
    told = [f"*{words.limitations}.* {limitations}", ""] if limitations else []
    return [purpose, "", *told]


def _row(column: Column, meaning: str, unit: str, words: _Words) -> str:
    if column.codes:
        meaning += f" {words.one_of} {', '.join(f'`{code}`' for code in column.codes)}."
    cells = (
        f"`{column.name}`",
        column.type,
        unit,
        str(column.key_position or ""),
        words.yes if column.required else "",
        meaning.replace("|", "\\|"),
    )
    return "| " + " | ".join(cells) + " |"


def _rules(table: Table, words: _Words) -> list[str]:
    """The rules over several columns, in SQL: that is the same in every language."""
    if not table.own_rules:
        return [""]
    rows = [
        f"| `{rule.name}` | `{rule.predicate.replace('|', chr(92) + '|')}` |"
        for rule in table.own_rules
    ]
    return ["", words.rules, "|---|---|", *rows, ""]


def _page(parts: list[str]) -> bytes:
    return ("\n".join(parts).rstrip() + "\n").encode()
