"""The benchmarks work, on little: how fast they find anything is not looked at."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from benchmarks import cdrs, drops, measuring, months, page, requests_csv
from benchmarks.measuring import Result
from goral_pipeline.publishing.products import KPI

SMALL: dict[str, Callable[[Path], list[Result]]] = {
    "requests_csv": partial(requests_csv.measure, rows=2_000, runs=1),
    "cdrs": partial(cdrs.measure, rows=5_000, runs=1),
    "cdrs_many": partial(cdrs.measure_many, few=2_000, many=6_000, runs=1),
    "session_months": partial(
        months.measure_sessions, rows=200, few_first="2026-10", first="2026-09", runs=1
    ),
    "cdrs_dlt": partial(cdrs.measure_dlt, rows=2_000, runs=1),
    "crawl": partial(cdrs.measure_crawl, pages=5, runs=1),
    "drops": partial(drops.measure, rows=20_000, runs=1),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_gives_figures_that_can_be_kept(name: str, tmp_path: Path) -> None:
    if name == "cdrs_dlt" and not cdrs.DLT.exists():
        assert "GORAL_REQUIRE_TRACER" not in os.environ, "dlt is mandatory in CI"
        pytest.skip("there is no dlt: `make .venv-dlt/.installed` installs it")
    folder = tmp_path / "work"
    folder.mkdir()
    published = KPI.tables()
    results = SMALL[name](folder)
    assert results
    # Other tests run in this process.
    assert KPI.tables() == published
    # Of so little the share of a part may drown in the noise.
    assert all(result.value > 0 or result.unit.startswith("%") for result in results)
    kept = tmp_path / "results.json"
    measuring.save(results, kept)
    measuring.save(results[:1], kept)
    assert [one["name"] for one in measuring.saved(kept)] == sorted(r.name for r in results)


def test_the_page_shows_the_figures_that_are_kept() -> None:
    kept = measuring.saved()
    assert page.table(kept) in page.PAGE.read_text(encoding="utf-8")


def test_a_figure_that_misses_its_goal_says_so(tmp_path: Path) -> None:
    result = partial(measuring.result, rows=1_000, runs=5, unit="times")
    results = [
        result("low", 2.1, goal=2.0),
        result("high", 71.0, goal=70.0, better="higher"),
        result("none", 3.0),
    ]
    measuring.save(results, tmp_path / "results.json")
    file = tmp_path / "page.md"
    file.write_text(f"before\n{page.BEGIN}old\n{page.END}after\n")

    page.write(measuring.saved(tmp_path / "results.json"), file)
    page.write(measuring.saved(tmp_path / "results.json"), file)

    text = file.read_text()
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    rows = [line.split(" | ")[:3] for line in text.splitlines() if line.startswith("| `")]
    assert rows == [
        ["| `high`", "71 times", "≥ 70"],
        ["| `low`", "2.1 times", "≤ 2, **not reached**"],
        ["| `none`", "3 times", ""],
    ]
