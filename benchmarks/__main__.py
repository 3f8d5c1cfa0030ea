"""Runs the benchmarks and writes benchmarks/results.json: `python -m benchmarks`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks import measuring, months, requests_csv


def main() -> None:
    """Measure all there is and tell it."""
    with tempfile.TemporaryDirectory(prefix="goral-benchmarks-") as folder:
        results = requests_csv.measure(Path(folder))
        results += requests_csv.measure_memory(Path(folder))
        results += months.measure(Path(folder) / "months")
    measuring.save(results)
    for one in results:
        goal = f"  (goal: {one.goal:g})" if one.goal is not None else ""
        print(f"{one.name:32} {one.value:10.2f} {one.unit}{goal}")  # noqa: T201


if __name__ == "__main__":
    main()
