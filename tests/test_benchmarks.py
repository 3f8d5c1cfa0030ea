"""The benchmarks work, on little: how fast they find anything is not looked at."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from benchmarks import cdrs, measuring, requests_csv
from benchmarks.measuring import Result

SMALL: dict[str, Callable[[Path], list[Result]]] = {
    "requests_csv": partial(requests_csv.measure, rows=2_000, runs=1),
    "cdrs": partial(cdrs.measure, rows=5_000, runs=1),
    "cdrs_many": partial(cdrs.measure_many, few=2_000, many=6_000, runs=1),
    "crawl": partial(cdrs.measure_crawl, pages=5, runs=1),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_gives_figures_that_can_be_kept(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    results = SMALL[name](folder)
    assert results
    # Of so little the share of a part may drown in the noise.
    assert all(result.value > 0 or result.unit.startswith("%") for result in results)
    kept = tmp_path / "results.json"
    measuring.save(results, kept)
    measuring.save(results[:1], kept)
    assert [one["name"] for one in measuring.saved(kept)] == sorted(r.name for r in results)
