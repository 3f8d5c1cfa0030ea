"""RVO, two concessions, ElaadNL and DOT-NL in one warehouse: every figure was counted by hand."""

from decimal import Decimal

import pytest

from tests.dbt.conftest import (
    AMSTERDAM,
    ARNHEM,
    MUNICIPALITIES,
    NO_UNIT_TESTS,
    VEENENDAAL,
    ZWOLLE,
    Builder,
    Row,
    Snapshot,
    Warehouse,
    counted,
    delivery,
    neighbourhood,
    placement,
    request,
)

RENSWOUDE, RHENEN, ZEEWOLDE = "GM0339", "GM0340", "GM0050"
REGION = [code for code in MUNICIPALITIES if code not in (RENSWOUDE, RHENEN)]

VATTENFALL = {
    month: delivery("vattenfall/requests", f"2022-{month}")
    for month in ("04", "05", "06", "07", "08")
}
# Delivered up to its end in June, and once more after it; April is missing.
ECOTAP = {
    month: delivery("ecotap_allego/requests", f"2022-{month}") for month in ("03", "05", "06", "08")
}
PLACED = {
    month: delivery("vattenfall/placements", month) for month in ("2022-11", "2022-12", "2023-10")
}
PLACED_BEFORE = delivery("ecotap_allego/placements", "2022-11")
COUNTS = {month: delivery("rvo/charge_point_counts", month) for month in ("2022-11", "2022-12")}
VEHICLES = {year: delivery("rvo/vehicles", year) for year in ("2022", "2023")}
INHABITANTS = delivery("rvo/inhabitants", "2022")
COVERAGE = delivery("rvo/coverage", "2022-11")
# The second is invented.
OUTLOOKS = {
    edition: delivery("elaadnl/passenger_outlook", edition, demo=edition == "2024Q1")
    for edition in ("2022Q1", "2024Q1")
}
LOGISTICS = delivery("elaadnl/logistics_outlook", "2022Q1")
SNAPSHOT = Snapshot("2022-11")


def requests() -> list[Row]:
    april, may, june, july = (VATTENFALL[month] for month in ("04", "05", "06", "07"))
    return [
        # Asked again in the other concession: from 10 May on it counts there, rejected or not.
        request(
            ECOTAP["05"],
            "E1",
            "2022-04-10",
            applicant_pseudonym="p1",
            rejected_on="2022-04-20",
            rejection_reason="no_valid_proof",
        ),
        request(may, "V1", "2022-05-10", applicant_pseudonym="p1"),
        # The first was made before the other concession took requests.
        request(ECOTAP["03"], "E2", "2022-03-20", applicant_pseudonym="p2"),
        request(may, "V2", "2022-05-02", applicant_pseudonym="p2"),
        # In another municipality.
        request(ECOTAP["06"], "E3", "2022-06-01", applicant_pseudonym="p3"),
        request(june, "V3", "2022-06-02", applicant_pseudonym="p3", municipality_code=ZWOLLE),
        # The other way round.
        request(april, "V4", "2022-04-05", applicant_pseudonym="p4"),
        request(ECOTAP["06"], "E4", "2022-06-15", applicant_pseudonym="p4"),
        # The second was made after the first concession had ended.
        request(ECOTAP["06"], "E5", "2022-06-20", applicant_pseudonym="p5"),
        request(july, "V5", "2022-07-01", applicant_pseudonym="p5"),
        # On one day: the newer concession's counts.
        request(ECOTAP["05"], "E6", "2022-05-05", applicant_pseudonym="p6"),
        request(may, "V6", "2022-05-05", applicant_pseudonym="p6"),
        # Nobody known.
        request(ECOTAP["05"], "E7", "2022-04-01"),
        request(april, "V7", "2022-04-15"),
        # Twice in one concession is twice.
        request(april, "V8a", "2022-04-20", applicant_pseudonym="p8"),
        request(april, "V8b", "2022-04-21", applicant_pseudonym="p8"),
    ]


def placements() -> list[Row]:
    november, december = PLACED["2022-11"], PLACED["2022-12"]
    return [
        placement(november, "P1", ARNHEM),
        placement(december, "P1", ARNHEM, realised_on="2022-10-10"),
        # Fast until October 2023.
        placement(december, "P2", ARNHEM, charge_points=1, power_kw=25, realised_on="2022-12-01"),
        placement(november, "P3", ZWOLLE, planned_on="2022-11-05"),
        placement(november, "P4", ZWOLLE, power_kw=None, realised_on="2022-11-30"),
        placement(november, "P5", ZWOLLE, withdrawn_on="2022-11-02"),
        placement(PLACED_BEFORE, "P1", VEENENDAAL, power_kw="22.08", realised_on="2021-05-05"),
    ]


