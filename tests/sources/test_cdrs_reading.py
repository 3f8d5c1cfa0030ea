"""How charge detail records of OCPI are read: versions, what is missing or of another kind."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from goral_pipeline.checks.reconciliation import reconcile
from goral_pipeline.contracts import staged
from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.sources.ocpi.landed import MOST_OBJECTS_A_PAGE
from goral_pipeline.staging import judge, quality
from tests.support_files import Row, Staged, pages_file, stage_file

SESSIONS = "vattenfall/sessions"


def cdr(identifier: str = "C1", **changes: Any) -> Row:
    """A record that meets LINDA's profile; None takes a member away."""
    whole = {
        "country_code": "NL",
        "party_id": "ABC",
        "id": identifier,
        "start_date_time": "2022-07-12T10:00:00Z",
        "end_date_time": "2022-07-12T12:30:00Z",
        "session_id": f"S-{identifier}",
        "cdr_token": {
            "country_code": "NL",
            "party_id": "DEM",
            "uid": "DEMO0001",
            "type": "RFID",
            "contract_id": "NL-DEM-C0000001",
        },
        "auth_method": "WHITELIST",
        "cdr_location": {
            "id": "L1",
            "address": "Demolaan 1",
            "city": "Ede",
            "postal_code": "6711aa",
            "country": "NLD",
            "coordinates": {"latitude": "52.012345", "longitude": "5.612345"},
            "evse_uid": "E1",
            "evse_id": "NL*ABC*E1*1",
            "connector_id": "1",
            "connector_standard": "IEC_62196_T2",
            "connector_format": "SOCKET",
            "connector_power_type": "AC_3_PHASE",
        },
        "currency": "EUR",
        "tariffs": [{"country_code": "NL", "party_id": "ABC", "id": "T1", "currency": "EUR"}],
        "charging_periods": [
            {
                "start_date_time": "2022-07-12T10:00:00Z",
                "dimensions": [{"type": "ENERGY", "volume": 20.5}],
            }
        ],
        "total_cost": {"excl_vat": 7.0, "incl_vat": 8.47},
        "total_fixed_cost": {"excl_vat": 0.0},
        "total_energy": 20.5,
        "total_energy_cost": {"excl_vat": 7.0},
        "total_time": 2.5,
        "total_parking_time": 0.5,
        "last_updated": "2022-07-12T12:31:00Z",
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def fillers(number: int = 20) -> list[Row]:
    """Good records, so that bad ones among them are few."""
    return [cdr(f"F{place}") for place in range(number)]


def stage(folder: Path, *records: Any) -> Staged:
    return stage_file(folder / "home", SESSIONS, pages_file(folder, list(records)))


def one(folder: Path, record: Row) -> Row:
    (row,) = stage(folder, record).accepted("sessions")
    return row


def test_a_record_becomes_a_row_in_the_contract_s_columns(tmp_path: Path) -> None:
    row = one(tmp_path, cdr())
    pseudonym = row.pop("token_pseudonym")
    assert len(pseudonym) == 64
    assert row == {
        "country_code": "NL",
        "party_id": "ABC",
        "cdr_id": "C1",
        "session_id": "S-C1",
        "started_at": datetime(2022, 7, 12, 10, tzinfo=UTC),
        "ended_at": datetime(2022, 7, 12, 12, 30, tzinfo=UTC),
        "token_type": "RFID",
        "auth_method": "WHITELIST",
        "location_id": "L1",
        "address": "Demolaan 1",
        "city": "Ede",
        "postal_code": "6711 AA",
        "latitude": Decimal("52.012345"),
        "longitude": Decimal("5.612345"),
        "evse_uid": "E1",
        "evse_id": "NLABCE11",
        "connector_id": "1",
        "connector_standard": "IEC_62196_T2",
        "power_type": "AC_3_PHASE",
        "tariff_id": "T1",
        "currency": "EUR",
        "total_cost": Decimal("7.0000"),
        "total_fixed_cost": Decimal("0.0000"),
        "total_energy_cost": Decimal("7.0000"),
        "energy_kwh": Decimal("20.5000"),
        "connected_h": Decimal("2.5000"),
        "parked_h": Decimal("0.5000"),
        "is_credit": False,
        "credited_cdr_id": None,
        "last_updated": datetime(2022, 7, 12, 12, 31, tzinfo=UTC),
        "delivery_id": "d" * 16,
        "record_number": 1,
    }


def test_one_token_has_one_pseudonym_in_any_spelling(tmp_path: Path) -> None:
    uids = ["DEMO0001", "demo0001 ", "DEMO0002"]
    records = [cdr(f"C{n}", cdr_token={"uid": uid}) for n, uid in enumerate(uids)]
    rows = stage(tmp_path, *records).accepted("sessions")
    first, same, other = (row["token_pseudonym"] for row in rows)
    assert first == same
    assert first != other


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2022-07-12T10:00:00Z", datetime(2022, 7, 12, 10, tzinfo=UTC)),
        ("2022-07-12T10:00:00", datetime(2022, 7, 12, 10, tzinfo=UTC)),
        ("2022-07-12T10:00:00.250Z", datetime(2022, 7, 12, 10, 0, 0, 250_000, tzinfo=UTC)),
        ("2022-07-12T12:00:00+02:00", datetime(2022, 7, 12, 10, tzinfo=UTC)),
    ],
)
def test_a_moment_without_a_zone_is_of_utc(tmp_path: Path, written: str, meant: datetime) -> None:
    assert one(tmp_path, cdr(start_date_time=written))["started_at"] == meant


