"""Months of sessions built on those of before: as built from nothing, and as counted by hand.

The SQL is what dbt compiles of the models; around it stands here what dbt and the build do with it.
"""

import os
import subprocess
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from goral_pipeline.settings import DBT_PROJECT
from goral_pipeline.warehouse import dbt_command

LOCAL = ZoneInfo("Europe/Amsterdam")
STAGING = (
    "stg_ledger__deliveries",
    "stg_ledger__distinct_deliveries",
    "stg_ledger__delivery_months",
    "stg_ledger__session_months_before",
    "stg_concession__sessions",
    "stg_derived__session_location_municipality",
)
TO_MAKE, MADE_OF, SESSIONS = (
    "int_session_months_to_make",
    "int_session_month_deliveries",
    "int_sessions",
)
KEPT = ("int_session_months", "int_session_quarter_hours", "int_station_months")
ARNHEM, AMSTERDAM = "GM0202", "GM0363"
MUNICIPALITY = {"A": ARNHEM, "B": AMSTERDAM, "C": None}
PLACEMENT = {"A": "in_region", "B": "other_municipality", "C": "outside"}


@dataclass(frozen=True)
class Record:
    """A record as a delivery tells of it; its key is party and id."""

    key: str
    started_at: datetime
    changed: int = 1
    party: str = "NUO"
    takes_back: str | None = None
    is_credit: bool = False
    place: str = "A"
    token: str = "t1"
    minutes: int = 90
    energy: Decimal = Decimal("10.0001")
    parked: Decimal | None = Decimal("0.5")

    @property
    def month(self) -> str:
        return f"{self.started_at.astimezone(LOCAL):%Y-%m}"

    @property
    def connected(self) -> Decimal:
        return (Decimal(self.minutes) / 60).quantize(Decimal("0.0001"))


