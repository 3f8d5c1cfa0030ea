"""The table of figures in docs/benchmarks.md, written from the results.

Belongs here: what the table looks like. Does not belong here: what the figures mean, which is
written by hand around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- written by `make bench` -->\n", "<!-- end -->\n"


def write(results: Sequence[dict[str, Any]], page: Path = PAGE) -> None:
    """Put the table of the results in the place of the one before."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}{table(results)}{END}{after}", encoding="utf-8")


def table(results: Sequence[dict[str, Any]]) -> str:
    """The results as a table; those with a goal first, and whether it was reached."""
    ordered = sorted(results, key=lambda one: (one["goal"] is None, one["name"]))
    lines = [
        "| figure | value | goal | rows | runs | made on |",
        "|---|---|---|---|---|---|",
        *(_line(one) for one in ordered),
    ]
    machines = sorted({one["machine"] for one in results})
    return "\n".join([*lines, "", f"Machine: {'; '.join(machines)}.", ""])


def _line(one: dict[str, Any]) -> str:
    return (
        f"| `{one['name']}` | {one['value']:g} {one['unit']} | {_goal(one)} "
        f"| {one['rows']:,} | {one['runs']} | {one['made_at'][:10]} |"
    )


def _goal(one: dict[str, Any]) -> str:
    goal, value = one["goal"], one["value"]
    if goal is None:
        return ""
    is_lower = one["better"] == "lower"
    is_reached = value <= goal if is_lower else value >= goal
    return f"{'≤' if is_lower else '≥'} {goal:g}{'' if is_reached else ', **not reached**'}"
