"""How ElaadNL's outlooks are read: wide to long, values exact, editions apart."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.staging.stage import stage
from tests.support_files import Row, Staged, job_of, quarantine_of, stage_file

OUTLOOK, LOGISTICS = "elaadnl/passenger_outlook", "elaadnl/logistics_outlook"
COUNTED = {
    "aantal_evs": "electric_cars",
    "thuislaadpunten": "home_charge_points",
    "werklaadpunten": "work_charge_points",
    "publiekelaadpunten": "public_charge_points",
    "bestemmingslaadpunten": "destination_charge_points",
    "laadpunten_parkeergarages": "garage_charge_points",
    "laadpunten_parkeerpleinen": "square_charge_points",
    "snellaadpunten": "fast_charge_points",
    "vermogen_snellaadpunten": "fast_power_kw",
}
SCENARIOS = {"L": "low", "M": "middle", "H": "high"}


def line(**changes: Any) -> Row:
    """A line as the publisher's file has it; each value is different."""
    row: Row = {
        "": 12096,
        "bu_code": "BU02330000",
        "bu_naam": "Centrum",
        "gemeente": "Ermelo",
        "provincie": "Gelderland",
        "netbeheerder": "Liander",
        "NAL_regio": "Oost",
        "RES_regio": "Noord Veluwe",
        "Jaar": 2023,
        "aantal_personenautos": "1044.330598",
    }
    for place, suffix in enumerate(SCENARIOS):
        row |= {f"{name}_{suffix}": f"{n}.00000{place}001" for n, name in enumerate(COUNTED)}
    return row | {"datum_bijgewerkt": "2024-02-28"} | changes


def csv_file(path: Path, lines: list[Row], separator: str = ",", start: bytes = b"") -> Path:
    rows = [list(lines[0]), *(one.values() for one in lines)]
    text = "".join(separator.join(map(str, row)) + "\n" for row in rows)
    path.write_bytes(start + text.encode())
    return path


def staged(tmp_path: Path, *lines: Row, edition: str = "2024Q1", **form: Any) -> Staged:
    file = csv_file(tmp_path / "outlook.csv", list(lines), **form)
    return stage_file(tmp_path / edition, OUTLOOK, file, partition=edition)


def test_a_line_becomes_a_row_for_each_scenario(tmp_path: Path) -> None:
    rows = staged(tmp_path, line()).accepted("passenger_outlook")
    found = {row["scenario"]: row for row in rows}
    assert set(found) == set(SCENARIOS.values())
    for place, scenario in enumerate(SCENARIOS.values()):
        row = found[scenario]
        assert {name: row[name] for name in COUNTED.values()} == {
            name: Decimal(f"{n}.00000{place}001") for n, name in enumerate(COUNTED.values())
        }
        assert row["passenger_cars"] == Decimal("1044.330598")
        assert (row["neighbourhood_code"], row["municipality_code"]) == ("BU02330000", "GM0233")
        assert (row["neighbourhood_name"], row["municipality_name"]) == ("Centrum", "Ermelo")
        assert (row["grid_operator"], row["year"], row["edition"]) == ("Liander", 2023, "2024Q1")
        assert str(row["updated_on"]) == "2024-02-28"
        assert row["record_number"] == 2


def test_the_municipality_is_that_of_the_neighbourhoods_code_whatever_its_name(
    tmp_path: Path,
) -> None:
    rows = staged(tmp_path, line(bu_code="BU00500000", gemeente="Seewolde")).accepted(
        "passenger_outlook"
    )
    assert {row["municipality_code"] for row in rows} == {"GM0050"}


def test_the_same_file_as_another_edition_is_another_edition(tmp_path: Path) -> None:
    one, other = (
        staged(tmp_path, line(), edition=edition).accepted("passenger_outlook")
        for edition in ("2023Q3", "2024Q1")
    )
    assert {row["edition"] for row in one} == {"2023Q3"}
    assert {row["edition"] for row in other} == {"2024Q1"}
    assert [row | {"edition": ""} for row in one] == [row | {"edition": ""} for row in other]


def test_nine_decimals_are_kept_exactly(tmp_path: Path) -> None:
    smallest = staged(
        tmp_path, line(aantal_evs_L="0.000000001", aantal_evs_H="123456789.999999999")
    )
    rows = {row["scenario"]: row for row in smallest.accepted("passenger_outlook")}
    assert rows["low"]["electric_cars"] == Decimal("0.000000001")
    assert rows["high"]["electric_cars"] == Decimal("123456789.999999999")


def test_low_above_high_is_no_error(tmp_path: Path) -> None:
    made = staged(tmp_path, line(werklaadpunten_L="9", werklaadpunten_H="1"))
    assert made.counts == {"passenger_outlook": {"accepted": 3}}


