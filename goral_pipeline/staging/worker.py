"""The process that stages one delivery: with limits on memory, time and processor.

A file that crashes a parser, or makes it eat all memory, ends this process and not the pipeline.
Does not belong here: how a delivery is staged (`stage`).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import TYPE_CHECKING, TypeVar

from goral_pipeline.errors import DISK_FULL, DeliveryRejected, StagingDied, is_disk_full

if TYPE_CHECKING:
    from goral_pipeline.landing.ledger import Staging
    from goral_pipeline.staging.stage import Job

Given = TypeVar("Given")
Made = TypeVar("Made")

MIB = 1024 * 1024


def stage_apart(job: Job, *, seconds: int, memory_mib: int) -> Staging:
    """Stage a delivery in a process of its own; fails as `apart` does."""
    from goral_pipeline.staging.stage import stage

    return apart(stage, job, seconds=seconds, memory_mib=memory_mib)


def apart(work: Callable[[Given], Made], given: Given, *, seconds: int, memory_mib: int) -> Made:
    """Do work that reads what others sent, in a process of its own.

    Raises:
        DeliveryRejected: what staging says of the delivery; also when it crashed the parser or
            went over its limits, since running again would not help.
        StagingDied: when the process was killed from outside; running again may help.
    """
    context = process_context()
    answers, answer = context.Pipe(duplex=False)
    process = context.Process(
        target=_work, args=(work, given, seconds, memory_mib, answer), daemon=True
    )
    process.start()
    answer.close()
    try:
        if not answers.poll(seconds):
            raise DeliveryRejected(
                f"staging took longer than {seconds} s (GORAL_STAGING_SECONDS) and was stopped"
            )
        kind, content = answers.recv()
    except EOFError:
        process.join()
        raise _death(process.exitcode) from None
    finally:
        if process.is_alive() and not answers.closed:
            process.join(1)
        if process.is_alive():
            process.kill()
            process.join()
        answers.close()
    if kind == "made":
        made: Made = content
        return made
    if kind == "rejected":
        raise DeliveryRejected(content)
    raise StagingDied(content)


def load_early() -> None:
    """Let the server of staging processes load its libraries while the caller does other things."""
    if isinstance(process_context(), ForkServerContext):
        forkserver.ensure_running()


def process_context() -> ForkServerContext | SpawnContext:
    """How processes are started that need the libraries which staging needs."""
    # A server that has the libraries loaded forks a process a delivery in milliseconds. macOS's
    # own libraries do not survive a fork, so there each process starts anew.
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["goral_pipeline.staging.preload"])
    return context


def _death(code: int | None) -> DeliveryRejected | StagingDied:
    if code is not None and -code in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS):
        return DeliveryRejected(
            f"reading it crashed the parser (signal {-code}): the file is damaged or made to do so"
        )
    if code is not None and -code == signal.SIGXCPU:
        return DeliveryRejected("reading it took all the processor time a delivery may have")
    return StagingDied(
        f"the staging process ended without an answer (exit code {code}): killed from outside, "
        "or out of memory; run again, and if it stays so look at GORAL_STAGING_MEMORY_MIB"
    )


def _work(
    work: Callable[[Given], Made], given: Given, seconds: int, memory_mib: int, answer: Connection
) -> None:
    _limit(seconds, memory_mib)
    _fall_silent()
    try:
        answer.send(("made", work(given)))
    except DeliveryRejected as error:
        answer.send(("rejected", str(error)))
    except MemoryError:
        answer.send(("rejected", f"reading it needs more memory than {memory_mib} MiB"))
    except Exception as error:  # noqa: BLE001
        # The words of a library's error may quote cells, so only its kind leaves this process.
        answer.send(("failed", _said_of(error)))


def _said_of(error: Exception) -> str:
    """What is told of a failure."""
    if is_disk_full(error):
        return DISK_FULL
    # DuckDB's own limit; its library is not loaded for the name of an error.
    if type(error).__name__ == "OutOfMemoryException":
        return (
            "staging it needs more memory than DuckDB may use; raise GORAL_DUCKDB_MEMORY_LIMIT "
            "(and GORAL_STAGING_MEMORY_MIB, which must be larger) and run again"
        )
    return _where(error)


def _where(error: Exception) -> str:
    import traceback

    place = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"staging failed with {type(error).__name__} in {place.name} "
        f"(line {place.lineno} of {place.filename.rsplit('/', 1)[-1]})"
        "; this is a fault of the program, not of the delivery"
    )


def _fall_silent() -> None:
    """Let nothing of this process reach a screen or log: a parser's last words may quote cells."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def _limit(seconds: int, memory_mib: int) -> None:
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds * 4, most))
    # A core dump would hold clear values.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (memory_mib * MIB, memory_mib * MIB))
