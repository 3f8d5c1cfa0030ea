"""Requests as CSV: staging them beside DuckDB's own bare read and typed write of the same columns.

All persons are obviously invented.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb

from benchmarks.measuring import Result, apart, in_turn, median, median_ratio, peak, result
from goral_pipeline.settings import DBT_PROJECT

DATASET = "benchmark/requests"
KEY = b"key of the benchmarks, known to all"
MAPPING = """\
dataset: benchmark/requests
contract: concession.requests
concession: {from: 2022-04-01, municipalities: all}
file: {type: csv, encoding: [utf-8], separator: ";", header_row: 1}
time_zone: Europe/Amsterdam
date_formats: ["%d-%m-%Y"]
timestamp_formats: ["%d-%m-%Y %H:%M:%S"]
columns:
  request_id: {headers: [Aanvraagnummer]}
  municipality_code: {headers: [Gemeente], register: municipality_names}
  occasion:
    headers: [Aanleiding]
    codes:
      aanvraag bewoner: demand_driven
      proactief: proactive
      datagedreven: data_driven
  requested_on: {headers: [Datum aanvraag]}
  rejected_on: {headers: [Datum afwijzing]}
  rejection_reason:
    headers: [Reden afwijzing]
    codes:
      eigen parkeergelegenheid: own_parking_place
      laadpaal binnen 250 meter: charge_point_nearby
      geen geldig bewijs elektrische auto: no_valid_proof
      woont of werkt niet in gemeente: not_in_municipality
  withdrawn_on: {headers: [Datum intrekking]}
  approved_on: {headers: [Datum goedkeuring]}
  realised_on: {headers: [Datum realisatie]}
  applicant_pseudonym: {headers: [E-mailadres]}
  last_updated: {headers: [Laatst gewijzigd]}
  applicant_name: {headers: [Naam aanvrager]}
  phone: {headers: [Telefoonnummer]}
  street_address: {headers: [Straat en huisnummer]}
  postal_code: {headers: [Postcode]}
  licence_plate: {headers: [Kenteken]}
  remarks: {headers: [Toelichting]}
"""
TYPES = {
    "Aanvraagnummer": "VARCHAR",
    "Gemeente": "VARCHAR",
    "Naam aanvrager": "VARCHAR",
    "E-mailadres": "VARCHAR",
    "Telefoonnummer": "VARCHAR",
    "Straat en huisnummer": "VARCHAR",
    "Postcode": "VARCHAR",
    "Kenteken": "VARCHAR",
    "Aanleiding": "VARCHAR",
    "Datum aanvraag": "DATE",
    "Datum afwijzing": "DATE",
    "Reden afwijzing": "VARCHAR",
    "Datum intrekking": "DATE",
    "Datum goedkeuring": "DATE",
    "Datum realisatie": "DATE",
    "Laatst gewijzigd": "TIMESTAMP",
    "Toelichting": "VARCHAR",
}
PERSONAL_AND_DROPPED = {
    "Naam aanvrager",
    "Telefoonnummer",
    "Straat en huisnummer",
    "Postcode",
    "Kenteken",
    "Toelichting",
}
THREADS = 2
MEMORY_LIMIT = "2GB"
"""As the settings have it where nobody says otherwise."""
SMALL_MEMORY_LIMIT = "700MB"
FEW, MANY = 1_000_000, 3_000_000


def measure(folder: Path, *, rows: int = FEW, runs: int = 5) -> list[Result]:
    """Stage the file and write it barely, in turn."""
    file = write(folder / "requests.csv", rows)
    home = folder / "home"
    found = in_turn(
        {
            "staged": partial(stage, file, home),
            "without expectations": partial(stage_without_expectations, file, home),
            "bare": partial(bare, file, folder / "bare.parquet"),
        },
        runs,
    )
    ours, unexpected, theirs = (found[n] for n in ("staged", "without expectations", "bare"))
    figure = partial(result, rows=rows, runs=runs)
    return [
        figure("requests_csv.ratio", median_ratio(ours, theirs), "times bare", goal=3.0),
        figure(
            "requests_csv.ratio_without_expectations",
            median_ratio(unexpected, theirs),
            "times bare",
        ),
        figure("requests_csv.staged_seconds", median(ours), "s"),
        figure("requests_csv.bare_seconds", median(theirs), "s"),
        figure("requests_csv.staged_peak", peak(ours), "MiB"),
        figure("requests_csv.bare_peak", peak(theirs), "MiB"),
    ]


def measure_memory(folder: Path) -> list[Result]:
    """Stage few and many rows with little memory: how much more do many take?"""
    peaks = {}
    for rows in (FEW, MANY):
        file = write(folder / "requests.csv", rows)
        run = apart(partial(stage, file, folder / "home", SMALL_MEMORY_LIMIT))
        peaks[rows] = run.peak_mib
    figure = partial(result, rows=MANY, runs=1)
    return [
        figure("requests_csv.staged_peak_small_memory", peaks[MANY], "MiB"),
        figure("requests_csv.peak_growth", peaks[MANY] / peaks[FEW], "times", goal=1.25),
    ]


def stage(file: Path, home: Path, memory_limit: str = MEMORY_LIMIT) -> None:
    """Stage the file as any delivery is, with all that is checked and written."""
    from goral_pipeline.staging.stage import Job
    from goral_pipeline.staging.stage import stage as stage_delivery

    shutil.rmtree(home, ignore_errors=True)
    (home / "mappings").mkdir(parents=True)
    (home / "mappings" / "benchmark.requests.yaml").write_text(MAPPING)
    stage_delivery(
        Job(
            dataset=DATASET,
            partition="2022-07",
            delivery_id="0" * 16,
            fingerprint="0" * 16,
            landed=file,
            home=home,
            spill=home / "landing" / ".tmp-spill",
            key=KEY,
            received_at=datetime.now(UTC),
            memory_limit=memory_limit,
            threads=THREADS,
        )
    )


def stage_without_expectations(file: Path, home: Path) -> None:
    """The same, but for what Great Expectations says; the gate is then always open."""
    from goral_pipeline.staging import stage as module

    module._judge = lambda *_: []
    stage(file, home)


def bare(file: Path, target: Path) -> None:
    """The least that DuckDB must do: read the same columns with declared types, write them.

    Unsorted, unchecked, without pseudonyms; rows that do not fit the types are left out in silence.
    """
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in TYPES.items())
    kept = ", ".join(f'"{name}"' for name in TYPES if name not in PERSONAL_AND_DROPPED)
    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "threads": THREADS}) as con:
        con.execute("set enable_progress_bar = false")
        con.execute(
            f"copy (select {kept} from read_csv($file, delim = ';', header = true, "
            f"columns = {{{columns}}}, dateformat = '%d-%m-%Y', "
            "timestampformat = '%d-%m-%Y %H:%M:%S', ignore_errors = true)) "
            f"to '{target}' (format parquet, compression zstd)",
            {"file": str(file)},
        )


def write(path: Path, rows: int) -> Path:
    """Write an export of that many requests, in no order of number; the same rows each time.

    One in 200 breaks a rule, one in 200 has the number of another.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config={"threads": THREADS}) as con:
        con.execute("set enable_progress_bar = false")
        con.execute(_DRAW)
        con.execute(
            f"copy ({_EXPORT}) to '{path}' (format csv, delimiter ';', header true)",
            {"rows": rows, "municipalities": str(DBT_PROJECT / "seeds" / "municipalities.csv")},
        )
    return path


