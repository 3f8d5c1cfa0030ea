"""What is published of use and requests, attacked: nobody can subtract his way to a few persons.

The SQL is what dbt compiles of the models, on small tables made up here. The attack knows all that
is published, and looks for every sum of hidden cells that follows from it.
"""

import os
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import chain, combinations
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from goral_pipeline.settings import DBT_PROJECT
from goral_pipeline.warehouse import dbt_command

SUPPRESSION, USE, USE_INDICATORS, REQUESTS, GATE = (
    "int_use_suppression",
    "kpi_use",
    "int_use_indicators",
    "kpi_requests",
    "no_small_cell_is_told",
)
FEWEST = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text())["vars"]["fewest_told"]
MONTH = "2022-07"
MUNICIPALITIES = ["GM0202", "GM0268", "GM0193"]
CONCESSIONS = ["one", "three", "two"]
MEASURES = (
    "sessions",
    "energy_kwh",
    "connected_evse_h",
    "charged_h",
    "charged_h_known_sessions",
    "charge_points_used",
    "occupancy_pct",
    "drivers",
)
Cell = tuple[str, str]
"""Concession and municipality."""
Drivers = dict[Cell, frozenset[int]]
Known = tuple[frozenset[Cell], int]
"""Cells, and how many sessions they have together."""


