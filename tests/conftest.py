"""What all tests share: an environment of their own, and the finished demo to copy from."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
GORAL = Path(sys.executable).with_name("goral")
# No secret: the demo's key, which the command line sets for the demo itself.
DEMO_KEY = "demo key, known to all: for invented persons only"


def is_foreign(name: str) -> bool:
    """Whether a variable would let the pipeline work elsewhere, or otherwise, than a test says."""
    # GORAL_REQUIRE_… tell the tests, not the pipeline, what must not be skipped.
    return name == "DAGSTER_HOME" or (
        name.startswith("GORAL_") and not name.startswith("GORAL_REQUIRE_")
    )


def _forget_foreign() -> None:
    for name in [name for name in os.environ if is_foreign(name)]:
        del os.environ[name]


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_developer() -> None:
    """Before the first test, for what the fixtures of a session start."""
    _forget_foreign()


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path) -> Iterator[None]:
    """GORAL_HOME in the folder of the test; whatever a test sets is gone after it."""
    before = dict(os.environ)
    _forget_foreign()
    os.environ["GORAL_HOME"] = str(tmp_path / "home")
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Both streams, for messages of failing asserts."""
        return f"exit code {self.code}\n{self.out}\n{self.err}"


def goral(*arguments: str | Path, home: Path | None = None, **environment: str) -> Ran:
    """Run the command line as a user does, in a process of its own."""
    own = {"GORAL_HOME": str(home)} if home else {}
    done = subprocess.run(
        [str(GORAL), *map(str, arguments)],
        env=os.environ | own | environment,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Demo:
    """The home that `goral demo run` left, and what it said. Never change it: copy it."""

    home: Path
    out: str
    err: str
    seconds: float

    @property
    def drops(self) -> Path:
        return self.home / "drops"

    @property
    def drop(self) -> str:
        return str(json.loads((self.drops / "latest.json").read_bytes())["drop"])

    @property
    def release(self) -> Path:
        """The folder of the drop that the pointer points at."""
        return self.drops / "releases" / self.drop


@contextmanager
def shared_by_workers(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A folder that all workers share; in the block only one of them is at it."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo, run once for all workers: it takes about a minute."""
    with shared_by_workers(tmp_path_factory, "demo") as folder:
        home, account = folder / "home", folder / "account.json"
        if not account.exists():
            begin = time.monotonic()
            ran = goral("demo", "run", home=home)
            # Kept also when it failed, so that every test says so, and none runs it again.
            account.write_text(json.dumps(asdict(ran) | {"seconds": time.monotonic() - begin}))
        found = json.loads(account.read_text())
    assert found.pop("code") == 0, found["err"]
    return Demo(home, **found)


@pytest.fixture
def demo_home(demo: Demo, tmp_path: Path) -> Path:
    """A copy of the demo's home, without what Dagster and dbt left; GORAL_HOME points at it.

    The key that its deliveries were staged with is set too.
    """
    home = tmp_path / "demo-home"
    shutil.copytree(demo.home, home, ignore=_made_by_tools)
    os.environ["GORAL_HOME"] = str(home)
    os.environ["GORAL_PSEUDONYM_KEY"] = DEMO_KEY
    return home


def _made_by_tools(folder: str, names: list[str]) -> list[str]:
    is_home = "ledger.sqlite" in names
    # SQLite's own come and go while another test reads.
    made = ("dagster", "dbt", "ledger.sqlite-shm", "ledger.sqlite-wal")
    return [name for name in names if is_home and name in made]


@pytest.fixture
def demo_drops(demo: Demo, tmp_path: Path) -> Path:
    """A copy of the demo's drops alone, as GORAL_HOME/drops."""
    drops = tmp_path / "home" / "drops"
    shutil.copytree(demo.drops, drops)
    return drops


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL server that lives as long as the tests."""
    try:
        import pgserver
    except ImportError:
        if os.environ.get("GORAL_REQUIRE_POSTGRES"):
            raise
        pytest.skip("NOT TESTED on PostgreSQL: the package pgserver is not installed here")
    # A socket's path may be 107 characters long; pytest's folders can be longer.
    folder = tempfile.mkdtemp(prefix="goral-pg-")
    server = pgserver.get_server(folder)
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def every_file(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Size, time of change and inode of every file below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_dir():
            stat = path.stat()
            found[path.relative_to(folder).as_posix()] = (
                stat.st_size,
                stat.st_mtime_ns,
                stat.st_ino,
            )
    return found


def every_byte(folder: Path) -> dict[str, bytes]:
    """The content of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
