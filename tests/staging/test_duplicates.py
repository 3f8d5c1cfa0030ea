"""Of rows with one key the latest is accepted, and what hangs below a row ends as the row does."""

from pathlib import Path

from goral_pipeline.staging.judge import CONFLICTING_KEY, PARENT_DUPLICATE, SAME_KEY
from tests.support_files import connector, evse, location, request, stage_locations, stage_requests


def _version(city: str, moment: str, **changes: object) -> dict[str, object]:
    return location("same", city=city, last_updated=moment, **changes)


def test_the_latest_version_of_a_location_wins_wherever_it_stands(tmp_path: Path) -> None:
    versions = [
        _version("old", "2022-06-01T10:00:00Z"),
        _version("new", "2022-06-01T10:00:00.000001Z"),
        _version("middle", "2022-06-01T11:59:59+02:00"),
    ]
    for place, order in enumerate([(0, 1, 2), (1, 2, 0), (2, 0, 1)]):
        staged = stage_locations(tmp_path / str(place), [versions[i] for i in order])
        (row,) = staged.accepted("locations")
        assert row["city"] == "new"
        assert row["record_number"] == order.index(1) + 1
        assert staged.counts["locations"] == {"accepted": 1, "duplicate": 2}


# One moment, written in three ways.
SAME_MOMENT = ("2022-06-01T10:00:00Z", "2022-06-01T12:00:00+02:00", "2022-06-01T10:00:00.000")


def test_of_equal_versions_that_say_the_same_the_first_is_kept(tmp_path: Path) -> None:
    staged = stage_locations(tmp_path, [_version("Ede", moment) for moment in SAME_MOMENT])
    (row,) = staged.accepted("locations")
    assert row["record_number"] == 1
    assert staged.counts["locations"] == {"accepted": 1, "duplicate": 2}


def test_equal_versions_that_differ_are_quarantined_with_all_of_their_key(tmp_path: Path) -> None:
    rows = [_version(f"city {place}", moment) for place, moment in enumerate(SAME_MOMENT)]
    old = _version("city 0", "2022-05-01T10:00:00Z")
    fill = [location(f"filler-{place}") for place in range(80)]
    staged = stage_locations(tmp_path, [old, *rows, *fill])
    assert staged.counts["locations"] == {"accepted": 80, "quarantined": 4}
    found = staged.quarantine("locations")
    assert [(row["record_number"], row["rule"]) for row in found] == [
        (number, CONFLICTING_KEY) for number in (1, 2, 3, 4)
    ]
    assert {row["expected"] for row in found} == {"Rows of one key and one version say the same."}


def test_older_versions_may_differ(tmp_path: Path) -> None:
    old = [_version(city, "2022-05-01T10:00:00Z") for city in ("one", "other")]
    staged = stage_locations(tmp_path, [*old, _version("new", "2022-06-01T10:00:00Z")])
    assert [row["city"] for row in staged.accepted("locations")] == ["new"]


def test_a_key_is_country_party_and_id_together(tmp_path: Path) -> None:
    rows = [
        location("same"),
        location("same", party_id="XYZ"),
        location("same", country_code="DE"),
    ]
    assert stage_locations(tmp_path, rows).counts["locations"] == {"accepted": 3}


def test_children_of_a_duplicate_are_duplicates_and_those_of_the_kept_row_are_accepted(
    tmp_path: Path,
) -> None:
    staged = stage_locations(
        tmp_path,
        [
            _version("old", "2022-06-01T10:00:00Z", evses=[evse(uid="gone"), evse(uid="stays")]),
            _version("new", "2022-06-02T10:00:00Z", evses=[evse(uid="stays"), evse(uid="added")]),
        ],
    )
    assert [row["evse_uid"] for row in staged.accepted("charge_points")] == ["added", "stays"]
    assert {row["record_number"] for row in staged.accepted("connectors")} == {2}
    reasons = {(c.table_name, c.reason): c.rows for c in staged.staging.counts if c.reason}
    assert reasons == {
        ("locations", SAME_KEY): 1,
        ("charge_points", PARENT_DUPLICATE): 2,
        ("connectors", PARENT_DUPLICATE): 2,
    }


def test_a_quarantined_version_does_not_push_out_a_good_one(tmp_path: Path) -> None:
    fill = [location(f"filler-{place}") for place in range(20)]
    late = _version("bad", "2022-07-01T10:00:00Z", publish="?")
    staged = stage_locations(tmp_path, [_version("good", "2022-06-01T10:00:00Z"), late, *fill])
    assert "good" in {row["city"] for row in staged.accepted("locations")}
    assert staged.counts["locations"] == {"accepted": 21, "quarantined": 1}


def test_a_charge_point_twice_in_a_location_is_kept_once_the_first(tmp_path: Path) -> None:
    twice = [evse(status="CHARGING"), evse(status="BLOCKED", last_updated="2023-01-01T00:00:00Z")]
    staged = stage_locations(tmp_path, [location(evses=twice), location("L2")])
    statuses = {row["location_id"]: row["status"] for row in staged.accepted("charge_points")}
    assert statuses == {"L1": "CHARGING", "L2": "AVAILABLE"}
    assert staged.counts["connectors"] == {"accepted": 2, "duplicate": 1}


def test_a_connector_twice_in_a_charge_point_is_kept_once_the_first(tmp_path: Path) -> None:
    twice = [connector(max_electric_power=22000), connector(max_electric_power=50000)]
    staged = stage_locations(tmp_path, [location(evses=[evse(connectors=twice)])])
    (row,) = staged.accepted("connectors")
    assert row["power_kw"] == 22


def test_of_a_request_that_stands_in_an_export_twice_the_last_changed_row_is_kept(
    tmp_path: Path,
) -> None:
    early = request("R1", **{"Laatst gewijzigd": "02-08-2022 12:00:00"})
    late = request("R1", **{"Laatst gewijzigd": "02-08-2022 12:00:01", "Gemeente": "Arnhem"})
    staged = stage_requests(tmp_path, [early, late, early])
    (row,) = staged.accepted("requests")
    assert (row["municipality_code"], row["record_number"]) == ("GM0202", 4)
    assert staged.counts["requests"] == {"accepted": 1, "duplicate": 2}