def counts() -> list[Row]:
    special = {ARNHEM: (10, 1, 5, 2), ZWOLLE: (0, 0, 0, 0), VEENENDAAL: (3, 0, 0, 0)}
    november, december = COUNTS["2022-11"], COUNTS["2022-12"]
    rows = [
        row
        for code in [*REGION, RHENEN, AMSTERDAM]
        for row in counted(november, "2022-11", code, special.get(code, (1, 0, 0, 0)))
    ]
    # The next delivery corrects the month before.
    rows += counted(december, "2022-11", ARNHEM, (12, 1, 5, 2))
    rows += [
        row
        for code in REGION
        for row in counted(december, "2022-12", code, (20 if code == ARNHEM else 1, 0, 0, 0))
    ]
    return rows


def vehicles() -> list[Row]:
    def row(year: str, code: str, kind: str, number: int) -> Row:
        of = VEHICLES[year]["delivery_id"]
        found = {"municipality_code": code, "year": int(year), "kind": kind, "vehicles": number}
        return {**found, "delivery_id": of, "record_number": 1}

    return [
        *(row("2022", code, "passenger_cars_end_user", 10) for code in REGION),
        row("2022", ARNHEM, "bev_owner", 6),
        row("2022", ARNHEM, "phev_owner", 2),
        # Half of the owner's is no count.
        row("2022", ZWOLLE, "bev_owner", 6),
        row("2023", ARNHEM, "passenger_cars_end_user", 30),
    ]


def outlook() -> list[Row]:
    early, late = OUTLOOKS["2022Q1"], OUTLOOKS["2024Q1"]
    low = ("100.1", "10.25", "0.125", "3.5", "0.5", "0.3", "50", "50")
    high = ("200.2", "9", "0", "0", "0", "0.6", "50", "50")
    return [
        neighbourhood(early, "BU02020001", 2022, "low", *low),
        neighbourhood(early, "BU02020002", 2022, "low", *low),
        # Less than in the low scenario: that happens.
        neighbourhood(early, "BU02020001", 2022, "high", *high),
        neighbourhood(early, "BU02020001", 2025, "low", *low),
        neighbourhood(early, "BU00500001", 2022, "low", *low),
        # The whole of Utrecht's part of the region, and in another edition.
        neighbourhood(late, "BU03450001", 2025, "low", *low),
        neighbourhood(late, "BU02020001", 2025, "low", *high),
    ]


@pytest.fixture(scope="module")
def four(builder: Builder) -> Warehouse:
    locations = SNAPSHOT.staged(
        {
            "id": "a",
            "municipality": ARNHEM,
            "parking_type": None,
            "charge_points": {"1": ("AVAILABLE", 11)},
        }
    )
    given = {"record_number": 1, "municipality_code": ARNHEM}
    park = {"edition": "2022Q1", "year": 2025, "delivery_id": LOGISTICS["delivery_id"]}
    demand = {"electric_vans": "1.5", "electric_trucks": "0.25", "charging_demand_kwh": "9000.5"}
    return builder.build(
        NO_UNIT_TESTS,
        deliveries=[
            *VATTENFALL.values(),
            *ECOTAP.values(),
            *PLACED.values(),
            PLACED_BEFORE,
            *COUNTS.values(),
            *VEHICLES.values(),
            INHABITANTS,
            COVERAGE,
            *OUTLOOKS.values(),
            LOGISTICS,
            delivery("pdok/municipality_boundaries", "2022"),
            delivery("ndw_dotnl/locations", "2022-11"),
            # The same file was delivered for two months: it counts once.
            {**PLACED["2022-11"], "partition": "2022-10"},
        ],
        concession__requests=requests(),
        concession__placements=placements(),
        concession__charge_points=[
            {
                "placement_id": "P1",
                "evse_id": evse,
                "delivery_id": PLACED["2022-12"]["delivery_id"],
                "record_number": 2,
            }
            for evse in ("NLNUOE1", "NLNUOE2")
        ],
        rvo__charge_point_counts=counts(),
        rvo__vehicles=vehicles(),
        rvo__inhabitants=[
            {
                "municipality_code": code,
                "year": 2022,
                "inhabitants": 4000 if code == ARNHEM else 1000,
                "delivery_id": INHABITANTS["delivery_id"],
                "record_number": 1,
            }
            for code in REGION
        ],
        rvo__coverage=[
            {
                **given,
                "month": "2022-11",
                "charge_points_per_vehicle": "1.9",
                "delivery_id": COVERAGE["delivery_id"],
            }
        ],
        elaadnl__passenger_outlook=outlook(),
        elaadnl__logistics_outlook=[
            {**given, **park, **demand, "business_park_id": "1"},
            {**given, **park, **demand, "business_park_id": "2", "municipality_code": ZEEWOLDE},
        ],
        **locations,
    )


