"""Running the assets in this process, as the command line does: the same as Dagster does.

Belongs here: which runs a command makes. Does not belong here: what an asset does.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from goral_pipeline import durable, errors
from goral_pipeline.contracts.model import Partition
from goral_pipeline.orchestration.build import INGESTION_JOBS, PUBLISHING_JOB, build_defs
from goral_pipeline.orchestration.event_log import held_open
from goral_pipeline.orchestration.ingestion_assets import (
    ingest_config,
    landing_key,
    staging_key,
)
from goral_pipeline.orchestration.ingestion_checks import check_keys
from goral_pipeline.orchestration.partitions import RANGE_END, RANGE_START
from goral_pipeline.orchestration.telling import TELLING
from goral_pipeline.orchestration.vanished import PROCESS_TAG, end_vanished_runs, process
from goral_pipeline.sources import contracts

if TYPE_CHECKING:
    from goral_pipeline.settings import Settings

INTERRUPTED = "DagsterExecutionInterruptedError"
INSTANCE = """\
# Written by `goral` where it was missing; change it as you like.
telemetry:
  enabled: false
# No question for an e-mail address in each new browser.
nux:
  enabled: false
# Runs may go side by side; a pool (a publisher, the warehouse) takes one step of them at a time.
concurrency:
  runs:
    max_concurrent_runs: 4
  pools:
    default_limit: 1
    granularity: op
# A run that does not start, or does not end, is ended as failed.
run_monitoring:
  enabled: true
  start_timeout_seconds: 300
  max_runtime_seconds: 21600
  free_slots_after_run_end_seconds: 60
# What was killed may pass when it is run again, and is, once. What failed would fail again.
run_retries:
  enabled: true
  max_retries: 1
  retry_on_asset_or_op_failure: false
"""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    success: bool
    problems: tuple[str, ...]


def prepare_home(settings: Settings) -> Path:
    """Make DAGSTER_HOME, with its configuration and databases, and let Dagster know it."""
    home = durable.make_folder(settings.dagster_home)
    if not (home / "dagster.yaml").exists():
        durable.write_bytes(home / "dagster.yaml", INSTANCE.encode())
    os.environ["DAGSTER_HOME"] = str(home)
    # Dagster fails where two processes make its databases at once; so one at a time opens them.
    with (home / "opening.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        dg.DagsterInstance.get().dispose()
    return home


def run_assets(
    settings: Settings,
    partitions: dict[str, list[str]],
    *,
    fetch: bool,
    progress: Callable[[str], None],
) -> Outcome:
    """Ingest partitions by dataset, then build the warehouse, then publish.

    A dataset that fails does not keep the others back: the warehouse is built from pointers. The
    drop is published by its own rule: not with a partition left behind.
    """
    prepare_home(settings)
    definitions = build_defs(settings=settings)
    problems: list[str] = []
    with dg.DagsterInstance.get() as instance, _telling(progress), held_open(instance):
        end_vanished_runs(instance)
        for kind, datasets, first, last in _ranges(settings, partitions):
            problems += _run(
                instance,
                definitions.resolve_job_def(INGESTION_JOBS[kind]).get_subset(
                    asset_selection={key for dataset in datasets for key in _keys(dataset)},
                    asset_check_selection={
                        key for dataset in datasets for key in check_keys(staging_key(dataset))
                    },
                ),
                config=ingest_config(datasets, fetch=fetch),
                tags={RANGE_START: first, RANGE_END: last},
            )
        problems += _run(instance, definitions.resolve_job_def(PUBLISHING_JOB))
    return Outcome(not problems, tuple(problems))


def _run(
    instance: dg.DagsterInstance,
    job: dg.JobDefinition,
    *,
    config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> list[str]:
    """One run of a job in this process; gives what failed in it."""
    # Dagster's own account of the run is in its event log; the screen gets `progress`.
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    # What dbt prints is in the log of the run too.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        result = job.execute_in_process(
            instance=instance,
            run_config={**(config or {}), **quiet},
            tags={**(tags or {}), PROCESS_TAG: process()},
            raise_on_error=False,
        )
    return _problems(result)


@contextmanager
def _telling(progress: Callable[[str], None]) -> Iterator[None]:
    """Hand what the assets tell of their work to `progress`."""
    handler = logging.Handler()
    handler.emit = lambda record: progress(record.getMessage())  # type: ignore[method-assign]
    TELLING.addHandler(handler)
    TELLING.setLevel(logging.INFO)
    TELLING.propagate = False
    try:
        yield
    finally:
        TELLING.removeHandler(handler)


def _ranges(
    settings: Settings, partitions: dict[str, list[str]]
) -> list[tuple[Partition, list[str], str, str]]:
    """The runs that ingest: datasets of one kind of partition, from the first to the last of any.

    A dataset that begins later passes over what comes before it.
    """
    together: dict[Partition, list[str]] = {}
    for dataset, keys in partitions.items():
        if keys:
            kind = contracts(settings.home_folder)[dataset].partition
            together.setdefault(kind, []).append(dataset)
    # Years before months: what locations are placed in comes first.
    return [
        (
            kind,
            datasets,
            min(partitions[dataset][0] for dataset in datasets),
            max(partitions[dataset][-1] for dataset in datasets),
        )
        for kind, datasets in sorted(together.items(), reverse=True)
    ]


def _keys(dataset: str) -> tuple[dg.AssetKey, dg.AssetKey]:
    return landing_key(dataset), staging_key(dataset)


def _problems(result: dg.ExecuteInProcessResult) -> list[str]:
    """What failed in a run, in its own words."""
    texts = []
    for event in result.get_step_failure_events():
        data = event.step_failure_data
        details = data.user_failure_data
        cause = data.error.cause if data.error and data.error.cause else data.error
        if cause is not None and cause.cls_name == INTERRUPTED:
            # Of the person who typed it, who does not want the rest either.
            raise KeyboardInterrupt
        texts.append(
            details.description
            if details and details.description
            else _in_words(event.step_key, cause)
        )
    return texts


def _in_words(step: str | None, cause: Any) -> str:
    """What went wrong: failures of our own as they are worded, all others with their step."""
    if cause is None:
        return f"{step}: failed"
    text: str = cause.message.strip()
    own = f"{errors.__name__}.{cause.cls_name}: "
    return text.removeprefix(own) if text.startswith(own) else f"{step}: {text}"
