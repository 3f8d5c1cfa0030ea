"""A warehouse from hand-written staged rows: what `goral run` does around dbt, without the rest."""

import csv
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from goral_pipeline.warehouse import dbt_command

DBT_PROJECT = Path(__file__).parents[2] / "dbt_project"
Row = dict[str, Any]
SINGLE_SESSIONS = ("--select=+tag:cdr", "--indirect-selection=cautious")
NO_UNIT_TESTS = "--exclude-resource-type=unit_test"
ARNHEM, ZWOLLE, VEENENDAAL, AMSTERDAM = "GM0202", "GM0193", "GM0345", "GM0363"
with (DBT_PROJECT / "seeds" / "municipalities.csv").open() as _file:
    MUNICIPALITIES = [row["municipality_code"] for row in csv.DictReader(_file)]
"""The region's 77, and the two of its RES regions that do not take part."""
# Requests could be made in both from April to June 2022.
CONCESSIONS: list[Row] = [
    {
        "concession": "ecotap_allego",
        "name": "Ecotap/Allego",
        "requests_from": "2020-11-01",
        "requests_until": "2022-07-01",
    },
    {"concession": "vattenfall", "name": "Vattenfall InCharge", "requests_from": "2022-04-01"},
]


def _columns() -> dict[str, dict[str, str]]:
    sources = yaml.safe_load((DBT_PROJECT / "models" / "staging" / "_sources.yml").read_text())
    (staged,) = sources["sources"]
    return {
        table["name"]: {column["name"]: column["data_type"] for column in table["columns"]}
        for table in staged["tables"]
    }


