"""Every rule of every staged contract has a row that breaks it; that row alone is quarantined."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from goral_pipeline.contracts import staged
from goral_pipeline.contracts.model import type_rule
from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.staging import judge
from goral_pipeline.staging.judge import PARENT_QUARANTINED
from goral_pipeline.staging.stage import stage
from tests.checks.frames import judged
from tests.staging import raw_cases
from tests.staging.raw_cases import RawCase
from tests.support_files import (
    BOUNDARIES,
    LOCATIONS,
    REQUESTS,
    Row,
    connector,
    evse,
    feature,
    fillers,
    geojson_file,
    job_of,
    location,
    ocpi_file,
    quarantine_of,
    request,
    requests,
    workbook_file,
)

CONTRACTS = {
    LOCATIONS: staged()[LOCATIONS],
    REQUESTS: staged()["concession/requests"],
    BOUNDARIES: staged()[BOUNDARIES],
}
TABLE_LEVELS = ("locations", "charge_points", "connectors")


@dataclass(frozen=True)
class Case:
    """A record that breaks `rule` of `table`; `also` are rules that cannot be kept with it."""

    dataset: str
    table: str
    rule: str
    record: Any
    also: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.table}.{self.rule}"


def _location(rule: str, **changes: Any) -> Case:
    return Case(LOCATIONS, "locations", rule, location(f"bad {rule}"[:36], **changes))


def _charge_point(rule: str, **changes: Any) -> Case:
    bad = location(f"cp {rule}"[:36], evses=[evse(**changes), evse(uid="good")])
    return Case(LOCATIONS, "charge_points", rule, bad)


def _connector(rule: str, also: str = "", **changes: Any) -> Case:
    plugs = [connector(id="good"), connector(**({"id": "bad"} | changes))]
    bad = location(f"plug {rule}"[:36], evses=[evse(connectors=plugs)])
    return Case(LOCATIONS, "connectors", rule, bad, frozenset(also.split()))


def _request(rule: str, also: str = "", **changes: Any) -> Case:
    words = {name.replace("_", " "): value for name, value in changes.items()}
    bad = request(f"bad-{rule}") | words
    return Case(REQUESTS, "requests", rule, bad, frozenset(also.split()))


def _rejected(rule: str, **changes: Any) -> Case:
    ending = {
        "Datum_afwijzing": "10-07-2022",
        "Reden_afwijzing": "laadpaal binnen 250 meter",
        "Datum_goedkeuring": None,
        "Datum_realisatie": None,
    }
    return _request(rule, **(ending | changes))


def _boundary(rule: str, **changes: Any) -> Case:
    return Case(BOUNDARIES, "municipality_boundaries", rule, feature(**changes))


def _at(latitude: Any, longitude: Any) -> Row:
    return {"latitude": latitude, "longitude": longitude}


CASES = [
    _location("country_code_required", country_code=None),
    _location("country_code_pattern", country_code="NLD"),
    _location("party_id_required", party_id=" "),
    _location("party_id_pattern", party_id="abc"),
    _location("location_id_required", id=None),
    _location("location_id_pattern", id="x" * 37),
    _location("publish_type", publish="perhaps"),
    _location("publish_required", publish=None),
    _location("address_length", address="a" * 256),
    _location("city_length", city="c" * 101),
    _location("postal_code_length", postal_code="1234 AB en 1235 AB"),
    _location("latitude_type", coordinates=_at("fifty-two", "5.66")),
    _location("latitude_required", coordinates=_at(None, "5.66")),
    _location("latitude_range", coordinates=_at("5.66", "5.66")),
    _location("longitude_type", coordinates=_at("52.04", "5,66")),
    _location("longitude_required", coordinates=_at("52.04", "")),
    _location("longitude_range", coordinates=_at("52.04", "52.04")),
    _location("parking_type_code", parking_type="ON_THE_MOON"),
    _location("operator_name_length", operator={"name": "o" * 101}),
    _location("last_updated_type", last_updated="2022-02-30T00:00:00Z"),
    _location("last_updated_required", last_updated=None),
    _charge_point("evse_uid_required", uid=None),
    _charge_point("evse_uid_pattern", uid="x" * 37),
    _charge_point("evse_id_length", evse_id="N" * 49),
    _charge_point("status_required", status=None),
    _charge_point("status_code", status="ASLEEP"),
    _charge_point("last_updated_type", last_updated="yesterday"),
    _charge_point("last_updated_required", last_updated=None),
    _connector("connector_id_required", id=None),
    _connector("connector_id_pattern", id="x" * 37),
    _connector("standard_required", standard=None),
    _connector("standard_pattern", standard="type 2"),
    _connector("power_type_required", power_type=None),
    _connector("power_type_code", power_type="AC_4_PHASE"),
    _connector("max_voltage_v_type", max_voltage="230 V"),
    _connector("max_voltage_v_required", max_voltage=None),
    _connector("max_voltage_v_range", max_voltage=0),
    _connector("max_amperage_a_type", max_amperage=16.5),
    _connector("max_amperage_a_required", max_amperage=None),
    _connector("max_amperage_a_range", max_amperage=4001),
    _connector("power_kw_type", max_electric_power="much"),
    _connector(
        "power_kw_required", "max_voltage_v_required", max_voltage=None, max_electric_power=None
    ),
    _connector("power_plausible", max_electric_power=1_500_001),
    _connector("last_updated_type", last_updated="infinity"),
    _connector("last_updated_required", last_updated=None),
    _request("request_id_required", Aanvraagnummer=None),
    _request("request_id_pattern", Aanvraagnummer="R 1"),
    _request("municipality_code_required", Gemeente=None),
    _request("municipality_code_pattern", Gemeente="Atlantis"),
    _request("occasion_required", Aanleiding=None),
    _request("occasion_code", Aanleiding="zomaar"),
    _request("requested_on_type", Datum_aanvraag="31-02-2022"),
    _request("requested_on_required", Datum_aanvraag=None),
    _request("requested_on_range", "requested_in_period", Datum_aanvraag="31-10-2020"),
    _request("rejected_on_type", Datum_afwijzing="31-06-2022"),
    _rejected("rejection_reason_code", Reden_afwijzing="geen zin"),
    _request("withdrawn_on_type", Datum_intrekking="29-02-2022"),
    _request("approved_on_type", Datum_goedkeuring="juli", Datum_realisatie=None),
    _request("realised_on_type", Datum_realisatie="99-99-2022"),
    _request("last_updated_type", Laatst_gewijzigd="02-08-2022 25:00:00"),
    _request("last_updated_required", Laatst_gewijzigd=None),
    _rejected("rejection_has_reason", Reden_afwijzing=None),
    _rejected("reason_has_rejection", Datum_afwijzing=None),
    _rejected("rejected_not_approved", Datum_goedkeuring="10-07-2022"),
    _request("realised_after_approval", Datum_goedkeuring="02-08-2022"),
    _request("realised_not_withdrawn", Datum_intrekking="02-08-2022"),
    _rejected("rejected_not_withdrawn", Datum_intrekking="11-07-2022"),
    _request("nothing_before_request", Datum_aanvraag="11-07-2022"),
    _request("nothing_after_last_update", Laatst_gewijzigd="31-07-2022 23:59:59"),
    _boundary("municipality_code_required", code=None),
    _boundary("municipality_code_pattern", code="228"),
    _boundary("municipality_name_required", name=None),
    _boundary("municipality_name_length", name="n" * 81),
    _boundary("geometry_required", geometry={"type": "Point", "coordinates": [5.6, 52.0]}),
]

COPIED = "copied from its parent, which is quarantined itself when it is missing"
MADE_HERE = "filled in by the reading, as declared or computed"
UNBREAKABLE = {
    **{
        (LOCATIONS, table, f"{column}_required"): COPIED
        for table in ("charge_points", "connectors")
        for column in ("country_code", "party_id", "location_id")
    },
    (LOCATIONS, "connectors", "evse_uid_required"): COPIED,
    (LOCATIONS, "connectors", "power_origin_required"): MADE_HERE,
    (LOCATIONS, "connectors", "power_origin_code"): MADE_HERE,
}
"""Rules that no delivery can break, and why."""


def _all_rules() -> dict[tuple[str, str, str], str]:
    """Column of each rule by dataset, table and name; once where contracts share their tables."""
    return {
        (contract.dataset, table.name, rule.name): rule.column
        for contract in staged().values()
        if contract.schema_path == contract.path
        for table in contract.tables
        for rule in [
            *table.rules,
            *(type_rule(c) for c in table.delivered_columns if c.type not in ("VARCHAR", "BLOB")),
        ]
    }


RULES = _all_rules()


def _rule_of(case: Case | RawCase) -> tuple[str, str, str]:
    dataset = case.dataset if isinstance(case, RawCase) else CONTRACTS[case.dataset].dataset
    return dataset, case.table, case.rule


BROKEN = [_rule_of(case) for case in (*CASES, *raw_cases.CASES)]


def test_every_rule_has_a_case_that_breaks_it_or_a_reason_why_none_can() -> None:
    assert set(BROKEN).isdisjoint(UNBREAKABLE)
    assert set(BROKEN) | set(UNBREAKABLE) == set(RULES)


def test_no_rule_has_two_cases_under_one_name() -> None:
    assert len(set(BROKEN)) == len(BROKEN)


# --- rows as reading hands them on ---

Found = dict[int, set[tuple[str, str]]]
"""By record number: rule and column of what would be in quarantine."""


@pytest.fixture(scope="module")
def raw_outcomes() -> Callable[[raw_cases.Table], Found]:
    """Judge the good row of a table and, below it, all cases of the table, once."""
    return cache(_broken)


def _broken(table: raw_cases.Table) -> Found:
    contract, good = staged()[table[0]], raw_cases.GOOD[table]
    rows = [good, *(good | case.changes for case in raw_cases.cases_of(table))]
    con = judged(contract, raw_cases.rows_among(table, rows))
    query, found = judge.quarantined_rows(contract.table(table[1])), Found()
    for row in con.execute(query, {"delivery_id": "d"}).to_arrow_table().to_pylist():
        entry = (row["rule"], row["column_name"])
        found.setdefault(row["record_number"], set()).add(entry)
    return found


@pytest.mark.parametrize("case", raw_cases.CASES, ids=str)
def test_a_text_that_breaks_the_rule_is_quarantined_with_its_name_and_column(
    case: RawCase, raw_outcomes: Callable[[raw_cases.Table], Found]
) -> None:
    table = (case.dataset, case.table)
    number = 2 + raw_cases.cases_of(table).index(case)
    expected = {(rule, RULES[case.dataset, case.table, rule]) for rule in {case.rule} | case.also}
    assert raw_outcomes(table)[number] == expected


@pytest.mark.parametrize("table", raw_cases.GOOD, ids=".".join)
def test_the_good_row_beside_them_is_accepted(
    table: raw_cases.Table, raw_outcomes: Callable[[raw_cases.Table], Found]
) -> None:
    assert set(raw_outcomes(table)) == set(range(2, 2 + len(raw_cases.cases_of(table))))


# --- whole deliveries ---


Outcome = dict[int, set[tuple[str, str, str]]]
"""By record number: table, rule and column of what is in quarantine."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outcome]:
    """Stage all cases of a dataset in one delivery, among good records, once."""
    done: dict[str, Outcome] = {}

    def outcome(dataset: str) -> Outcome:
        if dataset not in done:
            home = tmp_path_factory.mktemp("rules")
            job = job_of(home, dataset, _delivery(home, dataset))
            if dataset == BOUNDARIES:
                # It tolerates no bad row; the quarantine is written all the same.
                with pytest.raises(DeliveryRejected, match="break a rule"):
                    stage(job)
            else:
                stage(job)
            done[dataset] = {}
            for table in CONTRACTS[dataset].tables:
                for row in quarantine_of(job, table.name):
                    assert row["expected"]
                    entry = (table.name, row["rule"], row["column_name"])
                    done[dataset].setdefault(row["record_number"], set()).add(entry)
        return done[dataset]

    return outcome


