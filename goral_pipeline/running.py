"""Running the pipeline from the command line: only what there is to do, told on the screen.

Belongs here: what comes before and after the assets are run. Does not belong here: arguments
(`cli`), or how the assets run (`orchestration`).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from goral_pipeline.cli_output import complain, say
from goral_pipeline.landing import inbox, open_ledger

if TYPE_CHECKING:
    from goral_pipeline.settings import Settings


def run_months(
    settings: Settings, from_: str | None, to: str | None, only: list[str], *, fetch: bool
) -> bool:
    """Run the assets for a range of months, if there is anything to do; whether all went well."""
    from goral_pipeline import ingestion, planning
    from goral_pipeline.publishing.drop import is_up_to_date

    partitions = planning.partitions(settings, from_, to, only)
    with open_ledger(settings) as ledger:
        news = planning.first_news(settings, ledger, partitions, fetch=fetch)
        if news is None and is_up_to_date(settings, ledger):
            say("nothing new: every delivery, the warehouse and the drop are up to date")
            for dataset, removals in ingestion.staying(settings, ledger, partitions).items():
                say(ingestion.staying_in_words(dataset, removals))
            _tell_of_inbox(settings)
            return True
    return run_partitions(settings, partitions, fetch=fetch)


def _tell_of_inbox(settings: Settings) -> None:
    """Name what lies in the inbox and was not taken in: still being written, or not asked for."""
    for file in inbox.waiting(settings.inbox):
        why = "which was not run" if file.is_whole else "written a moment ago: run again"
        say(f"inbox: a file waits for {file.dataset} {file.partition}, {why}")


def run_partitions(settings: Settings, partitions: dict[str, list[str]], *, fetch: bool) -> bool:
    """Run the assets for partitions by dataset; whether all went well."""
    from goral_pipeline.staging import worker

    number = sum(len(keys) for keys in partitions.values())
    say(f"running {len(partitions)} datasets, {number} partitions")
    worker.load_early()
    with _no_collecting():
        from goral_pipeline.orchestration import run as orchestration

    outcome = orchestration.run_assets(settings, partitions, fetch=fetch, progress=say)
    for problem in outcome.problems:
        complain(problem)
    return outcome.success


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Import what is large without looking for garbage in it: a fifth faster."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
