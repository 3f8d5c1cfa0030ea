"""The figures that the yearly report of 2022 printed, read out of the drop as NDW would.

Plain pyarrow and the pointer: nothing of goral_pipeline is imported here, on purpose. What is read
this way is what anybody gets who has the folder `drops` and this project's word on its layout.
"""

import csv
import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.conftest import REPOSITORY, Demo

# Indicator, area, period and dimensions.
Figures = dict[tuple[str, str, str, str], Decimal]

WHOLE, NET, RVO = "{}", '{"counting":"net"}', '{"source":"rvo"}'
VATTENFALL, ECOTAP_ALLEGO = "Vattenfall InCharge", "Ecotap/Allego"
PROVINCES = "Gelderland + Overijssel"


@pytest.fixture(scope="module")
def figures(demo: Demo) -> Figures:
    """Every value of the latest drop."""
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
    found: Figures = {}
    for row in table.to_pylist():
        key = row["indicator"], row["area_name"], row["period"], row["dimensions"]
        assert key not in found
        found[key] = row["value"]
    return found


# Section "Data plaatsingsproces" of the report over 2022: requests (aanvragen) at the reference
# date (peildatum) 2022-12-01; in the concession of Vattenfall InCharge since 2022-04-01.
@pytest.mark.parametrize(
    ("concession", "indicator", "published"),
    [
        (VATTENFALL, "requests_received", 2996),
        (VATTENFALL, "requests_pending_assessment", 111),
        (VATTENFALL, "requests_rejected", 1276),
        (ECOTAP_ALLEGO, "requests_received", 564),
        (ECOTAP_ALLEGO, "requests_pending_assessment", 8),
        (ECOTAP_ALLEGO, "requests_rejected", 549),
    ],
)
def test_requests_of_each_concession(
    figures: Figures, concession: str, indicator: str, published: int
) -> None:
    assert figures[indicator, concession, "2022-12-01", WHOLE] == published


@pytest.mark.parametrize("concession", [VATTENFALL, ECOTAP_ALLEGO])
def test_every_request_is_in_one_state(figures: Figures, concession: str) -> None:
    def count(state: str) -> Any:
        return figures[f"requests_{state}", concession, "2022-12-01", WHOLE]

    parts = ["pending_assessment", "rejected", "withdrawn", "approved"]
    assert count("received") == sum(count(part) for part in parts)
    assert count("approved") == count("realised") + count("in_realisation")


def test_the_region_counts_once_what_was_asked_in_both_concessions(figures: Figures) -> None:
    # 45 is the demo's own: the report does not say how many asked twice.
    received = figures["requests_received", "NAL-regio Oost", "2022-12-01", NET]
    assert received == 2996 + 564 - 45


# Section "Aantal laadpunten": RVO's counts for the 76 municipalities of Gelderland and Overijssel.
@pytest.mark.parametrize(
    ("indicator", "published"),
    [
        ("charge_points_public_regular", 8114),
        ("charge_points_semi_public_regular", 6456),
        ("charge_points_fast", 581),
    ],
)
def test_charge_points_by_rvo(figures: Figures, indicator: str, published: int) -> None:
    assert figures[indicator, PROVINCES, "2022-11", RVO] == published
    with_veenendaal = figures[indicator, "NAL-regio Oost", "2022-11", RVO]
    assert with_veenendaal > published, "Veenendaal comes on top"


# Section "Algemeen" of the report over 2022: 51 municipalities in Gelderland, 25 in Overijssel and
# Veenendaal, which lies in Utrecht.
@pytest.mark.parametrize(
    ("area", "published"),
    [("NAL-regio Oost", 77), ("Gelderland", 51), ("Overijssel", 25), ("Utrecht", 1)],
)
def test_municipalities(figures: Figures, area: str, published: int) -> None:
    assert figures["municipalities_total", area, "2022", WHOLE] == published


# Section "Algemeen" too: 8 RES regions, 6 of them in Gelderland and 2 in Overijssel.
@pytest.mark.parametrize(
    ("area", "published"), [("NAL-regio Oost", 8), ("Gelderland", 6), ("Overijssel", 2)]
)
def test_res_regions(figures: Figures, area: str, published: int) -> None:
    assert figures["res_regions", area, "2022", WHOLE] == published


# The same from the list of what the report publishes, where that list is at hand: it is no part of
# the project. What rests on registers that are not delivered yet is not asked for.
REFERENCE = REPOSITORY.parent / "shared" / "reference" / "go_ral_2022_published_figures.csv"
DERIVABLE_FROM = ("rvo", "concession export", "reference")
# Facts of the programme that no source of today delivers.
NOT_YET = ("grid_operators",)


@pytest.mark.skipif(not REFERENCE.is_file(), reason="the list of published figures is not here")
def test_every_exact_figure_of_these_sources_comes_out(figures: Figures) -> None:
    with REFERENCE.open(encoding="utf-8", newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["match"] == "exact"
            and row["derivable_from"] in DERIVABLE_FROM
            and row["indicator"] not in NOT_YET
        ]
    assert len(rows) >= 16
    for row in rows:
        dimensions = RVO if row["derivable_from"] == "rvo" else WHOLE
        key = row["indicator"], row["area"], row["period"], dimensions
        assert figures[key] == Decimal(row["published_value"]), key
