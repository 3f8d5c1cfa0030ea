"""How charge detail records of OCPI are read: versions, what is missing or of another kind."""

import json
import time
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


@pytest.mark.parametrize(
    "damage",
    [
        (b"much", b"NaN"),
        (b"much", b"Infinity"),
        (b"much", b"1e400"),
        (b"much", b"9" * 5000),
        (b"much", b"[" * 5000 + b"]" * 5000),
        (b"much", b'{"a":' * 60_000 + b"1" + b"}" * 60_000),
        (b"much", b'"' + b"9" * 17_000_000 + b'"'),
    ],
    ids=["NaN", "Infinity", "beyond all", "huge", "deep list", "deep object", "17 MB"],
)
def test_a_number_that_is_none_is_one_bad_record(
    tmp_path: Path, damage: tuple[bytes, bytes]
) -> None:
    file = pages_file(tmp_path, [*fillers(), cdr("B1", total_energy="@"), cdr("C1")])
    file.write_bytes(file.read_bytes().replace(b'"@"', damage[1]))
    staged = stage_file(tmp_path / "home", SESSIONS, file)
    assert staged.counts == {"sessions": {"accepted": 21, "quarantined": 1}}
    found = {(row["record_number"], row["rule"]) for row in staged.quarantine("sessions")}
    assert found == {(21, "energy_kwh_type")}


@pytest.mark.parametrize(
    "identifier",
    [
        *("Jan Jansen", "jan@example.nl", "C1\r\nX-Token: y", "C\0001", "C\t1", "Cé1", "\ufeffC1"),
        *("", "c" * 40, {"name": "Jan Jansen"}, ["Jan Jansen"]),
    ],
)
def test_an_id_that_is_none_is_refused_and_shown_by_its_shape_alone(
    tmp_path: Path, identifier: Any
) -> None:
    records = [cdr(identifier, session_id="S1"), cdr("C1", credit_reference_id=identifier)]
    staged = stage(tmp_path, *fillers(), *records)
    refused = staged.quarantine("sessions")
    rules = (
        ["cdr_id_required"] if identifier == "" else ["cdr_id_pattern", "credited_cdr_id_pattern"]
    )
    assert [row["rule"] for row in refused] == rules
    told = str(refused) + str(quality.read(staged.job.quarantine_folder))
    assert "Jan" not in told
    assert "jan" not in told


@pytest.mark.parametrize("capitals", [True, False])
def test_an_id_is_the_same_in_capitals_and_small_letters(tmp_path: Path, capitals: bool) -> None:
    changed = str.upper if capitals else str.lower
    later = cdr(
        changed("Cdr-a"),
        country_code=changed("nl"),
        party_id=changed("abc"),
        last_updated="2022-07-13T00:00:00Z",
    )
    credit = cdr("K1", credit=True, credit_reference_id=changed("Cdr-b"))
    rows = stage(tmp_path, cdr("Cdr-a"), later, cdr("Cdr-b"), credit).accepted("sessions")
    assert [(row["country_code"], row["party_id"], row["cdr_id"]) for row in rows] == [
        ("NL", "ABC", "CDR-A"),
        ("NL", "ABC", "CDR-B"),
        ("NL", "ABC", "K1"),
    ]
    assert rows[0]["last_updated"] == datetime(2022, 7, 13, tzinfo=UTC)
    assert rows[2]["credited_cdr_id"] == "CDR-B"


def test_records_of_two_parties_with_one_id_are_two(tmp_path: Path) -> None:
    records = [cdr(), cdr(party_id="XYZ"), cdr(country_code="BE")]
    assert len(stage(tmp_path, *records).accepted("sessions")) == 3