# A number below a bound that looks drawn, and is the same each time.
_DRAW = """
create temp macro draw(line, what, below) as cast(hash(line, what) % below as integer)
"""
_EXPORT = """
with names as (
    select list(municipality_name order by municipality_code) as names
    from read_csv($municipalities, header = true, all_varchar = true) where in_region = 'true'
), drawn as (
    select line, names,
        -- 7,919 is prime, so each number comes once until one in 200 takes a neighbour's.
        (line + case when line % 200 = 7 then 1 else 0 end) * 7919 % $rows as number,
        date '2022-04-01' + draw(line, 1, 1000) as requested_on,
        draw(line, 2, 100) as ending,
        draw(line, 3, 20) + 1 as wait,
        draw(line, 4, 150) + 30 as work,
        draw(line, 5, 700000) as person
    from range($rows) as counted(line), names
), lived as (
    select *,
        case when ending < 30 then requested_on + wait end as rejected_on,
        case when ending between 30 and 33 then requested_on + wait end as withdrawn_on,
        case when ending between 34 and 94 then requested_on + wait end as approved_on,
        case when ending between 34 and 84 then requested_on + wait + work end as realised_on
    from drawn
)
select
    printf('B%07d', number) as "Aanvraagnummer",
    case when line % 1000 = 3 then 'Atlantis' else names[1 + draw(line, 6, len(names))] end
        as "Gemeente",
    printf('Verzonnen Persoon %d', person) as "Naam aanvrager",
    printf('Persoon.%d@voorbeeld.example', person) as "E-mailadres",
    printf('+31 6 0000 %04d', person % 10000) as "Telefoonnummer",
    printf('Verzonnenlaan %d', person % 300) as "Straat en huisnummer",
    printf('%04d XX', 1000 + person % 9000) as "Postcode",
    printf('XX-%03d-X', person % 1000) as "Kenteken",
    (['Aanvraag bewoner', 'aanvraag bewoner', 'Proactief', 'Datagedreven'])[1 + draw(line, 7, 4)]
        as "Aanleiding",
    case when line % 1000 = 5 then '31-02-2022' else strftime(requested_on, '%d-%m-%Y') end
        as "Datum aanvraag",
    strftime(rejected_on, '%d-%m-%Y') as "Datum afwijzing",
    case when rejected_on is not null and line % 500 <> 9 then (['Eigen parkeergelegenheid',
        'Laadpaal binnen 250 meter', 'Geen geldig bewijs elektrische auto',
        'Woont of werkt niet in gemeente'])[1 + draw(line, 8, 4)] end as "Reden afwijzing",
    strftime(withdrawn_on, '%d-%m-%Y') as "Datum intrekking",
    strftime(approved_on, '%d-%m-%Y') as "Datum goedkeuring",
    case when line % 1000 = 11 then '99-99-2023' else strftime(realised_on, '%d-%m-%Y') end
        as "Datum realisatie",
    case when line % 1000 <> 13 then strftime(
        coalesce(realised_on, approved_on, withdrawn_on, rejected_on, requested_on)
        + to_seconds(draw(line, 9, 86400)), '%d-%m-%Y %H:%M:%S') end
        as "Laatst gewijzigd",
    case draw(line, 10, 10) when 0 then 'Liever ''s avonds bellen; zei "spoed"'
        when 1 then 'Paal graag bij nummer 12' end as "Toelichting"
from lived
order by line
"""
