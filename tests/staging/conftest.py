"""What tests of whole deliveries share: a home in which a good version was accepted."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from goral_pipeline import ingestion
from goral_pipeline.ingestion import Ingested
from goral_pipeline.landing.ledger import Current, Delivery, Ledger
from goral_pipeline.settings import Settings
from tests.support_files import (
    BOUNDARIES,
    LOCATIONS,
    REQUESTS,
    feature,
    geojson_file,
    location,
    ocpi_file,
    request,
    settings,
    workbook_file,
)

PARTITIONS = {LOCATIONS: "2022-07", REQUESTS: "2022-07", BOUNDARIES: "2022"}
NAMES = {LOCATIONS: "new.json.gz", REQUESTS: "new.xlsx", BOUNDARIES: "new.json"}


@dataclass(frozen=True)
class House:
    """A GORAL_HOME with its ledger, and deliveries to it."""

    settings: Settings
    ledger: Ledger
    desk: Path
    """Where files lie before they are delivered."""

    def deliver(self, dataset: str, file: Path) -> Ingested:
        return ingestion.deliver(self.settings, self.ledger, dataset, PARTITIONS[dataset], file)

    def deliver_bytes(self, dataset: str, content: bytes) -> Ingested:
        file = self.desk / NAMES[dataset]
        file.write_bytes(content)
        return self.deliver(dataset, file)

    def latest(self, dataset: str) -> Delivery:
        delivery = self.ledger.latest_delivery(dataset, PARTITIONS[dataset])
        assert delivery is not None
        return delivery

    def current(self, dataset: str) -> Current:
        (current,) = self.ledger.current(dataset, PARTITIONS[dataset])
        return current

    def landed(self, delivery: Delivery) -> Path:
        folder = self.settings.landing / delivery.dataset
        return folder / f"{delivery.sha256}{delivery.extension}"


@pytest.fixture(scope="session")
def _furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which each dataset has an accepted version; made once, to be copied."""
    folder = tmp_path_factory.mktemp("furnished")
    files = {
        LOCATIONS: ocpi_file(folder / "locations.json.gz", [location()]),
        REQUESTS: workbook_file(folder / "requests.xlsx", [request()]),
        BOUNDARIES: geojson_file(folder / "boundaries.json", [feature()]),
    }
    chosen = settings(folder / "home")
    ledger = Ledger(chosen.ledger)
    for dataset, file in files.items():
        result = ingestion.deliver(chosen, ledger, dataset, PARTITIONS[dataset], file)
        assert result.state == "new", result.message
    ledger.close()
    return folder / "home"


@pytest.fixture
def house(_furnished: Path, tmp_path: Path) -> Iterator[House]:
    shutil.copytree(_furnished, tmp_path / "home")
    chosen = settings(tmp_path / "home")
    ledger = Ledger(chosen.ledger)
    yield House(chosen, ledger, tmp_path)
    ledger.close()
