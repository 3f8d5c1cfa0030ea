"""Generates, from the contracts, the files that are kept in the repository.

Run as `python -m goral_pipeline.contracts.generate` (`make generate`); with `--check` nothing is
written and the exit code is 1 when a file is out of date. What a program needs at run time (Arrow
schemas, rules) is not a file: it comes from `model`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from goral_pipeline import durable
from goral_pipeline.contracts import model
from goral_pipeline.contracts.model import Column, Contract, Table

ROOT = Path(__file__).resolve().parents[2]
NOTE = "Generated from goral_pipeline/contracts by `make generate`; do not edit."

DELIVERIES_COLUMNS = {
    "delivery_id": ("VARCHAR", "Id of the delivery."),
    "source": ("VARCHAR", "Publisher, e.g. ndw_dotnl."),
    "dataset": ("VARCHAR", "Dataset, e.g. ndw_dotnl/locations."),
    "partition": ("VARCHAR", "Month or edition the delivery is for."),
    "received_at": ("TIMESTAMPTZ", "When it was received (knowledge date, UTC)."),
    "demo": ("BOOLEAN", "Whether its content is invented."),
    "is_new": ("BOOLEAN", "Whether the warehouse built on holds nothing of it as it is now."),
}
"""The warehouse's view of the ledger: the deliveries that the pointers point at."""

DELIVERY_MONTHS_COLUMNS = {
    "delivery_id": ("VARCHAR", "Id of the delivery."),
    "month": ("VARCHAR", "Month in which accepted rows of it fall, in Europe/Amsterdam."),
}
"""The warehouse's view of the ledger: which months each of those deliveries touches."""

SESSION_MONTHS_BEFORE_COLUMNS = {
    "month": ("VARCHAR", "Month of sessions that the warehouse built on holds."),
    "delivery_id": ("VARCHAR", "A delivery that it was made of there."),
}
"""What the warehouse built on says of its months of sessions; nothing where none is built on."""

INSTRUCTIONS_COLUMNS = {
    "municipality_code": ("VARCHAR", "Municipality whose data owner instructed."),
    "left_out": ("VARCHAR[]", "Columns that the instruction leaves out."),
}
"""Whose single sessions are published; nothing in the warehouse that analysts query."""

CONCESSIONS_COLUMNS = {
    "concession": ("VARCHAR", "Id of the concession; the source that delivers its datasets."),
    "name": ("VARCHAR", "Name as the yearly report writes it."),
    "requests_from": ("DATE", "First day on which a request could be made."),
    "requests_until": ("DATE", "First day on which none could be made any more; null: no end."),
}
"""The warehouse's view of the mappings: what they say of each concession."""


def main(arguments: list[str]) -> int:
    """Write the generated files, or with --check compare them."""
    return keep(generated(), arguments)


