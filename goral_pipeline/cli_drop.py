"""The commands `goral drop …`: publishing for NDW, and all that is done with drops afterwards.

Belongs here: arguments and what is shown. Does not belong here: doing any of it (`publishing`).
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from goral_pipeline.cli_output import complain, print_rows, say
from goral_pipeline.landing import open_ledger
from goral_pipeline.settings import Settings

if TYPE_CHECKING:
    from goral_pipeline.publishing.drop import Published
    from goral_pipeline.publishing.products import Product
    from goral_pipeline.publishing.store import Store

FAILED = 1


class Name(StrEnum):
    """The products, as they are named on the command line."""

    kpi = "kpi"
    cdr = "cdr"

    def product(self) -> Product:
        """The product itself; loading it takes time."""
        from goral_pipeline.publishing.products import PRODUCTS

        return PRODUCTS[self.value]


Drop = Annotated[str | None, typer.Argument(help="Id of a drop; default: the latest.")]
At = Annotated[
    str | None,
    typer.Option(
        help="Folder with latest.json, or URL, of a copy; default: where this pipeline publishes."
    ),
]
Which = Annotated[
    Name,
    typer.Option(
        "--product", help="kpi: figures; cdr: single sessions, of who instructed so alone."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]

drop_app = typer.Typer(
    help="Drops for NDW: publish, release, verify, list, compare, reproduce, prune, load.",
    no_args_is_help=True,
)


@drop_app.command("publish")
def drop_publish(
    allow_incomplete: Annotated[
        bool,
        typer.Option(help="Publish though the newest delivery of some partition did not pass."),
    ] = False,
    product: Which = Name.kpi,
) -> None:
    """Publish figures of the warehouse, or single sessions; not what is published already."""
    from goral_pipeline.publishing import drop

    settings = Settings.load()
    with open_ledger(settings) as ledger:
        result = drop.publish(
            settings,
            ledger,
            product.product(),
            allow_incomplete=allow_incomplete,
            progress=say,
        )
    _tell(result, "published")


@drop_app.command("release")
def drop_release(product: Which = Name.kpi) -> None:
    """Make the latest drop final: publish it once more, its figures no longer provisional."""
    from goral_pipeline.publishing import finalise

    settings = Settings.load()
    with open_ledger(settings) as ledger:
        result = finalise.release(settings, ledger, product.product(), progress=say)
    _tell(result, "final")


@drop_app.command("verify")
def drop_verify(
    drop: Drop = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Decode every page and compare rows.")
    ] = False,
    at: At = None,
    product: Which = Name.kpi,
) -> None:
    """Verify that a drop is, to the bit, what its manifest says, and fits its contracts."""
    from goral_pipeline.publishing import upkeep

    of, drops = product.product(), _drops(product, at)
    with drops.reaching():
        made = upkeep.verified(drops.place, drop, deep=deep)
    if not at:
        of.refuse_other(made)
    say(f"{made.drop} is right: {len(made.data)} data files, {made.rows} rows")
    if made.notice:
        say(made.notice)


@drop_app.command("list")
def drop_list(as_json: AsJson = False, product: Which = Name.kpi) -> None:
    """List the drops there are, the oldest first."""
    from goral_pipeline.publishing import upkeep

    rows, problems = upkeep.rows_of(Settings.load(), product.product())
    if as_json:
        print(json.dumps(rows, indent=2))
    elif rows:
        print_rows(rows)
    elif not problems:
        say("nothing is published yet; `goral run` does so")
    for problem in problems:
        complain(problem)
    if problems:
        raise typer.Exit(FAILED)


@drop_app.command("diff")
def drop_diff(
    before: Annotated[
        str | None, typer.Argument(help="A drop; default: the one that NOW followed.")
    ] = None,
    now: Annotated[str | None, typer.Argument(help="A drop; default: the latest.")] = None,
    as_json: AsJson = False,
    product: Which = Name.kpi,
) -> None:
    """Tell what changed from one drop to another: rows by key, months, indicators."""
    from goral_pipeline.publishing import upkeep

    report = upkeep.diff(Settings.load(), before, now, product.product())
    sys.stdout.write((report.to_json() if as_json else report.to_markdown()).decode())


@drop_app.command("reproduce")
def drop_reproduce(drop: Drop = None, as_json: AsJson = False, product: Which = Name.kpi) -> None:
    """Make a drop's tables anew from the staged files it was made of, and compare them with it.

    By the code, contracts and lock that made it they have to be the same to the bit; by others, the
    same in content.
    """
    from goral_pipeline.publishing import reproduce

    settings = Settings.load()
    with open_ledger(settings) as ledger:
        done = reproduce.reproduce(settings, ledger, drop, product.product(), progress=say)
    if as_json:
        print(json.dumps(asdict(done), indent=2))
    else:
        print_rows([{"dataset": name, "outcome": out} for name, out in done.tables.items()])
    made_by = "the program that made it" if done.is_same_program else "another program"
    if not done.is_good:
        complain(f"{done.drop} was not reproduced by {made_by}")
        raise typer.Exit(FAILED)
    say(f"{done.drop} was reproduced by {made_by}")


@drop_app.command("prune")
def drop_prune(
    keep: Annotated[int, typer.Option(min=1, help="How many of the newest to keep.")] = 12,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    product: Which = Name.kpi,
) -> None:
    """Remove old drops; never the latest, nor final figures."""
    from goral_pipeline.publishing import upkeep

    gone = upkeep.prune(Settings.load(), keep, product.product(), dry_run=dry_run)
    for made in gone:
        say(f"{'would remove' if dry_run else 'removed'} {made.drop} ({made.status})")
    if not gone:
        say("nothing to remove")


@drop_app.command("load")
def drop_load(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="postgresql://user@host/database; the password rather in PGPASSWORD or ~/.pgpass.",
        ),
    ],
    drop: Drop = None,
    at: At = None,
    schema: Annotated[
        str | None,
        typer.Option(
            help="Schema of the views; the tables stand in <schema>_drops. Default: goral, of "
            "single sessions goral_sessions."
        ),
    ] = None,
    older: Annotated[
        bool,
        typer.Option("--older", help="Load a drop older than the latest loaded, beside it."),
    ] = False,
    allow_demo: Annotated[
        bool, typer.Option("--allow-demo", help="Load a drop of invented data.")
    ] = False,
    product: Which = Name.kpi,
) -> None:
    """Load a drop into PostgreSQL, whole or not at all; a drop that is there is left alone."""
    from goral_pipeline.publishing import loader

    of, drops = product.product(), _drops(product, at)
    schema = schema or of.views
    with drops.reaching():
        loaded = loader.load(
            drops,
            url,
            drop,
            product=of,
            schema=schema,
            older=older,
            allow_demo=allow_demo,
            progress=say,
        )
    done = f"loaded: {sum(loaded.rows.values())} rows" if loaded.is_new else "is loaded already"
    shown = f"views in {schema} show it" if loaded.is_latest else f"views in {schema} show another"
    say(f"{loaded.drop} {done}; {shown}")


def _drops(product: Name, at: str | None) -> Store:
    """Where drops lie: of a copy, or of the product."""
    from goral_pipeline.publishing import store

    settings = Settings.load()
    return store.open_store(settings, at) if at else product.product().open_store(settings)


def _tell(result: Published, done: str) -> None:
    say(f"{result.drop} {done if result.is_new else f'is {done} already'}")
    say(f"{result.files} data files, {result.rows} rows, in {result.where}")
