"""What every publisher's module is handed to read a landed file.

Does not belong here: how any publisher's files are read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from goral_pipeline.contracts import Contract


TYPED = "typed_"
Later = Callable[["duckdb.DuckDBPyConnection", str], None]


@dataclass(frozen=True)
class Reading:
    """One landed file to be read into the tables, or views, `raw_<table>` of a connection.

    Each has the columns row_id (unique in the table), parent_row_id (null without a parent),
    record_number (where a person finds the record in the file) and each delivered column of the
    contract, as text. Where the publisher's module knows how a column is written, there is
    `typed_<column>` besides, in the contract's type and null where the text is none: staging then
    takes that, and does not read the text itself.
    """

    con: duckdb.DuckDBPyConnection
    path: Path
    contract: Contract
    partition: str
    """The partition that the delivery is for."""
    spill: Path
    """Private folder for what must be written while reading; it goes with the connection."""
    received_at: datetime
    """When the delivery was received."""
    received: dict[str, str] = field(default_factory=dict)
    """For a table whose `raw_<table>` is dear to read twice: SQL for the number of records that it
    received, once `typed_<table>` is there, other than by counting its rows."""
    later: list[Later] = field(default_factory=list)
    """Checks that need rows, so that the file is not read twice: called with the connection and the
    name of the first table's typed rows."""
