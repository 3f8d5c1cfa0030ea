"""The command line, `goral`: what the data engineer and the analyst type.

Belongs here: arguments, progress, tables on the screen, exit codes (0 done; 1 a check or delivery
failed; 2 wrong use or settings). Does not belong here: doing any of it.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from goral_pipeline.cli_drop import drop_app
from goral_pipeline.cli_output import Format, complain, print_rows, print_table, say
from goral_pipeline.cli_quarantine import quarantine_app
from goral_pipeline.cli_retention import retention_app
from goral_pipeline.cli_sources import sources_app
from goral_pipeline.errors import (
    DISK_FULL,
    GoralError,
    SettingsError,
    VerificationFailed,
    is_disk_full,
)
from goral_pipeline.landing import open_ledger
from goral_pipeline.running import run_months
from goral_pipeline.settings import Settings

if TYPE_CHECKING:
    from goral_pipeline.ingestion import Ingested

FAILED = 1
FIRST_FEW = 3
WRONG_USE = 2

STATUS_COLUMNS = (
    *("dataset", "partition", "state", "received_at"),
    *("received", "accepted", "duplicate", "quarantined", "rules_broken", "superseded"),
    *("published", "demo"),
)

app = typer.Typer(
    help="The GO-RAL pipeline: publishers' deliveries in, a verified Parquet drop for NDW out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
demo_app = typer.Typer(
    help="The demo: invented deliveries of 2022, served as the publishers would.",
    no_args_is_help=True,
)
app.add_typer(sources_app, name="sources")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(retention_app, name="retention")
app.add_typer(drop_app, name="drop")
app.add_typer(demo_app, name="demo")


def main() -> None:
    """Run the command line; failures become a message and an exit code."""
    try:
        app()
    except VerificationFailed as error:
        complain("verification failed", *error.problems)
        sys.exit(FAILED)
    except SettingsError as error:
        complain(str(error))
        sys.exit(WRONG_USE)
    except GoralError as error:
        complain(str(error))
        sys.exit(FAILED)
    except OSError as error:
        # No place on the disk, no right to a file, a port that is taken.
        complain(DISK_FULL if is_disk_full(error) else f"the system refuses: {error}")
        sys.exit(FAILED)
    except Exception as error:
        if not is_disk_full(error):
            raise
        complain(DISK_FULL)
        sys.exit(FAILED)


# --- goral run, deliver, status, query, dev ---


@app.command()
def run(
    from_: Annotated[
        str | None, typer.Option("--from", help="First month, e.g. 2022-01; default: this month.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="Last month; default: the first, or this month.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="SOURCE/DATASET", help="Only this dataset; may be repeated."
        ),
    ] = None,
    no_fetch: Annotated[
        bool, typer.Option("--no-fetch", help="Ask no publisher; take what was delivered.")
    ] = False,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="Build a warehouse beside the usual one, of what had been received by the end of "
            "that day. Nothing is fetched or published.",
        ),
    ] = None,
) -> None:
    """Bring months up to date: fetch, stage, check, build the marts, publish, verify.

    Months that fail keep their previous version; the others go on. Running again is safe at any
    moment and does only what is left to do.
    """
    settings = Settings.load()
    if as_of is not None:
        if from_ or to or only:
            raise SettingsError("--as-of takes all months and datasets as they were known then")
        _build_as_of(settings, as_of)
        return
    if not run_months(settings, from_, to, only or [], fetch=not no_fetch):
        raise typer.Exit(FAILED)


@app.command()
def deliver(
    dataset: Annotated[
        str, typer.Argument(metavar="SOURCE/DATASET", help="e.g. vattenfall/requests")
    ],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...")],
    partition: Annotated[
        str | None,
        typer.Option(help="Month or edition the file is for; a snapshot is otherwise today's."),
    ] = None,
) -> None:
    """Take in files given by hand, each a delivery, and say what was made of it.

    `goral run --no-fetch` then brings them into marts and drop.
    """
    from goral_pipeline.staging import worker

    settings = Settings.load()
    worker.load_early()
    from goral_pipeline import ingestion

    failed = 0
    with open_ledger(settings) as ledger:
        for file in files:
            result = ingestion.deliver(settings, ledger, dataset, partition, file)
            _show_result(result)
            failed += result.state == "failed"
    if failed:
        raise typer.Exit(FAILED)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show each dataset and month: what was received, accepted, quarantined; what is published.

    And what in the warehouse is possible but unlikely.
    """
    from goral_pipeline import status as reporting

    settings = Settings.load()
    with open_ledger(settings) as ledger:
        report = reporting.report(settings, ledger)
    if as_json:
        print(json.dumps(report, indent=2))
        return
    if not report["partitions"]:
        say("nothing was delivered yet: see `goral run`, or `goral demo run`")
        return
    rows = [row | {"rules_broken": len(row["rules_broken"])} for row in report["partitions"]]
    print_rows([{name: row[name] for name in STATUS_COLUMNS} for row in rows])
    for row in report["partitions"]:
        if row["problem"]:
            print(f"\n{row['dataset']} {row['partition']}: {row['problem']}")
    for late in report["overdue"]:
        print(
            f"\n{late['dataset']} is overdue: the newest is {late['newest']}, by now there should "
            f"be {late['expected']}"
        )
    _print_removed(report["partitions"])
    _print_implausible(report["implausible"])
    published = report["published"]
    say(f"published: {published['drop']}" if published else "published: nothing yet")
    if sessions := report["published_sessions"]:
        say(f"published of single sessions: {sessions['drop']}")


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help='e.g. "select * from indicator_values"')],
    format_: Annotated[
        Format, typer.Option("--format", help="How to show the rows.")
    ] = Format.table,
) -> None:
    """Query the warehouse: read-only, its tables and nothing else of this machine."""
    from goral_pipeline.warehouse import build
    from goral_pipeline.warehouse import query as warehouse

    settings = Settings.load()
    path = settings.warehouse / build.FILE
    with warehouse.connect(
        path, memory_limit=settings.duckdb_memory_limit, threads=settings.duckdb_threads
    ) as con:
        rows = warehouse.query(con, sql)
    info = build.build_info(path)
    if info and info["demo"]:
        say("DEMO: this warehouse holds invented data")
    print_table(rows, format_)


