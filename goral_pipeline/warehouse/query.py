"""The way in for analysts: read-only, locked down, no matter what the SQL says.

Does not belong here: writing, or SQL of our own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from goral_pipeline.errors import GoralError
from goral_pipeline.warehouse import build

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MOST_ROWS = 1_000_000


def connect(path: Path, *, memory_limit: str, threads: int) -> duckdb.DuckDBPyConnection:
    """Open the warehouse so that SQL can read its tables and nothing else.

    Raises:
        GoralError: when there is no warehouse yet, or it is damaged.
    """
    import duckdb

    if not path.is_file():
        raise GoralError("there is no warehouse yet; `goral run` builds it")
    try:
        con = duckdb.connect(
            str(path), read_only=True, config={"memory_limit": memory_limit, "threads": threads}
        )
    except duckdb.Error as error:
        raise build.unreadable(path, error) from None
    con.execute("set TimeZone = 'UTC'")
    con.execute("set search_path = 'marts,intermediate,reference,main'")
    # In this order: the last one makes the others final. Read-only alone would still let SQL read
    # and write files.
    con.execute("set enable_external_access = false")
    con.execute("set lock_configuration = true")
    return con


def query(con: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """The rows of a query, at most MOST_ROWS; each column with a name of its own.

    Raises:
        GoralError: with DuckDB's own words, when it refuses.
    """
    import duckdb

    try:
        if not duckdb.extract_statements(sql):
            raise GoralError("the query is empty")
        result = con.execute(sql).to_arrow_table()
    except duckdb.Error as error:
        raise GoralError(f"the query was refused: {error}") from None
    if result.num_rows > MOST_ROWS:
        raise GoralError(f"the query gives {result.num_rows} rows; ask for {MOST_ROWS} at most")
    return result.rename_columns(_told_apart(result.column_names))


def _told_apart(names: list[str]) -> list[str]:
    """Each name once, for rows are shown by name and a join brings the same one twice."""
    result: list[str] = []
    for name in names:
        number, own = 1, name
        while own in result:
            number += 1
            own = f"{name}_{number}"
        result.append(own)
    return result
