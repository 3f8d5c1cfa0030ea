"""For each rule of the contracts that are read by mappings or as counts: a value that breaks it.

Given as reading hands it on: one good row a table as texts, and what is changed in it.
"""

from dataclasses import dataclass, field

from goral_pipeline.contracts import staged

Text = str | None


@dataclass(frozen=True)
class RawCase:
    """Changes of a good row that break `rule`; `also` are rules that cannot be kept with it."""

    dataset: str
    table: str
    rule: str
    changes: dict[str, Text]
    also: frozenset[str] = field(default_factory=frozenset)

    def __str__(self) -> str:
        return f"{self.dataset}.{self.table}.{self.rule}"


Table = tuple[str, str]
REQUESTS = ("concession/requests", "requests")
PLACEMENTS = ("concession/placements", "placements")
CHARGE_POINTS = ("concession/placements", "charge_points")
SESSIONS = ("concession/sessions", "sessions")
COUNTS = ("rvo/charge_point_counts", "charge_point_counts")
COVERAGE = ("rvo/coverage", "coverage")
INHABITANTS = ("rvo/inhabitants", "inhabitants")
VEHICLES = ("rvo/vehicles", "vehicles")
PASSENGER = ("elaadnl/passenger_outlook", "passenger_outlook")
LOGISTICS = ("elaadnl/logistics_outlook", "logistics_outlook")
TARIFFS = ("ndw_dotnl/tariffs", "tariffs")
COMPONENTS = ("ndw_dotnl/tariffs", "price_components")

_FORECAST = (
    "electric_cars",
    "home_charge_points",
    "work_charge_points",
    "public_charge_points",
    "destination_charge_points",
    "garage_charge_points",
    "square_charge_points",
    "fast_charge_points",
    "fast_power_kw",
)
_TARIFF = {"country_code": "NL", "party_id": "ABC", "tariff_id": "T1"}

GOOD: dict[Table, dict[str, Text]] = {
    REQUESTS: {
        "request_id": "R1",
        "municipality_code": "GM0228",
        "takes_part": "true",
        "in_period": "true",
        "occasion": "demand_driven",
        "requested_on": "2022-07-01",
        "last_updated": "2022-08-02T10:00:00Z",
    },
    PLACEMENTS: {
        "placement_id": "P1",
        "request_id": "R1",
        "municipality_code": "GM0228",
        "takes_part": "true",
        "in_period": "true",
        "occasion": "data_driven",
        "charge_points": "2",
        "power_kw": "11",
        "requested_on": "2022-01-10",
        "proposed_on": "2022-01-20",
        "agreed_on": "2022-02-01",
        "decision_published_on": "2022-02-10",
        "decision_final_on": "2022-03-24",
        "grid_requested_on": "2022-03-25",
        "grid_connected_on": "2022-06-01",
        "planned_on": "2022-07-15",
        "realised_on": "2022-07-12",
        "last_updated": "2022-07-12T10:00:00Z",
    },
    CHARGE_POINTS: {"placement_id": "P1", "evse_id": "NLVATE123"},
    COUNTS: {
        "municipality_code": "GM0228",
        "month": "2022-11",
        "access": "semi_public",
        "speed": "fast",
        "charge_points": "0",
    },
    COVERAGE: {
        "municipality_code": "GM0228",
        "month": "2022-11",
        "charge_points_per_vehicle": "0.25",
    },
    INHABITANTS: {"municipality_code": "GM0228", "year": "2022", "inhabitants": "120000"},
    VEHICLES: {
        "municipality_code": "GM0228",
        "year": "2022",
        "kind": "bev_owner",
        "vehicles": "0",
    },
    PASSENGER: {
        "edition": "2024Q1",
        "neighbourhood_code": "BU02280101",
        "year": "2023",
        "scenario": "middle",
        "municipality_code": "GM0228",
        "passenger_cars": "812.5",
        **dict.fromkeys(_FORECAST, "12.345678901"),
        "updated_on": "2024-01-31",
    },
    LOGISTICS: {
        "edition": "2024Q1",
        "business_park_id": "1234",
        "year": "2025",
        "municipality_code": "GM0228",
        "electric_vans": "3.5",
        "electric_trucks": "0",
        "charging_demand_kwh": "1000.5",
    },
    TARIFFS: {
        **_TARIFF,
        "currency": "EUR",
        "tariff_type": "REGULAR",
        "last_updated": "2022-07-12T10:00:00Z",
    },
    SESSIONS: {
        "country_code": "NL",
        "party_id": "ABC",
        "cdr_id": "C1",
        "session_id": "S1",
        "started_at": "2022-07-12T10:00:00Z",
        "ended_at": "2022-07-12T12:30:00Z",
        "token_pseudonym": "DEMO0001",
        "token_type": "RFID",
        "auth_method": "WHITELIST",
        "location_id": "L1",
        "address": "Demolaan 1",
        "city": "Ede",
        "postal_code": "6711 AA",
        "latitude": "52.0",
        "longitude": "5.6",
        "evse_uid": "E1",
        "evse_id": "NLABCE1",
        "connector_id": "1",
        "connector_standard": "IEC_62196_T2",
        "power_type": "AC_3_PHASE",
        "tariff_id": "T1",
        "currency": "EUR",
        "total_cost": "7.00",
        "total_fixed_cost": "0",
        "total_energy_cost": "7.00",
        "energy_kwh": "20.5",
        "connected_h": "2.5",
        "parked_h": "0.5",
        "is_credit": "false",
        "last_updated": "2022-07-12T12:31:00Z",
        "is_tariff_whole": "true",
        "received_at": "2022-08-02T00:00:00Z",
    },
    COMPONENTS: {
        **_TARIFF,
        "element": "1",
        "component": "1",
        "component_type": "ENERGY",
        "price": "0.35",
        "vat_pct": "21",
        "step_size": "1",
        "is_restricted": "false",
    },
}


