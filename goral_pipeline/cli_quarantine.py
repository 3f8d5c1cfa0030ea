"""The commands `goral quarantine …`: what was held back, why, and trying it again.

Belongs here: arguments and what is shown. Does not belong here: doing any of it (`quarantine`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goral_pipeline.cli_output import Format, print_rows, print_table, say, write_csv
from goral_pipeline.errors import SettingsError
from goral_pipeline.landing import open_ledger
from goral_pipeline.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

    from goral_pipeline.quarantine import Held

Dataset = Annotated[str, typer.Argument(metavar="SOURCE/DATASET", help="e.g. vattenfall/requests")]
AnyDataset = Annotated[
    str | None, typer.Argument(metavar="[SOURCE/DATASET]", help="Default: all there are.")
]
Partition = Annotated[
    str | None, typer.Option(help="Month, year or edition; default: each that there is.")
]
Rule = Annotated[str | None, typer.Option(help="Only what breaks this rule.")]

quarantine_app = typer.Typer(
    help="Records that break a rule: list, show, export, and retry once a mapping was mended.",
    no_args_is_help=True,
)


@quarantine_app.command("list")
def quarantine_list(
    dataset: AnyDataset = None,
    partition: Partition = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Count what was held back of each newest delivery, by rule.

    `state` says whether the delivery was accepted without these records, or rejected for them.
    """
    from goral_pipeline import quarantine

    rows = [row for one in _held(dataset, partition) for row in quarantine.counted(one)]
    unread = _unread(dataset, partition)
    if as_json:
        print(json.dumps(rows, indent=2))
    elif rows:
        print_rows(rows)
    elif not unread:
        say("nothing is in quarantine")
    for told in unread:
        say(told)


@quarantine_app.command("show")
def quarantine_show(
    dataset: Dataset,
    partition: Partition = None,
    rule: Rule = None,
    limit: Annotated[int, typer.Option(help="How many at most; 0 shows all.", min=0)] = 50,
    format_: Annotated[
        Format, typer.Option("--format", help="How to show the rows.")
    ] = Format.table,
) -> None:
    """Show each record with the rule it breaks, what was found and what was expected.

    Where deliveries hold personal data only the shape of what was found is shown.
    """
    rows = _records(dataset, partition, rule)
    shown = rows.slice(0, limit) if limit else rows
    print_table(shown, format_)
    if shown.num_rows < rows.num_rows:
        say(f"{shown.num_rows} of {rows.num_rows}; --limit 0 shows all")
    _tell_of_removed(dataset, partition)


@quarantine_app.command("quality")
def quarantine_quality(
    dataset: AnyDataset = None,
    partition: Partition = None,
    rules: Annotated[
        bool, typer.Option("--rules", help="Each rule that was broken, with the first ids.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show how many records of each operator met the profile, and which rule failed how often.

    `refused` records are left out; those that only miss the profile are used.
    """
    from goral_pipeline import quarantine

    held = _held(dataset, partition)
    rows = [
        row
        for one in held
        for row in (quarantine.quality_by_rule(one) if rules else quarantine.quality(one))
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
    elif rows:
        print_rows(rows)
    elif rules:
        say("no rule was broken")
    else:
        say("no report: only charging sessions have one, and none were delivered")


@quarantine_app.command("export")
def quarantine_export(
    dataset: Dataset,
    file: Annotated[Path, typer.Argument(help="CSV file to write, which must not be there yet.")],
    partition: Partition = None,
    rule: Rule = None,
) -> None:
    """Write it as CSV for the concession holder: record numbers, rules, what was expected."""
    rows = _records(dataset, partition, rule)
    write_csv(rows, file)
    say(f"{rows.num_rows} rows written to {file}")
    _tell_of_removed(dataset, partition)


@quarantine_app.command("retry")
def quarantine_retry(dataset: AnyDataset = None, partition: Partition = None) -> None:
    """Stage the same deliveries again, once the mapping or a register was mended.

    What would come out as it did is left alone. Then marts and drop follow, as in `goral run`.
    """
    from goral_pipeline import quarantine
    from goral_pipeline.running import run_partitions

    settings = Settings.load()
    with open_ledger(settings) as ledger:
        retry = quarantine.to_retry(settings, ledger, dataset, partition)
        staying = quarantine.staying(settings, ledger, dataset, partition)
    for told in staying:
        say(told)
    if not retry:
        if not staying:
            say("nothing to retry: no mapping, register or contract of these changed since")
        return
    if not run_partitions(settings, retry, fetch=False):
        raise typer.Exit(1)


def _held(dataset: str | None, partition: str | None) -> list[Held]:
    from goral_pipeline import quarantine

    settings = Settings.load()
    with open_ledger(settings) as ledger:
        return quarantine.held(settings, ledger, dataset, partition)


def _tell_of_removed(dataset: str, partition: str | None) -> None:
    """Say of what is shown which file it refers to no more."""
    from goral_pipeline import quarantine

    settings = Settings.load()
    with open_ledger(settings) as ledger:
        for one in quarantine.held(settings, ledger, dataset, partition):
            if told := quarantine.removed(settings, ledger, one):
                say(told)


def _unread(dataset: str | None, partition: str | None) -> list[str]:
    """What was rejected whole: it has no rows in quarantine, but a reason."""
    from goral_pipeline import quarantine

    settings = Settings.load()
    with open_ledger(settings) as ledger:
        return [
            f"{one.dataset} {one.partition}: no row was read: {one.problem}"
            for one in quarantine.unread(settings, ledger, dataset, partition)
        ]


def _records(dataset: str, partition: str | None, rule: str | None) -> pa.Table:
    """What is held back of one dataset, with the partition in front."""
    import pyarrow as pa

    from goral_pipeline import quarantine

    tables = []
    for one in _held(dataset, partition):
        rows = quarantine.records(one, rule)
        keys = pa.array([one.delivery.partition] * rows.num_rows, pa.string())
        tables.append(rows.add_column(0, "partition", keys))
    if not tables:
        unread = _unread(dataset, partition)
        raise SettingsError("\n".join(unread) or f"no delivery of {dataset} was staged yet")
    return pa.concat_tables(tables)
