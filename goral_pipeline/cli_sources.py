"""The commands `goral sources …`: what can be delivered, and connecting what cannot yet.

Belongs here: arguments and what is shown. Does not belong here: doing any of it (`connecting`).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goral_pipeline.cli_output import complain, print_rows, say
from goral_pipeline.errors import SettingsError
from goral_pipeline.settings import Settings

if TYPE_CHECKING:
    from goral_pipeline.connecting import Trial

FAILED = 1

sources_app = typer.Typer(
    help="Source datasets: list them, connect a new layout by a mapping, without code.",
    no_args_is_help=True,
)


@sources_app.command("list")
def sources_list(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the datasets: kept by what, asked how, by which contract and mappings."""
    from goral_pipeline import connecting

    rows = connecting.datasets(Settings.load())
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    print_rows([row | {"mappings": ", ".join(row["mappings"])} for row in rows])


@sources_app.command("draft-mapping")
def sources_draft_mapping(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An export: .xlsx or .csv.")],
    dataset: Annotated[
        str | None,
        typer.Option(metavar="SOURCE/DATASET", help="What it is for, e.g. twente/requests."),
    ] = None,
    contract: Annotated[
        str | None,
        typer.Option(help="Contract it is for; default: the one that fits best."),
    ] = None,
    sheet: Annotated[
        str | None, typer.Option(help="Sheet to look at; default: the one that fits best.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="File to write, which must not be there yet; default: the screen."),
    ] = None,
) -> None:
    """Propose a mapping for a file never seen; what only a person can know is left to fill in.

    Cells are not shown, but for codes that occur often; nothing is kept of the file.
    """
    from goral_pipeline import connecting

    settings = Settings.load()
    if output is not None and output.exists():
        raise SettingsError(f"{output} is there already and is not overwritten")
    draft = connecting.draft(settings, file, dataset=dataset, contract=contract, sheet=sheet)
    if output is None:
        print(draft.text, end="")
    else:
        with output.open("x", encoding="utf-8") as target:
            target.write(draft.text)
    say(draft.summary)


@sources_app.command("check")
def sources_check(
    mapping: Annotated[Path, typer.Argument(metavar="MAPPING", help="The mapping, a YAML file.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file laid out so.")],
    partition: Annotated[
        str | None,
        typer.Option(help="Month, year or edition the file is for; default: today's."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what would be accepted and what quarantined of a file, and why; nothing is kept.

    Exit code 1 when the file would be rejected.
    """
    from goral_pipeline import connecting

    trial = connecting.check(Settings.load(), mapping, file, partition)
    if as_json:
        print(json.dumps(asdict(trial), indent=2))
    else:
        _show(trial)
    if trial.problem:
        raise typer.Exit(FAILED)


def _show(trial: Trial) -> None:
    for note in trial.notes:
        say(note)
    if trial.broken:
        print_rows(
            [
                row
                | {
                    "records": ", ".join(map(str, row["records"])),
                    "found": ", ".join(map(repr, row["found"])),
                }
                for row in trial.broken
            ]
        )
    if trial.unused:
        say(f"headers that the mapping does not name: {', '.join(trial.unused)}")
    name = f"{trial.dataset} {trial.partition}"
    if trial.problem:
        complain(f"{name} would be rejected: {trial.problem}")
        return
    counts = "; ".join(
        f"{table} " + ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items())
        for table, outcomes in trial.rows.items()
    )
    say(f"{name} would be accepted: {counts}")
