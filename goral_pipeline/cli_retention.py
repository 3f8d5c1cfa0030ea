"""The commands `goral retention …`: removing what has been kept for its time.

Belongs here: arguments and what is shown. Does not belong here: doing any of it (`retention`).
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from goral_pipeline.cli_output import complain, print_rows, say
from goral_pipeline.landing import open_ledger
from goral_pipeline.settings import Settings

retention_app = typer.Typer(
    help="Removing what has been kept for its time: raw deliveries with personal data, old rows.",
    no_args_is_help=True,
)


@retention_app.callback()
def _group() -> None:
    """Keep this a group, though it has but one command."""


@retention_app.command("apply")
def retention_apply(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be removed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Remove raw deliveries with personal data, and staged rows out of use, after their time.

    The ledger keeps what was removed, when and why. What is in use, or named by a drop, stays.
    """
    from goral_pipeline import retention

    settings = Settings.load()
    with open_ledger(settings) as ledger:
        found = (retention.plan if dry_run else retention.apply)(settings, ledger)
    rows = [one.row() for one in found.due]
    size = sum(one.bytes for one in found.due)
    if as_json:
        told = {"dry_run": dry_run, "items": rows, "bytes": size, "problems": found.problems}
        print(json.dumps(told, indent=2))
    elif rows:
        print_rows(rows)
    if rows:
        done = "would be removed; nothing was" if dry_run else "removed"
        say(f"{len(rows)} files and folders, {size / 1e6:.1f} MB, {done}")
    else:
        say("nothing has been kept for longer than its time")
    if found.problems:
        complain(*found.problems)
        raise typer.Exit(1)