class Sql(dict[str, str]):
    """SQL by model; a failing example is not to be told with all of it."""

    def __repr__(self) -> str:
        return "the SQL of the models"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Sql:
    """The SQL of each model and of the test, as dbt compiles it for a warehouse named building."""
    folder = tmp_path_factory.mktemp("compiled")
    dbt_command.lend_parsed_project(folder / "target")
    done = subprocess.run(
        [
            str(dbt_command.DBT),
            *("compile", "--no-use-colors", "--select"),
            *(SUPPRESSION, USE, USE_INDICATORS, REQUESTS, GATE),
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
    return Sql(
        (path.stem, path.read_text()) for path in (folder / "target/compiled").rglob("*.sql")
    )


@dataclass
class Told:
    """All that is published of what was made up, and what the test of dbt says of it."""

    con: duckdb.DuckDBPyConnection
    sql: Sql

    def rows(self, query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.con.execute(query).to_arrow_table().to_pylist()
        return found

    def findings(self, *changes: str) -> set[str]:
        for change in changes:
            self.con.execute(change)
        return {row["finding"] for row in self.rows(self.sql[GATE])}


def tell(
    sql: Sql,
    drivers: Drivers | None = None,
    requests: list[dict[str, Any]] | None = None,
    *,
    late: frozenset[str] = frozenset(),
) -> Told:
    """Publish the use of drivers, each with two sessions, and requests.

    Concessions of `late` have not delivered the month: what they have of it came with another.
    """
    con = duckdb.connect()
    con.execute("set threads = 1; attach ':memory:' as building; use building")
    con.execute("create schema staging; create schema intermediate; create schema marts")
    con.execute(
        "create table marts.dim_municipality as select * from (values ('GM0202', 'Arnhem', "
        "'Gelderland'), ('GM0268', 'Nijmegen', 'Gelderland'), ('GM0193', 'Zwolle', 'Overijssel')) "
        "as t (municipality_code, municipality_name, province)"
    )
    _stage_concessions(con, late)
    _stage_use(con, drivers or {}, late)
    _stage_requests(con, requests or [])
    con.execute(f"create table intermediate.{SUPPRESSION} as {sql[SUPPRESSION]}")
    con.execute(f"create table marts.{USE} as {sql[USE]}")
    con.execute(f"create table marts.{REQUESTS} as {sql[REQUESTS]}")
    con.execute(f"create table marts.indicator_values as {sql[USE_INDICATORS]}")
    return Told(con, sql)


def _stage_concessions(con: duckdb.DuckDBPyConnection, late: frozenset[str]) -> None:
    con.execute(
        "create table staging.stg_mappings__concessions "
        "(concession varchar, concession_name varchar)"
    )
    con.execute(
        "create table intermediate.int_delivered_months "
        "(concession varchar, month varchar, demo boolean)"
    )
    # One is known by its OCPI server alone, so no mapping of requests names it.
    named = [(name, name) for name in CONCESSIONS if name != "three"]
    _insert(con, "staging.stg_mappings__concessions", named)
    months = {name: "2022-06" if name in late else MONTH for name in CONCESSIONS}
    _insert(
        con,
        "intermediate.int_delivered_months",
        [(name, month, False) for name, month in months.items()],
    )


def _stage_use(con: duckdb.DuckDBPyConnection, drivers: Drivers, late: frozenset[str]) -> None:
    con.execute(
        "create table intermediate.int_session_months (concession varchar, month varchar, "
        "placement varchar, municipality_code varchar, sessions bigint, "
        "energy_kwh decimal(18, 4), drivers bigint, drivers_of_concession bigint, "
        "drivers_of_all bigint, demo boolean)"
    )
    con.execute(
        "create table marts.mart_use (month varchar, concession varchar, "
        "municipality_code varchar, is_delivered boolean, sessions bigint, "
        "energy_kwh decimal(12, 4), connected_evse_h decimal(18, 4), charged_h decimal(18, 4), "
        "charged_h_known_sessions bigint, charge_points_used bigint, "
        "evse_hours_in_service bigint, occupancy_pct decimal(12, 4))"
    )
    everyone = frozenset().union(*drivers.values())
    of_concessions = {
        concession: frozenset().union(
            *(who for (of, _), who in drivers.items() if of == concession)
        )
        for concession in CONCESSIONS
    }
    # Elsewhere than in the region nothing is told of, and nothing hidden.
    months: list[tuple[Any, ...]] = [("one", MONTH, "outside", None, *[1] * 5, False)]
    use: list[tuple[Any, ...]] = []
    for (concession, municipality), group in drivers.items():
        sessions = sessions_of(group)
        use.append(
            (
                MONTH,
                concession,
                municipality,
                True,
                *[sessions] * 5,
                min(sessions, 2),
                744,
                sessions,
            )
        )
        counted = (len(group), len(of_concessions[concession]), len(everyone))
        # Where nobody charged there is a row of the mart only.
        if group:
            place = (concession, MONTH, "in_region", municipality)
            months.append((*place, sessions, sessions, *counted, False))
    _insert(con, "marts.mart_use", use)
    _insert(con, "intermediate.int_session_months", months)


def sessions_of(group: frozenset[int]) -> int:
    """Different for most groups, so that a sum tells which."""
    return sum(2 + driver % 3 for driver in group)


def _stage_requests(con: duckdb.DuckDBPyConnection, requests: list[dict[str, Any]]) -> None:
    con.execute(
        "create table marts.mart_requests (concession varchar, reference_date date, "
        "request_month varchar, municipality_code varchar, state varchar, reason varchar, "
        "requests bigint)"
    )
    rows = []
    for row in requests:
        concession, *of, number = row.values()
        # What stood there before is not told of any more.
        rows.append((concession, "2022-11-01", *of, 99))
        rows.append((concession, "2022-12-01", *of, number))
    _insert(con, "marts.mart_requests", rows)


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        marks = ", ".join(["(" + ", ".join("?" for _ in rows[0]) + ")"] * len(rows))
        con.execute(f"insert into {table} values {marks}", [one for row in rows for one in row])


# ── the attack ───────────────────────────────────────────────────────────────────────────────────


class Attack:
    """Every sum of cells that follows from what is known, by elimination without rounding."""

    def __init__(self, cells: list[Cell], known: list[Known]) -> None:
        self._cells = cells
        self._rows: list[list[Fraction]] = []
        for members, total in known:
            row = self._reduced([*(Fraction(cell in members) for cell in cells), Fraction(total)])
            lead = next((n for n, value in enumerate(row[:-1]) if value), None)
            if lead is not None:
                self._rows.append([value / row[lead] for value in row])

    def _reduced(self, row: list[Fraction]) -> list[Fraction]:
        for other in self._rows:
            lead = next(n for n, value in enumerate(other) if value)
            if row[lead]:
                row = [a - row[lead] * b for a, b in zip(row, other, strict=True)]
        return row

    def sum_of(self, cells: frozenset[Cell]) -> Fraction | None:
        """How many sessions they have together; None where that does not follow."""
        row = self._reduced([*(Fraction(cell in cells) for cell in self._cells), Fraction(0)])
        return None if any(row[:-1]) else -row[-1]


def known_of(told: Told) -> list[Known]:
    """What is published of sessions: cells, indicators of cells, and totals."""
    cells = told.rows("from marts.kpi_use")
    every = frozenset((row["concession"], row["municipality_code"]) for row in cells)
    known = [
        (frozenset({(row["concession"], row["municipality_code"])}), row["sessions"])
        for row in cells
        if row["sessions"] is not None
    ]
    for row in told.rows(
        "from marts.indicator_values "
        f"where indicator = 'use_sessions' and period = '{MONTH}' and value is not null"
    ):
        of = {
            "nal_region": every,
            "concession": frozenset(cell for cell in every if cell[0] == row["area_code"]),
            "municipality": frozenset(
                cell
                for cell in every
                if cell[1] == row["area_code"] and f'"{cell[0]}"' in row["dimensions"]
            ),
        }[row["area_type"]]
        known.append((of, int(row["value"])))
    return known


def told_of_few(drivers: Drivers, known: list[Known]) -> list[frozenset[Cell]]:
    """Sets of cells none of which has drivers enough, and whose sessions follow all the same."""
    attack = Attack(list(drivers), known)
    small = [cell for cell, group in drivers.items() if 0 < len(group) < FEWEST]
    return [
        cells
        for size in range(1, len(small) + 1)
        for cells in map(frozenset, combinations(small, size))
        if attack.sum_of(cells) is not None
    ]


def test_the_attack_finds_what_suppression_without_complement_leaves() -> None:
    drivers = {
        ("one", "GM0202"): frozenset(range(3)),
        ("one", "GM0268"): frozenset(range(20)),
        ("two", "GM0202"): frozenset(range(4)),
        ("two", "GM0268"): frozenset(range(30)),
    }
    cells = list(drivers)
    total = (frozenset(cells[:2]), sessions_of(drivers[cells[0]]) + sessions_of(drivers[cells[1]]))
    large = (frozenset({cells[1]}), sessions_of(drivers[cells[1]]))
    assert told_of_few(drivers, [total, large]) == [frozenset({cells[0]})]
    assert Attack(cells, [total, large]).sum_of(frozenset({cells[0]})) == sessions_of(
        drivers[cells[0]]
    )
    assert told_of_few(drivers, [total]) == told_of_few(drivers, [large]) == []


# ── use ──────────────────────────────────────────────────────────────────────────────────────────

GROUPS = st.builds(
    lambda first, number: frozenset(range(first, first + number)),
    st.integers(0, 12),
    # Around the threshold, and nobody.
    st.sampled_from([0, 1, 4, 9, 10, 11, 12, 13, 18]),
)
SOME_USE = st.dictionaries(
    st.tuples(st.sampled_from(CONCESSIONS), st.sampled_from(MUNICIPALITIES)), GROUPS, max_size=9
)
LOOK = hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def few(number: int) -> frozenset[int]:
    return frozenset(range(number))


@given(SOME_USE, st.frozensets(st.sampled_from(CONCESSIONS), max_size=1))
# The total of the first hides itself in the region's by that of the second, which else has no cell
# that is hidden.
@example(
    {
        ("one", "GM0202"): few(3),
        ("one", "GM0268"): few(8),
        ("two", "GM0202"): few(12),
        ("two", "GM0268"): few(10),
        ("three", "GM0268"): few(18),
    },
    frozenset(),
)
@example({("one", "GM0202"): few(9), ("two", "GM0202"): few(9)}, frozenset())
@LOOK
def test_no_published_combination_tells_of_few_drivers(
    compiled: Sql, drivers: Drivers, late: frozenset[str]
) -> None:
    told = tell(compiled, drivers, late=late)
    known = known_of(told)
    assert told_of_few(drivers, known) == []
    assert told.findings() == set()
    # What is told is so.
    for members, total in known:
        assert total == sum(sessions_of(drivers.get(cell, frozenset())) for cell in members)


@given(SOME_USE)
@LOOK
def test_a_suppressed_cell_shows_no_measure_and_another_all(
    compiled: Sql, drivers: Drivers
) -> None:
    told = tell(compiled, drivers)
    rows = told.rows("from marts.kpi_use")
    assert {(row["concession"], row["municipality_code"]) for row in rows} == set(drivers)
    for row in rows:
        group = drivers[row["concession"], row["municipality_code"]]
        shown = [row[measure] for measure in MEASURES]
        assert (row["suppression"] == "small") == (0 < len(group) < FEWEST)
        assert row["evse_hours_in_service"] == 744
        assert row["origin"] in {"ndw_dotnl+one", "ndw_dotnl+two", "ndw_dotnl+three"}
        if row["suppression"] != "none":
            assert shown == [None] * len(MEASURES)
            continue
        assert row["sessions"] == row["occupancy_pct"] == sessions_of(group)
        assert row["drivers"] % 5 == 0
        assert abs(row["drivers"] - len(group)) <= 2
    values = told.rows("from marts.indicator_values")
    assert all((row["value"] is None) == (row["suppression"] != "none") for row in values)
    assert len(values) == 3 * (len(drivers) + len(CONCESSIONS) + 1)


@given(SOME_USE)
@LOOK
def test_nothing_of_drivers_enough_is_hidden_without_need(compiled: Sql, drivers: Drivers) -> None:
    """Were any one of the complementary figures told besides, something small would be too."""
    told = tell(compiled, drivers)
    known = known_of(told)
    for row in told.rows(
        "from marts.indicator_values "
        "where indicator = 'use_sessions' and suppression = 'complementary'"
    ):
        of = frozenset(
            cell
            for cell in drivers
            if row["area_type"] == "nal_region"
            or (row["area_type"] == "concession" and cell[0] == row["area_code"])
            or (cell[1] == row["area_code"] and f'"{cell[0]}"' in row["dimensions"])
        )
        assert len(frozenset(chain.from_iterable(drivers[cell] for cell in of))) >= FEWEST
        more = (of, sum(sessions_of(drivers[cell]) for cell in of))
        assert told_of_few(drivers, [*known, more])


@pytest.mark.parametrize(
    ("number", "rounded"), [(0, 0), (10, 10), (12, 10), (13, 15), (17, 15), (18, 20)]
)
def test_drivers_are_told_to_the_nearest_five(compiled: Sql, number: int, rounded: int) -> None:
    told = tell(compiled, {("one", "GM0202"): few(number)})
    values = {
        row["area_type"]: row["value"]
        for row in told.rows(
            "from marts.indicator_values where indicator = 'use_drivers' and origin like '%one%'"
        )
    }
    assert values == dict.fromkeys(["municipality", "concession", "nal_region"], Decimal(rounded))


def test_a_month_that_is_not_delivered_has_no_total(compiled: Sql) -> None:
    drivers = {("one", "GM0202"): few(12), ("two", "GM0202"): few(13)}

    def areas(late: frozenset[str]) -> list[tuple[str, str]]:
        told = tell(compiled, drivers, late=late)
        found = told.rows(f"from marts.indicator_values where period = '{MONTH}'")
        return sorted({(row["area_type"], row["area_code"]) for row in found})

    each = [("concession", name) for name in CONCESSIONS]
    one = ("municipality", "GM0202")
    assert areas(frozenset()) == [*each, one, ("nal_region", "nal_oost")]
    assert areas(frozenset({"two"})) == [*each[:2], one]


# ── requests ─────────────────────────────────────────────────────────────────────────────────────

KINDS = [("realised", "none"), ("rejected", "no_valid_proof"), ("rejected", "own_parking_place")]
SOME_REQUESTS = st.dictionaries(
    st.tuples(
        st.sampled_from(["2022-10", "2022-11"]),
        st.sampled_from(MUNICIPALITIES),
        st.sampled_from(KINDS),
    ),
    st.sampled_from([1, 4, 6, 9, 10, 11, 25]),
    max_size=18,
)


def as_rows(requests: dict[tuple[str, str, tuple[str, str]], int]) -> list[dict[str, Any]]:
    return [
        {
            "concession": "one",
            "request_month": month,
            "municipality_code": municipality,
            "state": state,
            "reason": reason,
            "requests": number,
        }
        for (month, municipality, (state, reason)), number in requests.items()
    ]


@given(SOME_REQUESTS)
@LOOK
def test_no_total_of_requests_tells_of_few(
    compiled: Sql, requests: dict[tuple[str, str, tuple[str, str]], int]
) -> None:
    told = tell(compiled, requests=as_rows(requests))
    province = {row["municipality_code"]: row["province"] for row in told.rows(DIM)}
    groups: dict[tuple[str, str, str], dict[tuple[str, str], dict[str, Any]]] = defaultdict(dict)
    for row in told.rows(f"from marts.{REQUESTS}"):
        assert (row["requests"] is None) == (row["suppression"] != "none")
        group = row["request_month"], province[row["municipality_code"]], row["state"]
        groups[group][row["municipality_code"], row["reason"]] = row
    truth: dict[tuple[str, str, str], dict[tuple[str, str], int]] = defaultdict(dict)
    for (month, municipality, (state, reason)), number in requests.items():
        truth[month, province[municipality], state][municipality, reason] = number
    assert set(groups) == set(truth)
    reasons = {
        state: {reason for _, _, (of, reason) in requests if of == state}
        for state in ("realised", "rejected")
    }
    for (month, of, state), cells in truth.items():
        rows = groups[month, of, state]
        hidden = {cell for cell, row in rows.items() if row["requests"] is None}
        for cell, row in rows.items():
            assert row["requests"] in (None, cells.get(cell))
        codes = {code for code, where in province.items() if where == of}
        anywhere = {(code, why) for code in codes for why in reasons[state]}
        marked = {cell for cell, row in rows.items() if row["suppression"] == "small"}
        if sum(cells.values()) < FEWEST:
            # Told of none: all that could have any are alike.
            assert set(rows) == hidden == marked == anywhere
            continue
        small = {cell for cell, number in cells.items() if number < FEWEST}
        more = hidden - marked
        of_hidden = sum(cells[cell] for cell in small | more)
        if small and (
            of_hidden == len(small) + FEWEST * len(more)
            or (not more and of_hidden == (FEWEST - 1) * len(small))
        ):
            # Each would have to be just one, or nine.
            assert set(rows) == anywhere
            assert marked == anywhere - (set(cells) - small)
        else:
            assert set(rows) == set(cells)
            assert marked == small
        if hidden:
            assert len(hidden) >= 2
            assert of_hidden >= FEWEST
        # One more only where they are too few without it.
        assert len(more) == (0 < sum(cells[cell] for cell in small) < FEWEST)
        large = [number for cell, number in cells.items() if cell not in small]
        assert [cells[cell] for cell in more] in ([], [min(large, default=0)])
    assert told.findings() == set()


@pytest.mark.parametrize("each", [(1, 10), (9, 9)])
def test_requests_do_not_follow_from_how_many_rows_are_hidden(
    compiled: Sql, each: tuple[int, int]
) -> None:
    """Of one province: one small cell beside the least large one, or all as large as small gets."""
    codes = [row["municipality_code"] for row in tell(compiled).rows(f"{DIM} order by all")]
    of = {row["municipality_code"]: row["province"] for row in tell(compiled).rows(DIM)}
    here = [code for code in codes if of[code] == "Gelderland"]
    mine, other = ("rejected", "no_valid_proof"), ("rejected", "own_parking_place")
    requests = {
        ("2022-03", here[0], mine): each[0],
        ("2022-03", here[0], other): each[1],
        # So that there are both reasons, and both municipalities.
        ("2022-04", here[1], mine): 25,
        ("2022-04", here[1], other): 25,
    }
    told = tell(compiled, requests=as_rows(requests))
    rows = told.rows(f"from marts.{REQUESTS} where request_month = '2022-03'")
    assert {row["requests"] for row in rows} == {None}
    assert len(rows) == 2 * len(here) > 2, "wherever there could have been any"
    assert told.findings() == set()
    # Had only the two rows been there, the build would have failed.
    left = told.findings(
        f"delete from marts.{REQUESTS} where request_month = '2022-03' "
        f"and municipality_code <> '{here[0]}'"
    )
    assert left == {"requests that follow from the number of rows"}


DIM = "from marts.dim_municipality"

# ── the test of dbt that stands in the way of a drop ─────────────────────────────────────────────


@pytest.fixture
def good(compiled: Sql) -> Iterator[Told]:
    drivers = {
        ("one", "GM0202"): few(4),
        ("one", "GM0268"): few(12),
        ("one", "GM0193"): few(30),
        ("two", "GM0202"): few(7),
        ("three", "GM0202"): few(15),
    }
    requests = {
        ("2022-11", "GM0202", KINDS[0]): 4,
        ("2022-11", "GM0268", KINDS[0]): 12,
        ("2022-11", "GM0202", KINDS[1]): 20,
    }
    told = tell(compiled, drivers, as_rows(requests))
    assert told.findings() == set()
    yield told
    told.con.close()


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (
            "update marts.kpi_use set drivers = 5 where municipality_code = 'GM0202' "
            "and concession = 'one'",
            "use of few drivers",
        ),
        (
            "update marts.kpi_use set sessions = 25 where suppression = 'complementary' "
            "and concession = 'one'",
            "total of use less what is told",
        ),
        (
            "update marts.indicator_values set value = 9 where area_code = 'two' "
            "and indicator = 'use_energy_kwh'",
            "total of use less what is told",
        ),
        (
            "update marts.indicator_values set value = 9 where area_code = 'GM0202' "
            "and dimensions like '%two%'",
            "use that is hidden in kpi_use",
        ),
        ("update marts.kpi_requests set requests = 4 where suppression = 'small'", "few requests"),
        (
            "update marts.kpi_requests set requests = 12 where suppression = 'complementary'",
            "total of requests less what is told",
        ),
    ],
)
def test_a_small_cell_that_is_told_fails_the_build(good: Told, change: str, finding: str) -> None:
    assert finding in good.findings(change)
