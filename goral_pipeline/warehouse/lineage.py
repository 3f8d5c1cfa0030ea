"""What each column of the warehouse's tables is made from, read off the SQL that dbt compiled.

Belongs here: the columns, rows and origins of what was built. Does not belong here: showing it
(`orchestration`), or building (`build`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

Relation = tuple[str, str]
"""Schema and name of a table or view."""
Origin = tuple[Relation, str]
"""A column of another relation."""
Types = dict[str, str]
"""SQL type by column, in the table's order."""


@dataclass(frozen=True)
class Described:
    """One relation as it was built."""

    columns: Types
    rows: int | None
    """None of a view."""
    origins: dict[str, list[Origin]]
    """By column, those that it is made from directly; none of a constant."""


def describe(warehouse: Path, compiled: Mapping[Relation, Path]) -> dict[Relation, Described]:
    """What dbt built in a warehouse file that is not swapped in yet.

    Args:
        warehouse: the file; nobody else may have it open for writing.
        compiled: the SQL that dbt made of each model.
    """
    import duckdb

    with duckdb.connect(str(warehouse), read_only=True) as con:
        catalog, types = _types(con)
        rows = _rows(con)
    return {
        relation: Described(
            types[relation],
            rows.get(relation),
            origins(path.read_text(), catalog, types) if path.is_file() else {},
        )
        for relation, path in compiled.items()
        if relation in types
    }


def origins(sql: str, catalog: str, types: Mapping[Relation, Types]) -> dict[str, list[Origin]]:
    """By column of a query, the columns of relations that it is made from; in order of name.

    Nothing where the parser does not know the SQL: what is built does not hang on it.

    Args:
        sql: one query of DuckDB, in which each relation is named with catalog and schema.
        catalog: the one catalog there is.
        types: every relation that it may read.
    """
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    schemas: dict[str, dict[str, Types]] = {}
    for (schema, name), columns in types.items():
        schemas.setdefault(schema, {})[name] = columns
    known: dict[str, object] = {catalog: schemas}
    try:
        query = qualify(
            parse_one(sql, dialect="duckdb"),
            dialect="duckdb",
            schema=known,
            validate_qualify_columns=False,
        )
        if not isinstance(query, exp.Query):
            return {}
        scope = build_scope(query)
        nodes = {
            column: lineage(column, query, schema=known, scope=scope, dialect="duckdb", copy=False)
            for column in query.named_selects
        }
    except SqlglotError:
        return {}
    return {
        column: sorted(
            {
                ((leaf.source.db, leaf.source.name), leaf.name.rpartition(".")[2].strip('"'))
                for leaf in node.walk()
                if isinstance(leaf.source, exp.Table)
            }
        )
        for column, node in nodes.items()
    }


def _types(con: duckdb.DuckDBPyConnection) -> tuple[str, dict[Relation, Types]]:
    found: dict[Relation, Types] = {}
    rows = con.execute(
        "select database_name, schema_name, table_name, column_name, data_type "
        "from duckdb_columns() where database_name = current_database() and not internal "
        "order by table_oid, column_index"
    ).fetchall()
    for _, schema, table, column, sql_type in rows:
        found.setdefault((schema, table), {})[column] = sql_type
    return (rows[0][0] if rows else ""), found


def _rows(con: duckdb.DuckDBPyConnection) -> dict[Relation, int]:
    tables = con.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = "
        "current_database()"
    ).fetchall()
    found = {}
    for schema, table in tables:
        (counted,) = con.execute(f'select count(*) from "{schema}"."{table}"').fetchall()
        found[schema, table] = counted[0]
    return found