def keep(files: dict[Path, str], arguments: list[str]) -> int:
    """Write those of the files that are out of date, or with --check tell which are.

    Returns:
        The exit code: 1 when --check found one.
    """
    stale = [path for path, text in files.items() if _read(path) != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date: run `make generate` and commit it")
        return 1 if stale else 0
    for path in stale:
        durable.make_folder(path.parent)
        durable.write_bytes(path, files[path].encode())
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


def generated() -> dict[Path, str]:
    """Every generated file and its text."""
    return {
        ROOT / "dbt_project/models/staging/_sources.yml": dbt_sources(),
        ROOT / "dbt_project/models/marts/_marts.yml": dbt_marts(),
        ROOT / "dbt_project/models/cdr/_cdr.yml": dbt_cdr(),
        ROOT / "dbt_project/models/marts/_exposures.yml": dbt_exposures(),
        ROOT / "docs/reference/dictionary.md": dictionary(),
    }


def dbt_sources() -> str:
    """The staged and derived tables as dbt sources."""
    contracts = [*model.staged().values(), *model.derived().values()]
    tables = [
        {
            "name": contract.relation(table),
            "description": table.description,
            "columns": [_dbt_column(column) for column in table.columns],
        }
        for contract in contracts
        for table in contract.tables
    ]
    tables += [
        {
            "name": name,
            "description": description,
            "columns": [
                {"name": column, "description": meaning, "data_type": sql_type}
                for column, (sql_type, meaning) in columns.items()
            ],
        }
        for name, description, columns in (
            (
                "deliveries",
                "Deliveries the warehouse is built from: one a dataset and partition.",
                DELIVERIES_COLUMNS,
            ),
            (
                "delivery_months",
                "The months that the accepted rows of each of those deliveries fall in.",
                DELIVERY_MONTHS_COLUMNS,
            ),
            (
                "session_months_before",
                "What each month of sessions was made of in the warehouse that is built on.",
                SESSION_MONTHS_BEFORE_COLUMNS,
            ),
            ("concessions", "Concessions, as their mappings describe them.", CONCESSIONS_COLUMNS),
            (
                "instructions",
                "Municipalities whose data owner instructed that single sessions are published.",
                INSTRUCTIONS_COLUMNS,
            ),
        )
    ]
    source = {
        "name": "staged",
        "schema": "staged",
        "description": "Accepted rows of the deliveries that the ledger points at.",
        "tables": tables,
    }
    return _yaml({"version": 2, "sources": [source]})


def dbt_marts() -> str:
    """The marts with enforced contract and the tests that follow from their rules."""
    return _models(model.published())


def dbt_cdr() -> str:
    """Single sessions, as the marts."""
    return _models(model.cdr())


def _models(contracts: dict[str, Contract]) -> str:
    models = [
        {
            "name": table.name,
            "description": table.description,
            "config": {"contract": {"enforced": True}},
            "columns": [_mart_column(column) for column in table.columns],
            "data_tests": _mart_tests(table),
        }
        for contract in contracts.values()
        for table in contract.tables
    ]
    return _yaml({"version": 2, "models": models})


def dbt_exposures() -> str:
    """The drops as dbt exposures: which models are published, and what of them."""
    exposures = [
        _exposure(
            "ndw_drop",
            "Drop for NDW",
            "What is published for NDW. Its contracts are promises: a change of these marts is a "
            "change of a published contract.",
            model.published(),
        ),
        _exposure(
            "ndw_cdr_drop",
            "Drop of single sessions for NDW",
            "Single sessions of municipalities whose data owner instructed so; off unless "
            "configured. Built apart from the warehouse.",
            model.cdr(),
        ),
    ]
    return _yaml({"version": 2, "exposures": exposures})


def _exposure(
    name: str, label: str, description: str, contracts: dict[str, Contract]
) -> dict[str, Any]:
    in_it = [contract for contract in contracts.values() if contract.is_published]
    return {
        "name": name,
        "label": label,
        "type": "application",
        "maturity": "medium",
        "description": description,
        "owner": {"name": "GO-RAL data team", "email": "go-ral@example.org"},
        "depends_on": [f"ref('{table.name}')" for c in in_it for table in c.tables],
        "config": {"meta": {"datasets": {c.dataset: _published_parts(c) for c in in_it}}},
    }


def _published_parts(contract: Contract) -> dict[str, Any]:
    (table,) = contract.tables
    return {
        "contract_version": contract.version,
        "rows": table.publish_where,
        "columns": [column.name for column in table.columns],
    }


def _mart_tests(table: Table) -> list[dict[str, Any]]:
    # That a value is there is a constraint of the table, see below.
    rules = [rule for rule in table.rules if not rule.name.endswith("_required")]
    every = " and ".join(f"coalesce({rule.predicate}, true)" for rule in rules) or "true"
    arguments = {"key": list(table.key), "predicate": every}
    return [{"fits_contract": {"name": f"{table.name}_fits_contract", "arguments": arguments}}]


def _mart_column(column: Column) -> dict[str, Any]:
    constraints = {"constraints": [{"type": "not_null"}]} if column.required else {}
    return _dbt_column(column) | constraints


def _dbt_column(column: Column) -> dict[str, Any]:
    return {"name": column.name, "description": column.description, "data_type": column.type}


def dictionary() -> str:
    """The data dictionary as a page of the documentation."""
    parts = [f"<!-- {NOTE} -->", "# Data dictionary", ""]
    parts += [
        "Every column of every dataset, from its contract. Personal data: `none`; `pseudonymise` "
        "(only a keyed hash is staged); `drop` (delivered, never staged). A row that breaks a rule "
        "is quarantined; what a profile asks besides is only told of.",
        "",
    ]
    layers = (
        ("Published", model.published()),
        ("Published on instruction", model.cdr()),
        ("Staged", model.staged()),
        ("Derived", model.derived()),
    )
    for title, contracts in layers:
        parts += [f"## {title}", ""]
        for contract in contracts.values():
            parts += _dictionary_entry(contract)
    return "\n".join(parts).rstrip() + "\n"


def _dictionary_entry(contract: Contract) -> list[str]:
    parts = [f"### {contract.dataset}", "", contract.description["purpose"], ""]
    if "limitations" in contract.description:
        parts += [f"*Limitations.* {contract.description['limitations']}", ""]
    if contract in model.published().values() and not contract.is_published:
        parts += ["*Not part of the drop.*", ""]
    parts += [f"Contract `{contract.id}`, version {contract.version}.", ""]
    if contract.schema_path != contract.path:
        other = model.read(contract.schema_path).dataset
        return [*parts, f"Its tables are those of [{other}](#{other.replace('/', '')}).", ""]
    for table in contract.tables:
        parts += [f"#### {table.name}", "", f"{table.description} {table.grain}", ""]
        parts += ["| column | type | unit | key | required | personal | meaning |"]
        parts += ["|---|---|---|---|---|---|---|"]
        parts += [_dictionary_row(column) for column in table.all_columns]
        parts += [""]
        for title, rules in (("rule", table.own_rules), ("profile", table.profile)):
            if rules:
                parts += [f"| {title} | holds when |", "|---|---|"]
                parts += [f"| `{rule.name}` | {rule.description} |" for rule in rules]
                parts += [""]
    return parts


def _dictionary_row(column: Column) -> str:
    meaning = column.description
    if column.codes:
        meaning += " One of " + ", ".join(f"`{code}`" for code in column.codes) + "."
    cells = (
        f"`{column.name}`",
        column.type,
        column.unit or "",
        str(column.key_position or ""),
        "yes" if column.required else "",
        "" if column.personal == "none" else column.personal,
        meaning.replace("|", "\\|"),
    )
    return "| " + " | ".join(cells) + " |"


def _yaml(content: dict[str, Any]) -> str:
    import yaml

    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    return f"# {NOTE}\n{text}"


def _read(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
