"""What the tests of publishing share: the settings and ledger of a copy of the demo."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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
