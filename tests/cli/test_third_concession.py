"""A concession that nobody mapped yet comes in by two YAML files and no Python.

The steps are those of docs/how-to/add-a-concession.md.
"""

import difflib
import json
import os
from pathlib import Path

import pytest

from goral_pipeline.sources import registry
from tests.cli.conftest import Main
from tests.conftest import goral
from tests.sources import third_concession

KEY = "a key of the tests that is long enough"
MOST_LINES = 6

# What a person changes in the drafts: the line as drafted, and as finished.
PLACEMENTS = (
    ("  name: Third ", "  name: Derde concessie "),
    ("  from: 2023-05-01 ", "  from: 2023-01-01 "),
    (
        "      # fill in: op verzoek van bewoner: FILL_IN",
        "      op verzoek van bewoner: demand_driven",
    ),
    ("      # fill in: wacht op werkzaamheden: FILL_IN", "      wacht op werkzaamheden: location"),
)
REQUESTS = (
    ("  from: 2023-05-01 ", "  from: 2023-01-01 "),
    ("  occasion: {constant: FILL_IN}", "  occasion: {constant: demand_driven}"),
)


def drafted_and_finished(main: Main, file: Path, dataset: str, changes: object) -> str:
    drafted = main("sources", "draft-mapping", file, "--dataset", dataset).out
    finished = drafted
    for before, after in changes:  # type: ignore[attr-defined]
        assert finished.count(before) == 1, before
        finished = finished.replace(before, after)
    changed = [
        line
        for line in difflib.ndiff(drafted.splitlines(), finished.splitlines())
        if line.startswith("+ ")
    ]
    assert len(changed) <= MOST_LINES
    return finished


@pytest.mark.slow
def test_a_third_concession_reaches_the_marts_without_python(main: Main, tmp_path: Path) -> None:
    os.environ["GORAL_PSEUDONYM_KEY"] = KEY
    home = tmp_path / "home"
    files = {
        "third/placements": third_concession.placements(tmp_path / "placements.xlsx"),
        "third/requests": third_concession.requests(tmp_path / "requests.csv"),
    }
    (home / "mappings").mkdir(parents=True)
    for (dataset, file), changes in zip(files.items(), (PLACEMENTS, REQUESTS), strict=True):
        target = home / "mappings" / f"{dataset.replace('/', '.')}.yaml"
        text = drafted_and_finished(main, file, dataset, changes)
        elsewhere = tmp_path / target.name
        elsewhere.write_text(text)
        checked = main("sources", "check", elsewhere, file, "--partition", "2023-05")
        assert checked.code == 0, checked.said
        target.write_text(text)
        # This process has read the folder before the mapping was in it.
        registry.cache_clear()
        delivered = main("deliver", dataset, file, "--partition", "2023-05")
        assert delivered.code == 0, delivered.said
    ran = goral("run", "--no-fetch", "--from", "2023-05", home=home)
    assert ran.code == 0, ran.said

    def query(sql: str) -> list[dict[str, object]]:
        return json.loads(main("query", "--format", "json", sql).out)  # type: ignore[no-any-return]

    points = "sum(charge_points)::bigint as n from mart_charge_points"
    assert query(f"select source, month, {points} group by all") == [
        {"source": "third", "month": "2023-05", "n": third_concession.CHARGE_POINTS}
    ]
    (received,) = query(
        "select sum(value)::bigint as n, any_value(area_name) as name from indicator_values "
        "where indicator = 'requests_received' and area_type = 'concession' and dimensions = '{}' "
        "and period = (select max(period) from indicator_values "
        "where indicator = 'requests_received')"
    )
    assert received == {"n": 90, "name": "Derde concessie"}