def test_a_credit_s_amounts_are_those_of_what_it_takes_back_whatever_their_sign(
    tmp_path: Path,
) -> None:
    amounts = {"total_energy": -20.5, "total_time": -2.5, "total_parking_time": -0.5}
    cost = {"excl_vat": -7.0}
    credit = cdr("K1", credit=True, credit_reference_id="C1", total_cost=cost, **amounts)
    staged = stage(tmp_path, *fillers(), cdr("C1"), credit, cdr("B1", **amounts))
    assert {row["record_number"] for row in staged.quarantine("sessions")} == {23}
    row = next(row for row in staged.accepted("sessions") if row["is_credit"])
    assert (row["cdr_id"], row["credited_cdr_id"]) == ("K1", "C1")
    assert [row[name] for name in ("energy_kwh", "connected_h", "parked_h", "total_cost")] == [
        Decimal("20.5"),
        Decimal("2.5"),
        Decimal("0.5"),
        Decimal("-7"),
    ]


@pytest.mark.parametrize(
    ("members", "rule"),
    [
        ({"credit": True}, "credit_has_reference"),
        ({"credit": True, "credit_reference_id": ""}, "credit_has_reference"),
        ({"credit_reference_id": "C0", "total_cost": {"excl_vat": -7}}, "credit_is_told"),
        ({"credit_reference_id": "C0"}, None),
        ({"total_cost": {"excl_vat": -7}}, None),
        ({"credit": "perhaps", "credit_reference_id": "C0"}, "is_credit_type"),
    ],
)
def test_what_may_be_a_credit_is_not_guessed_at(
    tmp_path: Path, members: Row, rule: str | None
) -> None:
    staged = stage(tmp_path, *fillers(), cdr("K1", **members))
    assert [row["rule"] for row in staged.quarantine("sessions")] == ([rule] if rule else [])


def moments(start: str, end: str, **changes: Any) -> Row:
    return {"start_date_time": start, "end_date_time": end} | changes


@pytest.mark.parametrize(
    ("members", "rules"),
    [
        (moments("2008-12-31T23:59:59Z", "2009-01-01T02:29:59Z"), {"not_before_2009"}),
        (moments("2027-07-12T10:00:00Z", "2027-07-12T12:30:00Z"), {"not_in_the_future"}),
        (moments("2022-07-12T10:00:00Z", "2022-07-12T10:00:00Z"), {"start_is_not_end"}),
        (moments("2022-07-12T12:30:00Z", "2022-07-12T10:00:00Z"), {"start_before_end"}),
        ({"total_time": 150}, {"time_is_end_minus_start"}),
        ({"total_time": 9000}, {"time_is_end_minus_start"}),
        ({"total_time": "2:30"}, {"connected_h_type"}),
        ({"total_energy": 20_500}, {"energy_fits_time"}),
        ({"start_date_time": 1657620000}, {"started_at_type"}),
        ({"start_date_time": "2022-02-30T10:00:00Z"}, {"started_at_type"}),
        ({"start_date_time": "infinity"}, {"started_at_type"}),
        ({"last_updated": "-infinity"}, {"last_updated_type"}),
        ({"last_updated": "2090-01-01T00:00:00Z"}, {"not_updated_in_the_future"}),
        ({"last_updated": "2026-01-01T23:00:00Z"}, set()),
        # Two o'clock at night comes twice in autumn, and not at all in spring.
        (
            moments("2022-10-30T02:30:00+02:00", "2022-10-30T02:30:00+01:00", total_time=1),
            set(),
        ),
        (
            moments("2022-03-27T01:30:00+01:00", "2022-03-27T03:30:00+02:00", total_time=1),
            set(),
        ),
        (
            moments("2022-10-29T23:00:00Z", "2022-10-30T03:00:00Z", total_time=3),
            {"time_is_end_minus_start"},
        ),
    ],
)
def test_moments_and_amounts_that_cannot_be_are_refused(
    tmp_path: Path, members: Row, rules: set[str]
) -> None:
    staged = stage(tmp_path, *fillers(), cdr("C1", **members))
    assert {row["rule"] for row in staged.quarantine("sessions")} == rules


def test_of_a_member_that_is_there_twice_the_first_counts(tmp_path: Path) -> None:
    file = pages_file(tmp_path, [cdr("C1", total_energy=1), cdr("C2", total_energy=2)])
    file.write_bytes(file.read_bytes().replace(b'"id":"C', b'"id":"D1","id":"C', 1))
    rows = stage_file(tmp_path / "home", SESSIONS, file).accepted("sessions")
    assert [row["cdr_id"] for row in rows] == ["C2", "D1"]


