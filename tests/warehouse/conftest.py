"""What the tests of the warehouse share: the settings and ledger of a copy of the demo."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from goral_pipeline import ingestion
from goral_pipeline.demo import regions
from goral_pipeline.landing import open_ledger
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.settings import Settings


@pytest.fixture
def settings(demo_home: Path) -> Settings:
    return Settings.load()


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    with open_ledger(settings) as opened:
        yield opened


@pytest.fixture
def newer_boundaries(settings: Settings, ledger: Ledger, tmp_path: Path) -> None:
    """The boundaries delivered once more, in other bytes: the warehouse is stale."""
    file = tmp_path / "DEMO_boundaries.geojson"
    file.write_text(json.dumps(regions.feature_collection(), indent=1))
    result = ingestion.deliver(settings, ledger, "pdok/municipality_boundaries", "2022", file)
    assert result.state == "new"
