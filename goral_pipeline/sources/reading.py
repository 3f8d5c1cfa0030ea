"""What every publisher's module is handed to read a landed file.

Does not belong here: how any publisher's files are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from goral_pipeline.contracts import Contract


@dataclass(frozen=True)
class Reading:
    """One landed file to be read into the tables `raw_<table>` of a connection.

    Each has the columns row_id (unique in the table), parent_row_id (null without a parent),
    record_number (where a person finds the record in the file) and each delivered column of the
    contract, as text.
    """

    con: duckdb.DuckDBPyConnection
    path: Path
    contract: Contract
    partition: str
    """The partition that the delivery is for."""
    spill: Path
    """Private folder for what must be written while reading; it goes with the connection."""