@dataclass(frozen=True)
class Delivery:
    delivery_id: str
    concession: str
    received: int
    records: tuple[Record, ...]
    """One of each key, as staging accepts them."""
    demo: bool = False
    staged: int = 1
    """How many times: another file each time."""

    @property
    def months(self) -> list[str]:
        return sorted({record.month for record in self.records})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The SQL of each model, as dbt compiles it for a warehouse named building."""
    folder = tmp_path_factory.mktemp("compiled")
    dbt_command.lend_parsed_project(folder / "target")
    done = subprocess.run(
        [
            str(dbt_command.DBT),
            *("compile", "--no-use-colors", "--select", *STAGING, TO_MAKE, MADE_OF, SESSIONS),
            *KEPT,
            *dbt_command.PROJECT,
            f"--target-path={folder / 'target'}",
            f"--log-path={folder / 'logs'}",
        ],
        env={**os.environ, dbt_command.BUILD_VARIABLE: str(folder / dbt_command.BUILDING)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.stem: path.read_text() for path in (folder / "target/compiled").rglob("*.sql")}


def source_columns() -> dict[str, dict[str, str]]:
    file = DBT_PROJECT / "models" / "staging" / "_sources.yml"
    (staged,) = yaml.safe_load(file.read_text())["sources"]
    return {
        table["name"]: {column["name"]: column["data_type"] for column in table["columns"]}
        for table in staged["tables"]
    }


COLUMNS = source_columns()


@dataclass
class Warehouse:
    """One that is built on itself as often as it is told to."""

    sql: dict[str, str]
    held: dict[str, int] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    """The months that the last build made."""

    def __post_init__(self) -> None:
        self.con = duckdb.connect()
        self.con.execute("set TimeZone = 'UTC'; set threads = 1")
        self.con.execute("attach ':memory:' as building; use building")
        for schema in ("staged", "staging", "intermediate", "reference"):
            self.con.execute(f"create schema {schema}")
        self.con.execute(
            "create table reference.municipalities as "
            f"select '{ARNHEM}' as municipality_code, true as in_region"
        )
        for table in (
            "concession__sessions",
            "derived__session_location_municipality",
            "deliveries",
            "delivery_months",
            "session_months_before",
        ):
            typed = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS[table].items())
            self.con.execute(f"create table staged.{table} ({typed})")
        for view in STAGING:
            self.con.execute(f"create view staging.{view} as {self.sql[view]}")

    def build(self, pointed: list[Delivery]) -> None:
        self._stage(pointed)
        con, sql = self.con, self.sql
        con.execute(f"create or replace table staging.{TO_MAKE} as {sql[TO_MAKE]}")
        con.execute(f"create or replace table intermediate.{MADE_OF} as {sql[MADE_OF]}")
        con.execute(f"create or replace view staging.{SESSIONS} as {sql[SESSIONS]}")
        for model in KEPT:
            table = f"intermediate.{model}"
            con.execute(f"create table if not exists {table} as {sql[model]} limit 0")
            con.execute(f"delete from {table} where month in (select month from staging.{TO_MAKE})")
            con.execute(f"insert into {table} {sql[model]}")
        self.held = {one.delivery_id: one.staged for one in pointed}
        self.made = {month for (month,) in self.rows(f"select month from staging.{TO_MAKE}")}

    def _stage(self, pointed: list[Delivery]) -> None:
        con = self.con
        con.execute("delete from staged.session_months_before")
        if self.held:
            con.execute(
                "insert into staged.session_months_before by name "
                f"select month, delivery_id from intermediate.{MADE_OF}"
            )
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for one in pointed:
            received = at("2023-01-01") + timedelta(days=one.received)
            rows["deliveries"].append(
                {
                    "delivery_id": one.delivery_id,
                    "source": one.concession,
                    "dataset": f"{one.concession}/sessions",
                    "partition": "2022-07",
                    "received_at": received,
                    "demo": one.demo,
                    "is_new": self.held.get(one.delivery_id) != one.staged,
                }
            )
            for month in one.months:
                rows["delivery_months"].append({"delivery_id": one.delivery_id, "month": month})
            places = set()
            for number, record in enumerate(one.records, start=1):
                rows["concession__sessions"].append(staged(record, one, number))
                places.add((record.month, record.party, record.place))
            for month, party, place in sorted(places):
                rows["derived__session_location_municipality"].append(
                    {
                        "month": month,
                        "country_code": "NL",
                        "party_id": party,
                        "location_id": place,
                        "latitude": 52,
                        "longitude": 6,
                        "municipality_code": MUNICIPALITY[place],
                        "near_border": False,
                        "delivery_id": one.delivery_id,
                        "boundaries_delivery_id": "boundaries",
                    }
                )
        rows["deliveries"].append(
            {
                "delivery_id": "boundaries",
                "source": "pdok",
                "dataset": "pdok/municipality_boundaries",
                "partition": "2022",
                "received_at": at("2022-01-01"),
                "demo": False,
                "is_new": False,
            }
        )
        for table in (
            "deliveries",
            "delivery_months",
            "concession__sessions",
            "derived__session_location_municipality",
        ):
            con.execute(f"delete from staged.{table}")
            if rows[table]:
                names = list(rows[table][0])
                quoted = ", ".join(f'"{name}"' for name in names)
                marks = ", ".join(["(" + ", ".join("?" for _ in names) + ")"] * len(rows[table]))
                values = [value for row in rows[table] for value in row.values()]
                con.execute(f"insert into staged.{table} ({quoted}) values {marks}", values)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.con.execute(query).fetchall()

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        return {
            table: self.rows(f"from intermediate.{table} order by all")
            for table in (MADE_OF, *KEPT)
        }


def staged(record: Record, of: Delivery, number: int) -> dict[str, Any]:
    return {
        "country_code": "NL",
        "party_id": record.party,
        "cdr_id": record.key,
        "started_at": record.started_at,
        "ended_at": record.started_at + timedelta(minutes=record.minutes),
        "token_pseudonym": record.token,
        "location_id": record.place,
        "latitude": 52,
        "longitude": 6,
        "evse_uid": "1",
        "energy_kwh": record.energy,
        "connected_h": record.connected,
        "parked_h": record.parked,
        "is_credit": record.is_credit,
        "credited_cdr_id": record.takes_back,
        "last_updated": at("2022-12-01") + timedelta(days=record.changed),
        "delivery_id": of.delivery_id,
        "record_number": number,
    }


def counted_by_hand(pointed: list[Delivery]) -> dict[tuple[str, str, str], tuple[Any, ...]]:
    """Sessions, energy and distinct tokens by concession, month and placement.

    After the tokens of the concession those of all concessions together.
    """
    told = [(record, one) for one in pointed for record in one.records]
    latest: dict[tuple[str, str], tuple[Record, Delivery]] = {}
    for record, one in told:
        key = (record.party, record.key)
        rank = (record.changed, one.received, one.delivery_id)
        if key in latest:
            other, of = latest[key]
            if rank < (other.changed, of.received, of.delivery_id):
                continue
        latest[key] = (record, one)
    taken = {(r.party, r.takes_back) for r, _ in latest.values() if r.is_credit}
    found: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for key, (record, one) in latest.items():
        if not record.is_credit and key not in taken:
            found[one.concession, record.month, PLACEMENT[record.place]].append(record)
    everyone: dict[tuple[str, str], set[str]] = defaultdict(set)
    for (_, month, placement), of in found.items():
        everyone[month, placement] |= {r.token for r in of}
    return {
        cell: (
            len(of),
            sum(r.energy for r in of),
            *[len({r.token for r in of})] * 2,
            len(everyone[cell[1:]]),
        )
        for cell, of in found.items()
    }


def agrees(warehouse: Warehouse, pointed: list[Delivery]) -> None:
    """The warehouse is as one built from nothing, and as counted by hand."""
    anew = Warehouse(warehouse.sql)
    anew.build(pointed)
    assert warehouse.tables() == anew.tables()
    rows = warehouse.rows(
        "select concession, month, placement, sessions, energy_kwh, drivers, "
        "drivers_of_concession, drivers_of_all "
        "from intermediate.int_session_months"
    )
    assert {row[:3]: row[3:] for row in rows} == counted_by_hand(pointed)
    assert len(rows) == len(counted_by_hand(pointed))
    spread = warehouse.rows(
        "select concession, month, sum(energy_kwh), sum(connected_h), min(energy_kwh) >= 0 "
        "from intermediate.int_session_quarter_hours group by all order by all"
    )
    summed = warehouse.rows(
        "select concession, month, sum(energy_kwh), sum(connected_h), true "
        "from intermediate.int_session_months where placement = 'in_region' "
        "group by all order by all"
    )
    assert spread == summed


# ── any history ──────────────────────────────────────────────────────────────────────────────────

# Around the ends of months, by clocks here and in Greenwich, and those of summer and winter time.
BEGINNINGS = [
    at(text)
    for text in (
        "2022-07-31 21:59:59",
        "2022-07-31 22:00:00",
        "2022-08-01 00:00:00",
        "2022-10-30 00:30:00",
        "2022-11-30 22:59:59",
        "2022-11-30 23:00:00",
    )
]
records = st.builds(
    Record,
    key=st.sampled_from("abc"),
    started_at=st.sampled_from(BEGINNINGS),
    changed=st.integers(1, 2),
    party=st.sampled_from(["NUO", "NUO", "NUO", "NUO", "EZC"]),
    takes_back=st.sampled_from(["a", "b", "c"]),
    is_credit=st.sampled_from([False, False, True]),
    place=st.sampled_from("AABC"),
    token=st.sampled_from(["t1", "t2"]),
    minutes=st.sampled_from([1, 15, 61, 1500]),
    energy=st.sampled_from([Decimal("0.0000"), Decimal("0.0007"), Decimal("13.3333")]),
    parked=st.sampled_from([None, Decimal("0.0000"), Decimal("0.0160")]),
)
contents = st.lists(
    records, min_size=1, max_size=4, unique_by=lambda one: (one.party, one.key)
).map(tuple)
PARTITIONS = ("vattenfall 1", "vattenfall 2", "vattenfall 3", "ecotap_allego 1")
# Delivered, staged otherwise (a mapping was mended), or no longer pointed at.
steps = st.lists(
    st.tuples(
        st.sampled_from(PARTITIONS),
        st.one_of(contents, contents, contents.map(lambda c: ("again", c)), st.none()),
        st.booleans(),
    ),
    min_size=3,
    max_size=6,
)


@given(steps=steps)
@hypothesis_settings(max_examples=25, deadline=None)
def test_whatever_happens_it_is_as_built_from_nothing(
    compiled: dict[str, str], steps: list[tuple[str, Any, bool]]
) -> None:
    pointed: dict[str, Delivery] = {}
    warehouse = Warehouse(compiled)
    for number, (partition, content, demo) in enumerate(steps, start=1):
        before = pointed.get(partition)
        if content is None:
            pointed.pop(partition, None)
        elif content and content[0] == "again":
            if before is None:
                continue
            pointed[partition] = replace(before, records=content[1], staged=before.staged + 1)
        else:
            concession = partition.split()[0]
            pointed[partition] = Delivery(f"{number}", concession, number % 3, content, demo)
        warehouse.build(list(pointed.values()))
        agrees(warehouse, list(pointed.values()))


# ── each case by itself ──────────────────────────────────────────────────────────────────────────

JULY, AUGUST, NOVEMBER = at("2022-07-10"), at("2022-08-10"), at("2022-11-10")
FIRST = Delivery("first", "vattenfall", 1, (Record("a", JULY), Record("b", JULY)))
SECOND = Delivery("second", "vattenfall", 2, (Record("c", AUGUST),))
THIRD = Delivery("third", "vattenfall", 3, (Record("d", NOVEMBER),))
HISTORY = [FIRST, SECOND, THIRD]


def with_another(*told: Record) -> list[Delivery]:
    return [*HISTORY, Delivery("another", "vattenfall", 4, told)]


CREDIT = Record("z", NOVEMBER, takes_back="a", is_credit=True)
CASES: dict[str, tuple[list[Delivery], list[Delivery], set[str]]] = {
    "nothing new": (HISTORY, HISTORY, set()),
    "one more month": (HISTORY[:2], HISTORY, {"2022-11"}),
    "a month no longer pointed at": (HISTORY, HISTORY[1:], {"2022-07"}),
    "replaced": (HISTORY, [FIRST, replace(SECOND, delivery_id="other"), THIRD], {"2022-08"}),
    "staged again": (HISTORY, [FIRST, replace(SECOND, staged=2), THIRD], {"2022-08"}),
    "a record corrected": (
        HISTORY,
        with_another(Record("a", JULY, changed=2, energy=Decimal("1.0000"))),
        {"2022-07"},
    ),
    "a record moved to another month": (
        HISTORY,
        with_another(Record("a", AUGUST, changed=2)),
        {"2022-07", "2022-08"},
    ),
    "an older version come late": (
        HISTORY,
        with_another(Record("a", JULY, changed=0)),
        {"2022-07"},
    ),
    "taken back months later": (HISTORY, with_another(CREDIT), {"2022-07", "2022-11"}),
    "the credit gone": (with_another(CREDIT), HISTORY, {"2022-07", "2022-11"}),
    "the credit names another": (
        with_another(CREDIT),
        [
            *with_another(CREDIT),
            Delivery("last", "vattenfall", 5, (replace(CREDIT, takes_back="c", changed=2),)),
        ],
        {"2022-07", "2022-08", "2022-11"},
    ),
    "one more of a month that another had left": (
        with_another(Record("a", AUGUST, changed=2)),
        [
            *with_another(Record("a", AUGUST, changed=2)),
            Delivery("last", "vattenfall", 5, (Record("e", JULY),)),
        ],
        {"2022-07"},
    ),
    "the credit of another operator": (
        HISTORY,
        with_another(replace(CREDIT, party="EZC")),
        {"2022-11"},
    ),
    "the credit before what it takes back": (
        with_another(CREDIT)[1:],
        with_another(CREDIT),
        {"2022-07"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_only_the_months_that_it_concerns_are_made(compiled: dict[str, str], case: str) -> None:
    before, after, expected = CASES[case]
    warehouse = Warehouse(compiled)
    warehouse.build(before)
    warehouse.build(after)
    assert warehouse.made == expected
    agrees(warehouse, after)


def profile(warehouse: Warehouse) -> dict[int, tuple[Any, ...]]:
    rows = warehouse.rows(
        "select quarter_hour, energy_kwh, connected_h from intermediate.int_session_quarter_hours"
    )
    return {row[0]: row[1:] for row in rows}


def profile_of(compiled: dict[str, str], record: Record) -> dict[int, tuple[Any, ...]]:
    warehouse = Warehouse(compiled)
    warehouse.build([Delivery("only", "vattenfall", 1, (record,))])
    return profile(warehouse)


def kwh(*values: str) -> list[Decimal]:
    return [Decimal(value) for value in values]


def test_energy_is_spread_over_the_time_charged_from_the_start(compiled: dict[str, str]) -> None:
    # 14:10 by clocks here, an hour of charging in two of being connected.
    record = Record(
        "a", at("2022-07-10 12:10"), minutes=120, energy=Decimal("6.0000"), parked=Decimal("1.0000")
    )
    found = profile_of(compiled, record)
    assert sorted(found) == list(range(56, 65))
    assert [found[quarter][0] for quarter in sorted(found)] == pytest.approx(
        kwh("0.5", "1.5", "1.5", "1.5", "1.0", "0", "0", "0", "0"), abs=Decimal("0.002")
    )
    assert sum(values[0] for values in found.values()) == record.energy
    assert sum(values[1] for values in found.values()) == record.connected


Change = Callable[[Record], Record]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # Nothing known of parking: all of the time.
        (lambda one: replace(one, parked=None), {48: "1.0", 49: "1.0", 50: "1.0", 51: "1.0"}),
        # Parked all of the time.
        (
            lambda one: replace(one, parked=Decimal("1.0000")),
            {48: "4.0", 49: "0", 50: "0", 51: "0"},
        ),
        # Longer than a year.
        (lambda one: replace(one, minutes=367 * 24 * 60, parked=None), {48: "4.0"}),
    ],
)
def test_energy_is_spread_where_little_is_known(
    compiled: dict[str, str], change: Change, expected: dict[int, str]
) -> None:
    record = Record("a", at("2022-07-10 10:00"), minutes=60, energy=Decimal("4.0000"))
    found = {quarter: kwh_ for quarter, (kwh_, _) in profile_of(compiled, change(record)).items()}
    assert set(found) == set(expected)
    assert {quarter: float(found[quarter]) for quarter in expected} == pytest.approx(
        {quarter: float(value) for quarter, value in expected.items()}, abs=0.002
    )
    assert sum(found.values()) == record.energy


def test_the_night_that_clocks_go_back_has_its_hour_twice(compiled: dict[str, str]) -> None:
    # From 2:00 summer time to 3:00 winter time: two hours, in the four quarter-hours of one.
    record = Record("a", at("2022-10-30 00:00"), minutes=120, energy=Decimal("8.0000"), parked=None)
    found = profile_of(compiled, record)
    assert [found[quarter][0] for quarter in range(8, 12)] == pytest.approx(
        kwh("2", "2", "2", "2"), abs=Decimal("0.002")
    )
