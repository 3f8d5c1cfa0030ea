"""How OCPI locations are read: power, ids, postcodes, moments, and what is missing."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support_files import (
    LOCATIONS,
    Row,
    connector,
    evse,
    fillers,
    location,
    ocpi_file,
    stage_file,
    stage_locations,
)


def _powers(tmp_path: Path, plugs: list[Row]) -> list[tuple[Decimal, str]]:
    named = [plug | {"id": f"{place:03}"} for place, plug in enumerate(plugs)]
    staged = stage_locations(tmp_path, [location(evses=[evse(connectors=named)])])
    return [(row["power_kw"], row["power_origin"]) for row in staged.accepted("connectors")]


def test_declared_power_in_watts_becomes_kilowatts(tmp_path: Path) -> None:
    kilowatts = {
        11000: "11.000",
        11085: "11.085",
        1: "0.001",
        "22080": "22.080",
        350000.0: "350.000",
        3680.5: "3.681",
        1_500_000: "1500.000",
    }
    found = _powers(tmp_path, [connector(max_electric_power=watts) for watts in kilowatts])
    assert found == [(Decimal(number), "declared") for number in kilowatts.values()]


@pytest.mark.parametrize("watts", [0, "0", 0.0, None, "absent"])
def test_without_declared_power_it_is_volts_by_amperes_by_phases(
    watts: Any, tmp_path: Path
) -> None:
    cases = [
        ("AC_1_PHASE", 230, 16, "3.680"),
        ("AC_2_PHASE", 230, 16, "7.360"),
        ("AC_2_PHASE_SPLIT", 230, 16, "7.360"),
        ("AC_3_PHASE", 230, 16, "11.040"),
        ("AC_3_PHASE", "230", "32.0", "22.080"),
        ("DC", 400, 125, "50.000"),
        ("DC", 920, 500, "460.000"),
    ]
    plugs = [
        connector(
            power_type=kind, max_voltage=volts, max_amperage=amperes, max_electric_power=watts
        )
        for kind, volts, amperes, _ in cases
    ]
    if watts == "absent":
        for plug in plugs:
            del plug["max_electric_power"]
    expected = [(Decimal(kilowatts), "computed") for *_, kilowatts in cases]
    assert _powers(tmp_path, plugs) == expected


def test_declared_power_counts_even_where_volts_and_amperes_say_otherwise(tmp_path: Path) -> None:
    plug = connector(max_voltage=400, max_amperage=32, max_electric_power=22000)
    assert _powers(tmp_path, [plug]) == [(Decimal("22.000"), "declared")]


def test_evse_ids_are_upper_case_without_asterisks(tmp_path: Path) -> None:
    staged_as = {
        "NL*ABC*E123*1": "NLABCE1231",
        "nl*abc*e123": "NLABCE123",
        "NLABCE123": "NLABCE123",
        "": None,
        None: None,
    }
    points = [evse(uid=str(n), evse_id=written) for n, written in enumerate(staged_as)]
    staged = stage_locations(tmp_path, [location(evses=points)])
    assert [row["evse_id"] for row in staged.accepted("charge_points")] == [*staged_as.values()]


def test_dutch_postcodes_get_one_form_and_others_stay(tmp_path: Path) -> None:
    staged_as = {
        "6711AA": "6711 AA",
        "6711 AA": "6711 AA",
        "6711aa": "6711 AA",
        " 6711 aa ": "6711 AA",
        "67 11 a a": "6711 AA",
        "48683": "48683",
        "B-3600": "B-3600",
        None: None,
    }
    rows = [location(str(n), postal_code=written) for n, written in enumerate(staged_as)]
    staged = stage_locations(tmp_path, rows)
    assert [row["postal_code"] for row in staged.accepted("locations")] == [*staged_as.values()]


def test_moments_are_utc_to_the_microsecond_and_without_a_zone_taken_as_utc(
    tmp_path: Path,
) -> None:
    moments = {
        "2022-06-01T12:00:00Z": datetime(2022, 6, 1, 12, tzinfo=UTC),
        "2022-06-01T12:00:00": datetime(2022, 6, 1, 12, tzinfo=UTC),
        "2022-06-01T12:00:00+02:00": datetime(2022, 6, 1, 10, tzinfo=UTC),
        "2022-12-31T23:30:00-01:00": datetime(2023, 1, 1, 0, 30, tzinfo=UTC),
        "2022-06-01T12:00:00.123456Z": datetime(2022, 6, 1, 12, 0, 0, 123456, tzinfo=UTC),
        "2022-06-01T12:00:00.5": datetime(2022, 6, 1, 12, 0, 0, 500000, tzinfo=UTC),
        "2022-06-01T12:00:00.000001Z": datetime(2022, 6, 1, 12, 0, 0, 1, tzinfo=UTC),
        "2022-03-27T02:30:00": datetime(2022, 3, 27, 2, 30, tzinfo=UTC),
    }
    rows = [
        location(
            str(place),
            last_updated=written,
            evses=[evse(last_updated=written, connectors=[connector(last_updated=written)])],
        )
        for place, written in enumerate(moments)
    ]
    staged = stage_locations(tmp_path, rows)
    for table in ("locations", "charge_points", "connectors"):
        assert [row["last_updated"] for row in staged.accepted(table)] == [*moments.values()]


def test_words_and_years_that_only_a_database_reads_are_no_moments(tmp_path: Path) -> None:
    odd = ["infinity", "-infinity", "2022-06-01 (BC)", "12022-06-01", "now", "today", "0"]
    rows = [location(f"odd-{n}", last_updated=written) for n, written in enumerate(odd)]
    staged = stage_locations(tmp_path, [*rows, *fillers(20 * len(odd))])
    found = [(row["rule"], row["found"]) for row in staged.quarantine("locations")]
    assert found == [("last_updated_type", written) for written in odd]


@pytest.mark.parametrize("written", [True, False, "true", "FALSE"])
def test_publish_is_read_as_true_or_false(written: Any, tmp_path: Path) -> None:
    staged = stage_locations(tmp_path, [location(publish=written)])
    expected = written if isinstance(written, bool) else json.loads(written.lower())
    assert staged.accepted("locations")[0]["publish"] is expected


def test_coordinates_are_kept_to_six_decimals_as_text_or_number(tmp_path: Path) -> None:
    rows = [
        location("text", coordinates={"latitude": "52.0412345", "longitude": "5.6612344"}),
        location("number", coordinates={"latitude": 52.1, "longitude": 5.6}),
    ]
    number, text = stage_locations(tmp_path, rows).accepted("locations")
    assert (text["latitude"], text["longitude"]) == (Decimal("52.041235"), Decimal("5.661234"))
    assert (number["latitude"], number["longitude"]) == (Decimal("52.1"), Decimal("5.6"))


def test_a_location_without_charge_points_counts_and_has_none(tmp_path: Path) -> None:
    without = location("missing")
    del without["evses"]
    rows = [location("null", evses=None), location("empty", evses=[]), without]
    staged = stage_locations(tmp_path, rows)
    assert staged.counts == {"locations": {"accepted": 3}, "charge_points": {}, "connectors": {}}
    assert staged.accepted("charge_points") == []


def test_children_carry_the_keys_and_the_record_number_of_their_location(tmp_path: Path) -> None:
    rows = [location("first"), location("second", evses=[evse(uid="a"), evse(uid="b")])]
    staged = stage_locations(tmp_path, rows)
    keys = [
        (r["record_number"], r["country_code"], r["party_id"], r["location_id"], r["evse_uid"])
        for r in staged.accepted("connectors")
    ]
    assert keys == [
        (1, "NL", "ABC", "first", "E1"),
        (2, "NL", "ABC", "second", "a"),
        (2, "NL", "ABC", "second", "b"),
    ]


def test_status_and_standard_are_upper_case(tmp_path: Path) -> None:
    point = evse(status="available", connectors=[connector(standard="iec_62196_t2_combo")])
    staged = stage_locations(tmp_path, [location(evses=[point])])
    assert staged.accepted("charge_points")[0]["status"] == "AVAILABLE"
    assert staged.accepted("connectors")[0]["standard"] == "IEC_62196_T2_COMBO"


def test_unknown_keys_odd_text_and_repeated_white_space_of_the_file_do_no_harm(
    tmp_path: Path,
) -> None:
    odd = 'quote " back\\slash } ] { [ , : \u2028 é 日本 🔌 \t end'
    rows = [location(address=odd, surprise={"evses": [{"uid": "no"}]}), location("L2")]
    one = stage_locations(tmp_path / "plain", rows)
    assert one.accepted("locations")[0]["address"] == odd
    assert len(one.accepted("charge_points")) == 2

    import gzip

    spread = tmp_path / "spread.json.gz"
    text = json.dumps(rows, indent=4, ensure_ascii=False)
    spread.write_bytes(gzip.compress(b"\n\t" + text.encode() + b"\n\n"))
    two = stage_file(tmp_path / "spread", LOCATIONS, spread)
    for table in ("locations", "charge_points", "connectors"):
        assert two.accepted(table) == one.accepted(table)


def test_record_numbers_are_places_in_the_array_from_one(tmp_path: Path) -> None:
    names = [f"L{(place * 7919) % 1000}" for place in range(1000)]
    file = ocpi_file(tmp_path / "many.json.gz", [location(name) for name in names])
    staged = stage_file(tmp_path, LOCATIONS, file, threads=2)
    found = {row["location_id"]: row["record_number"] for row in staged.accepted("locations")}
    assert found == {name: place for place, name in enumerate(names, start=1)}


def test_rows_are_sorted_by_key(tmp_path: Path) -> None:
    staged = stage_locations(tmp_path, [location(name) for name in ("b", "c", "a")])
    assert [row["location_id"] for row in staged.accepted("locations")] == ["a", "b", "c"]
