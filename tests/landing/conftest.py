"""The ledger on SQLite, and on a real PostgreSQL where one can be had."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from goral_pipeline.landing.ledger import Ledger
from tests.landing.records import MakeLedger


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database with nothing in it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.sqlite'}"
        return
    plain = request.getfixturevalue("postgres")
    server = plain.replace("postgresql://", "postgresql+psycopg://")
    name = f"ledger_{uuid.uuid4().hex}"
    administration = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with administration.connect() as connection:
        connection.exec_driver_sql(f"create database {name}")
    yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    with administration.connect() as connection:
        connection.exec_driver_sql(f"drop database {name} with (force)")
    administration.dispose()


@pytest.fixture
def make_ledger(ledger_url: str) -> Iterator[MakeLedger]:
    """Opens the same database anew at each call."""
    opened: list[Ledger] = []

    def open_it() -> Ledger:
        opened.append(Ledger(ledger_url))
        return opened[-1]

    yield open_it
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(make_ledger: MakeLedger) -> Ledger:
    return make_ledger()