@dataclass(frozen=True)
class Warehouse:
    path: Path
    results: dict[str, str]
    """Status by name of model, test or seed."""
    output: str
    compiled: Path
    """The SQL of the data tests, as dbt ran it."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path), read_only=True) as con:
            con.execute("set TimeZone = 'UTC'")
            return con.execute(sql).fetchall()

    def indicators(self, indicator: str, period: str) -> dict[str, int]:
        """Value by code of the area."""
        found = self.rows(
            "select area_code, value from marts.indicator_values "
            f"where indicator = '{indicator}' and period = '{period}'"
        )
        return {area: int(value) for area, value in found}

    def findings(self, test: str, *changes: str) -> list[tuple[Any, ...]]:
        """What a data test of dbt finds after changes of the tables, on a copy of the warehouse."""
        copy = self.path.with_name(f"changed-{self.path.name}")
        shutil.copyfile(self.path, copy)
        # Under the name that dbt built it by.
        with duckdb.connect() as con:
            con.execute(f"attach '{copy}' as building")
            for change in changes:
                con.execute(change)
            return con.execute((self.compiled / f"{test}.sql").read_text()).fetchall()

    def failed(self) -> set[str]:
        return {name for name, status in self.results.items() if status in ("fail", "error")}

    def warned(self) -> set[str]:
        return {name for name, status in self.results.items() if status == "warn"}


class Builder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def build(
        self, *arguments: str, single_sessions: bool = False, **tables: list[Row]
    ) -> Warehouse:
        """Stage the rows, each as a table of that name, and run `dbt build`."""
        path = self._folder / dbt_command.BUILDING
        for old in self._folder.glob(f"{dbt_command.BUILDING}*"):
            old.unlink()
        dbt_command.lend_parsed_project(self._folder / "target")
        columns = _columns()
        tables.setdefault("concessions", CONCESSIONS)
        number = len(list(self._folder.glob("built-*")))
        unknown = set(tables) - set(columns)
        assert not unknown, f"not staged: {unknown}"
        with duckdb.connect(str(path)) as con:
            con.execute("set TimeZone = 'UTC'")
            con.execute("create schema staged")
            for table, types in columns.items():
                _stage(
                    con,
                    self._folder / f"{table}-{number}.parquet",
                    table,
                    types,
                    tables.get(table, []),
                )
        done = subprocess.run(
            [
                str(dbt_command.DBT),
                "--no-use-colors",
                "build",
                *(SINGLE_SESSIONS if single_sessions else ["--exclude=tag:cdr"]),
                *arguments,
                *dbt_command.PROJECT,
                f"--target-path={self._folder / 'target'}",
                f"--log-path={self._folder / 'logs'}",
            ],
            env={**os.environ, dbt_command.BUILD_VARIABLE: str(path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stdout + done.stderr
        results = json.loads((self._folder / "target" / "run_results.json").read_text())
        statuses = {_name(one["unique_id"]): one["status"] for one in results["results"]}
        kept = path.rename(path.with_name(f"built-{number}.duckdb"))
        compiled = self._folder / "target" / "compiled" / "goral" / "tests"
        return Warehouse(kept, statuses, done.stdout, compiled)


def _name(unique_id: str) -> str:
    kind, _, *names = unique_id.split(".")
    # unit_test.goral.<model>.<test>, but test.goral.<test>.<hash>
    return names[1] if kind == "unit_test" else names[0]


def _stage(
    con: duckdb.DuckDBPyConnection, file: Path, table: str, types: dict[str, str], rows: list[Row]
) -> None:
    typed = ", ".join(f'"{name}" {sql_type}' for name, sql_type in types.items())
    con.execute(f"create temp table given ({typed})")
    for row in rows:
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" for _ in row)
        con.execute(f"insert into given ({names}) values ({marks})", list(row.values()))
    if rows:
        con.execute(f"copy given to '{file}'")
        con.execute(f"create view staged.{table} as select * from read_parquet(['{file}'])")
    else:
        empty = ", ".join(
            f'cast(null as {sql_type}) as "{name}"' for name, sql_type in types.items()
        )
        con.execute(f"create view staged.{table} as select {empty} where false")
    con.execute("drop table given")


@pytest.fixture(scope="session")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("dbt"))


# ── rows of the staged tables ────────────────────────────────────────────────────────────────────


def delivery(
    dataset: str, partition: str, *, received_at: str = "", demo: bool = False, suffix: str = ""
) -> Row:
    return {
        "delivery_id": f"{dataset}@{partition}{suffix}",
        "source": dataset.split("/", 1)[0],
        "dataset": dataset,
        "partition": partition,
        "received_at": received_at or f"{partition[:4]}-{partition[5:] or '01'}-15 12:00:00+00",
        "demo": demo,
        "is_new": True,
    }


@dataclass(frozen=True)
class Snapshot:
    """A DOT-NL snapshot of a month, placed on the boundaries of its year."""

    month: str
    boundaries: str | None = "2022"

    @property
    def delivery_id(self) -> str:
        return f"ndw_dotnl/locations@{self.month}"

    def staged(self, *locations: Row) -> dict[str, list[Row]]:
        """The staged rows of locations, each with `municipality` and `charge_points`."""
        tables: dict[str, list[Row]] = {
            "ndw_dotnl__locations": [],
            "ndw_dotnl__charge_points": [],
            "ndw_dotnl__connectors": [],
            "derived__location_municipality": [],
        }
        for number, location in enumerate(locations, start=1):
            key = {
                "country_code": "NL",
                "party_id": location.get("party", "AAA"),
                "location_id": location["id"],
                "delivery_id": self.delivery_id,
            }
            row = {**key, "record_number": number, "last_updated": f"{self.month}-01 00:00:00+00"}
            tables["ndw_dotnl__locations"].append(
                {
                    **row,
                    "publish": location.get("publish", True),
                    "latitude": 52,
                    "longitude": 6,
                    "parking_type": location.get("parking_type", "ON_STREET"),
                }
            )
            if self.boundaries:
                tables["derived__location_municipality"].append(
                    {
                        **key,
                        "municipality_code": location.get("municipality"),
                        "near_border": location.get("near_border", False),
                        "boundaries_delivery_id": (
                            f"pdok/municipality_boundaries@{self.boundaries}"
                        ),
                    }
                )
            for uid, (status, *powers) in location.get("charge_points", {}).items():
                tables["ndw_dotnl__charge_points"].append(
                    {**row, "evse_uid": uid, "status": status}
                )
                for connector, power in enumerate(powers, start=1):
                    tables["ndw_dotnl__connectors"].append(
                        {
                            **row,
                            "evse_uid": uid,
                            "connector_id": str(connector),
                            "standard": "IEC_62196_T2",
                            "power_type": "AC_3_PHASE",
                            "power_kw": power,
                            "power_origin": "declared",
                        }
                    )
        return tables


def together(*parts: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """Staged rows of several deliveries."""
    result: dict[str, list[Row]] = {}
    for part in parts:
        for table, rows in part.items():
            result.setdefault(table, []).extend(rows)
    return result


def request(of: Row, request_id: str, requested_on: str, **columns: Any) -> Row:
    """A row of a delivery of requests; in Arnhem unless told otherwise."""
    return {
        "request_id": request_id,
        "municipality_code": "GM0202",
        "occasion": "demand_driven",
        "requested_on": requested_on,
        "last_updated": f"{of['partition']}-28 12:00:00+00",
        "delivery_id": of["delivery_id"],
        "record_number": 2,
        **columns,
    }


def placement(of: Row, placement_id: str, municipality: str, **columns: Any) -> Row:
    """A row of a delivery of placements: a station of two charge points of 11 kW."""
    return {
        "placement_id": placement_id,
        "municipality_code": municipality,
        "occasion": "demand_driven",
        "charge_points": 2,
        "power_kw": 11,
        "last_updated": f"{of['partition']}-28 12:00:00+00",
        "delivery_id": of["delivery_id"],
        "record_number": 2,
        **columns,
    }


def counted(
    of: Row, month: str, municipality: str, charge_points: tuple[int, int, int, int]
) -> list[Row]:
    """RVO's counts of a municipality: public regular and fast, semi-public regular and fast."""
    classes = [
        (access, speed) for access in ("public", "semi_public") for speed in ("regular", "fast")
    ]
    return [
        {
            "municipality_code": municipality,
            "month": month,
            "access": access,
            "speed": speed,
            "charge_points": number,
            "delivery_id": of["delivery_id"],
            "record_number": 1,
        }
        for (access, speed), number in zip(classes, charge_points, strict=True)
    ]


OUTLOOK = ("electric_cars", "public", "square", "destination", "garage", "fast", "home", "work")


def neighbourhood(of: Row, code: str, year: int, scenario: str, *quantities: str) -> Row:
    """A row of ElaadNL's outlook, with the quantities in the order of OUTLOOK."""
    names = [name if name == "electric_cars" else f"{name}_charge_points" for name in OUTLOOK]
    return {
        "edition": of["partition"],
        "neighbourhood_code": code,
        "municipality_code": f"GM{code[2:6]}",
        "year": year,
        "scenario": scenario,
        "delivery_id": of["delivery_id"],
        "record_number": 2,
        **dict(zip(names, quantities, strict=False)),
    }