WRONG_LINES: list[tuple[Row, str]] = [
    ({"Jaar": "2019"}, "year_range"),
    ({"Jaar": "2061"}, "year_range"),
    ({"Jaar": "MMXXIII"}, "year_type"),
    ({"Jaar": ""}, "year_required"),
    ({"bu_naam": "x" * 121}, "neighbourhood_name_length"),
    ({"gemeente": "x" * 121}, "municipality_name_length"),
    ({"netbeheerder": "x" * 61}, "grid_operator_length"),
    ({"aantal_personenautos": "-1"}, "passenger_cars_range"),
    ({"aantal_personenautos": "veel"}, "passenger_cars_type"),
    ({"datum_bijgewerkt": "2018-02-29"}, "updated_on_type"),
    *(({f"{dutch}_M": "-0.1"}, f"{name}_range") for dutch, name in COUNTED.items()),
    *(({f"{dutch}_M": "1.5x"}, f"{name}_type") for dutch, name in COUNTED.items()),
    *(({f"{dutch}_M": ""}, f"{name}_required") for dutch, name in COUNTED.items()),
]


def test_each_rule_of_the_outlook_is_kept(tmp_path: Path) -> None:
    rows = [line(bu_code=f"BU0233{n:04}") | change for n, (change, _) in enumerate(WRONG_LINES)]
    without = [line(bu_code="BU023300"), line(bu_code="")]
    file = csv_file(tmp_path / "outlook.csv", [*without, *rows])
    found = broken(tmp_path, OUTLOOK, file)
    # A code that is none gives no municipality either.
    assert found[0] == {
        "neighbourhood_code_pattern",
        "municipality_code_pattern",
        "neighbourhood_in_municipality",
    }
    assert found[1] == {"neighbourhood_code_required", "municipality_code_required"}
    assert found[2:] == [{rule} for _, rule in WRONG_LINES]


def broken(tmp_path: Path, dataset: str, file: Path) -> list[set[str]]:
    """The rules that each line of a delivery breaks that is rejected."""
    job = job_of(tmp_path, dataset, file, partition="2024Q1")
    with pytest.raises(DeliveryRejected, match="break a rule"):
        stage(job)
    found: dict[int, set[str]] = {}
    for row in quarantine_of(job, dataset.partition("/")[2]):
        found.setdefault(row["record_number"], set()).add(row["rule"])
    assert list(found) == [*range(2, len(found) + 2)]
    return list(found.values())


def test_a_line_twice_counts_once(tmp_path: Path) -> None:
    made = staged(tmp_path, line(), line())
    assert made.counts == {"passenger_outlook": {"accepted": 3, "duplicate": 3}}


def test_an_outlook_without_a_scenario_is_rejected_naming_the_column(tmp_path: Path) -> None:
    row = {name: value for name, value in line().items() if name != "snellaadpunten_H"}
    with pytest.raises(DeliveryRejected, match="snellaadpunten_H"):
        staged(tmp_path, row)


# ── logistics ────────────────────────────────────────────────────────────────────────────────────


def park(**changes: Any) -> Row:
    return {
        "RIN_NUMMER": "228012",
        "Bedrijventerrein": "De Vallei",
        "Gemeente": "Ede",
        "Jaar": 2030,
        "Elektrische bestelwagens": "120,25",
        "Elektrische vrachtwagens": "31,5",
        "Laadvraag kWh": "812500,125",
    } | changes


def test_logistics_are_read_by_business_park(tmp_path: Path) -> None:
    file = csv_file(tmp_path / "logistics.csv", [park(), park(Jaar=2035)], ";", b"\xef\xbb\xbf")
    rows = stage_file(tmp_path, LOGISTICS, file, partition="2024Q1").accepted("logistics_outlook")
    assert [row["year"] for row in rows] == [2030, 2035]
    row = rows[0]
    assert (row["edition"], row["business_park_id"]) == ("2024Q1", "228012")
    assert (row["business_park_name"], row["municipality_code"]) == ("De Vallei", "GM0228")
    assert row["electric_vans"] == Decimal("120.25")
    assert row["electric_trucks"] == Decimal("31.5")
    assert row["charging_demand_kwh"] == Decimal("812500.125")


WRONG_PARKS: list[tuple[Row, str]] = [
    ({"RIN_NUMMER": "x y"}, "business_park_id_pattern"),
    ({"RIN_NUMMER": ""}, "business_park_id_required"),
    ({"Bedrijventerrein": "x" * 121}, "business_park_name_length"),
    ({"Gemeente": "Nergenshuizen"}, "municipality_code_pattern"),
    ({"Gemeente": ""}, "municipality_code_required"),
    ({"Jaar": "2019"}, "year_range"),
    ({"Jaar": "2030,5"}, "year_type"),
    ({"Elektrische bestelwagens": "-1"}, "electric_vans_range"),
    ({"Elektrische bestelwagens": ""}, "electric_vans_required"),
    ({"Elektrische vrachtwagens": "-1"}, "electric_trucks_range"),
    ({"Elektrische vrachtwagens": "veel"}, "electric_trucks_type"),
    ({"Laadvraag kWh": "-1"}, "charging_demand_kwh_range"),
    ({"Laadvraag kWh": ""}, "charging_demand_kwh_required"),
]


def test_each_rule_of_logistics_is_kept(tmp_path: Path) -> None:
    rows = [park(RIN_NUMMER=str(n)) | change for n, (change, _) in enumerate(WRONG_PARKS)]
    file = csv_file(tmp_path / "logistics.csv", rows, ";")
    assert broken(tmp_path, LOGISTICS, file) == [{rule} for _, rule in WRONG_PARKS]
