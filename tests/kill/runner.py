"""A process that has everything loaded and forks a child for each run that is to be killed.

Each line on standard input is a request `{"home", "deliveries", "in_worker", "seams", "kill_at",
"is_after", "removing"}`. The child waits for a line `go`, so that a tracer can be put on it first;
the answers are lines `{"pids": [...]}` and then `{"status": ...}`, what `os.waitstatus_to_exitcode`
says.

With `kill_at` the child kills itself before, or after, that call of one of the seams: functions of
`durable`, and `commit` of the ledger. With `removing` the run is one of retention, years later.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from goral_pipeline import contracts, durable
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.staging import preload  # noqa: F401  loads what staging needs
from tests.kill import scene

# Allows a tracer that is no parent of this process (Yama, as on Ubuntu).
PR_SET_PTRACER, ANY = 0x59616D61, -1
COMMIT = "commit"


class Killer:
    """Kills this process at the call of a seam with a given number, counted from 1."""

    def __init__(self, number: int, *, is_after: bool) -> None:
        self._left = number
        self._is_after = is_after

    def around(self, really: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            is_last = self._left == 0
            if is_last and not self._is_after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = really(*args, **kwargs)
            if is_last:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return counted

    def commits(self, write: Callable[..., Any]) -> Callable[..., Any]:
        """Around the commit of a transaction of the ledger."""

        @contextmanager
        def counted(ledger: Ledger) -> Iterator[Any]:
            block = write(ledger)
            connection = block.__enter__()
            try:
                yield connection
            except BaseException:
                block.__exit__(*sys.exc_info())
                raise
            self.around(lambda: block.__exit__(None, None, None))()

        return counted

    def put_on(self, seams: list[str]) -> None:
        for name in seams:
            if name == COMMIT:
                Ledger._write = self.commits(Ledger._write)  # type: ignore[method-assign]
            else:
                setattr(durable, name, self.around(getattr(durable, name)))


def start_forkserver() -> list[int]:
    """Start the server of staging processes before the tracer comes; gives its process."""
    import multiprocessing.forkserver

    from goral_pipeline.staging import worker

    worker.process_context()
    multiprocessing.forkserver.ensure_running()
    pid = multiprocessing.forkserver._forkserver._forkserver_pid
    # Its first child shows that it has loaded everything.
    ready = worker.process_context().Process(target=int)
    ready.start()
    ready.join()
    return [pid]


def child(asked: dict[str, Any], go: int, ready: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANY, 0, 0, 0)
    others = start_forkserver() if asked.get("in_worker") else []
    if asked.get("kill_at"):
        Killer(asked["kill_at"], is_after=asked["is_after"]).put_on(asked["seams"])
    os.write(ready, json.dumps([os.getpid(), *others]).encode() + b"\n")
    os.read(go, 1)
    if asked.get("removing"):
        scene.remove_old(Path(asked["home"]))
    else:
        scene.run(Path(asked["home"]), Path(asked["deliveries"]), in_worker=bool(others))


def serve() -> None:
    contracts.staged()
    contracts.derived()
    contracts.published()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    for line in sys.stdin:
        asked = json.loads(line)
        go, gone = os.pipe()
        are_ready, ready = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(gone)
                child(asked, go, ready)
                status = 0
            except BaseException as error:  # noqa: BLE001
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(status)
        os.close(ready)
        with os.fdopen(are_ready) as pids:
            answers.write(json.dumps({"pids": json.loads(pids.readline())}) + "\n")
        sys.stdin.readline()
        os.write(gone, b"g")
        os.close(gone)
        os.close(go)
        _, status = os.waitpid(pid, 0)
        answers.write(json.dumps({"status": os.waitstatus_to_exitcode(status)}) + "\n")


if __name__ == "__main__":
    serve()
