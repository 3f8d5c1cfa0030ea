"""Landing: deliveries exactly as they came, and the ledger of what became of them.

Does not belong here: looking inside a delivery.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goral_pipeline.landing.ledger import Ledger
    from goral_pipeline.settings import Settings


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Ledger]:
    """The ledger of these settings, closed after the block."""
    # Late, as SQLAlchemy is heavy and defining assets needs none of it.
    from goral_pipeline.landing.ledger import Ledger

    ledger = Ledger(settings.ledger)
    try:
        yield ledger
    finally:
        ledger.close()
