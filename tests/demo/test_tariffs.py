"""The invented tariffs: those that connectors name, and each kind of dirt."""

import gzip
import json
from collections import Counter

import pytest

from goral_pipeline.demo import charge_points, tariffs
from goral_pipeline.demo.ocpi import Json
from goral_pipeline.demo.tariffs import PUBLISHED_MONTHS


def objects(month: str) -> list[Json]:
    return [one for one in tariffs.tariffs(month) if isinstance(one, dict)]


def test_connectors_name_tariffs_that_exist() -> None:
    named = {
        tariff
        for one in charge_points.locations("2022-12")
        if isinstance(one, dict) and one["country_code"] == "NL"
        for evse in one["evses"] or []
        for connector in evse["connectors"]
        for tariff in connector["tariff_ids"] or []
    }
    assert named
    assert named <= {one["id"] for one in objects("2022-12")}


@pytest.mark.parametrize("month", PUBLISHED_MONTHS)
def test_dirt_is_there_and_little(month: str) -> None:
    every = tariffs.tariffs(month)
    assert sum(isinstance(one, str) for one in every) == 1
    assert sum(one["id"] is None for one in objects(month)) == 1
    assert sum(one["currency"] != "EUR" for one in objects(month)) == 1
    assert sum(not one["elements"] for one in objects(month)) == 1
    components = [
        c for one in objects(month) for e in one["elements"] for c in e["price_components"]
    ]
    assert sum("price" not in component for component in components) == 1
    often = Counter(one["id"] for one in objects(month)).most_common(2)
    assert [number for _, number in often] == [2, 1]
    assert 0.05 * len(every) > 6


def test_the_file_is_the_bare_array() -> None:
    assert json.loads(gzip.decompress(tariffs.tariffs_gz("2022-12"))) == tariffs.tariffs("2022-12")


def test_prices_rise_and_other_months_are_not_published() -> None:
    prices = [
        objects(month)[0]["elements"][0]["price_components"][0]["price"]
        for month in PUBLISHED_MONTHS
    ]
    assert prices == sorted(set(prices))
    for month in ("2022-09", "2023-01", ""):
        with pytest.raises(KeyError):
            tariffs.tariffs_gz(month)
