"""The invented charging sessions: real habits, the places of DOT-NL, and every kind of dirt."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from goral_pipeline.demo import charge_points, sessions, tariffs
from goral_pipeline.demo.drivers import MONTHS_OF_USE, visits
from goral_pipeline.demo.ocpi import Json
from goral_pipeline.demo.request_lives import participants
from goral_pipeline.demo.session_dirt import DIRT, Dirt
from goral_pipeline.staging import quality
from tests.conftest import REPOSITORY
from tests.support_files import Staged, stage_file

RECEIVED = datetime(2023, 2, 1, tzinfo=UTC)
RECORDS = {
    "2022-07": 313,
    "2022-08": 346,
    "2022-09": 375,
    "2022-10": 400,
    "2022-11": 428,
    "2022-12": 447,
}
IN_JANUARY = 14
QUARANTINED = {
    "2022-07": {"not_before_2009": 1, "start_is_not_end": 1},
    "2022-08": {"start_before_end": 1, "time_is_end_minus_start": 1},
    "2022-09": {"parked_within_connected": 1},
    "2022-10": {"not_in_the_future": 1},
    "2022-11": {"auth_method_required": 1, "energy_kwh_range": 1},
    "2022-12": {},
}
BREAKING_THE_PROFILE = {"2022-12": {"profile_address": 1, "profile_fixed_cost": 1}}

HASH = """
import hashlib, json
from goral_pipeline.demo.sessions import cdrs
told = json.dumps([record for _, record in cdrs()])
print(hashlib.sha256(told.encode()).hexdigest())
"""


def every() -> list[Json]:
    return [record for _, record in sessions.cdrs()]


def dirty_ids() -> set[str]:
    """Ids of all records that are not as they were drawn."""
    clean = {f"DEMO-CDR-{number:06d}" for number in range(1, len(visits()) + 1)}
    lasting = Counter(record["id"] for record in every())
    spoilt = {first_of(dirt.kind)["id"] for dirt in DIRT}
    return spoilt | (lasting.keys() - clean)


def first_of(kind: str) -> Json:
    """The first record of a kind of dirt, found by what is wrong with it."""
    return next(record for record in every() if FOUND[kind](record))


def moment(record: Json, name: str) -> datetime:
    return datetime.fromisoformat(record[f"{name}_date_time"])


def length(record: Json) -> timedelta:
    return moment(record, "end") - moment(record, "start")


def hours_off(record: Json) -> float:
    total: float = record["total_time"]
    return abs(total - length(record) / timedelta(hours=1))


FOUND: dict[str, Callable[[Json], bool]] = {
    "clock_of_2008": lambda one: one["start_date_time"].startswith("2008"),
    "start_is_end": lambda one: one["start_date_time"] == one["end_date_time"],
    "end_before_start": lambda one: one["start_date_time"] > one["end_date_time"],
    "total_time_disagrees": lambda one: hours_off(one) > 0.5 and length(one) > timedelta(),
    "corrected": lambda one: one["id"] == corrected_id(),
    "sent_again": lambda one: one["total_parking_time"] > one["total_time"],
    "end_in_2031": lambda one: one["end_date_time"].startswith("2031"),
    "negative_energy": lambda one: one["total_energy"] < 0,
    "no_auth_method": lambda one: "auth_method" not in one,
    "no_fixed_cost": lambda one: "total_fixed_cost" not in one,
    "described_address": lambda one: one["cdr_location"]["address"] == "Demolaan 5 2e paal",
}


def corrected_id() -> str:
    (credit,) = [one for one in every() if one.get("credit")]
    found: str = credit["credit_reference_id"]
    return found


def clean() -> list[Json]:
    dirty = dirty_ids()
    return [record for record in every() if record["id"] not in dirty]


def test_it_is_the_same_in_every_process() -> None:
    told = hashlib.sha256(json.dumps(every()).encode()).hexdigest()
    for seed, zone in (("1", "Asia/Tokyo"), ("2", "UTC")):
        done = subprocess.run(
            [sys.executable, "-c", HASH],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
            capture_output=True,
            check=True,
            text=True,
        )
        assert done.stdout.strip() == told


def test_each_month_has_its_records_and_the_list_is_in_order() -> None:
    assert {month: len(sessions.cdrs_of(month)) for month in RECORDS} == RECORDS
    assert tuple(RECORDS) == sessions.PUBLISHED_MONTHS
    moments = [at for at, _ in sessions.cdrs()]
    assert moments == sorted(moments)
    assert [f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in moments] == [
        record["last_updated"] for record in every()
    ]
    assert sum(at.year == 2023 for at in moments) == IN_JANUARY
    assert len(moments) == sum(RECORDS.values()) + IN_JANUARY


def test_other_months_are_not_published() -> None:
    for month in ("2022-06", "2023-01", "2022-7", ""):
        with pytest.raises(KeyError):
            sessions.cdrs_of(month)


def test_fields_are_those_of_ocpi_and_the_profile() -> None:
    assert " ".join(clean()[0]) == (
        "country_code party_id id start_date_time end_date_time session_id cdr_token auth_method"
        " cdr_location currency tariffs charging_periods total_cost total_fixed_cost total_energy"
        " total_energy_cost total_time total_parking_time last_updated"
    )


def test_places_are_those_of_the_open_data() -> None:
    known = {
        (one["country_code"], one["party_id"], one["id"]): one
        for one in charge_points.locations("2022-07")
        if isinstance(one, dict)
    }
    for record in every():
        place = record["cdr_location"]
        location = known[record["country_code"], record["party_id"], place["id"]]
        (evse,) = [one for one in location["evses"] if one["uid"] == place["evse_uid"]]
        (connector,) = evse["connectors"]
        assert record["party_id"] == "NUO"
        assert place["evse_id"] == evse["evse_id"]
        assert place["coordinates"] == location["coordinates"]
        assert place["city"] == location["city"]
        assert place["postal_code"].replace(" ", "") == location["postal_code"]
        assert place["postal_code"][4] == " "
        assert place["connector_id"] == connector["id"]
        assert place["connector_power_type"] == connector["power_type"]
        assert place["address"] in {location["address"], "Demolaan 5 2e paal"}


def test_stations_stand_in_municipalities_that_take_part() -> None:
    codes = {visit.station.municipality.code for visit in visits()}
    assert len(codes) == 50
    assert len({visit.station.number for visit in visits()}) == 136
    assert codes <= set(participants("vattenfall"))


def test_tokens_are_plainly_invented_and_repeat_as_drivers_do() -> None:
    used: Counter[str] = Counter()
    contracts = defaultdict(set)
    for record in every():
        token = record["cdr_token"]
        assert token["uid"].startswith("DEMO")
        assert token["contract_id"].startswith("NL-DEM-C")
        contracts[token["uid"]].add(token["contract_id"])
        used[token["uid"]] += 1
    assert len(used) == 260
    assert {len(own) for own in contracts.values()} == {1}
    assert len({*map(tuple, contracts.values())}) == 260
    (_, most), *_ = used.most_common(1)
    assert most == 125
    assert sum(times < 10 for times in used.values()) > 130


def test_times_and_energy_are_possible() -> None:
    for record in clean():
        assert timedelta(minutes=20) <= length(record) <= timedelta(hours=20)
        assert hours_off(record) < 0.0001
        assert 0 <= record["total_parking_time"] <= record["total_time"]
        assert 0 < record["total_energy"] <= 11 * record["total_time"]
        known = datetime.fromisoformat(record["last_updated"]) - moment(record, "end")
        assert timedelta(minutes=2) <= known <= timedelta(minutes=40)
    assert any(record["total_parking_time"] == 0 for record in clean())


def test_costs_and_periods_add_up_by_the_tariff_of_the_month() -> None:
    for record in clean():
        (tariff,) = record["tariffs"]
        month = record["start_date_time"][:7]
        if month in tariffs.PUBLISHED_MONTHS:
            published = [one for one in tariffs.tariffs(month) if isinstance(one, dict)]
            (own, *_) = [one for one in published if one["id"] == tariff["id"]]
            assert tariff["elements"] == own["elements"]
        price = tariff["elements"][0]["price_components"][0]["price"]
        assert record["total_fixed_cost"]["excl_vat"] == 0
        assert record["total_cost"] == record["total_energy_cost"]
        assert record["total_cost"]["excl_vat"] == round(price * record["total_energy"], 4)
        volumes: Counter[str] = Counter()
        for period in record["charging_periods"]:
            for dimension in period["dimensions"]:
                volumes[dimension["type"]] += dimension["volume"]
        assert volumes["ENERGY"] == record["total_energy"]
        assert volumes["PARKING_TIME"] == record["total_parking_time"]
        connected = volumes["TIME"] + volumes["PARKING_TIME"]
        assert connected == pytest.approx(record["total_time"], abs=0.0002)


def test_nobody_is_at_two_places_and_no_charge_point_has_two_cars() -> None:
    by_use = defaultdict(list)
    for visit in visits():
        for use in visit.uses:
            by_use[use].append(visit)
    for used in by_use.values():
        for one, following in pairwise(used):
            assert one.end < following.begin


def test_some_cross_the_end_of_a_month_and_the_change_of_the_clock() -> None:
    change = datetime(2022, 10, 30, 1, tzinfo=UTC)
    assert sum(one.begin < change < one.end for one in visits()) >= 3
    for month in MONTHS_OF_USE:
        own = [one for one in visits() if f"{one.begin:%Y-%m}" == month]
        assert any(f"{one.end:%Y-%m}" != month for one in own)
        only_known_later = [
            one
            for one in own
            if f"{one.end:%Y-%m}" == month and f"{one.end + one.until_known:%Y-%m}" != month
        ]
        assert only_known_later


# --- dirt ---


def test_each_kind_of_dirt_has_its_search_here() -> None:
    assert [dirt.kind for dirt in DIRT] == list(FOUND)


@pytest.mark.parametrize("dirt", DIRT, ids=lambda dirt: dirt.kind)
def test_each_kind_of_dirt_is_there_once_in_its_month(dirt: Dirt) -> None:
    found = [record for record in every() if FOUND[dirt.kind](record)]
    assert [record["last_updated"][:7] for record in found] == [dirt.month]


def test_a_correction_takes_the_record_back_and_makes_a_new_one() -> None:
    name = corrected_id()
    old, credit, new = (
        next(one for one in every() if one["id"] == name + end) for end in ("", "-C", "-N")
    )
    for cost in ("total_cost", "total_energy_cost"):
        assert credit[cost]["excl_vat"] == -old[cost]["excl_vat"] < 0
    assert str(credit["total_fixed_cost"]["excl_vat"]) in {"0", "0.0"}
    assert credit["total_energy"] == old["total_energy"] > new["total_energy"] > 0
    assert "credit" not in new
    assert old["session_id"] == credit["session_id"] == new["session_id"]
    assert {credit["last_updated"][:7], new["last_updated"][:7]} == {"2022-10"}


def test_what_was_refused_is_sent_again_within_four_weeks() -> None:
    name = first_of("sent_again")["id"]
    refused, right = [one for one in every() if one["id"] == name]
    assert right["total_parking_time"] <= right["total_time"]
    waited = datetime.fromisoformat(right["last_updated"]) - datetime.fromisoformat(
        refused["last_updated"]
    )
    assert timedelta() < waited <= timedelta(weeks=4)
    assert right["last_updated"].startswith("2022-10")
    twice = [name for name, times in Counter(one["id"] for one in every()).items() if times > 1]
    assert twice == [name]


# --- as the pipeline judges it ---


def staged(home: Path, month: str) -> Staged:
    file = home / "DEMO.json"
    file.write_bytes(sessions.file_of(month))
    return stage_file(home, "vattenfall/sessions", file, partition=month, received_at=RECEIVED)


@pytest.mark.parametrize("month", RECORDS)
def test_all_but_the_dirt_is_accepted(month: str, tmp_path: Path) -> None:
    made = staged(tmp_path, month)
    expected = QUARANTINED[month]
    assert {(count.outcome, count.reason): count.rows for count in made.staging.counts} == {
        ("accepted", ""): RECORDS[month] - len(expected)
    } | {("quarantined", rule): rows for rule, rows in expected.items()}
    # One thing is wrong with each, and that is what the table of dirt says.
    assert Counter(row["rule"] for row in made.quarantine("sessions")) == expected
    assert expected.keys() == {dirt.breaks for dirt in DIRT if dirt.month == month} - {None}
    (report,) = quality.read(made.job.quarantine_folder)
    assert report.operator == "NL-NUO"
    profile = BREAKING_THE_PROFILE.get(month, {})
    assert {one.rule: one.records for one in report.broken if not one.is_refused} == profile
    assert report.met_profile == report.accepted - len(profile)


def test_a_credit_is_told_apart_and_personal_data_stay_out(tmp_path: Path) -> None:
    made = staged(tmp_path, "2022-10")
    (credit,) = [row for row in made.accepted("sessions") if row["is_credit"]]
    assert credit["credited_cdr_id"] == corrected_id()
    assert credit["total_cost"] < 0
    accepted = (made.job.accepted_folder / "sessions.parquet").read_bytes()
    uid = every()[0]["cdr_token"]["uid"]
    assert uid.encode() not in accepted
    assert b"NL-DEM-C" not in accepted
