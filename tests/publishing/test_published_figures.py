"""The figures that the yearly report of 2022 printed, read out of the drop as NDW would.

Plain pyarrow and the pointer: nothing of goral_pipeline is imported here, on purpose. What is read
this way is what anybody gets who has the folder `drops` and this project's word on its layout.
"""

import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.conftest import Demo

Figures = dict[tuple[str, str, str], Decimal]


@pytest.fixture(scope="module")
def figures(demo: Demo) -> Figures:
    """Value by indicator, area and period, of the latest drop."""
    drops: Path = demo.drops
    pointer: dict[str, str] = json.loads((drops / "latest.json").read_bytes())
    release = drops / "releases" / pointer["drop"]
    manifest = (release / "manifest.json").read_bytes()
    assert hashlib.sha256(manifest).hexdigest() == pointer["manifest_sha256"]
    (named,) = (
        file for file in json.loads(manifest)["data"] if file["dataset"] == "indicator_values"
    )
    path = release / named["path"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == named["sha256"]
    table = pq.read_table(path)
    whole = table.filter(pc.equal(table["dimensions"], "{}"))
    found: Figures = {}
    for row in whole.to_pylist():
        key = row["indicator"], row["area_name"], row["period"]
        assert key not in found
        found[key] = row["value"]
    return found


# Section "Data plaatsingsproces" of the report over 2022: requests (aanvragen) since 2022-04-01 in
# the concession of Vattenfall InCharge, on the reference date (peildatum) 2022-12-01.
@pytest.mark.parametrize(
    ("indicator", "published"),
    [
        ("requests_received", 2996),
        ("requests_pending_assessment", 111),
        ("requests_rejected", 1276),
    ],
)
def test_requests_of_the_vattenfall_concession(
    figures: Figures, indicator: str, published: int
) -> None:
    assert figures[indicator, "Vattenfall InCharge", "2022-12-01"] == published


def test_every_request_is_in_one_state(figures: Figures) -> None:
    def count(state: str) -> Any:
        return figures[f"requests_{state}", "Vattenfall InCharge", "2022-12-01"]

    parts = ["pending_assessment", "rejected", "withdrawn", "approved"]
    assert count("received") == sum(count(part) for part in parts)
    assert count("approved") == count("realised") + count("in_realisation")


# Section "Algemeen" of the report over 2022: 51 municipalities in Gelderland, 25 in Overijssel and
# Veenendaal, which lies in Utrecht.
@pytest.mark.parametrize(
    ("area", "published"),
    [("NAL-regio Oost", 77), ("Gelderland", 51), ("Overijssel", 25), ("Utrecht", 1)],
)
def test_municipalities(figures: Figures, area: str, published: int) -> None:
    assert figures["municipalities_total", area, "2022"] == published


# Section "Algemeen" too: 8 RES regions, 6 of them in Gelderland and 2 in Overijssel.
@pytest.mark.parametrize(
    ("area", "published"), [("NAL-regio Oost", 8), ("Gelderland", 6), ("Overijssel", 2)]
)
def test_res_regions(figures: Figures, area: str, published: int) -> None:
    assert figures["res_regions", area, "2022"] == published
