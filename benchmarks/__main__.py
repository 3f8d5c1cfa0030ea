"""Runs the benchmarks: `python -m benchmarks [name …]`.

The figures go to benchmarks/results.json, and from there to the table in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import cdrs, drops, measuring, months, page, requests_csv

Measure = Callable[[Path], list[measuring.Result]]
BENCHMARKS: dict[str, Measure] = {
    "requests_csv": requests_csv.measure,
    "requests_csv_memory": requests_csv.measure_memory,
    "months": months.measure,
    "session_months": months.measure_sessions,
    "cdrs": cdrs.measure,
    "cdrs_many": cdrs.measure_many,
    "cdrs_dlt": cdrs.measure_dlt,
    "crawl": cdrs.measure_crawl,
    "drops": drops.measure,
}


def main() -> None:
    """Measure what is asked for, or all there is, and tell it."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=str(__doc__).splitlines()[2]
    )
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(BENCHMARKS)}")
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"no benchmark {sorted(unknown)}; there are {sorted(BENCHMARKS)}")
    before = {one["name"]: one["value"] for one in measuring.saved()}
    for name in names:
        with tempfile.TemporaryDirectory(prefix="goral-benchmarks-") as folder:
            results = BENCHMARKS[name](Path(folder))
        measuring.save(results)
        page.write(measuring.saved())
        for one in results:
            print(_told(one, before.get(one.name)), flush=True)  # noqa: T201


def _told(one: measuring.Result, before: float | None) -> str:
    """A figure with its goal, and what it was in the results that are kept in the repository."""
    goal = f"goal {one.goal:g}" if one.goal is not None else ""
    if before:
        change = f"was {before:g} ({100 * (one.value / before - 1):+.0f} %)"
    else:
        change = "new"
    return f"{one.name:36} {one.value:10.2f} {one.unit:16} {goal:10} {change}"


if __name__ == "__main__":
    main()
