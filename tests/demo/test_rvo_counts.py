"""RVO's counts: the published totals, growth, and what looks wrong but is real."""

import fastexcel
import pytest

from goral_pipeline.demo import rvo_counts
from goral_pipeline.demo.months import MONTHS
from goral_pipeline.demo.regions import municipalities
from goral_pipeline.demo.rvo_counts import (
    COUNTED_BY_MONTH,
    INHABITANTS,
    PASSENGER_CARS,
    PUBLIC_FAST,
    PUBLIC_REGULAR,
    SEMI_PUBLIC_FAST,
    SEMI_PUBLIC_REGULAR,
)

PROVINCES = {"Gelderland", "Overijssel"}
INSIDE = {one.code for one in municipalities() if one.province in PROVINCES}
VEENENDAAL = "GM0345"


def listed(variable: str, month: str) -> dict[str, str]:
    """Value by municipality, as Klimaatmonitor lists them."""
    return {
        f"GM{int(one['ExternalCode'].removeprefix('gemeente_')):04d}": one["ValueString"]
        for one in rvo_counts.values(variable, month)
    }


def inside(variable: str, month: str) -> int:
    return sum(int(value) for code, value in listed(variable, month).items() if code in INSIDE)


def test_the_published_totals_hold_for_the_two_provinces() -> None:
    assert len(INSIDE) == 76
    assert inside(PUBLIC_REGULAR, "2022-11") == 8114
    assert inside(SEMI_PUBLIC_REGULAR, "2022-11") == 6456
    assert inside(PUBLIC_FAST, "2022-11") + inside(SEMI_PUBLIC_FAST, "2022-11") == 581


@pytest.mark.parametrize("variable", COUNTED_BY_MONTH)
def test_veenendaal_and_the_rest_of_the_country_come_on_top(variable: str) -> None:
    found = listed(variable, "2022-11")
    assert int(found[VEENENDAAL]) > 0
    assert {"GM0339", "GM0363", "GM0050"} < found.keys() - INSIDE


def test_counts_grow_over_the_year() -> None:
    totals = [sum(inside(variable, month) for variable in COUNTED_BY_MONTH) for month in MONTHS]
    assert totals == sorted(set(totals))


def test_one_municipality_falls_by_a_third_and_one_has_no_public_point() -> None:
    first, last = (rvo_counts.counts(PUBLIC_REGULAR, month) for month in (MONTHS[0], MONTHS[-1]))
    change = {code: last[code] / first[code] - 1 for code in INSIDE if first[code]}
    falling = [code for code, share in change.items() if share < 0]
    assert len(falling) == 1
    assert change[falling[0]] == pytest.approx(-0.31, abs=0.02)
    without = [code for code in INSIDE if not first[code] and not last[code]]
    assert len(without) == 1
    assert rvo_counts.counts(PUBLIC_FAST, MONTHS[-1])[without[0]] == 0


def test_one_value_is_none() -> None:
    values = [listed(variable, "2022-11") for variable in COUNTED_BY_MONTH]
    assert [text for found in values for text in found.values() if not text.isdigit()] == ["."]


def test_cars_and_inhabitants_are_counted_by_year_only() -> None:
    assert min(rvo_counts.counts(INHABITANTS, "2022").values()) > 1_000
    assert min(rvo_counts.counts(PASSENGER_CARS, "2022").values()) > 0
    for variable, partition in (
        (INHABITANTS, "2022-11"),
        (INHABITANTS, "2021"),
        (PUBLIC_REGULAR, "2022"),
        (PUBLIC_REGULAR, "2023-01"),
        ("nothing", "2022"),
    ):
        with pytest.raises(KeyError):
            rvo_counts.values(variable, partition)


def test_the_workbook_holds_the_same_counts() -> None:
    workbook = fastexcel.read_excel(rvo_counts.charge_point_workbook("2022-11"))
    assert workbook.sheet_names == ["Laadpunten (DEMO)"]
    rows = workbook.load_sheet(0, dtypes="string").to_arrow().to_pylist()
    by_code = {row["Gemeentecode"]: row for row in rows}
    counted = rvo_counts.counts(PUBLIC_REGULAR, "2022-11")
    assert {code: int(by_code[code]["Publiek regulier"]) for code in counted} == counted
    assert int(by_code["Totaal"]["Publiek regulier"]) == sum(counted.values())


def test_coverage_is_of_one_month() -> None:
    assert rvo_counts.coverage_workbook("2022-12").startswith(b"PK")
    with pytest.raises(KeyError):
        rvo_counts.coverage_workbook("2022-11")
