"""What the tests of asking share: publishers on loopback, and pauses that are not waited for."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from goral_pipeline import http_session
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.settings import Settings
from goral_pipeline.staging import stage, worker
from tests import support_files
from tests.fetching.publisher import MakePublisher, Publisher


@pytest.fixture
def make_publisher() -> Iterator[MakePublisher]:
    with ExitStack() as running:
        yield lambda script=None: running.enter_context(Publisher(script))


@pytest.fixture
def publisher(make_publisher: MakePublisher) -> Publisher:
    return make_publisher()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, in seconds, which are not waited for."""
    seconds: list[float] = []

    class Time:
        sleep = staticmethod(seconds.append)

    monkeypatch.setattr(http_session, "time", Time)
    return seconds


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return support_files.settings(
        tmp_path / "home", http_timeout_seconds=5, http_attempts=2, duckdb_memory_limit="1GB"
    )


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    opened = Ledger(settings.ledger)
    yield opened
    opened.close()


@pytest.fixture
def _staged_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stage in this process: what a process of its own is for is tested elsewhere."""
    monkeypatch.setattr(worker, "stage_apart", lambda job, **_: stage.stage(job))
