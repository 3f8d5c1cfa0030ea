"""What changed between two drops: rows by key, months, indicators.

Belongs here: comparing the tables of two releases, and telling of it. Does not belong here: what
changed in the contracts (`versions`), or whether a change is plausible (`checks`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goral_pipeline.contracts import Contract
from goral_pipeline.contracts.model import quote
from goral_pipeline.publishing.manifest import DataFile, Manifest, Pointer

if TYPE_CHECKING:
    import duckdb

INDICATORS = "indicator_values"
INDICATORS_SHOWN = 100


@dataclass(frozen=True)
class Release:
    """The tables of a drop on this machine."""

    folder: Path
    made: Manifest
    contracts: Mapping[str, Contract]
    """By dataset."""

    @property
    def data(self) -> dict[str, DataFile]:
        """The Parquet files, by dataset."""
        return {file.dataset: file for file in self.made.data}

    def path(self, dataset: str) -> Path:
        """The Parquet file of a dataset."""
        return self.folder / self.data[dataset].path


@dataclass(frozen=True)
class TableChange:
    """What changed in one table."""

    dataset: str
    version_before: str | None
    version: str | None
    rows_before: int
    rows: int
    added: int
    removed: int
    changed: int
    """Rows of which the key was there before, with other values."""
    columns: dict[str, int] = field(default_factory=dict)
    """Column → rows in which it changed."""
    months: dict[str, int] = field(default_factory=dict)
    """Month → rows added, removed or changed."""


@dataclass(frozen=True)
class Shift:
    """An indicator's value before and now; None where there was or is none."""

    indicator: str
    area: str
    period: str
    dimensions: str
    unit: str
    before: str | None
    now: str | None


@dataclass(frozen=True)
class Report:
    """What changed between two drops."""

    previous: Pointer | None
    """None for the first drop: all its rows are new."""
    tables: list[TableChange]
    indicators_shifted: int
    shifts: list[Shift]
    """The INDICATORS_SHOWN greatest, by share of the value before."""

    def to_json(self) -> bytes:
        """The report for programs."""
        return (json.dumps(asdict(self), indent=2, sort_keys=True) + "\n").encode()

    def to_markdown(self) -> bytes:
        """The report for people."""
        since = f"since {self.previous.drop}" if self.previous else "(the first drop: all is new)"
        lines = [f"# Changes {since}", ""]
        lines += ["| dataset | version | rows before | rows | added | removed | changed | months |"]
        lines += ["|---|---|---|---|---|---|---|---|"]
        lines += [_row(table) for table in self.tables]
        lines += ["", f"Indicators with another value: {self.indicators_shifted}.", ""]
        if self.shifts:
            lines += ["| indicator | area | period | dimensions | before | now | unit |"]
            lines += ["|---|---|---|---|---|---|---|"]
            lines += [
                f"| {s.indicator} | {s.area} | {s.period} | {s.dimensions} | {_shown(s.before)} | "
                f"{_shown(s.now)} | {s.unit} |"
                for s in self.shifts
            ]
        return ("\n".join(lines).rstrip() + "\n").encode()


def _row(table: TableChange) -> str:
    versions = {table.version_before or "none", table.version or "none"}
    told = f"{table.version_before or 'none'} → {table.version or 'none'}"
    months = f"{min(table.months)} to {max(table.months)}" if table.months else ""
    cells = (
        table.dataset,
        told if len(versions) > 1 else versions.pop(),
        table.rows_before,
        table.rows,
        table.added,
        table.removed,
        table.changed,
        months,
    )
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _shown(value: str | None) -> str:
    return "none" if value is None else value


def compare(con: duckdb.DuckDBPyConnection, before: Release | None, now: Release) -> Report:
    """Compare the tables of two drops by key; without one before, every row is added."""
    datasets = sorted({*now.data, *(before.data if before else {})})
    shifts = _shifts(con, before, now) if before else []
    return Report(
        previous=before.made.pointer() if before else None,
        tables=[_table_change(con, dataset, before, now) for dataset in datasets],
        indicators_shifted=len(shifts),
        shifts=sorted(shifts, key=_by_share)[:INDICATORS_SHOWN],
    )