def test_members_beyond_the_standard_and_large_ones_are_passed_over(tmp_path: Path) -> None:
    large = cdr("C2", remark="x" * 17_000_000, own_member={"a": [1, {"b": None}]})
    assert len(stage(tmp_path, cdr(), large).accepted("sessions")) == 2


def test_pages_that_overlap_count_once(tmp_path: Path) -> None:
    records = fillers(6)
    file = pages_file(tmp_path, records[:3], records[2:5], records[4:])
    staged = stage_file(tmp_path / "home", SESSIONS, file)
    assert staged.counts == {"sessions": {"accepted": 6, "duplicate": 2}}


def test_what_a_page_repeats_of_the_one_before_is_no_record(tmp_path: Path) -> None:
    bad, last = cdr("B1", total_energy=-1), cdr("C1")
    file = pages_file(tmp_path, [*fillers(), bad], [bad, last], [last])
    lines = [line.replace(',"body"', ',"again":true,"body"') for line in file.open()]
    file.write_text(file.read_text().splitlines(keepends=True)[0] + "".join(lines[1:]))
    staged = stage_file(tmp_path / "home", SESSIONS, file)
    assert staged.counts == {"sessions": {"accepted": 21, "quarantined": 1}}
    assert staged.received == {"sessions": 22}
    (report,) = quality.read(staged.job.quarantine_folder)
    assert (report.received, report.duplicate, report.refused) == (22, 0, 1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[:-40],
        lambda line: line.replace('"data":[', '"data":{"x":[', 1).replace("]}}", "]}}}", 1),
        lambda _: "no json at all",
        lambda line: line.replace('"page":2', '"page":1', 1),
        lambda line: line.replace('"page":2', '"page":"two"', 1),
        lambda line: line.replace('"page":2', '"page":-2', 1),
        lambda line: line.replace('"page":2', '"page":1099511627776', 1),
        lambda line: line.replace('"offset":5', '"offset":"five"', 1),
        lambda line: line.replace('"offset":5', '"offset":9223372036854775807', 1),
    ],
    ids=[
        *("cut off", "no list", "no json", "there twice", "no number", "negative", "huge"),
        *("no offset", "huge offset"),
    ],
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
        lambda records: json.dumps([record | {"x": "E\ud800de"} for record in records]),
    ],
    ids=["answer", "indented", "list", "byte order mark", "a line each", "half a surrogate"],
)
def test_what_people_deliver_is_read_too(tmp_path: Path, written: Any) -> None:
    file = tmp_path / "export.json"
    file.write_text(written(fillers(3)), encoding="utf-8")
    staged = stage_file(tmp_path / "home", SESSIONS, file)
    assert [row["record_number"] for row in staged.accepted("sessions")] == [1, 2, 3]


@pytest.mark.parametrize("mark", ["", "\n"], ids=["a list", "a line each"])
def test_a_text_that_is_no_utf8_keeps_no_record_from_being_read(tmp_path: Path, mark: str) -> None:
    records = [json.dumps(record) for record in fillers(3)]
    file = tmp_path / "export.json"
    text = mark.join(records) if mark else f"[{','.join(records)}]"
    file.write_bytes(text.encode().replace(b"Demolaan", b"Dem\xf6laan", 1))
    rows = stage_file(tmp_path / "home", SESSIONS, file).accepted("sessions")
    assert [row["address"] for row in rows] == ["Dem\ufffdlaan 1", "Demolaan 1", "Demolaan 1"]


def test_the_answer_to_a_request_that_failed_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "answer.json"
    file.write_text(json.dumps({"data": fillers(3), "status_code": 2001}))
    with pytest.raises(DeliveryRejected, match=r"failed \(OCPI status 2001\)"):
        stage_file(tmp_path / "home", SESSIONS, file)


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


def test_a_list_of_something_else_is_rejected_in_no_time(tmp_path: Path) -> None:
    before = time.process_time()
    with pytest.raises(DeliveryRejected, match="20000 of 20000 sessions break a rule"):
        stage(tmp_path, *[None] * 20_000)
    assert time.process_time() - before < 15


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
