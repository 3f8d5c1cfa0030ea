"""The test's side of `runner`, and the tracer that kills at a system call."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from goral_pipeline.warehouse import dbt_command

REPOSITORY = Path(__file__).parents[2]
KILLED = -9
UNFINISHED = "tmp-…-"

# Not fsync: it changes nothing that another process sees, so to be killed before it or before the
# next of these leaves the same.
CHANGING = (
    *("openat", "open", "creat", "write", "pwrite64", "writev", "pwritev"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    *("unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "truncate", "ftruncate", "fallocate"),
    *("chmod", "fchmod", "fchmodat", "fchmodat2"),
)
# Those that an architecture lacks are left out by the question mark.
TRACED = ",".join(f"?{name}" for name in CHANGING)


class Runner:
    """The process that forks runs; one run at a time."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kill.runner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            # Counting is exact only where nothing else of the process writes.
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=30)

    def start(self, home: Path, deliveries: Path, **how: Any) -> list[int]:
        """Fork a run that waits for `go`; gives its processes."""
        self._say(json.dumps({"home": str(home), "deliveries": str(deliveries)} | how))
        pids: list[int] = self._hear()["pids"]
        return pids

    def go(self) -> int:
        """Let the run begin, and wait until it ends or is killed; gives its status."""
        self._say("go")
        status: int = self._hear()["status"]
        return status

    def run(self, home: Path, deliveries: Path, **how: Any) -> int:
        self.start(home, deliveries, **how)
        return self.go()

    def _say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the runner has died"
        answer: dict[str, Any] = json.loads(line)
        return answer


@dataclass(frozen=True)
class Point:
    """The `number`th call of a system call in a process, which changes something below a home."""

    call: str
    number: int
    what: str

    def __str__(self) -> str:
        return f"{self.call} {self.number} ({self.what})"


def why_no_tracer() -> str:
    """Why nothing can be traced here; empty where it can."""
    if not shutil.which("strace"):
        return "strace is not installed (apt-get install strace)"
    tried = subprocess.run(
        ["strace", "-e", "trace=none", "true"], capture_output=True, text=True, check=False
    )
    return "" if tried.returncode == 0 else f"strace cannot trace here: {tried.stderr.strip()}"


@contextmanager
def traced(pids: list[int], account: Path, *options: str) -> Iterator[None]:
    """Trace processes while the block runs; the account is complete after it."""
    # Without --seccomp-bpf: under it, faults are not injected, and nothing says so.
    tracer = subprocess.Popen(
        [
            *("strace", "-f", "-y", "-s", "0", "-o", str(account)),
            *("-e", f"trace={TRACED}"),
            *options,
            *(argument for pid in pids for argument in ("-p", str(pid))),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr
    for _ in pids:
        line = tracer.stderr.readline()
        assert "attached" in line, line
    try:
        yield
    finally:
        tracer.wait(60)
        tracer.stderr.close()


def killing(point: Point) -> tuple[str, str]:
    """Options of the tracer that kill a process as it enters a call, before anything is done."""
    return ("-e", f"inject={point.call}:signal=SIGKILL:when={point.number}")


_CALL = re.compile(r"(?P<pid>\d+) +(?P<call>\w+)\((?P<arguments>.*)")
_TEMPORARY = re.compile(r"\.tmp-\d+-[0-9a-f]+-")
_HASH = re.compile(r"[0-9a-f]{12,}")


def points(account: Path, home: Path) -> dict[int, list[Point]]:
    """The calls of a traced run that change something below `home`, by process, in order."""
    found: dict[int, list[Point]] = {}
    numbers: Counter[tuple[int, str]] = Counter()
    for line in account.read_text().splitlines():
        match = _CALL.match(line)
        if not match:
            continue
        pid, call, arguments = int(match["pid"]), match["call"], match["arguments"]
        numbers[pid, call] += 1
        if str(home) not in arguments or _only_looks(call, arguments):
            continue
        what = re.split(r'[">]', arguments.rpartition(str(home))[2])[0]
        what = _HASH.sub("…", _TEMPORARY.sub(UNFINISHED, what.lstrip("/") or "GORAL_HOME"))
        if what.endswith("-shm"):
            # The index of the ledger's log, in memory they share: made anew whenever it is opened.
            continue
        found.setdefault(pid, []).append(Point(call, numbers[pid, call], what))
    return found


def ends_of_rows(found: list[Point]) -> list[Point]:
    """Of calls on the same unfinished file, one after the other, the first and the last.

    To be killed between two others leaves the same half file, a few bytes longer.
    """
    return [
        point
        for before, point, after in zip([None, *found[:-1]], found, [*found[1:], None], strict=True)
        if not (before and after and _is_row(before, point) and _is_row(point, after))
    ]


def _is_row(one: Point, other: Point) -> bool:
    if _is_building(one) and _is_building(other):
        return True
    is_same_call = one.call == other.call and "write" in one.call
    return one.what == other.what and (is_same_call or UNFINISHED in one.what)


def _is_building(point: Point) -> bool:
    return dbt_command.BUILDING in point.what


def _only_looks(call: str, arguments: str) -> bool:
    return call in ("open", "openat") and not re.search("O_CREAT|O_TRUNC|O_TMPFILE", arguments)


def was_killed_at(call: str, account: Path) -> bool:
    """Whether a traced process entered this call and never left it."""
    never_left = re.compile(rf"\b{call}(\(.*| resumed>.*)= \?$", re.MULTILINE)
    return bool(never_left.search(account.read_text()))