def _cases(dataset: str) -> list[Case]:
    return [case for case in CASES if case.dataset == dataset]


def _first_record(dataset: str) -> int:
    return 3 if dataset == REQUESTS else 1


def _delivery(home: Path, dataset: str) -> Path:
    bad = [case.record for case in _cases(dataset)]
    if dataset == LOCATIONS:
        return ocpi_file(home / "file.json.gz", [*bad, *fillers(20 * len(bad))])
    if dataset == REQUESTS:
        return workbook_file(home / "file", [*bad, *requests(20 * len(bad))])
    return geojson_file(home / "file", [*bad, feature("GM0200", "Apeldoorn")])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_row_that_breaks_the_rule_is_quarantined_with_its_name_and_column(
    case: Case, outcomes: Callable[[str], Outcome]
) -> None:
    number = _first_record(case.dataset) + _cases(case.dataset).index(case)
    found = outcomes(case.dataset)[number]
    expected = {
        (case.table, rule, RULES[CONTRACTS[case.dataset].dataset, case.table, rule])
        for rule in {case.rule} | case.also
    }
    if case.dataset == LOCATIONS:
        below = TABLE_LEVELS[TABLE_LEVELS.index(case.table) + 1 :]
        expected |= {(table, PARENT_QUARANTINED, "") for table in below}
    assert found == expected


@pytest.mark.parametrize("dataset", [LOCATIONS, REQUESTS, BOUNDARIES])
def test_no_good_row_is_quarantined_beside_the_bad_ones(
    dataset: str, outcomes: Callable[[str], Outcome]
) -> None:
    first = _first_record(dataset)
    assert set(outcomes(dataset)) == set(range(first, first + len(_cases(dataset))))
