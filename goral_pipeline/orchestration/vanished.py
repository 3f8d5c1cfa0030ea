"""Runs whose process is gone: killed, or lost with the machine. Dagster does not notice by itself.

Belongs here: which process a run is, and ending runs that have none any more. Does not belong here:
what a run does.
"""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import dagster as dg

PROCESS_TAG = "goral/process"
_STATISTICS = Path("/proc")
_START_TIME = 19
"""Place of the start time behind the name of the process, in `/proc/<pid>/stat`."""


def process() -> str:
    """This process, told from any other that was or will be given its number."""
    return f"{_machine()}:{os.getpid()}:{_started(os.getpid())}"


def mark_process(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> None:
    """Say of the run which process it is, where whoever started it did not."""
    if PROCESS_TAG not in context.run.tags:
        context.instance.add_run_tags(context.run.run_id, {PROCESS_TAG: process()})


def end_vanished_runs(instance: dg.DagsterInstance) -> list[str]:
    """End the runs of processes of this machine that are gone, as failed; gives their ids.

    Their places in pools are given back, for else nobody could have them.
    """
    ended = []
    statuses = [
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    for run in instance.get_runs(dg.RunsFilter(statuses=statuses)):
        of = run.tags.get(PROCESS_TAG)
        if not (is_running(of) if of else _is_there(_launched(instance, run.run_id))):
            instance.report_run_failed(
                run,
                "its process is gone: it was killed, or the machine restarted. Nothing is half "
                "done; run it again",
            )
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            ended.append(run.run_id)
    return ended


def _launched(instance: dg.DagsterInstance, run_id: str) -> int | None:
    """The process that Dagster says it started for a run, whose first step has not begun yet."""
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT).records
    for record in records:
        event = record.event_log_entry.dagster_event
        told = event.engine_event_data.metadata.get("pid") if event else None
        if told is not None and str(told.value).isdigit():
            return int(str(told.value))
    return None


def is_running(told: str) -> bool:
    """Whether a process, as `process` told it, is there; of another machine's it is assumed."""
    host, number, started = told.rsplit(":", 2)
    if host != _machine():
        return True
    return _is_there(int(number)) and _started(int(number)) == started


def _is_there(number: int | None) -> bool:
    """Whether there is a process of this number; of none it is assumed."""
    if number is None:
        return True
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _machine() -> str:
    """This machine, told from others without its name."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _started(number: int) -> str:
    """When a process began; empty where the system does not tell."""
    try:
        text = (_STATISTICS / str(number) / "stat").read_text()
    except OSError:
        return ""
    # The name stands in brackets and may hold anything.
    return text.rpartition(")")[2].split()[_START_TIME]