def test_every_check_passes(four: Warehouse) -> None:
    assert four.failed() | four.warned() == set(), four.output


# ── requests ─────────────────────────────────────────────────────────────────────────────────────


def test_what_was_asked_again_in_another_concession(four: Warehouse) -> None:
    found = four.rows(
        "select request_id, repeated_in, cast(repeated_on as varchar) from "
        "intermediate.int_requests where repeated_in is not null order by 1"
    )
    assert found == [
        ("E1", "vattenfall", "2022-05-10"),
        ("E6", "vattenfall", "2022-05-05"),
        ("V4", "ecotap_allego", "2022-06-15"),
    ]


@pytest.mark.parametrize(
    ("reference_date", "gross", "net"),
    [
        # Only the one concession had begun.
        ("2022-04-01", 1, 1),
        ("2022-06-01", 11, 9),
        ("2022-07-01", 15, 12),
        # The other has ended, and was delivered up to its end: its requests stand.
        ("2022-08-01", 16, 13),
        ("2022-09-01", 16, 13),
    ],
)
def test_the_region_gross_and_net(
    four: Warehouse, reference_date: str, gross: int, net: int
) -> None:
    found = four.rows(
        "select dimensions, value from marts.indicator_values where indicator = "
        f"'requests_received' and area_type = 'nal_region' and period = '{reference_date}'"
    )
    assert found == [('{"counting":"gross"}', gross), ('{"counting":"net"}', net)]


def test_no_region_where_a_running_concession_is_not_delivered(four: Warehouse) -> None:
    areas = four.rows(
        "select distinct area_code from marts.indicator_values "
        "where period = '2022-05-01' and area_type <> 'province'"
    )
    assert areas == [("vattenfall",)]


def test_a_concession_s_own_figures_are_gross_and_of_delivered_months(four: Warehouse) -> None:
    found = four.rows(
        "select area_code, period, value from marts.indicator_values where indicator = "
        "'requests_received' and area_type = 'concession' and period >= '2022-07-01' order by all"
    )
    assert found == [
        ("ecotap_allego", "2022-07-01", 7),
        ("ecotap_allego", "2022-09-01", 7),
        ("vattenfall", "2022-07-01", 8),
        ("vattenfall", "2022-08-01", 9),
        ("vattenfall", "2022-09-01", 9),
    ]


def test_a_repeated_request_takes_its_state_with_it(four: Warehouse) -> None:
    found = four.rows(
        "select dimensions, value from marts.indicator_values where indicator = "
        "'requests_rejected' and area_code = 'Gelderland' and period = '2022-06-01' order by all"
    )
    assert found == [
        ('{"concession":"ecotap_allego"}', 1),
        ('{"concession":"vattenfall"}', 0),
        ('{"counting":"gross"}', 1),
        ('{"counting":"net"}', 0),
    ]


def test_no_pseudonym_is_kept(four: Warehouse) -> None:
    kept = four.rows(
        "select table_schema || '.' || table_name from information_schema.columns "
        "where column_name ilike '%pseudonym%' and table_schema not like 'stag%'"
    )
    assert kept == []


# ── charge points ────────────────────────────────────────────────────────────────────────────────