def test_a_record_of_2_1_1_is_read(tmp_path: Path) -> None:
    location = {
        "id": "L1",
        "type": "ON_STREET",
        "address": "Demolaan 1",
        "city": "Ede",
        "postal_code": "6711 AA",
        "country": "NLD",
        "coordinates": {"latitude": "52.012345", "longitude": "5.612345"},
        "evses": [
            {
                "uid": "E1",
                "evse_id": "NL*ABC*E1*1",
                "connectors": [{"id": "1", "standard": "IEC_62196_T2", "power_type": "DC"}],
            }
        ],
    }
    gone = dict.fromkeys(("country_code", "party_id", "end_date_time", "cdr_token", "cdr_location"))
    old = cdr(**gone) | {
        "stop_date_time": "2022-07-12T12:30:00Z",
        "auth_id": "DEMO0001",
        "location": location,
        "total_cost": 7.0,
    }
    new, row = one(tmp_path, cdr()), one(tmp_path / "old", old)
    # Its server's own, by the description of the party.
    assert (row.pop("country_code"), row.pop("party_id")) == ("NL", "NUO")
    assert (row.pop("token_type"), row.pop("power_type")) == (None, "DC")
    assert row == {name: new[name] for name in row}


def test_taxes_of_2_3_0_are_read(tmp_path: Path) -> None:
    costs = ("total_cost", "total_fixed_cost", "total_energy_cost")
    price = {"before_taxes": 7.25, "taxes": [{"name": "VAT", "amount": 1.52}]}
    row = one(tmp_path, cdr(**dict.fromkeys(costs, price)))
    assert {row[name] for name in costs} == {Decimal("7.2500")}


def test_one_bad_object_does_not_make_its_page_bad(tmp_path: Path) -> None:
    bad: list[Any] = [
        cdr("B1", cdr_token="DEMO0001"),
        cdr("B2", cdr_location=["nowhere"]),
        cdr("B3", total_energy="much"),
        cdr("B4", total_cost={"excl_vat": {"deep": 1}}),
        17,
        "a text",
        None,
        [],
    ]
    staged = stage(tmp_path, *fillers(40), *bad)
    assert len(staged.accepted("sessions")) == 40
    found = {(row["record_number"], row["rule"]) for row in staged.quarantine("sessions")}
    assert (41, "token_pseudonym_required") in found
    assert (42, "location_id_required") in found
    assert (43, "energy_kwh_type") in found
    assert (44, "total_cost_type") in found
    assert {(number, "cdr_id_required") for number in range(45, 49)} <= found


def test_members_beyond_the_standard_and_large_ones_are_passed_over(tmp_path: Path) -> None:
    large = cdr("C2", remark="x" * 17_000_000, own_member={"a": [1, {"b": None}]})
    assert len(stage(tmp_path, cdr(), large).accepted("sessions")) == 2


def test_pages_that_overlap_count_once(tmp_path: Path) -> None:
    records = fillers(6)
    file = pages_file(tmp_path, records[:3], records[2:5], records[4:])
    staged = stage_file(tmp_path / "home", SESSIONS, file)
    assert staged.counts == {"sessions": {"accepted": 6, "duplicate": 2}}


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[:-40],
        lambda line: line.replace('"data":[', '"data":{"x":[', 1).replace("]}}", "]}}}", 1),
        lambda _: "no json at all",
        lambda line: line.replace('"page":2', '"page":1', 1),
        lambda line: line.replace('"page":2', '"page":"two"', 1),
    ],
    ids=["cut off", "no list", "no json", "there twice", "no number"],
)
def test_a_damaged_page_is_named_and_nothing_is_lost(tmp_path: Path, damage: Any) -> None:
    file = pages_file(tmp_path, fillers(5), [cdr("C1"), cdr("C2")], [cdr("C3")])
    lines = file.read_text().splitlines()
    lines[1] = damage(lines[1])
    file.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(DeliveryRejected, match="page 2 is damaged, holds no list"):
        stage_file(tmp_path / "home", SESSIONS, file)


@pytest.mark.parametrize(
    "written",
    [
        lambda records: json.dumps({"data": records, "status_code": 1000}),
        lambda records: json.dumps({"data": records}, indent=2),
        lambda records: json.dumps(records),
        lambda records: "\ufeff" + json.dumps(records),
        lambda records: "".join(json.dumps(record) + "\n" for record in records),
    ],
    ids=["answer", "indented", "list", "byte order mark", "a line each"],
)
def test_what_people_deliver_is_read_too(tmp_path: Path, written: Any) -> None:
    file = tmp_path / "export.json"
    file.write_text(written(fillers(3)), encoding="utf-8")
    staged = stage_file(tmp_path / "home", SESSIONS, file)
    assert [row["record_number"] for row in staged.accepted("sessions")] == [1, 2, 3]


