"""Plausibility: each check finds what it is for, and leaves alone what is usual."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from goral_pipeline.checks import plausibility
from goral_pipeline.checks.plausibility import CHECKS, Check, Finding, Judgement
from goral_pipeline.contracts import published

MARTS = (
    "dim_month",
    "dim_municipality",
    "mart_charge_point_comparison",
    "mart_charge_points",
    "mart_forecast",
    "mart_requests",
)
MONTHS = [f"2022-{number:02d}" for number in range(1, 13)]
ERMELO, BARNEVELD = "GM0233", "GM0203"
BY_NAME = {check.name: check for check in CHECKS}


@pytest.fixture
def con() -> Iterable[duckdb.DuckDBPyConnection]:
    """The marts as their contracts have them, empty but for months and two municipalities."""
    with duckdb.connect() as opened:
        opened.execute("create schema marts")
        for name in MARTS:
            (table,) = published()[name].tables
            columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
            opened.execute(f"create table marts.{name} ({columns})")
        insert(opened, "dim_month", [{"month": month} for month in MONTHS])
        insert(
            opened,
            "dim_municipality",
            [
                {"municipality_code": BARNEVELD, "municipality_name": "Barneveld"},
                {"municipality_code": ERMELO, "municipality_name": "Ermelo"},
            ],
        )
        yield opened


def insert(con: duckdb.DuckDBPyConnection, mart: str, rows: list[dict[str, Any]]) -> None:
    names = ", ".join(rows[0])
    marks = ", ".join("?" for _ in rows[0])
    con.executemany(
        f"insert into marts.{mart} ({names}) values ({marks})",
        [list(row.values()) for row in rows],
    )


def found(con: duckdb.DuckDBPyConnection, name: str, **thresholds: float) -> list[Finding]:
    """What is beyond the limit."""
    return [finding for finding in everything(con, name, **thresholds) if not finding.passed]


def everything(con: duckdb.DuckDBPyConnection, name: str, **thresholds: float) -> list[Finding]:
    return plausibility.findings(con, BY_NAME[name], judgement(name, **thresholds))


def judgement(name: str, **thresholds: float) -> Judgement:
    """As the file has it, with other thresholds where given, so that tests outlive a change."""
    own = plausibility.judgements()[name]
    change = {"from": None, "when": date(2022, 1, 1), "why": "for this test"}
    return Judgement.model_validate(
        {
            "severity": own.severity,
            "thresholds": {
                key: [change | {"to": thresholds.get(key, history[-1].to)}]
                for key, history in own.thresholds.items()
            },
        }
    )


# ── charge points ────────────────────────────────────────────────────────────────────────────────


def counts(
    con: duckdb.DuckDBPyConnection,
    numbers: dict[str, int],
    *,
    source: str = "rvo",
    municipality: str = ERMELO,
    access: str = "public",
    definitions: dict[str, str] | None = None,
) -> None:
    insert(
        con,
        "mart_charge_points",
        [
            {
                "source": source,
                "month": month,
                "municipality_code": municipality,
                "access": access,
                "speed": "regular",
                "charge_points": number,
                "definition": (definitions or {}).get(month, "points"),
            }
            for month, number in numbers.items()
        ],
    )


@pytest.mark.parametrize(
    ("source", "dataset"),
    [("rvo", "rvo/charge_point_counts"), ("ndw_dotnl", "ndw_dotnl/locations")],
)
def test_a_fall_is_found(con: duckdb.DuckDBPyConnection, source: str, dataset: str) -> None:
    counts(con, {"2022-01": 100, "2022-02": 69, "2022-03": 69}, source=source)
    (finding,) = found(con, "charge_points_fall", limit=20)
    assert (finding.dataset, finding.period, finding.area_code) == (dataset, "2022-02", ERMELO)
    assert finding.observed == 31.0
    assert finding.expected == "at most 20 % less than the month before"
    assert finding.message == "69 charge points, in 2022-01 still 100"
    assert finding.severity == "warning"


def test_a_fall_within_the_limit_and_a_rise_are_none(con: duckdb.DuckDBPyConnection) -> None:
    counts(con, {"2022-01": 100, "2022-02": 80, "2022-03": 500})
    assert not found(con, "charge_points_fall", limit=20)


def test_a_municipality_that_is_gone_has_fallen(con: duckdb.DuckDBPyConnection) -> None:
    counts(con, {"2022-01": 100, "2022-02": 100}, municipality=BARNEVELD)
    counts(con, {"2022-01": 100})
    (finding,) = found(con, "charge_points_fall", limit=20)
    assert (finding.area_code, finding.observed) == (ERMELO, 100.0)


def test_a_fall_over_a_month_that_is_missing_is_found(con: duckdb.DuckDBPyConnection) -> None:
    counts(con, {"2022-01": 100, "2022-04": 50})
    (finding,) = found(con, "charge_points_fall", limit=20)
    assert finding.period == "2022-04"


def test_a_fall_across_a_change_of_definition_is_none(con: duckdb.DuckDBPyConnection) -> None:
    changed = {"2022-01": "connectors", "2022-02": "points", "2022-03": "points"}
    counts(con, {"2022-01": 100, "2022-02": 70, "2022-03": 40}, definitions=changed)
    (finding,) = found(con, "charge_points_fall", limit=20)
    assert finding.period == "2022-03"


def test_few_charge_points_may_fall(con: duckdb.DuckDBPyConnection) -> None:
    counts(con, {"2022-01": 19, "2022-02": 1})
    assert not found(con, "charge_points_fall", limit=20, smallest=20)
    assert found(con, "charge_points_fall", limit=20, smallest=19)


def test_access_that_changes_its_name_is_no_fall(con: duckdb.DuckDBPyConnection) -> None:
    counts(con, {"2022-01": 100, "2022-02": 40}, access="public")
    counts(con, {"2022-01": 100, "2022-02": 160}, access="semi_public")
    assert not found(con, "charge_points_fall", limit=20)


@pytest.mark.parametrize("told", [True, False])
def test_a_municipality_without_public_charge_points_is_told(
    con: duckdb.DuckDBPyConnection, told: bool
) -> None:
    counts(con, {"2022-01": 3}, municipality=BARNEVELD)
    counts(con, {"2022-01": 8}, access="semi_public")
    if told:
        counts(con, {"2022-01": 0})
    (finding,) = found(con, "no_public_charge_points")
    assert (finding.area_code, finding.observed, finding.severity) == (ERMELO, 0.0, "info")
    assert finding.message == "none in Ermelo"


def test_of_what_dot_nl_knows_no_access_nothing_is_told(con: duckdb.DuckDBPyConnection) -> None:
    counts(con, {"2022-01": 8}, source="ndw_dotnl", access="unknown")
    assert everything(con, "no_public_charge_points") == []


@pytest.mark.parametrize("strange", [40, 250, 0])
def test_a_month_of_counts_far_from_its_neighbours_is_found(
    con: duckdb.DuckDBPyConnection, strange: int
) -> None:
    counts(con, {month: strange if month == "2022-06" else 100 for month in MONTHS})
    (finding,) = found(con, "charge_points_far_from_neighbours", limit=1.5)
    assert (finding.period, finding.area_code) == ("2022-06", None)
    assert finding.message == f"{strange}, where the months around it have 100"


def test_counts_that_grow_are_usual(con: duckdb.DuckDBPyConnection) -> None:
    counts(con, {month: 100 + 4 * place for place, month in enumerate(MONTHS)})
    assert not found(con, "charge_points_far_from_neighbours", limit=1.25)


def test_two_months_are_no_neighbourhood(con: duckdb.DuckDBPyConnection) -> None:
    counts(con, {"2022-01": 100, "2022-02": 1000})
    assert everything(con, "charge_points_far_from_neighbours") == []


def test_sources_that_differ_are_found(con: duckdb.DuckDBPyConnection) -> None:
    may = {"month": "2022-05", "kind": "total", "rvo": 200, "ndw_dotnl": 190}
    june = {"month": "2022-06", "kind": "total", "rvo": 200, "ndw_dotnl": 100}
    july = {"month": "2022-07", "kind": "total", "rvo": None, "ndw_dotnl": 100}
    for municipality in (BARNEVELD, ERMELO):
        rows = [row | {"municipality_code": municipality} for row in (may, june, july)]
        insert(con, "mart_charge_point_comparison", rows)
    (finding,) = found(con, "sources_differ", limit=25)
    assert (finding.period, finding.area_code, finding.observed) == ("2022-06", None, 50.0)
    assert finding.message == "200 charge points by DOT-NL, 400 by RVO"


# ── requests ─────────────────────────────────────────────────────────────────────────────────────


def requests(
    con: duckdb.DuckDBPyConnection,
    numbers: dict[str, int],
    *,
    state: str = "realised",
    reference_date: str = "2022-12-01",
    concession: str = "ecotap_allego",
) -> None:
    insert(
        con,
        "mart_requests",
        [
            {
                "concession": concession,
                "reference_date": reference_date,
                "request_month": month,
                "municipality_code": ERMELO,
                "state": state,
                "reason": "none",
                "requests": number,
                "repeated": 0,
            }
            for month, number in numbers.items()
        ],
    )


def test_the_rejections_published_for_2022_are_found(con: duckdb.DuckDBPyConnection) -> None:
    requests(con, {"2022-02": 549}, state="rejected")
    requests(con, {"2022-02": 8}, state="pending_assessment")
    requests(con, {"2022-03": 7})
    requests(con, {"2022-05": 1276}, state="rejected", concession="vattenfall")
    requests(con, {"2022-05": 1720}, concession="vattenfall")
    # By the threshold in force.
    (finding,) = found(con, "rejected_share")
    assert (finding.dataset, finding.area_code) == ("ecotap_allego/requests", "ecotap_allego")
    assert (finding.period, finding.observed) == ("2022-12-01", 97.3)
    assert finding.expected == "at most 90 % of requests rejected"
    assert finding.message == "549 of 564 requests"


def test_of_a_few_requests_all_may_be_rejected(con: duckdb.DuckDBPyConnection) -> None:
    requests(con, {"2022-02": 19}, state="rejected")
    assert not found(con, "rejected_share", smallest=20)


@pytest.mark.parametrize("strange", [10, 1000])
def test_a_month_of_requests_far_from_its_neighbours_is_found(
    con: duckdb.DuckDBPyConnection, strange: int
) -> None:
    numbers = dict.fromkeys(MONTHS, 100) | {"2022-06": strange}
    requests(con, numbers)
    # What was known of them at earlier dates is not counted again.
    requests(con, numbers, reference_date="2022-11-01")
    (finding,) = found(con, "requests_far_from_neighbours", limit=3)
    assert (finding.period, finding.observed) == ("2022-06", 10.0)
    assert finding.message == f"{strange}, where the months around it have 100"


def test_a_month_without_any_request_is_found(con: duckdb.DuckDBPyConnection) -> None:
    requests(con, {month: 100 for month in MONTHS if month != "2022-06"})
    (finding,) = found(con, "requests_far_from_neighbours", limit=3)
    assert (finding.period, finding.observed) == ("2022-06", 100.0)


def test_months_outside_of_the_concession_are_not_missed(con: duckdb.DuckDBPyConnection) -> None:
    requests(con, {month: 100 for month in MONTHS if "2022-04" <= month <= "2022-10"})
    judged = everything(con, "requests_far_from_neighbours", limit=3)
    assert all(finding.passed for finding in judged)
    assert [finding.period for finding in judged] == MONTHS[9:2:-1]


def test_between_few_requests_any_factor_is_chance(con: duckdb.DuckDBPyConnection) -> None:
    requests(con, dict.fromkeys(MONTHS, 2) | {"2022-06": 19})
    assert not found(con, "requests_far_from_neighbours", limit=3, smallest=20)


# ── forecasts ────────────────────────────────────────────────────────────────────────────────────


def forecast(
    con: duckdb.DuckDBPyConnection, low: float, middle: float, high: float, **other: Any
) -> None:
    row = {
        "edition": "2024Q1",
        "year": 2030,
        "municipality_code": ERMELO,
        "quantity": "public_regular",
    } | other
    scenarios = {"low": low, "middle": middle, "high": high}
    insert(
        con,
        "mart_forecast",
        [row | {"scenario": name, "forecast": value} for name, value in scenarios.items()],
    )


@pytest.mark.parametrize("values", [(120, 110, 130), (100, 132, 110), (120, 120, 100)])
def test_scenarios_out_of_order_are_found(
    con: duckdb.DuckDBPyConnection, values: tuple[float, float, float]
) -> None:
    forecast(con, *values)
    forecast(con, 100, 110, 130, year=2031)
    forecast(con, 100, 110, 130, edition="2023Q1")
    (finding,) = found(con, "scenarios_out_of_order", limit=1)
    assert (finding.period, finding.area_code) == ("2024Q1", ERMELO)
    assert finding.message.startswith("public_regular in 2030: low ")


def test_scenarios_that_are_equal_or_hardly_differ_are_usual(
    con: duckdb.DuckDBPyConnection,
) -> None:
    forecast(con, 100, 100, 100)
    forecast(con, 100.5, 100, 100, year=2031)
    forecast(con, 3, 2, 1, year=2032)
    forecast(con, 0, 0, 0, year=2033)
    assert not found(con, "scenarios_out_of_order", limit=1, smallest=10)


# ── all of them ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_of_nothing_nothing_is_found(con: duckdb.DuckDBPyConnection, check: Check) -> None:
    assert plausibility.findings(con, check, judgement(check.name)) == []


def test_where_nothing_is_found_it_is_told_that_it_was_judged_and_the_newest_is_first(
    con: duckdb.DuckDBPyConnection,
) -> None:
    counts(con, {"2022-01": 100, "2022-02": 10, "2022-03": 10})
    counts(con, {"2022-01": 100, "2022-02": 100, "2022-03": 100}, municipality=BARNEVELD)
    judged = everything(con, "charge_points_fall", limit=20, smallest=5)
    assert [(one.period, one.passed, one.message) for one in judged] == [
        ("2022-03", True, "2 judged"),
        ("2022-02", False, "10 charge points, in 2022-01 still 100"),
    ]


def test_the_order_of_rows_does_not_matter(con: duckdb.DuckDBPyConnection) -> None:
    for place, month in enumerate(MONTHS):
        counts(con, {month: 100 if place % 2 else 10})
        counts(con, {month: 10 if place % 2 else 100}, municipality=BARNEVELD)
    before = everything(con, "charge_points_fall", smallest=5)
    rows = con.execute("from marts.mart_charge_points").fetchall()
    random.Random(1).shuffle(rows)
    con.execute("truncate marts.mart_charge_points")
    con.executemany(f"insert into marts.mart_charge_points values ({', '.join('?' * 9)})", rows)
    assert everything(con, "charge_points_fall", smallest=5) == before
    assert not all(finding.passed for finding in before)


@hypothesis_settings(deadline=None, max_examples=30)
@given(
    observed=st.lists(st.integers(0, 200), min_size=1, max_size=20),
    limit=st.integers(0, 200),
    bound=st.sampled_from(["at most", "at least"]),
)
def test_great_expectations_finds_just_what_is_beyond_the_limit(
    observed: list[int], limit: int, bound: plausibility.Bound
) -> None:
    values = ", ".join(f"({place}, {value})" for place, value in enumerate(observed))
    check = Check(
        name="any",
        mart="any",
        bound=bound,
        unit="of something",
        sql=f"select 'a/b' as dataset, '2022' as period, place::varchar as area_code, "
        f"number as observed, '' as message from (values {values}) as t(place, number)",
    )
    own = judgement("no_public_charge_points", limit=limit)
    with duckdb.connect() as con:
        findings = plausibility.findings(con, check, own)
    beyond = {
        str(place)
        for place, value in enumerate(observed)
        if (value > limit if bound == "at most" else value < limit)
    }
    assert {one.area_code for one in findings if not one.passed} == beyond
    assert [one.message for one in findings if one.passed] == (
        [] if beyond else [f"{len(observed)} judged"]
    )


def test_a_mart_that_is_not_there_is_an_error(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("drop table marts.mart_requests")
    with pytest.raises(duckdb.CatalogException, match="mart_requests"):
        everything(con, "rejected_share")


# ── thresholds ───────────────────────────────────────────────────────────────────────────────────

FIRST = {"from": None, "to": 20, "when": date(2022, 1, 1), "why": "as a beginning"}
SECOND = {"from": 20, "to": 30, "when": date(2023, 1, 1), "why": "too many warnings"}


def test_every_check_has_thresholds_with_their_history() -> None:
    judged = plausibility.judgements()
    assert list(judged) == list(BY_NAME)
    assert judged["rejected_share"].limit == 90
    assert judged["rejected_share"].parameters == {"smallest": 20}


def test_the_last_change_counts() -> None:
    read = Judgement.model_validate(
        {"severity": "info", "thresholds": {"limit": [FIRST, SECOND], "smallest": [FIRST]}}
    )
    assert (read.limit, read.parameters) == (30, {"smallest": 20})


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ([SECOND], "each `from` must be the `to` before it"),
        ([FIRST, SECOND | {"from": 25}], "each `from` must be the `to` before it"),
        ([FIRST, SECOND | {"when": date(2021, 1, 1)}], "not in the order of their dates"),
        ([FIRST | {"why": ""}], "at least 10 characters"),
        ([FIRST | {"whom": "me"}], "Extra inputs"),
        ([{"to": 20}], "Field required"),
        ([], "at least 1 item"),
    ],
)
def test_a_threshold_without_its_history_is_refused(
    history: list[dict[str, Any]], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Judgement.model_validate({"severity": "info", "thresholds": {"limit": history}})


def test_a_judgement_without_a_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no limit"):
        Judgement.model_validate({"severity": "info", "thresholds": {"smallest": [FIRST]}})


def test_thresholds_of_no_check_and_checks_without_are_refused(tmp_path: Path) -> None:
    written = yaml.safe_load(plausibility.THRESHOLDS.read_text())
    written["nosuch"] = written.pop("rejected_share")
    file = tmp_path / "thresholds.yaml"
    file.write_text(yaml.safe_dump(written))
    with pytest.raises(ValueError, match="nosuch"):
        plausibility.judgements(file)
