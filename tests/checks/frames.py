"""Raw rows of a contract's tables, judged, as staging has them before its expectations look."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from goral_pipeline.checks import expectations
from goral_pipeline.checks.expectations import Broken, Verdict
from goral_pipeline.contracts import Contract, Table
from goral_pipeline.staging import judge

Raw = Mapping[str, str | None]


def judged(contract: Contract, rows: Mapping[str, Sequence[Raw]]) -> duckdb.DuckDBPyConnection:
    """A connection with the raw and judged tables; a child's row belongs to the parent's of its
    number, or to the last one."""
    con = duckdb.connect(config={"threads": 1})
    con.execute("set TimeZone = 'UTC'")
    for table in contract.tables:
        names = [column.name for column in table.delivered_columns]
        typed = ", ".join(f'"{name}" varchar' for name in names)
        con.execute(
            f"create temp table raw_{table.name} (row_id bigint, parent_row_id bigint, "
            f"record_number bigint, {typed})"
        )
        last = max(len(rows.get(table.parent, [])), 1) if table.parent else None
        values = [
            [number, min(number, last) if last else None, number, *(row.get(n) for n in names)]
            for number, row in enumerate(rows.get(table.name, []), start=1)
        ]
        if values:
            marks = ", ".join("?" for _ in values[0])
            con.executemany(f"insert into raw_{table.name} values ({marks})", values)
        con.execute(judge.typed_table(table))
        con.execute(judge.settlement(contract, table))
    return con


def broken_of(con: duckdb.DuckDBPyConnection, table: Table) -> tuple[int, list[Broken]]:
    """Rows, and how often and where each rule is broken."""
    number, *found = con.execute(judge.counts_to_judge(table)).fetchall()[0]
    pairs: Any = zip(found[::2], found[1::2], strict=True)
    return number, [Broken(*pair) for pair in pairs]


def rows_of_table(con: duckdb.DuckDBPyConnection, table: Table) -> Any:
    return con.execute(judge.rows_to_judge(table)).df()


def by_rows(con: duckdb.DuckDBPyConnection, contract: Contract, table: Table) -> list[Verdict]:
    _, broken = broken_of(con, table)
    return expectations.judge_rows(contract, table, rows_of_table(con, table), broken)


def by_counts(con: duckdb.DuckDBPyConnection, contract: Contract, table: Table) -> list[Verdict]:
    return expectations.judge_counts(contract, table, *broken_of(con, table))
