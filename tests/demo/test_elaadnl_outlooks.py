"""The invented outlooks: the real form, editions that differ, and scenarios the wrong way round."""

import csv
import io
from functools import cache

import pytest

from goral_pipeline.demo import elaadnl_outlooks
from goral_pipeline.demo.elaadnl_outlooks import LOGISTICS_EDITIONS, PASSENGER_EDITIONS
from goral_pipeline.demo.regions import municipalities

# As a real file of edition 2024Q1 has it.
HEADER = (
    ",bu_code,bu_naam,gemeente,provincie,netbeheerder,NAL_regio,RES_regio,Jaar,"
    "aantal_personenautos,aantal_evs_L,thuislaadpunten_L,werklaadpunten_L,publiekelaadpunten_L,"
    "bestemmingslaadpunten_L,laadpunten_parkeergarages_L,laadpunten_parkeerpleinen_L,"
    "snellaadpunten_L,vermogen_snellaadpunten_L,aantal_evs_M,thuislaadpunten_M,werklaadpunten_M,"
    "publiekelaadpunten_M,bestemmingslaadpunten_M,laadpunten_parkeergarages_M,"
    "laadpunten_parkeerpleinen_M,snellaadpunten_M,vermogen_snellaadpunten_M,aantal_evs_H,"
    "thuislaadpunten_H,werklaadpunten_H,publiekelaadpunten_H,bestemmingslaadpunten_H,"
    "laadpunten_parkeergarages_H,laadpunten_parkeerpleinen_H,snellaadpunten_H,"
    "vermogen_snellaadpunten_H,datum_bijgewerkt"
)


@cache
def rows(edition: str) -> list[dict[str, str]]:
    text = elaadnl_outlooks.passenger_cars(edition).decode()
    assert text.partition("\n")[0] == HEADER
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("edition", PASSENGER_EDITIONS)
def test_each_municipality_has_neighbourhoods_and_each_year_from_2022(edition: str) -> None:
    assert {f"GM{row['bu_code'][2:6]}" for row in rows(edition)} == {
        one.code for one in municipalities()
    }
    assert {int(row["Jaar"]) for row in rows(edition)} == set(range(2022, 2036))
    keys = {(row["bu_code"], row["Jaar"]) for row in rows(edition)}
    assert len(keys) == len(rows(edition))
    assert all(row["bu_naam"].startswith("DEMO ") for row in rows(edition))


def test_editions_differ() -> None:
    first, second = (
        sum(float(row["publiekelaadpunten_M"]) for row in rows(edition) if row["Jaar"] == "2030")
        for edition in PASSENGER_EDITIONS
    )
    assert second > 1.1 * first


def test_low_lies_above_high_in_a_few_rows() -> None:
    for edition in PASSENGER_EDITIONS:
        turned = [
            row for row in rows(edition) if float(row["aantal_evs_L"]) > float(row["aantal_evs_H"])
        ]
        assert 0 < len(turned) < 0.05 * len(rows(edition))


def test_logistics_are_by_business_park() -> None:
    (edition,) = LOGISTICS_EDITIONS
    text = elaadnl_outlooks.logistics(edition).decode()
    found = list(csv.DictReader(io.StringIO(text), delimiter=";"))
    assert {row["Jaar"] for row in found} == {"2025", "2030", "2035"}
    assert len({row["RIN_NUMMER"] for row in found}) == 2 * 77
    assert all("," in row["Laadvraag kWh"] for row in found)
    assert all(row["RIN_NUMMER"].startswith("DEMO") for row in found)


def test_other_editions_are_not_published() -> None:
    for edition in ("2022Q2", "2023Q1", "2022", ""):
        with pytest.raises(KeyError):
            elaadnl_outlooks.passenger_cars(edition)
        with pytest.raises(KeyError):
            elaadnl_outlooks.logistics(edition)