def test_what_a_concession_has_placed(four: Warehouse) -> None:
    found = four.rows(
        "select * exclude (definition_note, origin) from marts.mart_charge_points "
        "where source not in ('rvo', 'ndw_dotnl')"
    )
    before, since = "fast_above_22_kw", "fast_from_50_kw"
    assert found == [
        ("ecotap_allego", "2022-11", VEENENDAAL, "public", "regular", 2, before),
        ("vattenfall", "2022-10", ARNHEM, "public", "regular", 2, before),
        ("vattenfall", "2022-11", ZWOLLE, "public", "unknown", 2, before),
        ("vattenfall", "2022-11", ARNHEM, "public", "regular", 2, before),
        ("vattenfall", "2022-12", ZWOLLE, "public", "unknown", 2, before),
        ("vattenfall", "2022-12", ARNHEM, "public", "fast", 1, before),
        ("vattenfall", "2022-12", ARNHEM, "public", "regular", 2, before),
        ("vattenfall", "2023-10", ZWOLLE, "public", "unknown", 2, since),
        ("vattenfall", "2023-10", ARNHEM, "public", "regular", 3, since),
    ]


def test_definitions_reach_whoever_reads_a_count(four: Warehouse) -> None:
    notes = dict(
        four.rows("select distinct definition, definition_note from marts.mart_charge_points")
    )
    assert set(notes) == {"fast_above_22_kw", "fast_from_50_kw"}
    assert "fell by 20 %" in notes["fast_above_22_kw"]
    assert "50 kW or more" in notes["fast_from_50_kw"]


def test_each_month_has_one_definition(four: Warehouse) -> None:
    # Also those from before the programme, which a workbook of RVO can hold.
    found = four.rows(
        "select month, string_agg(definition) from (select strftime(unnest(generate_series("
        "date '2010-01-01', date '2026-12-01', interval 1 month)), '%Y-%m') as month) as months "
        "left join reference.charge_point_definitions on month >= valid_from "
        "and (valid_to is null or month <= valid_to) group by month having count(definition) <> 1"
    )
    assert found == []
    assert four.rows(
        "select definition from reference.charge_point_definitions order by valid_from"
    ) == [
        ("connectors_fast_above_22_kw",),
        ("with_home_fast_above_22_kw",),
        ("fast_above_22_kw",),
        ("fast_from_50_kw",),
    ]


def test_rvo_s_zeros_are_kept_and_what_came_last_counts(four: Warehouse) -> None:
    found = four.rows(
        "select municipality_code, access, speed, charge_points from marts.mart_charge_points "
        f"where source = 'rvo' and month = '2022-11' and municipality_code in ('{ARNHEM}', "
        f"'{ZWOLLE}') and access = 'public'"
    )
    assert found == [
        (ZWOLLE, "public", "fast", 0),
        (ZWOLLE, "public", "regular", 0),
        (ARNHEM, "public", "fast", 1),
        (ARNHEM, "public", "regular", 12),
    ]
    assert four.rows(
        "select count(distinct municipality_code) from marts.mart_charge_points "
        "where source = 'rvo' and month = '2022-11'"
    ) == [(77,)]


def test_rvo_s_figures_of_the_region_with_and_without_veenendaal(four: Warehouse) -> None:
    found = four.rows(
        "select indicator, area_code, value from marts.indicator_values "
        """where dimensions = '{"source":"rvo"}' and period = '2022-11' and unit = 'count' """
        "and area_type <> 'province' order by all"
    )
    assert found == [
        ("charge_points_fast", "gelderland_overijssel", 3),
        ("charge_points_fast", "nal_oost", 3),
        ("charge_points_public_regular", "gelderland_overijssel", 86),
        ("charge_points_public_regular", "nal_oost", 89),
        ("charge_points_semi_public_regular", "gelderland_overijssel", 5),
        ("charge_points_semi_public_regular", "nal_oost", 5),
    ]


def test_counts_side_by_side(four: Warehouse) -> None:
    found = four.rows(
        "select kind, rvo, ndw_dotnl, concessions, ndw_dotnl_minus_rvo, concessions_minus_rvo, "
        "concessions_counted from marts.mart_charge_point_comparison "
        f"where month = '2022-11' and municipality_code = '{ARNHEM}'"
    )
    both = "ecotap_allego,vattenfall"
    assert found == [
        ("fast", 3, 0, 0, -3, -3, both),
        ("public_regular", 12, 0, 2, -12, -10, both),
        ("semi_public_regular", 5, 0, None, -5, None, both),
        ("total", 20, 1, 2, -19, -18, both),
        ("unknown_access_regular", None, 1, None, None, None, both),
        ("unknown_speed", None, 0, 0, None, None, both),
    ]