@app.command()
def dev(
    port: Annotated[int, typer.Option(help="Port on this machine.", min=1, max=65535)] = 3000,
) -> None:
    """Start Dagster's web interface on this machine only, for it asks nobody who they are."""
    from goral_pipeline.orchestration import run as orchestration
    from goral_pipeline.settings import PROJECT_ROOT

    home = orchestration.prepare_home(Settings.load())
    program = Path(sys.executable).with_name("dagster")
    say(f"Dagster at http://127.0.0.1:{port} (DAGSTER_HOME {home}); stop with Ctrl-C")
    os.execv(  # noqa: S606
        program,
        [
            str(program),
            "dev",
            *("--workspace", str(PROJECT_ROOT / "workspace.yaml")),
            *("--host", "127.0.0.1"),
            *("--port", str(port)),
        ],
    )


# --- goral demo ---


@demo_app.command("run")
def demo_run() -> None:
    """Run the whole pipeline on the demo: 2022 fetched over HTTP, checked, built and published."""
    from goral_pipeline.demo.server import DemoServer

    say("DEMO: all deliveries are invented; only the totals that were published are those of 2022")
    with DemoServer() as server:
        settings = _demo_settings(server.url)
        done = run_months(settings, "2022-01", "2022-12", [], fetch=True)
    if not done:
        raise typer.Exit(FAILED)
    _show_indicators(settings)


@demo_app.command("serve")
def demo_serve(
    port: Annotated[
        int, typer.Option(help="Port on this machine; 0 takes a free one.", min=0, max=65535)
    ] = 8722,
) -> None:
    """Serve the demo's deliveries over HTTP, and say how to let the pipeline ask there."""
    from goral_pipeline.demo.server import DemoServer

    with DemoServer(port) as server:
        say(f"DEMO publishers at {server.url}; stop with Ctrl-C. To use them:")
        for name, value in _demo_environment(server.url).items():
            print(f"export {name}='{value}'")
        sys.stdout.flush()
        try:
            server.wait()
        except KeyboardInterrupt:
            say("stopped")


@demo_app.command("write")
def demo_write(
    folder: Annotated[Path, typer.Argument(help="Where to write them.")],
) -> None:
    """Write the demo's deliveries as files, for a look or for `goral deliver`."""
    from goral_pipeline.demo.write import write

    files = write(folder)
    say(f"{len(files)} invented deliveries written to {folder}")