@pytest.mark.parametrize("content", ["", "a;b\n1;2\n", "<html>", '"a text"', "[", "{}\n17\n"])
def test_what_is_no_list_of_records_is_rejected(tmp_path: Path, content: str) -> None:
    file = tmp_path / "export.json"
    file.write_text(content)
    with pytest.raises(DeliveryRejected, match="expected OCPI CDRs"):
        stage_file(tmp_path / "home", SESSIONS, file)


def test_the_quality_of_each_operator_is_told(tmp_path: Path) -> None:
    records = [
        *fillers(10),
        cdr("P1", total_fixed_cost=None),
        cdr("P2", total_fixed_cost=None, tariffs=[{"id": "T1"}]),
        cdr("R1", total_energy=-1),
        cdr("O1", party_id="XYZ"),
        cdr("F0"),
    ]
    staged = stage(tmp_path, *records)
    ours, theirs = quality.read(staged.job.quarantine_folder)
    assert (theirs.operator, theirs.received, theirs.met_profile) == ("NL-XYZ", 1, 1)
    assert (ours.received, ours.duplicate, ours.refused, ours.accepted) == (14, 1, 1, 12)
    assert ours.met_profile == 10
    told = {(b.rule, b.is_refused): (b.records, b.examples) for b in ours.broken}
    assert told == {
        ("energy_kwh_range", True): (1, ("R1",)),
        ("profile_fixed_cost", False): (2, ("P1", "P2")),
        ("profile_tariff", False): (1, ("P2",)),
    }
    assert len(staged.accepted("sessions")) == 13


MISSED: dict[str, Row] = {
    "profile_tariff": {"tariffs": [{"country_code": "NL", "party_id": "ABC", "id": "T1"}]},
    "profile_fixed_cost": {"total_fixed_cost": None},
    "profile_energy_cost": {"total_energy_cost": {"incl_vat": 8.47}},
    "profile_parking_time": {"total_parking_time": None},
    "profile_evse_id": {"cdr_location": {"evse_id": "NL-ABC-1"}},
    "profile_postal_code": {"cdr_location": {"postal_code": "6711"}},
    "profile_address": {"cdr_location": {"address": "Demolaan 1 2e paal"}},
}


def test_each_rule_of_the_profile_has_a_case_that_misses_it() -> None:
    (table,) = staged()["concession/sessions"].tables
    assert set(MISSED) == {rule.name for rule in table.profile}


@pytest.mark.parametrize("rule", MISSED)
def test_a_record_that_misses_the_profile_is_told_of_and_counts(tmp_path: Path, rule: str) -> None:
    record, changes = cdr(), dict(MISSED[rule])
    if "cdr_location" in changes:
        changes["cdr_location"] = record["cdr_location"] | changes["cdr_location"]
    found = stage(tmp_path, cdr("C1", **changes))
    (report,) = quality.read(found.job.quarantine_folder)
    assert (report.accepted, report.met_profile) == (1, 0)
    assert [(broken.rule, broken.is_refused) for broken in report.broken] == [(rule, False)]


def test_a_session_across_the_change_of_the_clock_is_whole(tmp_path: Path) -> None:
    record = cdr(
        start_date_time="2022-10-29T22:00:00Z",
        end_date_time="2022-10-31T23:30:00Z",
        total_time=49.5,
        last_updated="2022-11-01T00:00:00Z",
    )
    assert one(tmp_path, record)["connected_h"] == Decimal("49.5")


def test_a_month_is_one_of_the_netherlands(tmp_path: Path) -> None:
    # Half past midnight in Amsterdam, in summer and in winter.
    starts = {"2022-09-30T22:30:00Z": "2022-10", "2022-11-30T22:30:00Z": "2022-11"}
    records = [
        cdr(f"C{n}", start_date_time=start, end_date_time="2022-12-01T01:00:00Z")
        for n, start in enumerate(starts)
    ]
    for record in records:
        began = datetime.fromisoformat(record["start_date_time"])
        took = datetime(2022, 12, 1, 1, tzinfo=UTC) - began
        record |= {"total_time": took.total_seconds() / 3600}
    months = stage(tmp_path, *records).staging.months
    assert months == tuple(("sessions", month, 1) for month in starts.values())


def test_a_record_that_is_lost_before_it_is_judged_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = judge.typed_table
    lost = f"where row_id % {MOST_OBJECTS_A_PAGE} <> 2"
    monkeypatch.setattr(judge, "typed_table", lambda *told: f"{whole(*told)} {lost}")
    staged = stage(tmp_path, *fillers(5))
    received = {file.table_name: file.received for file in staged.staging.files}
    assert reconcile(received, staged.staging.counts) == [
        "sessions: 5 rows received, 4 accounted for"
    ]
