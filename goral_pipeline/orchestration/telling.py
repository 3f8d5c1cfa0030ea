"""Telling what an asset does: into Dagster's log of the run, and to whoever started it here."""

from __future__ import annotations

import logging
from collections.abc import Callable

import dagster as dg

TELLING = logging.getLogger("goral_pipeline.telling")


def teller(context: dg.AssetExecutionContext) -> Callable[[str], None]:
    """A function that tells one line to both."""

    def tell(text: str) -> None:
        context.log.info(text)
        TELLING.info(text)

    return tell