def test_a_source_without_that_month_has_no_count(four: Warehouse) -> None:
    found = four.rows(
        "select month, rvo, ndw_dotnl, concessions, concessions_counted, definition "
        "from marts.mart_charge_point_comparison "
        f"where kind = 'total' and municipality_code = '{ARNHEM}' and month <> '2022-11'"
    )
    assert found == [
        ("2022-10", None, None, 2, "vattenfall", "fast_above_22_kw"),
        ("2022-12", 20, None, 3, "vattenfall", "fast_above_22_kw"),
        ("2023-10", None, None, 3, "vattenfall", "fast_from_50_kw"),
    ]


# ── coverage ─────────────────────────────────────────────────────────────────────────────────────


def test_a_row_tells_all_that_it_comes_from(four: Warehouse) -> None:
    compared = dict(
        four.rows("select distinct month, origin from marts.mart_charge_point_comparison")
    )
    assert compared == {
        "2022-10": "vattenfall",
        "2022-11": "ecotap_allego+ndw_dotnl+rvo+vattenfall",
        "2022-12": "rvo+vattenfall",
        "2023-10": "vattenfall",
    }
    forecast = four.rows("select distinct realised is null, origin from marts.mart_forecast")
    assert sorted(forecast) == [(False, "elaadnl+rvo"), (True, "elaadnl")]


def test_coverage_of_a_municipality(four: Warehouse) -> None:
    found = four.rows(
        "select * exclude (month, municipality_code, definition, origin) from marts.mart_coverage "
        f"where month = '2022-11' and municipality_code = '{ARNHEM}'"
    )
    numbers = [
        tuple(str(value) if isinstance(value, Decimal) else value for value in row) for row in found
    ]
    assert numbers == [
        (
            "end_user",
            20,
            2022,
            10,
            "2.000000",
            "0.500000",
            4000,
            "5.000000",
            "1.900000",
            "0.100000",
        ),
        ("owner", 20, 2022, 8, "2.500000", "0.400000", 4000, "5.000000", "1.900000", "0.600000"),
    ]


def test_coverage_without_charge_points(four: Warehouse) -> None:
    found = four.rows(
        "select vehicle_base, charge_points_per_vehicle, vehicles_per_charge_point, "
        "rvo_charge_points_per_vehicle, difference_from_rvo from marts.mart_coverage "
        f"where month = '2022-11' and municipality_code = '{ZWOLLE}'"
    )
    assert found == [("end_user", 0, None, None, None)]


def test_coverage_of_areas_is_of_sums_and_of_whole_areas(four: Warehouse) -> None:
    found = four.rows(
        "select indicator, area_code, dimensions, value, unit from marts.indicator_values where "
        "period = '2022-11' and unit <> 'count' and area_code in ('nal_oost', 'Utrecht') "
        "order by all"
    )
    end_user = '{"source":"rvo","vehicles":"end_user"}'
    per_1000 = "charge points per 1,000 inhabitants"
    # The owner's are known of one municipality, so of no area.
    assert found == [
        (
            f"{per_1000.replace(' ', '_').replace(',', '')}",
            area,
            '{"source":"rvo"}',
            value,
            per_1000,
        )
        for area, value in (("Utrecht", Decimal("3")), ("nal_oost", Decimal("1.2125")))
    ] + [
        ("charge_points_per_vehicle", area, end_user, value, "charge points per vehicle")
        for area, value in (("Utrecht", Decimal("0.3")), ("nal_oost", Decimal("0.1260")))
    ]


# ── forecasts ────────────────────────────────────────────────────────────────────────────────────


def test_forecast_against_realised(four: Warehouse) -> None:
    found = four.rows(
        "select quantity, cast(forecast as varchar), realised, realised_month, "
        "cast(difference as varchar) from marts.mart_forecast "
        "where edition = '2022Q1' and scenario = 'low' and year = 2022"
    )
    assert found == [
        ("electric_cars", "200.200000000", 30, "2023-01", "-170.200000000"),
        ("fast", "0.600000000", 0, "2022-12", "-0.600000000"),
        ("public_regular", "20.750000000", 20, "2022-12", "-0.750000000"),
        ("semi_public_regular", "8.000000000", 0, "2022-12", "-8.000000000"),
    ]


def test_only_years_and_municipalities_that_an_edition_covers(four: Warehouse) -> None:
    found = four.rows(
        "select edition, scenario, year, municipality_code, cast(forecast as varchar), realised "
        "from marts.mart_forecast where quantity = 'public_regular'"
    )
    assert found == [
        ("2022Q1", "high", 2022, ARNHEM, "9.000000000", 20),
        ("2022Q1", "low", 2022, ARNHEM, "20.750000000", 20),
        ("2022Q1", "low", 2025, ARNHEM, "10.375000000", None),
        ("2024Q1", "low", 2025, ARNHEM, "9.000000000", None),
        ("2024Q1", "low", 2025, VEENENDAAL, "10.375000000", None),
    ]


