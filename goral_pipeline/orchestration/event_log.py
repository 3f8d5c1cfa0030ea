"""Dagster's event log, held open while a run writes to it.

Belongs here: that, and no more. Does not belong here: what is logged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    import sqlalchemy as sa

SQLITE = "SqliteEventLogStorage"
CONNECT = "_connect"
"""Dagster's method that makes, for each event anew, an engine, a connection and the SQL."""
BUSY_SECONDS = 60


@contextmanager
def held_open(instance: dg.DagsterInstance) -> Iterator[None]:
    """Let an event log in SQLite keep its databases open: an event then costs a fifth.

    What Dagster writes, and in which transactions, stays the same. A log that is not in SQLite, or
    that has no such method any more, is left as it is; so is one that is held open already.
    """
    log: Any = instance.event_log_storage
    attributes = vars(log)
    is_sqlite = type(log).__name__ == SQLITE and hasattr(log, CONNECT)
    if CONNECT in attributes or not is_sqlite:
        yield
        return
    with ExitStack() as at_the_end:
        attributes[CONNECT] = _keeping(getattr(log, CONNECT), at_the_end)
        at_the_end.callback(attributes.pop, CONNECT)
        yield


def _keeping(connect: Any, at_the_end: ExitStack) -> Any:
    """Dagster's way to a database the first time, for it makes it; after that the same engine."""
    import sqlalchemy as sa

    engines: dict[str, sa.Engine] = {}
    # Dagster too lets one thread at a time in.
    lock = Lock()

    @contextmanager
    def kept(database: str) -> Iterator[sa.Connection]:
        with lock:
            if database in engines:
                with engines[database].begin() as connection:
                    yield connection
                return
            with connect(database) as connection:
                yield connection
                url = connection.engine.url
            engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS})
            at_the_end.callback(engine.dispose)
            engines[database] = engine

    return kept
