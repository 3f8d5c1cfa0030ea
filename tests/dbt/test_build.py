"""The dbt project on hand-written deliveries: every figure below was counted by hand."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.dbt.conftest import (
    AMSTERDAM,
    ARNHEM,
    DBT_PROJECT,
    MUNICIPALITIES,
    NO_UNIT_TESTS,
    VEENENDAAL,
    ZWOLLE,
    Builder,
    Snapshot,
    Warehouse,
    delivery,
    request,
    together,
)

BOUNDARIES = delivery("pdok/municipality_boundaries", "2022")


def boundaries(of: dict[str, Any] = BOUNDARIES) -> list[dict[str, Any]]:
    """Outlines, of which dbt only looks whether they are there."""
    return [
        {
            "municipality_code": code,
            "municipality_name": code,
            "geometry": b"",
            "delivery_id": of["delivery_id"],
            "record_number": number,
        }
        for number, code in enumerate(MUNICIPALITIES, start=1)
    ]


# ── nothing, or half of it ───────────────────────────────────────────────────────────────────────


def test_builds_without_any_delivery(builder: Builder) -> None:
    # The one build of these that runs dbt's unit tests too.
    warehouse = builder.build()
    assert warehouse.failed() == set(), warehouse.output
    assert warehouse.results["fast_by_the_definition_of_the_month"] == "pass"
    assert warehouse.rows("select count(*) from marts.dim_municipality") == [(77,)]
    for empty in (
        "dim_month",
        "mart_charge_points",
        "mart_location_placement",
        "mart_charge_point_comparison",
        "mart_coverage",
        "mart_forecast",
        "mart_logistics_forecast",
        "mart_requests",
        "kpi_requests",
        "kpi_use",
        "indicator_values",
    ):
        assert warehouse.rows(f"select count(*) from marts.{empty}") == [(0,)]


def test_the_tables_of_single_sessions_build_without_any_delivery(builder: Builder) -> None:
    warehouse = builder.build(single_sessions=True)
    assert warehouse.failed() == set(), warehouse.output
    assert warehouse.results["a_place_in_a_delivery_is_no_key"] == "pass"
    assert warehouse.results["a_location_is_taken_from_the_newest_list_that_has_it"] == "pass"
    assert warehouse.rows("select count(*) from cdr.cdr_sessions") == [(0,)]


def test_schemas_are_named_plainly(full: Warehouse) -> None:
    found = full.rows(
        "select table_schema, count(*) > 0 from information_schema.tables group by 1 order by 1"
    )
    assert [schema for schema, _ in found] == [
        "intermediate",
        "marts",
        "reference",
        "staged",
        "staging",
    ]


def test_builds_with_only_locations(builder: Builder) -> None:
    snapshot = Snapshot("2022-11")
    warehouse = builder.build(
        NO_UNIT_TESTS,
        deliveries=[delivery("ndw_dotnl/locations", "2022-11"), BOUNDARIES],
        pdok__municipality_boundaries=boundaries(),
        **snapshot.staged(
            {"id": "a", "municipality": ARNHEM, "charge_points": {"1": ("AVAILABLE", 11)}}
        ),
    )
    assert warehouse.failed() | warehouse.warned() == set(), warehouse.output
    assert warehouse.indicators("charge_points_public_regular", "2022-11") == {
        "nal_oost": 1,
        "gelderland_overijssel": 1,
        "Gelderland": 1,
        "Overijssel": 0,
        "Utrecht": 0,
    }
    assert warehouse.rows("select count(*) from marts.mart_requests") == [(0,)]


def test_builds_with_only_requests(builder: Builder) -> None:
    of = delivery("vattenfall/requests", "2022-04")
    warehouse = builder.build(
        NO_UNIT_TESTS, deliveries=[of], concession__requests=[request(of, "a", "2022-04-03")]
    )
    assert warehouse.failed() | warehouse.warned() == set(), warehouse.output
    assert warehouse.indicators("requests_received", "2022-05-01")["vattenfall"] == 1
    assert warehouse.rows("select count(*) from marts.mart_charge_points") == [(0,)]


# ── a whole year, so to speak ────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def full(builder: Builder) -> Warehouse:
    april = delivery("vattenfall/requests", "2022-04")
    may = delivery("vattenfall/requests", "2022-05")
    # June came before May did, and July is invented.
    june = delivery("vattenfall/requests", "2022-06", received_at="2022-05-20 12:00:00+00")
    july = delivery("vattenfall/requests", "2022-07", demo=True)
    requests = [
        # Latest version wins, in whichever order they came.
        request(april, "approved", "2022-04-10"),
        request(may, "approved", "2022-04-10", approved_on="2022-05-02"),
        request(june, "realised", "2022-04-11", approved_on="2022-05-31", realised_on="2022-06-30"),
        request(may, "realised", "2022-04-11", approved_on="2022-05-31"),
        request(april, "realised", "2022-04-11"),
        # On a reference date itself: not there yet, and not rejected yet.
        request(may, "on the day", "2022-05-01"),
        request(
            june,
            "on the day",
            "2022-05-01",
            rejected_on="2022-06-01",
            rejection_reason="own_parking_place",
        ),
        request(
            june,
            "withdrawn",
            "2022-05-07",
            municipality_code=ZWOLLE,
            approved_on="2022-05-20",
            withdrawn_on="2022-06-15",
        ),
        request(july, "invented", "2022-07-01", municipality_code=VEENENDAAL),
    ]
    before = Snapshot("2023-09").staged(
        {
            "id": "a",
            "municipality": ARNHEM,
            "charge_points": {
                "22": ("AVAILABLE", 22.08),
                "25": ("CHARGING", 25),
                "planned": ("PLANNED", 22),
                "removed": ("REMOVED", 22),
            },
        },
        {
            "id": "garage",
            "municipality": ZWOLLE,
            "parking_type": "PARKING_GARAGE",
            "near_border": True,
            "charge_points": {"1": ("OUTOFORDER", 11), "2": ("UNKNOWN",)},
        },
        {
            "id": "lot",
            "municipality": VEENENDAAL,
            "parking_type": "PARKING_LOT",
            "charge_points": {"1": ("BLOCKED", 3.7, 150, 62.5), "2": ("AVAILABLE", 7.4)},
        },
        {
            "id": "hidden",
            "municipality": ARNHEM,
            "publish": False,
            "charge_points": {"1": ("AVAILABLE", 11)},
        },
        {"id": "amsterdam", "municipality": AMSTERDAM, "charge_points": {"1": ("AVAILABLE", 11)}},
        {"id": "sea", "municipality": None, "charge_points": {"1": ("AVAILABLE", 11)}},
        # Ids are unique with the operator only; one without charge points is accounted for too.
        {"id": "a", "party": "BBB", "municipality": ARNHEM},
    )
    after = Snapshot("2023-10").staged(
        {
            "id": "a",
            "municipality": ARNHEM,
            "parking_type": None,
            "charge_points": {
                "22": ("AVAILABLE", 22.17),
                "25": ("CHARGING", 25),
                "45": ("CHARGING", 45),
                "50": ("AVAILABLE", 50),
            },
        },
    )
    return builder.build(
        NO_UNIT_TESTS,
        deliveries=[
            june,
            july,
            april,
            may,
            BOUNDARIES,
            delivery("ndw_dotnl/locations", "2023-09"),
            delivery("ndw_dotnl/locations", "2023-10", demo=True),
        ],
        pdok__municipality_boundaries=boundaries(),
        concession__requests=requests,
        **together(before, after),
    )


def test_every_check_passes(full: Warehouse) -> None:
    assert full.failed() | full.warned() == set(), full.output


def test_months_run_to_the_last_delivered(full: Warehouse) -> None:
    found = full.rows("select * from marts.dim_month order by month")
    assert len(found) == 36
    assert found[0][:3] == ("2020-11", 2020, "2020-Q4")
    assert found[-1][:3] == ("2023-10", 2023, "2023-Q4")
    assert [str(day) for day in found[-1][3:5]] == ["2023-10-01", "2023-10-31"]


def test_charge_points(full: Warehouse) -> None:
    found = full.rows(
        "select * exclude (source, definition, definition_note, origin) "
        "from marts.mart_charge_points"
    )
    assert found == [
        ("2023-09", ZWOLLE, "semi_public", "regular", 1),
        ("2023-09", ZWOLLE, "semi_public", "unknown", 1),
        ("2023-09", ARNHEM, "public", "fast", 1),
        ("2023-09", ARNHEM, "public", "regular", 1),
        ("2023-09", VEENENDAAL, "unknown", "fast", 1),
        ("2023-09", VEENENDAAL, "unknown", "regular", 1),
        ("2023-10", ARNHEM, "unknown", "fast", 1),
        ("2023-10", ARNHEM, "unknown", "regular", 3),
    ]


def test_placement_accounts_for_all(full: Warehouse) -> None:
    found = full.rows(
        "select * exclude (source) from marts.mart_location_placement where month = '2023-09'"
    )
    assert found == [
        ("2023-09", "in_region", False, 4, 4, 3),
        ("2023-09", "in_region", True, 1, 2, 0),
        ("2023-09", "other_municipality", False, 1, 1, 0),
        ("2023-09", "outside", False, 1, 1, 0),
    ]


def test_charge_point_indicators(full: Warehouse) -> None:
    assert full.indicators("charge_points_fast", "2023-09") == {
        "nal_oost": 2,
        "gelderland_overijssel": 1,
        "Gelderland": 1,
        "Overijssel": 0,
        "Utrecht": 1,
    }
    region = {
        indicator: (int(value), status)
        for indicator, value, status in full.rows(
            "select indicator, value, status from marts.indicator_values "
            "where area_type = 'nal_region' and period = '2023-10'"
        )
    }
    assert region == {
        "charge_points_public_regular": (0, "demo"),
        "charge_points_semi_public_regular": (0, "demo"),
        "charge_points_unknown_access_regular": (3, "demo"),
        "charge_points_fast": (1, "demo"),
        "charge_points_unknown_speed": (0, "demo"),
    }
    assert full.rows(
        "select distinct status, dimensions from marts.indicator_values where period = '2023-09'"
    ) == [("provisional", '{"source":"ndw_dotnl"}')]


@pytest.mark.parametrize(
    ("reference_date", "expected"),
    [
        # received, pending, rejected, withdrawn, approved, in realisation, realised
        ("2022-05-01", [2, 2, 0, 0, 0, 0, 0]),
        ("2022-06-01", [4, 1, 0, 0, 3, 3, 0]),
        ("2022-07-01", [4, 0, 1, 1, 2, 1, 1]),
        ("2022-08-01", [5, 1, 1, 1, 2, 1, 1]),
    ],
)
def test_requests_at_a_reference_date(
    full: Warehouse, reference_date: str, expected: list[int]
) -> None:
    indicators = [
        "requests_received",
        "requests_pending_assessment",
        "requests_rejected",
        "requests_withdrawn",
        "requests_approved",
        "requests_in_realisation",
        "requests_realised",
    ]
    found = [full.indicators(one, reference_date)["vattenfall"] for one in indicators]
    assert found == expected


def test_reference_dates_follow_delivered_months(full: Warehouse) -> None:
    found = full.rows(
        "select distinct period, status from marts.indicator_values "
        "where period_type = 'reference_date' order by 1"
    )
    assert found == [
        ("2022-05-01", "provisional"),
        ("2022-06-01", "provisional"),
        ("2022-07-01", "provisional"),
        ("2022-08-01", "demo"),
    ]


def test_requests_by_province(full: Warehouse) -> None:
    found = full.rows(
        "select area_type, area_code, area_name, dimensions, value from marts.indicator_values "
        "where indicator = 'requests_received' and period = '2022-08-01' order by all"
    )
    dimensions = '{"concession":"vattenfall"}'
    assert found == [
        ("concession", "vattenfall", "Vattenfall InCharge", "{}", Decimal(5)),
        ("province", "Gelderland", "Gelderland", dimensions, Decimal(3)),
        ("province", "Overijssel", "Overijssel", dimensions, Decimal(1)),
        ("province", "Utrecht", "Utrecht", dimensions, Decimal(1)),
    ]


def test_requests_in_detail(full: Warehouse) -> None:
    found = full.rows(
        "select request_month, municipality_code, state, reason, requests "
        "from marts.mart_requests where reference_date = date '2022-07-01'"
    )
    assert found == [
        ("2022-04", ARNHEM, "in_realisation", "none", 1),
        ("2022-04", ARNHEM, "realised", "none", 1),
        ("2022-05", ZWOLLE, "withdrawn", "none", 1),
        ("2022-05", ARNHEM, "rejected", "own_parking_place", 1),
    ]


def test_a_request_leads_back_to_its_record(full: Warehouse) -> None:
    found = full.rows(
        "select delivery_id, record_number from intermediate.int_requests "
        "where request_id = 'realised'"
    )
    assert found == [("vattenfall/requests@2022-06", 2)]


def test_the_region_as_the_2022_report_gives_it(full: Warehouse) -> None:
    assert full.indicators("municipalities_total", "2022") == {
        "nal_oost": 77,
        "Gelderland": 51,
        "Overijssel": 25,
        "Utrecht": 1,
    }
    assert full.indicators("res_regions", "2022") == {
        "nal_oost": 8,
        "Gelderland": 6,
        "Overijssel": 2,
    }
    years = full.rows("select distinct period from marts.indicator_values where length(period) = 4")
    assert sorted(years) == [("2022",), ("2023",)]


def test_marts_are_laid_out_by_their_key(full: Warehouse) -> None:
    for mart, key in {
        "dim_municipality": "municipality_code",
        "mart_charge_points": "source, month, municipality_code, access, speed",
        "mart_requests": "concession, reference_date, request_month, municipality_code, state",
        "kpi_requests": "concession, request_month, municipality_code, state, reason",
        "indicator_values": "indicator, area_type, area_code, period_type, period, dimensions",
    }.items():
        assert full.rows(f"from marts.{mart}") == full.rows(f"from marts.{mart} order by {key}")


# ── what the checks are for ──────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def doubtful(builder: Builder) -> Warehouse:
    """Invented and missing things that make no figure wrong, but must be seen."""
    april = delivery("vattenfall/requests", "2022-04")
    may = delivery("vattenfall/requests", "2022-05", demo=True)
    invented = delivery("pdok/municipality_boundaries", "2022", demo=True)
    location = {"id": "a", "municipality": ARNHEM, "charge_points": {"1": ("AVAILABLE", 11)}}
    return builder.build(
        NO_UNIT_TESTS,
        deliveries=[
            april,
            may,
            delivery("ndw_dotnl/locations", "2022-10"),
            delivery("ndw_dotnl/locations", "2022-11"),
            invented,
        ],
        concession__requests=[
            request(april, "a", "2022-04-10"),
            request(may, "a", "2022-04-10", approved_on="2022-05-03"),
        ],
        # One municipality is missing in this edition.
        pdok__municipality_boundaries=boundaries(invented)[1:],
        **together(
            Snapshot("2022-10").staged(location),
            Snapshot("2022-11", boundaries=None).staged(location),
        ),
    )


def test_doubts_warn_and_do_not_stop_the_build(doubtful: Warehouse) -> None:
    assert doubtful.failed() == set(), doubtful.output
    assert doubtful.warned() == {"warn_what_figures_rest_on"}


def test_a_demo_version_of_an_old_request_marks_its_counts(doubtful: Warehouse) -> None:
    """Figures from before an invented delivery rest on it when it holds their latest version."""
    assert doubtful.rows(
        "select distinct period, status from marts.indicator_values "
        "where period_type = 'reference_date' order by 1"
    ) == [("2022-05-01", "demo"), ("2022-06-01", "demo")]


def test_invented_boundaries_make_charge_points_demo(doubtful: Warehouse) -> None:
    # And a snapshot that was compared with no boundaries gets no figure at all.
    assert doubtful.rows(
        "select distinct period, status from marts.indicator_values where period_type = 'month'"
    ) == [("2022-10", "demo")]
    assert doubtful.rows(
        "select placement, locations from marts.mart_location_placement where month = '2022-11'"
    ) == [("outside", 1)]


def test_a_lost_location_and_an_unknown_municipality_stop_the_build(builder: Builder) -> None:
    of = delivery("vattenfall/requests", "2022-11")
    tables = Snapshot("2022-11").staged(
        {"id": "a", "municipality": ARNHEM}, {"id": "b", "municipality": ARNHEM}
    )
    del tables["derived__location_municipality"][1]
    warehouse = builder.build(
        NO_UNIT_TESTS,
        deliveries=[of, delivery("ndw_dotnl/locations", "2022-11"), BOUNDARIES],
        pdok__municipality_boundaries=boundaries(),
        concession__requests=[request(of, "a", "2022-11-01", municipality_code=AMSTERDAM)],
        **tables,
    )
    assert {"accounts_for_every_location", "municipalities_are_known"} <= warehouse.failed()


def test_no_model_is_left_undescribed() -> None:
    described = "".join(path.read_text() for path in DBT_PROJECT.rglob("*.yml"))
    for path in [
        *(DBT_PROJECT / "models").rglob("*.sql"),
        *(DBT_PROJECT / "seeds").glob("*.csv"),
    ]:
        assert f"name: {Path(path).stem}\n" in described, path