def test_an_area_has_a_forecast_where_all_of_it_is_in_the_edition(four: Warehouse) -> None:
    found = four.rows(
        "select indicator, area_code, period, dimensions, value, status "
        "from marts.indicator_values where indicator like 'forecast%'"
    )
    assert found == [
        (indicator, "Utrecht", "2025", '{"edition":"2024Q1","scenario":"low"}', value, "demo")
        for indicator, value in (
            ("forecast_charge_points_fast", Decimal("0.3")),
            ("forecast_charge_points_public_regular", Decimal("10.375")),
            ("forecast_charge_points_semi_public_regular", Decimal("4")),
            ("forecast_electric_cars", Decimal("100.1")),
        )
    ]


def test_logistics_of_the_region_s_business_parks(four: Warehouse) -> None:
    found = four.rows(
        "select business_park_id, municipality_code, charging_demand_kwh "
        "from marts.mart_logistics_forecast"
    )
    assert found == [("1", ARNHEM, Decimal("9000.5"))]


# ── what the checks are for ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("test", "change"),
    [
        (
            "charge_points_agree",
            "update building.marts.indicator_values set value = value + 1 where dimensions = "
            """'{"source":"vattenfall"}' and area_type = 'nal_region' and period = '2022-12' """
            "and indicator = 'charge_points_fast'",
        ),
        (
            "charge_points_agree",
            "update building.marts.mart_charge_point_comparison set rvo = rvo + 1 "
            f"where kind = 'total' and month = '2022-11' and municipality_code = '{ARNHEM}'",
        ),
        (
            "charge_points_agree",
            "update building.marts.mart_location_placement set charge_points = charge_points + 1",
        ),
        (
            "charge_points_agree",
            f"delete from building.marts.mart_coverage where municipality_code = '{ARNHEM}'",
        ),
        (
            "forecasts_agree",
            "update building.marts.mart_forecast set forecast = forecast + 0.000000001 "
            "where edition = '2022Q1' and quantity = 'fast' and year = 2025",
        ),
        ("forecasts_agree", "delete from building.marts.mart_forecast where edition = '2024Q1'"),
        (
            "request_states_add_up",
            "update building.marts.indicator_values set value = value + 1 where dimensions = "
            """'{"counting":"net"}' and area_type = 'nal_region' and period = '2022-08-01' """
            "and indicator = 'requests_received'",
        ),
        (
            "request_states_add_up",
            "update building.marts.mart_requests set repeated = 0 where repeated > 0",
        ),
        (
            "municipalities_are_known",
            f"update building.marts.mart_charge_points set municipality_code = '{AMSTERDAM}'",
        ),
    ],
)
def test_what_does_not_add_up_is_found(four: Warehouse, test: str, change: str) -> None:
    assert four.findings(test) == []
    assert four.findings(test, change) != []


@pytest.mark.parametrize(
    ("finding", "change"),
    [
        (
            "month of RVO without a municipality of the region",
            f"delete from building.marts.mart_coverage where municipality_code = '{ARNHEM}'",
        ),
        (
            "station that names another number of charge points than it says",
            "update building.intermediate.int_placements set charge_points = 3",
        ),
    ],
)
def test_what_must_be_seen_warns(four: Warehouse, finding: str, change: str) -> None:
    test = "warn_what_figures_rest_on"
    assert finding not in {row[0] for row in four.findings(test)}
    assert finding in {row[0] for row in four.findings(test, change)}


def test_a_key_twice_and_a_broken_rule_are_found(four: Warehouse) -> None:
    compiled = next(four.compiled.parent.rglob("mart_forecast_fits_contract.sql"))
    test = compiled.relative_to(four.compiled.parent).with_suffix("")
    name = f"../{test}"
    assert four.findings(name) == []
    twice = "insert into building.marts.mart_forecast from building.marts.mart_forecast limit 1"
    assert {row[0] for row in four.findings(name, twice)} == {"key occurs more than once"}
    wrong = "update building.marts.mart_forecast set forecast = -1"
    assert {row[0] for row in four.findings(name, wrong)} == {"a rule of the contract is broken"}
