"""How OCPI locations are read: power, ids, postcodes, moments, what is missing, and versions."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from goral_pipeline.checks.reconciliation import reconcile
from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.sources.ocpi.landed import MOST_OBJECTS_A_PAGE
from goral_pipeline.staging import judge
from tests.support_files import (
    LOCATIONS,
    Row,
    Staged,
    connector,
    evse,
    fillers,
    location,
    ocpi_file,
    pages_file,
    stage_file,
    stage_locations,
)

OWN_LOCATIONS = "vattenfall/locations"
TABLES = ("locations", "charge_points", "connectors")


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
    for table in TABLES:
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
    for table in TABLES:
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


# ── a party's own list ───────────────────────────────────────────────────────────────────────────


def stage_own(folder: Path, *pages: list[Any]) -> Staged:
    return stage_file(folder / "home", OWN_LOCATIONS, pages_file(folder, *pages, overlap=1))


def of_2_1_1(**changes: Any) -> Row:
    """The usual location, as that version writes it."""
    plug = connector(voltage=230, amperage=16, tariff_id="T1")
    for name in ("max_voltage", "max_amperage", "max_electric_power"):
        del plug[name]
    one = location(type="ON_STREET", evses=[evse(connectors=[plug])])
    for name in ("country_code", "party_id", "publish", "parking_type"):
        del one[name]
    return one | changes


def test_a_party_s_own_list_is_read_as_dot_nl_is(tmp_path: Path) -> None:
    rows = [location("a"), location("b", evses=[evse(uid="x"), evse(uid="y")]), location("c")]
    dot_nl = stage_locations(tmp_path / "dot-nl", rows)
    own = stage_own(tmp_path, rows[:2], rows[1:])
    for table in TABLES:
        assert own.accepted(table) == dot_nl.accepted(table)


def test_a_location_of_2_1_1_is_read(tmp_path: Path) -> None:
    own = stage_own(tmp_path, [of_2_1_1()])
    later = stage_own(tmp_path / "later", [location()])
    # Its server's own, by the description of the party.
    party = {"country_code": "NL", "party_id": "NUO"}
    for table in ("locations", "charge_points"):
        assert own.accepted(table) == [later.accepted(table)[0] | party]
    (plug,) = own.accepted("connectors")
    assert (plug["max_voltage_v"], plug["max_amperage_a"]) == (230, 16)
    assert (plug["power_kw"], plug["power_origin"]) == (Decimal("11.040"), "computed")


def test_kinds_of_place_that_only_2_1_1_has_are_not_known(tmp_path: Path) -> None:
    kinds = {
        "ON_STREET": "ON_STREET",
        "PARKING_GARAGE": "PARKING_GARAGE",
        "UNDERGROUND_GARAGE": "UNDERGROUND_GARAGE",
        "PARKING_LOT": "PARKING_LOT",
        "OTHER": None,
        "UNKNOWN": None,
        None: None,
    }
    rows = [of_2_1_1(id=f"L{place}", type=kind) for place, kind in enumerate(kinds)]
    staged = stage_own(tmp_path, [*rows, *fillers(20), of_2_1_1(id="wrong", type="ELSEWHERE")])
    found = {row["location_id"]: row["parking_type"] for row in staged.accepted("locations")}
    assert [found[row["id"]] for row in rows] == [*kinds.values()]
    assert [row["rule"] for row in staged.quarantine("locations")] == ["parking_type_code"]


def test_what_2_3_0_adds_is_passed_over(tmp_path: Path) -> None:
    new = location(
        help_phone="+31000000000",
        parking_places=[{"id": "1", "vehicle_types": ["PERSONAL_VEHICLE"]}],
        evses=[
            evse(
                parking=[{"parking_id": "1"}],
                accepted_service_providers=["DEMO"],
                connectors=[
                    connector(standard="MCS", capabilities=["ISO_15118_2_PLUG_AND_CHARGE"])
                ],
            )
        ],
    )
    staged = stage_own(tmp_path, [new])
    assert staged.accepted("connectors")[0]["standard"] == "MCS"
    old = stage_own(tmp_path / "old", [location()])
    for table in ("locations", "charge_points"):
        assert staged.accepted(table) == old.accepted(table)


def test_versions_are_told_apart_record_by_record(tmp_path: Path) -> None:
    # `type` is no member of a later version, whatever a server means by it.
    rows = [of_2_1_1(id="old"), location("new", publish=False, parking_type=None, type="public")]
    new, old = stage_own(tmp_path, rows).accepted("locations")
    assert (old["party_id"], old["publish"], old["parking_type"]) == ("NUO", True, "ON_STREET")
    assert (new["party_id"], new["publish"], new["parking_type"]) == ("ABC", False, None)


def test_a_later_version_must_say_whether_it_may_be_shown(tmp_path: Path) -> None:
    staged = stage_own(tmp_path, [location("silent", publish=None), *fillers(20)])
    assert [row["rule"] for row in staged.quarantine("locations")] == ["publish_required"]


def test_what_stands_in_two_pages_counts_once_with_all_that_hangs_on_it(tmp_path: Path) -> None:
    rows = [location(f"L{n}", evses=[evse(uid="a"), evse(uid="b")]) for n in range(5)]
    staged = stage_own(tmp_path, rows[:3], rows[2:4], rows[3:])
    assert staged.counts == {
        "locations": {"accepted": 5, "duplicate": 2},
        "charge_points": {"accepted": 10, "duplicate": 4},
        "connectors": {"accepted": 10, "duplicate": 4},
    }
    reasons = {(count.table_name, count.reason) for count in staged.staging.counts if count.reason}
    assert reasons == {
        ("locations", "same_key"),
        ("charge_points", "parent_duplicate"),
        ("connectors", "parent_duplicate"),
    }
    numbers = {row["location_id"]: row["record_number"] for row in staged.accepted("locations")}
    assert numbers == {f"L{n}": n + 1 for n in range(5)}
    assert reconcile(staged.received, staged.staging.counts) == []


def test_of_a_location_that_moved_on_the_latest_is_kept_with_its_charge_points(
    tmp_path: Path,
) -> None:
    old = location("L1", evses=[evse(uid="gone"), evse(uid="kept")])
    new = location("L1", evses=[evse(uid="kept")], last_updated="2022-06-02T00:00:00Z")
    staged = stage_own(tmp_path, [old, location("L2")], [location("L2"), new])
    points = [(row["location_id"], row["evse_uid"]) for row in staged.accepted("charge_points")]
    assert points == [("L1", "kept"), ("L2", "E1")]


BAD: list[tuple[Any, str]] = [
    (17, "location_id_required"),
    ("a text", "location_id_required"),
    (None, "location_id_required"),
    (["a list"], "location_id_required"),
    ({}, "location_id_required"),
    (location(id={"an object": ["in the place of", "an id"]}), "location_id_pattern"),
    (location("B1", coordinates=["52.04", "5.66"]), "latitude_required"),
    (location("B2", coordinates="52.04, 5.66"), "latitude_required"),
    (location("B3", coordinates={"latitude": ["52"], "longitude": {}}), "latitude_type"),
    (location("B4", last_updated=["2022-06-01"]), "last_updated_type"),
    (location("B5", publish=["yes"]), "publish_type"),
    (location("B6", country_code=31), "country_code_pattern"),
]


def test_what_is_no_location_is_quarantined_and_its_page_is_not_bad(tmp_path: Path) -> None:
    good = fillers(20 * len(BAD))
    staged = stage_own(tmp_path, [*good, *(element for element, _ in BAD)])
    assert len(staged.accepted("locations")) == len(good)
    found = {(row["record_number"], row["rule"]) for row in staged.quarantine("locations")}
    first = len(good) + 1
    assert {(first + place, rule) for place, (_, rule) in enumerate(BAD)} <= found


@pytest.mark.parametrize("evses", ["none", 3, {"uid": "E1"}, None, True])
def test_charge_points_of_another_kind_are_none(tmp_path: Path, evses: Any) -> None:
    staged = stage_own(tmp_path, [location(evses=evses)])
    assert staged.counts == {"locations": {"accepted": 1}, "charge_points": {}, "connectors": {}}


def test_parts_of_another_kind_are_quarantined_where_they_stand(tmp_path: Path) -> None:
    odd = [
        location("L1", evses=["E1"]),
        location("L2", evses=[evse(connectors=[None])]),
        location("L3", evses=[evse(connectors="1")]),
        location("L4", operator=["Example"]),
        location("L5", evses=[evse(connectors=[connector(max_voltage={"a": 1})])]),
    ]
    staged = stage_own(tmp_path, [*odd, *fillers(40)])
    assert staged.counts == {
        "locations": {"accepted": 45},
        "charge_points": {"accepted": 44, "quarantined": 1},
        "connectors": {"accepted": 41, "quarantined": 2},
    }
    assert {row["record_number"] for row in staged.quarantine("charge_points")} == {1}
    assert {row["record_number"] for row in staged.quarantine("connectors")} == {2, 5}
    operators = {row["location_id"]: row["operator_name"] for row in staged.accepted("locations")}
    assert operators["L4"] is None


def test_a_location_that_is_lost_before_it_is_judged_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = judge.typed_table
    lost = f"where row_id % {MOST_OBJECTS_A_PAGE} <> 2 or row_id < {MOST_OBJECTS_A_PAGE}"
    monkeypatch.setattr(judge, "typed_table", lambda *told: f"{whole(*told)} {lost}")
    staged = stage_own(tmp_path, fillers(5))
    assert "locations: 5 rows received, 4 accounted for" in reconcile(
        staged.received, staged.staging.counts
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[:-40],
        lambda line: line.replace('"data":[', '"data":{"x":[', 1).replace("]}", "]}}", 1),
        lambda _: "no json at all",
        lambda line: line.replace('"page":2', '"page":1', 1),
    ],
    ids=["cut off", "no list", "no json", "there twice"],
)
def test_a_damaged_page_of_locations_is_named(tmp_path: Path, damage: Any) -> None:
    file = pages_file(tmp_path, fillers(5), [location("L1")], [location("L2")])
    lines = file.read_text().splitlines()
    lines[1] = damage(lines[1])
    file.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(DeliveryRejected, match="page 2 is damaged, holds no list"):
        stage_file(tmp_path / "home", OWN_LOCATIONS, file)


DEEP = "[" * 90_000 + "]" * 90_000


@pytest.mark.parametrize(
    "written",
    [
        f'{{"page":1,"offset":0,"body":{{"data":[{{"id":"L1","x":{DEEP}}}]}}}}\n',
        f'{{"data":[{{"id":"L1","x":{DEEP}}}]}}',
        f'[{{"id":"L1","evses":{DEEP}}}]',
        DEEP,
    ],
    ids=["page", "answer", "list", "nothing else"],
)
def test_json_that_nests_absurdly_deep_is_rejected(tmp_path: Path, written: str) -> None:
    file = tmp_path / "deep.json"
    file.write_text(written)
    with pytest.raises(DeliveryRejected, match="nests deeper than 100 levels"):
        stage_file(tmp_path / "home", OWN_LOCATIONS, file)


@pytest.mark.parametrize(
    "written",
    [
        lambda rows: json.dumps({"data": rows, "status_code": 1000}),
        lambda rows: json.dumps(rows, indent=2),
        lambda rows: "\ufeff" + json.dumps(rows),
        lambda rows: "".join(json.dumps(row) + "\n" for row in rows),
    ],
    ids=["answer", "list", "byte order mark", "a line each"],
)
def test_what_people_deliver_of_locations_is_read_too(tmp_path: Path, written: Any) -> None:
    file = tmp_path / "export.json"
    file.write_text(written(fillers(3)), encoding="utf-8")
    staged = stage_file(tmp_path / "home", OWN_LOCATIONS, file)
    assert [row["record_number"] for row in staged.accepted("locations")] == [1, 2, 3]


@pytest.mark.parametrize("content", ["", "a;b\n1;2\n", "<html>", '"a text"', "[", "{}\n17\n"])
def test_what_is_no_list_of_locations_is_rejected(tmp_path: Path, content: str) -> None:
    file = tmp_path / "export.json"
    file.write_text(content)
    with pytest.raises(DeliveryRejected, match="expected OCPI locations"):
        stage_file(tmp_path / "home", OWN_LOCATIONS, file)


@pytest.mark.parametrize("content", ["[]", '{"data": []}'])
def test_a_list_of_no_locations_is_rejected(tmp_path: Path, content: str) -> None:
    file = tmp_path / "export.json"
    file.write_text(content)
    with pytest.raises(DeliveryRejected):
        stage_file(tmp_path / "home", OWN_LOCATIONS, file)
