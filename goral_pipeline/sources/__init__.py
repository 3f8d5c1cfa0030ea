"""The publishers: how each is asked, and how its bytes are read into columns of text.

Belongs here: the registry below and one module a publisher; `mappings/` describes tabular exports.
Does not belong here: writing anything but the delivery that comes in; typing and judging rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from goral_pipeline.sources import ndw_dotnl, pdok, vattenfall
from goral_pipeline.sources.asking import Answer, Question

if TYPE_CHECKING:
    import duckdb

    from goral_pipeline.contracts import Contract


@dataclass(frozen=True)
class Source:
    """One dataset of one publisher."""

    dataset: str
    extension: str
    """Of the landed file; it tells nothing of the content, but people look at it."""
    fetch: Callable[[Question], Answer | None]
    """Ask the publisher; None when it says that nothing changed."""
    read: Callable[[duckdb.DuckDBPyConnection, Path, Contract], None]
    """Read a landed file into the tables `raw_<table>`: columns row_id, parent_row_id,
    record_number, and each delivered column of the contract as text."""
    reading: tuple[Path, ...] = ()
    """Files besides the code that decide how it is read, such as a mapping."""


SOURCES: dict[str, Source] = {
    source.dataset: source
    for source in (
        Source(
            "ndw_dotnl/locations",
            ".json.gz",
            ndw_dotnl.fetch_locations,
            ndw_dotnl.read_locations,
        ),
        Source(
            "pdok/municipality_boundaries",
            ".ndjson",
            pdok.fetch_municipality_boundaries,
            pdok.read_municipality_boundaries,
        ),
        Source(
            "vattenfall/requests",
            ".xlsx",
            vattenfall.fetch_requests,
            vattenfall.read_requests,
            vattenfall.READING,
        ),
    )
}