def _demo_environment(url: str) -> dict[str, str]:
    from goral_pipeline.demo.server import API_KEY, CDRS_PATH, LIST_PATH, ODATA, TOKEN

    return {
        "GORAL_NDW_DOTNL_URL": f"{url}/ndw_dotnl/{{month}}",
        "GORAL_PDOK_BOUNDARIES_URL": (
            f"{url}/pdok/{{edition}}/collections/gemeente_gegeneraliseerd/items?limit=50"
        ),
        "GORAL_VATTENFALL_REQUESTS_URL": f"{url}/vattenfall/requests/{{month}}.xlsx",
        "GORAL_VATTENFALL_PLACEMENTS_URL": f"{url}/vattenfall/placements/{{month}}.xlsx",
        "GORAL_VATTENFALL_LOCATIONS_URL": f"{url}{LIST_PATH.replace('{kind}', 'locations')}",
        "GORAL_VATTENFALL_TARIFFS_URL": f"{url}{LIST_PATH.replace('{kind}', 'tariffs')}",
        "GORAL_VATTENFALL_SESSIONS_URL": f"{url}{CDRS_PATH}",
        "GORAL_VATTENFALL_TOKEN": TOKEN,
        "GORAL_ECOTAP_ALLEGO_REQUESTS_URL": f"{url}/ecotap_allego/aanvragen/{{month}}.csv",
        "GORAL_ECOTAP_ALLEGO_PLACEMENTS_URL": f"{url}/ecotap_allego/plaatsingen/{{month}}.csv",
        "GORAL_ECOTAP_ALLEGO_TOKEN": TOKEN,
        "GORAL_KLIMAATMONITOR_URL": f"{url}{ODATA}",
        "GORAL_KLIMAATMONITOR_API_KEY": API_KEY,
        "GORAL_RVO_COVERAGE_URL": f"{url}/rvo/coverage/{{month}}.xlsx",
        "GORAL_ELAADNL_PASSENGER_OUTLOOK_URL": f"{url}/elaadnl/passenger_outlook/{{edition}}.csv",
        "GORAL_ELAADNL_LOGISTICS_OUTLOOK_URL": f"{url}/elaadnl/logistics_outlook/{{edition}}.csv",
        "GORAL_PSEUDONYM_KEY": "demo key, known to all: for invented persons only",
    }


def _demo_settings(url: str) -> Settings:
    # Through the environment, so that everything below reads its settings as it always does.
    os.environ |= _demo_environment(url)
    # What is invented goes nowhere but into GORAL_HOME.
    for name in ("GORAL_LEDGER_URL", "GORAL_DROPS_URL", "GORAL_CDR_DROPS_URL"):
        os.environ.pop(name, None)
    return Settings.load()


# --- shared ---


def _build_as_of(settings: Settings, day: datetime) -> None:
    from goral_pipeline.warehouse.apart import build_as_of

    with open_ledger(settings) as ledger:
        path = build_as_of(settings, ledger, day.date())
    say(f"built {path}; the usual warehouse and the drop are as they were")


def _print_removed(partitions: list[dict[str, Any]]) -> None:
    """Of each dataset, what retention removed from landing; partitions stand in order."""
    removed = [row for row in partitions if row["removed_on"]]
    for dataset, of in groupby(removed, itemgetter("dataset")):
        rows = list(of)
        last = max(row["removed_on"] for row in rows)
        print(
            f"\n{dataset}: of {len(rows)} partitions ({rows[0]['partition']} to "
            f"{rows[-1]['partition']}) the raw delivery was removed from landing by retention, the "
            f"last on {last}; what was staged of them stays"
        )


def _print_implausible(found: list[dict[str, Any]]) -> None:
    """Each check that found something, with the newest of it."""
    by_check = {name: list(of) for name, of in groupby(found, itemgetter("check_name"))}
    for name, of in by_check.items():
        print(f"\n{name} ({of[0]['severity']}): {len(of)} found, expected {of[0]['expected']}")
        for one in of[:FIRST_FEW]:
            place = " ".join(filter(None, (one["dataset"], one["period"], one["area_code"])))
            print(f"  {place}: {one['message']} ({one['observed']:g})")
    if by_check:
        say('all that is implausible: goral query "from plausibility where not passed"')


def _show_result(result: Ingested) -> None:
    from goral_pipeline.ingestion import in_words

    (complain if result.state == "failed" else say)(in_words(result))


def _show_indicators(settings: Settings) -> None:
    from goral_pipeline.publishing import verify
    from goral_pipeline.publishing.products import KPI
    from goral_pipeline.warehouse import build
    from goral_pipeline.warehouse import query as warehouse

    path = settings.warehouse / build.FILE
    with warehouse.connect(path, memory_limit="1GB", threads=1) as con:
        rows = warehouse.query(con, DEMO_TABLE)
    print_table(rows, Format.table)
    drops = KPI.open_store(settings)
    if pointed := verify.latest(drops.place):
        say(f"drop       {drops.where}/{verify.release(pointed['drop'])}")
    say(f'database   {path} (goral query "select ...")')
    say("interface  make dev, then http://127.0.0.1:3000")


DEMO_TABLE = """
select
    indicator,
    area_name as area,
    period,
    translate(dimensions, '{}"', '') as dimensions,
    value::bigint as value,
    status
from indicator_values
where (period = '2022-12-01' and area_type = 'concession')
    or (period = '2022-12-01' and area_type = 'nal_region' and dimensions = '{"counting":"net"}')
    or (period = '2022-11' and area_type = 'provinces' and dimensions = '{"source":"rvo"}'
        and indicator like 'charge_points_%' and unit = 'count')
    or (period = '2022' and area_type = 'nal_region' and dimensions = '{}')
order by period, area, indicator
"""


if __name__ == "__main__":
    main()
