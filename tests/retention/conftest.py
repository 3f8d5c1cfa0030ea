"""A home with real deliveries in it, on both databases, and a clock that can be moved on."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from goral_pipeline import clock, ingestion
from goral_pipeline.ingestion import Ingested
from goral_pipeline.landing import open_ledger
from goral_pipeline.landing.ledger import Delivery, Ledger
from goral_pipeline.settings import Settings
from goral_pipeline.staging import stage, worker
from tests import support_files
from tests.landing.conftest import ledger_url
from tests.support_files import BOUNDARIES, REQUESTS

__all__ = ["ledger_url"]

At = Callable[[float], None]
Take = Callable[..., Delivery]
MONTH = "2022-07"


@pytest.fixture(autouse=True)
def _staged_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "stage_apart", lambda job, **_: stage.stage(job))


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> At:
    """Moves the clock to so many days after now."""
    start = datetime.now(UTC)

    def move(days: float) -> None:
        monkeypatch.setattr(clock, "now", lambda: start + timedelta(days=days))

    move(0)
    return move


@pytest.fixture
def settings(tmp_path: Path, ledger_url: str) -> Settings:
    if ledger_url.startswith("sqlite"):
        # Where it is by default: in the home, where its bytes are seen.
        return support_files.settings(tmp_path / "home")
    return support_files.settings(tmp_path / "home", ledger_url=ledger_url)


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    with open_ledger(settings) as opened:
        yield opened


@pytest.fixture
def take(settings: Settings, ledger: Ledger, tmp_path: Path) -> Take:
    """Delivers requests, so many and bad ones; gives the delivery as it then stands."""

    def deliver(rows: int, *, bad: int = 0, partition: str = MONTH) -> Delivery:
        file = tmp_path / f"requests-{rows}-{bad}.xlsx"
        # Written once, for a workbook tells when it was written.
        if not file.exists():
            written = [support_files.request(f"R{number}") for number in range(rows)]
            written += [support_files.request(None, Gemeente="nowhere") for _ in range(bad)]
            support_files.workbook_file(file, written)
        ingestion.deliver(settings, ledger, REQUESTS, partition, file)
        delivery = ledger.latest_delivery(REQUESTS, partition)
        assert delivery is not None
        return delivery

    return deliver


@pytest.fixture
def take_boundaries(settings: Settings, ledger: Ledger, tmp_path: Path) -> Callable[[], Ingested]:
    """Delivers what holds no personal data."""

    def deliver() -> Ingested:
        file = support_files.geojson_file(tmp_path / "b.geojson", [support_files.feature()])
        return ingestion.deliver(settings, ledger, BOUNDARIES, "2022", file)

    return deliver
