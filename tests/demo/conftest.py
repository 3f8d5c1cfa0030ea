"""What several tests of the demo share: the running server."""

from collections.abc import Iterator

import pytest

from goral_pipeline.demo.server import DemoServer


@pytest.fixture(scope="session")
def server() -> Iterator[DemoServer]:
    with DemoServer() as running:
        yield running