def _case(table: Table, rule: str, also: str = "", **changes: Text) -> RawCase:
    return RawCase(*table, rule, changes, frozenset(also.split()))


def _column(table: Table, name: str, **bad: Text) -> list[RawCase]:
    """A case for each rule of one column, by the last word of the rule's name."""
    return [_case(table, f"{name}_{rule}", **{name: value}) for rule, value in bad.items()]


def _number(table: Table, name: str, out_of_range: str = "-1") -> list[RawCase]:
    return _column(table, name, type="1,5 or so", required=None, range=out_of_range)


CASES: list[RawCase] = [
    # What the reading says of each row, so that no file can break it by itself.
    *_column(REQUESTS, "takes_part", type="perhaps"),
    *_column(REQUESTS, "in_period", type="perhaps"),
    _case(REQUESTS, "municipality_takes_part", takes_part="false"),
    _case(REQUESTS, "requested_in_period", in_period="false"),
    # placements
    *_column(PLACEMENTS, "placement_id", required=" ", pattern="P 1"),
    *_column(PLACEMENTS, "request_id", pattern="R 1"),
    *_column(PLACEMENTS, "municipality_code", required=None, pattern="Atlantis"),
    *_column(PLACEMENTS, "takes_part", type="perhaps"),
    *_column(PLACEMENTS, "in_period", type="perhaps"),
    *_column(PLACEMENTS, "occasion", required=None, code="zomaar"),
    *_number(PLACEMENTS, "charge_points", "51"),
    *_column(PLACEMENTS, "power_kw", type="much", range="0.9"),
    *_column(PLACEMENTS, "requested_on", type="2018-02-29"),
    *_column(PLACEMENTS, "proposed_on", type="20 januari"),
    *_column(PLACEMENTS, "agreed_on", type="2022-02-30"),
    *_column(PLACEMENTS, "decision_published_on", type="2022-00-10"),
    *_column(PLACEMENTS, "decision_final_on", type="2022-13-01"),
    *_column(PLACEMENTS, "grid_requested_on", type="ja"),
    *_column(PLACEMENTS, "grid_connected_on", type="0"),
    *_column(PLACEMENTS, "planned_on", type="Q3"),
    *_column(PLACEMENTS, "realised_on", type="infinity"),
    *_column(PLACEMENTS, "withdrawn_on", type="gestopt"),
    *_column(PLACEMENTS, "delay_reason", code="pech"),
    *_column(PLACEMENTS, "last_updated", type="2022-07-12T25:00:00Z", required=None),
    _case(PLACEMENTS, "municipality_takes_part", takes_part="false"),
    _case(PLACEMENTS, "realised_in_period", in_period="false"),
    _case(PLACEMENTS, "realised_not_withdrawn", withdrawn_on="2022-07-12"),
    _case(PLACEMENTS, "decision_before_final", decision_final_on="2022-02-09"),
    _case(PLACEMENTS, "grid_requested_before_connected", grid_connected_on="2022-03-24"),
    _case(
        PLACEMENTS,
        "proposed_before_realised",
        proposed_on="2022-07-13",
        last_updated="2022-07-14T10:00:00Z",
    ),
    _case(PLACEMENTS, "requested_first", agreed_on="2022-01-09"),
    # Midnight in Amsterdam, so the day before in UTC is the day itself there.
    _case(PLACEMENTS, "nothing_after_last_update", last_updated="2022-07-11T21:59:59Z"),
    *_column(CHARGE_POINTS, "placement_id", required=None),
    *_column(CHARGE_POINTS, "evse_id", required=None, pattern="NL*VAT*E123"),
    # sessions
    *_column(SESSIONS, "country_code", required=None, pattern="NLD"),
    *_column(SESSIONS, "party_id", required=" ", pattern="abc"),
    *_column(SESSIONS, "cdr_id", required=None, pattern="c" * 40),
    *_column(SESSIONS, "session_id", pattern="of J. de Vries"),
    *_column(SESSIONS, "started_at", type="12 juli", required=None),
    *_column(SESSIONS, "ended_at", type="2022-07-12T25:30:00Z", required=None),
    *_column(SESSIONS, "token_pseudonym", required=None),
    *_column(SESSIONS, "token_type", code="PASJE"),
    *_column(SESSIONS, "auth_method", required=None, code="NONE"),
    *_column(SESSIONS, "location_id", required=None, length="l" * 40),
    *_column(SESSIONS, "address", required=None, length="a" * 256),
    *_column(SESSIONS, "city", required=None, length="c" * 46),
    *_column(SESSIONS, "postal_code", length="6711 AA 12x"),
    *_number(SESSIONS, "latitude", "90.1"),
    *_number(SESSIONS, "longitude", "-180.1"),
    *_column(SESSIONS, "evse_uid", required=None, length="e" * 49),
    *_column(SESSIONS, "evse_id", length="E" * 49),
    *_column(SESSIONS, "connector_id", required=None, length="c" * 37),
    *_column(SESSIONS, "connector_standard", length="I" * 41),
    *_column(SESSIONS, "power_type", code="AC"),
    *_column(SESSIONS, "tariff_id", length="t" * 37),
    *_column(SESSIONS, "currency", required=None, pattern="euro"),
    *_column(SESSIONS, "total_cost", type="7,00", required=None),
    *_column(SESSIONS, "total_fixed_cost", type="free"),
    *_column(SESSIONS, "total_energy_cost", type="7,00"),
    *_column(SESSIONS, "energy_kwh", type="1_0", required=None, range="-1"),
    *_column(SESSIONS, "connected_h", type="2:30", required=None),
    _case(
        SESSIONS,
        "connected_h_range",
        also="time_is_end_minus_start parked_within_connected energy_fits_time",
        connected_h="-2.5",
    ),
    *_column(SESSIONS, "parked_h", type="half an hour", range="-0.5"),
    *_column(SESSIONS, "is_credit", type="perhaps", required=None),
    *_column(SESSIONS, "credited_cdr_id", pattern="J. de Vries"),
    *_column(SESSIONS, "last_updated", type="yesterday", required=None),
    *_column(SESSIONS, "is_tariff_whole", type="perhaps"),
    *_column(SESSIONS, "received_at", type="later"),
    _case(SESSIONS, "not_in_the_future", received_at="2022-07-12T12:29:59Z"),
    _case(
        SESSIONS,
        "not_before_2009",
        started_at="2008-07-12T10:00:00Z",
        ended_at="2008-07-12T12:30:00Z",
    ),
    _case(SESSIONS, "start_before_end", ended_at="2022-07-12T09:30:00Z"),
    _case(SESSIONS, "start_is_not_end", ended_at="2022-07-12T10:00:00Z"),
    _case(SESSIONS, "time_is_end_minus_start", connected_h="2.5168"),
    _case(SESSIONS, "parked_within_connected", parked_h="2.5001"),
    _case(SESSIONS, "energy_fits_time", energy_kwh="125.1001"),
    _case(SESSIONS, "credit_has_reference", is_credit="true"),
    _case(SESSIONS, "credit_is_told", total_cost="-7.00", credited_cdr_id="C0"),
    _case(
        SESSIONS,
        "not_updated_in_the_future",
        last_updated="2022-07-14T00:00:01Z",
        received_at="2022-07-13T00:00:00Z",
    ),
    # rvo
    *_column(COUNTS, "municipality_code", required=None, pattern="228"),
    *_column(COUNTS, "month", required=None, pattern="2022-13"),
    *_column(COUNTS, "access", required=None, code="private"),
    *_column(COUNTS, "speed", required=None, code="slow"),
    *_number(COUNTS, "charge_points"),
    *_column(COVERAGE, "municipality_code", required=None, pattern="gemeente_228"),
    *_column(COVERAGE, "month", required=None, pattern="november"),
    *_number(COVERAGE, "charge_points_per_vehicle", "1000.5"),
    *_column(INHABITANTS, "municipality_code", required=None, pattern="GM228"),
    *_number(INHABITANTS, "year", "1989"),
    *_number(INHABITANTS, "inhabitants", "0"),
    *_column(VEHICLES, "municipality_code", required=None, pattern="GM02281"),
    *_number(VEHICLES, "year", "2101"),
    *_column(VEHICLES, "kind", required=None, code="hydrogen"),
    *_number(VEHICLES, "vehicles"),
    # elaadnl
    *_column(PASSENGER, "edition", required=None, pattern="2024"),
    *_column(PASSENGER, "neighbourhood_code", required=None, pattern="BU0228010"),
    *_number(PASSENGER, "year", "2061"),
    *_column(PASSENGER, "scenario", required=None, code="L"),
    *_column(PASSENGER, "neighbourhood_name", length="n" * 121),
    *_column(PASSENGER, "municipality_code", required=None),
    _case(
        PASSENGER,
        "municipality_code_pattern",
        also="neighbourhood_in_municipality",
        municipality_code="Ede",
    ),
    *_column(PASSENGER, "municipality_name", length="m" * 121),
    *_column(PASSENGER, "grid_operator", length="g" * 61),
    *_column(PASSENGER, "passenger_cars", type="many", range="-0.1"),
    *(case for name in _FORECAST for case in _number(PASSENGER, name, "-0.1")),
    *_column(PASSENGER, "updated_on", type="2023-02-29"),
    _case(PASSENGER, "neighbourhood_in_municipality", municipality_code="GM0202"),
    *_column(LOGISTICS, "edition", required=None, pattern="2024Q5"),
    *_column(LOGISTICS, "business_park_id", required=None, pattern="park 12"),
    *_number(LOGISTICS, "year", "2019"),
    *_column(LOGISTICS, "business_park_name", length="b" * 121),
    *_column(LOGISTICS, "municipality_code", required=None, pattern="Atlantis"),
    *_number(LOGISTICS, "electric_vans", "-0.1"),
    *_number(LOGISTICS, "electric_trucks", "-0.1"),
    *_number(LOGISTICS, "charging_demand_kwh", "-0.1"),
    # ndw_dotnl
    *_column(TARIFFS, "country_code", required=None, pattern="NLD"),
    *_column(TARIFFS, "party_id", required=None, pattern="abc"),
    *_column(TARIFFS, "tariff_id", required=None, pattern="t" * 37),
    *_column(TARIFFS, "currency", required=None, pattern="euro"),
    *_column(TARIFFS, "tariff_type", code="CHEAP"),
    *_column(TARIFFS, "last_updated", type="2022-02-30T00:00:00Z", required=None),
    *_column(COMPONENTS, "country_code", required=None),
    *_column(COMPONENTS, "party_id", required=None),
    *_column(COMPONENTS, "tariff_id", required=None),
    *_number(COMPONENTS, "element", "0"),
    *_number(COMPONENTS, "component", "0"),
    *_column(COMPONENTS, "component_type", required=None, code="PARKING"),
    *_number(COMPONENTS, "price", "1000.01"),
    *_column(COMPONENTS, "vat_pct", type="21%", range="101"),
    *_number(COMPONENTS, "step_size"),
    *_column(COMPONENTS, "is_restricted", type="sometimes", required=None),
]


def cases_of(table: Table) -> list[RawCase]:
    return [case for case in CASES if (case.dataset, case.table) == table]


def rows_among(table: Table, rows: list[dict[str, Text]]) -> dict[str, list[dict[str, Text]]]:
    """Rows of a table, with the good row of its parent that they need, by table."""
    dataset, name = table
    parent = staged()[dataset].table(name).parent
    return {name: rows} | ({parent: [GOOD[dataset, parent]]} if parent else {})