def _table_change(
    con: duckdb.DuckDBPyConnection, dataset: str, before: Release | None, now: Release
) -> TableChange:
    old = before.data.get(dataset) if before else None
    new = now.data.get(dataset)
    rows_before, rows = old.rows if old else 0, new.rows if new else 0
    facts: dict[str, Any] = {
        "dataset": dataset,
        "version_before": before.contracts[dataset].version if before and old else None,
        "version": now.contracts[dataset].version if new else None,
        "rows_before": rows_before,
        "rows": rows,
    }
    if before is None or old is None or new is None:
        return TableChange(**facts, added=rows, removed=rows_before, changed=0)
    if (old.content_hash, old.columns) == (new.content_hash, new.columns):
        return TableChange(**facts, added=0, removed=0, changed=0)
    keys = [release.contracts[dataset].tables[0].key for release in (before, now)]
    if keys[0] != keys[1]:
        return TableChange(**facts, added=rows, removed=rows_before, changed=0)
    return TableChange(**facts, **_by_key(con, dataset, keys[1], before, now))


def _by_key(
    con: duckdb.DuckDBPyConnection,
    dataset: str,
    key: tuple[str, ...],
    before: Release,
    now: Release,
) -> dict[str, Any]:
    """Rows added, removed and changed, by column and month."""
    held = [{c.name: c.type for c in release.data[dataset].columns} for release in (before, now)]

    def sides(name: str) -> list[str]:
        """A column of both; where it changed its type, as text."""
        as_text = "" if held[0][name] == held[1][name] else "::varchar"
        return [f"{side}.{_q(name)}{as_text}" for side in ("old", "new")]

    compared = [
        c.name for c in now.data[dataset].columns if c.name in held[0] and c.name not in key
    ]
    differs = [" is distinct from ".join(sides(name)) for name in compared]
    month = "month" if "month" in held[0].keys() & held[1].keys() else None
    at = f"coalesce(new.{month}, old.{month})" if month else "''"
    any_differs = " or ".join(differs) or "false"
    # A key is never null, so where one is, that side of the join is not there.
    is_new, is_gone = (f"{side}.{_q(key[0])} is null" for side in ("old", "new"))
    both = f"not ({is_new} or {is_gone})"
    counted = [
        is_new,
        is_gone,
        *(f"{both} and {differ}" for differ in (f"({any_differs})", *differs)),
    ]
    of_old, of_new = (_relation(release.path(dataset)) for release in (before, now))
    rows = con.execute(
        f"""
        select {at}, {", ".join(f"count(*) filter ({condition})" for condition in counted)}
        from {of_old} as old full join {of_new} as new
            on {" and ".join(" = ".join(sides(name)) for name in key)}
        where {is_new} or {is_gone} or {any_differs}
        group by 1 order by 1
        """
    ).fetchall()
    added, removed, changed, *by_column = (
        sum(row[place] for row in rows) for place in range(1, 1 + len(counted))
    )
    return {
        "added": added,
        "removed": removed,
        "changed": changed,
        "columns": {name: n for name, n in zip(compared, by_column, strict=True) if n},
        "months": {str(row[0]): sum(row[1:4]) for row in rows} if month else {},
    }


def _shifts(con: duckdb.DuckDBPyConnection, before: Release, now: Release) -> list[Shift]:
    """Each indicator of which the value is another than before."""
    if INDICATORS not in before.data or INDICATORS not in now.data:
        return []
    old, new = (_relation(release.path(INDICATORS)) for release in (before, now))
    key = ("indicator", "area_type", "area_code", "period_type", "period", "dimensions")
    rows = con.execute(
        f"""
        select indicator, coalesce(new.area_name, old.area_name), period, dimensions,
            coalesce(new.unit, old.unit), old.value::varchar, new.value::varchar
        from {old} as old full join {new} as new using ({", ".join(key)})
        where old.value is distinct from new.value
        order by {", ".join(key)}
        """
    ).fetchall()
    return [Shift(*row) for row in rows]


def _by_share(shift: Shift) -> Decimal:
    """Order of shifts, the greatest by share of what was first; new and gone ones before all."""
    if shift.before is None or shift.now is None or Decimal(shift.before) == 0:
        return Decimal("-Infinity")
    was, became = Decimal(shift.before), Decimal(shift.now)
    return -abs((became - was) / was)


def _relation(path: Path) -> str:
    return f"read_parquet({quote(str(path))}, hive_partitioning = false)"


def _q(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
