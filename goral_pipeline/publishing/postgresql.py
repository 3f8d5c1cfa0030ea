"""Tables and views of drops in PostgreSQL: the statements of a load, in one transaction.

Belongs here: all that is SQL, and what PostgreSQL's failures mean. Does not belong here: which drop
may be loaded and in what order (`loader`), reading Parquet.

What another wrote, names above all, reaches a statement as a quoted identifier or literal only.
psycopg is imported with this module, so this module is imported late.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import conninfo, errors, sql

from goral_pipeline.errors import GoralError, SettingsError

if TYPE_CHECKING:
    from goral_pipeline.contracts import Column, Contract, Table
    from goral_pipeline.publishing.manifest import Manifest

# What it logs of a lost connection is told by an exception too; unasked, it would be printed.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

LONGEST_NAME = 63
"""Bytes. PostgreSQL cuts longer names short without failing."""
DROP_ID = "drop_id"
# As PostgreSQL itself writes them, so that they can be compared with its catalog.
TYPES = {
    "VARCHAR": "text",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMPTZ": "timestamp with time zone",
    "BLOB": "bytea",
}

Relation = tuple[str, str]
"""Schema and name."""

BOOKS = """
create table if not exists {drops} (
    drop_id text primary key,
    product text not null,
    sequence bigint not null,
    status text not null,
    manifest_sha256 text not null,
    loaded_at timestamp with time zone not null default now(),
    is_latest boolean not null
);
create unique index if not exists drops_latest on {drops} (product) where is_latest;
create table if not exists {datasets} (
    drop_id text not null references {drops} on delete cascade,
    dataset text not null,
    version text not null,
    table_name text not null,
    partition_name text not null,
    rows bigint not null,
    primary key (drop_id, dataset)
);
create table if not exists {views} (
    dataset text primary key,
    product text not null,
    table_name text not null
);
comment on table {drops} is 'Drops that were loaded; the views show the latest of each product.';
comment on column {drops}.sequence is 'Order in which the drops of a product were published.';
comment on table {datasets} is
    'Which table and partition hold a dataset of a drop, under which version of its contract.';
comment on table {views} is 'Views that the loader made, and the table that each reads.';
"""

COLUMNS = """
select a.attname, format_type(a.atttypid, a.atttypmod)
from pg_attribute a
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = {schema} and c.relname = {name} and a.attnum > 0 and not a.attisdropped
order by a.attnum
"""

PRIMARY_KEY = """
select a.attname
from pg_index i
join pg_class c on c.oid = i.indrelid
join pg_namespace n on n.oid = c.relnamespace
cross join unnest(i.indkey::smallint[]) with ordinality as k (attnum, place)
join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
where n.nspname = {schema} and c.relname = {name} and i.indisprimary
order by k.place
"""

GRANTS = """
select coalesce(r.rolname, ''), g.privilege_type, g.is_grantable
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
cross join aclexplode(c.relacl) as g
left join pg_roles r on r.oid = g.grantee
where n.nspname = {schema} and c.relname = {name} and g.grantee <> c.relowner
"""

VIEW = """
create or replace view {view} as
select {columns}
from {table} as t
where t.drop_id = (select d.drop_id from {drops} as d where d.product = {product} and d.is_latest)
"""


@dataclass(frozen=True)
class Dataset:
    """One dataset of a drop, as the contract in the drop describes it."""

    name: str
    contract: Contract

    @property
    def table(self) -> Table:
        """Its table in the contract."""
        return self.contract.table(self.name)

    @property
    def version(self) -> str:
        """Version of its contract."""
        return str(self.contract.version)

    @property
    def table_name(self) -> str:
        """Name of the table of its major version; each drop is a partition of it."""
        return f"{self.name}_v{int(self.version.split('.')[0])}"

    def partition_name(self, drop: str) -> str:
        """Name of a drop's partition: of a hash, as the id of a drop may be long."""
        return f"{self.table_name}_{hashlib.sha256(drop.encode()).hexdigest()[:12]}"

    @property
    def types(self) -> dict[str, str]:
        """PostgreSQL type of each column, in the contract's order."""
        return {column.name: _type(column) for column in self.table.columns}

    @property
    def key(self) -> list[str]:
        """Columns of the primary key, over all drops; empty where the contract has no key."""
        return [DROP_ID, *self.table.key] if self.table.key else []

    def check(self, drop: str) -> None:
        """Check all that can be wrong without looking at a database.

        Raises:
            GoralError: when a name or the version cannot be had in PostgreSQL.
        """
        if not re.match(r"[0-9]{1,4}\.", self.version):
            raise GoralError(
                f"{self.name}: its contract has version {self.version!r}, expected "
                "major.minor.patch; tell GO-RAL"
            )
        for name in (self.partition_name(drop), *self.types):
            if not name.isprintable() or not 0 < len(name.encode()) <= LONGEST_NAME:
                raise GoralError(
                    f"{self.name}: {name!r} cannot be a name in PostgreSQL, which takes up to "
                    f"{LONGEST_NAME} bytes; tell GO-RAL"
                )
        if DROP_ID in self.types:
            raise GoralError(
                f"{self.name}: its contract has a column {DROP_ID}, which the loader uses to tell "
                "drops apart; tell GO-RAL"
            )


def check_target(url: str, schema: str) -> None:
    """Check what can be wrong with a URL and a schema's name without a database.

    Raises:
        SettingsError: saying what is expected, never what was given: a password may be in it.
    """
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("?")[0].partition("/")
    # Else PostgreSQL would take a part of the password for host, port or database, and show it.
    is_right = scheme in ("postgresql", "postgres") and authority.count("@") <= 1
    try:
        ports = str(conninfo.conninfo_to_dict(url).get("port", ""))
    except psycopg.ProgrammingError:
        is_right = False
    if not is_right or "@" in path or not re.fullmatch("[0-9,]*", ports):
        raise SettingsError(
            "that is no URL of a PostgreSQL database: expected postgresql://user@host:5432/database"
            "; in a password, @ is written %40, / is %2F and : is %3A"
        )
    is_name = schema.isprintable() and len(tables_schema(schema).encode()) <= LONGEST_NAME
    if not schema or not is_name or schema.startswith("pg_"):
        raise SettingsError(
            f"{schema!r} cannot be the name of a schema: expected up to "
            f"{LONGEST_NAME - len(tables_schema(''))} bytes, not beginning with pg_"
        )


@contextmanager
def transaction(url: str, schema: str) -> Iterator[Database]:
    """A transaction on the database at a URL: all that is done in the block, or nothing.

    Raises:
        GoralError: when PostgreSQL cannot be reached or refuses; the URL is not shown.
    """
    try:
        connection = psycopg.connect(url, autocommit=True, client_encoding="utf8")
    except psycopg.Error as error:
        said = str(error).removeprefix("connection failed: ").splitlines()[0]
        raise GoralError(f"cannot connect to PostgreSQL: {said}") from None
    # Else what was seen before the turn came would hold in the turn.
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    try:
        with connection, connection.transaction():
            yield Database(connection, schema)
    except psycopg.Error as error:
        raise GoralError(_in_words(error, is_lost=connection.broken)) from None


class Database:
    """The two schemas that drops are loaded into, within one transaction."""

    def __init__(self, connection: psycopg.Connection[Any], schema: str) -> None:
        """Take a connection in a transaction; views stand in `schema`, tables in another."""
        self._connection = connection
        self.views_schema = schema
        self.tables_schema = tables_schema(schema)
        # Nothing that another put into the database is found in place of PostgreSQL's own.
        self._run("set local search_path = pg_catalog, pg_temp")
        self._run("set local timezone = 'UTC'")
        self._run("set local datestyle = 'ISO, YMD'")

    # --- who is at it, and what is there ---

    def is_my_turn(self) -> bool:
        """Take the turn among loaders into these schemas if it is free, until the end."""
        return bool(self._rows("select pg_try_advisory_xact_lock({key})", key=self._lock_key)[0][0])

    def wait_for_my_turn(self) -> None:
        """Wait until no other loader is at these schemas."""
        self._run("select pg_advisory_xact_lock({key})", key=self._lock_key)

    @property
    def _lock_key(self) -> int:
        digest = hashlib.sha256(f"goral drop load {self.views_schema}".encode()).digest()
        return int.from_bytes(digest[:8], signed=True)

    def prepare(self) -> None:
        """Make the schemas and the tables that keep account, where they are missing."""
        for schema in (self.views_schema, self.tables_schema):
            # Asked first: to create one "if not exists" takes a right, even where it exists.
            if not self._rows("select 1 from pg_namespace where nspname = {name}", name=schema):
                self._run("create schema {schema}", schema=sql.Identifier(schema))
        books = {name: self._own(name) for name in ("drops", "datasets", "views")}
        if not all(self._columns((self.tables_schema, name)) for name in books):
            self._run(BOOKS, **books)

    def manifest_of(self, drop: str) -> str | None:
        """SHA-256 of the manifest that a drop was loaded by; None where it was not loaded."""
        found = self._rows(
            "select manifest_sha256 from {drops} where drop_id = {drop}",
            drops=self._own("drops"),
            drop=drop,
        )
        return str(found[0][0]) if found else None

    def latest(self, product: str) -> tuple[str, int] | None:
        """Id and sequence of the latest drop of a product."""
        found = self._rows(
            "select drop_id, sequence from {drops} where product = {product} and is_latest",
            drops=self._own("drops"),
            product=product,
        )
        return (str(found[0][0]), int(found[0][1])) if found else None

    def check(self, dataset: Dataset, product: str) -> None:
        """Check that a dataset fits what is there.

        Raises:
            GoralError: when it changes a type or key within a major version, or its view's name
                is taken.
        """
        there = self._columns((self.tables_schema, dataset.table_name))
        for name, wanted in dataset.types.items():
            if there.get(name, wanted) != wanted:
                raise GoralError(
                    f"{dataset.name} {dataset.version}: column {name} is {wanted}, and "
                    f"{there[name]} in the table {dataset.table_name}; within a major version no "
                    "type may change: tell GO-RAL"
                )
        key = self._rows(PRIMARY_KEY, schema=self.tables_schema, name=dataset.table_name)
        if there and [name for (name,) in key] != dataset.key:
            raise GoralError(
                f"{dataset.name} {dataset.version}: its key is not that of the table "
                f"{dataset.table_name}; within a major version it may not change: tell GO-RAL"
            )
        view = (self.views_schema, dataset.name)
        owner = self._view_of(dataset.name)
        if owner is None and self._columns(view):
            raise GoralError(
                f"{_written(view)} is there and was not made by this loader: rename it, or load "
                "into other schemas by --schema"
            )
        if owner is not None and owner[0] != product:
            raise GoralError(
                f"{_written(view)} shows the product {owner[0]}, and {product} has a dataset of "
                "that name too: load it into other schemas by --schema"
            )

    # --- one drop ---

    def copy(self, dataset: Dataset, drop: str, pieces: Iterable[memoryview]) -> int:
        """Copy rows, as CSV, into a new table for this drop alone; gives their number.

        No reader knows this table before it becomes a partition, so nobody waits for the copying.
        """
        partition = self._own(dataset.partition_name(drop))
        others = {
            name: type_
            for name, type_ in self._columns((self.tables_schema, dataset.table_name)).items()
            if name not in dataset.types and name != DROP_ID
        }
        # That a value is required holds for this drop: another may be under another minor version.
        required = {column.name for column in dataset.table.columns if column.required}
        columns = [
            sql.SQL("{} {}{}").format(
                sql.Identifier(name),
                sql.SQL(type_),
                sql.SQL(" not null" if name in required else ""),
            )
            for name, type_ in (dataset.types | others).items()
        ]
        self._run(
            "create table {partition} (drop_id text not null default {drop}, {columns})",
            partition=partition,
            drop=drop,
            columns=_listed(columns),
        )
        # Frozen: as the table is new, nobody can see the rows too early, and no vacuum has to
        # write them again.
        statement = _sql(
            "copy {partition} ({columns}) from stdin (format csv, freeze, encoding 'UTF8')",
            partition=partition,
            columns=_names(dataset.types),
        )
        try:
            with self._connection.cursor() as cursor:
                with cursor.copy(statement) as copy:
                    for piece in pieces:
                        copy.write(piece)
                rows = cursor.rowcount
            if dataset.key:
                self._run(
                    "alter table {partition} add primary key ({key})",
                    partition=partition,
                    key=_names(dataset.key),
                )
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            # What PostgreSQL says of it may hold the content of cells.
            raise GoralError(
                f"{dataset.name} cannot be loaded: PostgreSQL does not take a value in it "
                f"({type(error).__name__}); nothing was changed; tell GO-RAL"
            ) from None
        # Else the first queries are planned as if it were empty.
        self._run("analyze {partition}", partition=partition)
        return rows

    def record(self, read: Manifest, manifest_sha256: str, *, is_latest: bool) -> None:
        """Record a drop; the views show it from the commit on if it is the latest."""
        if is_latest:
            self._run(
                "update {drops} set is_latest = false where product = {product} and is_latest",
                drops=self._own("drops"),
                product=read.product,
            )
        self._run(
            "insert into {drops} (drop_id, product, sequence, status, manifest_sha256, is_latest)"
            " values ({drop}, {product}, {sequence}, {status}, {sha256}, {is_latest})",
            drops=self._own("drops"),
            drop=read.drop,
            product=read.product,
            sequence=read.sequence,
            status=read.status,
            sha256=manifest_sha256,
            is_latest=is_latest,
        )

    def attach(self, dataset: Dataset, drop: str, rows: int, *, is_latest: bool) -> None:
        """Make the drop's table a partition of the one of its major version."""
        relation = (self.tables_schema, dataset.table_name)
        table, there = _named(relation), self._columns(relation)
        if not there:
            self._create_table(table, dataset)
        for name in [name for name in dataset.types if there and name not in there]:
            self._run(
                "alter table {table} add column {name} {type}",
                table=table,
                name=sql.Identifier(name),
                type=sql.SQL(dataset.types[name]),
            )
        self._run(
            "alter table {table} attach partition {partition} for values in ({drop})",
            table=table,
            partition=self._own(dataset.partition_name(drop)),
            drop=drop,
        )
        if is_latest or not there:
            self._describe("table", relation, dataset, "All drops under this major version.")
        self._run(
            "insert into {datasets} (drop_id, dataset, version, table_name, partition_name, rows)"
            " values ({drop}, {dataset}, {version}, {table_name}, {partition_name}, {rows})",
            datasets=self._own("datasets"),
            drop=drop,
            dataset=dataset.name,
            version=dataset.version,
            table_name=dataset.table_name,
            partition_name=dataset.partition_name(drop),
            rows=rows,
        )

    def _create_table(self, table: sql.Identifier, dataset: Dataset) -> None:
        columns = [
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(type_))
            for name, type_ in dataset.types.items()
        ]
        key = _sql(", primary key ({key})", key=_names(dataset.key)) if dataset.key else sql.SQL("")
        self._run(
            "create table {table} (drop_id text not null, {columns}{key}) "
            "partition by list (drop_id)",
            table=table,
            columns=_listed(columns),
            key=key,
        )
        self._run(
            "comment on column {table}.drop_id is 'Drop that the row came with.'", table=table
        )

    # --- views ---

    def show(self, dataset: Dataset, product: str, notice: str) -> None:
        """Let the dataset's view be of the latest drop, in the contract's columns.

        What was granted on the view stays granted, and what others built on it stays as it is.

        Raises:
            GoralError: when others built on a column that is gone or of another type.
        """
        relation = (self.views_schema, dataset.name)
        there, owner = self._columns(relation), self._view_of(dataset.name)
        wanted = dataset.types
        is_same = owner == (product, dataset.table_name) and list(there.items()) == list(
            wanted.items()
        )
        if not is_same:
            order, grants = list(wanted), self._rows(GRANTS, **_parts(relation))
            # PostgreSQL replaces a view only by one that begins with the same columns.
            if list(wanted.items())[: len(there)] != list(there.items()):
                dependents = self._drop_view(relation)
                if dependents is None:
                    there = {}
                else:
                    order = self._appended(relation, there, dataset, dependents)
            self._run(
                VIEW,
                view=_named(relation),
                columns=_listed([_sql("t.{name}", name=sql.Identifier(name)) for name in order]),
                table=self._own(dataset.table_name),
                drops=self._own("drops"),
                product=product,
            )
            if not there:
                self._grant(relation, grants)
            self._run(
                "insert into {views} (dataset, product, table_name)"
                " values ({dataset}, {product}, {table_name})"
                " on conflict (dataset) do update set table_name = excluded.table_name",
                views=self._own("views"),
                dataset=dataset.name,
                product=product,
                table_name=dataset.table_name,
            )
        self._describe("view", relation, dataset, f"Latest drop of product {product}. {notice}")

    def withdraw(self, product: str, kept: set[str]) -> list[str]:
        """Drop the views of datasets that a product no longer has; gives their names.

        An empty view would say that there is nothing, where nothing is known any more.

        Raises:
            GoralError: when others built on one of them.
        """
        views = self._rows(
            "select dataset from {views} where product = {product} order by dataset",
            views=self._own("views"),
            product=product,
        )
        gone = [str(name) for (name,) in views if name not in kept]
        for name in gone:
            relation = (self.views_schema, name)
            if (dependents := self._drop_view(relation)) is not None:
                raise GoralError(
                    f"{name} is not in the drop any more, so {_written(relation)} has to go, but "
                    f"others built on it: {dependents}; drop these and load again"
                )
            self._run(
                "delete from {views} where dataset = {name}", views=self._own("views"), name=name
            )
        return gone

    def _appended(
        self, relation: Relation, there: dict[str, str], dataset: Dataset, dependents: str
    ) -> list[str]:
        """The columns as the view has them, those that came since at the end."""
        changed = [name for name, type_ in there.items() if dataset.types.get(name) != type_]
        if changed:
            raise GoralError(
                f"{_written(relation)} has to be made anew for {dataset.name} "
                f"{dataset.version}, which no longer has these columns as they were: "
                f"{', '.join(changed)}; but others built on it: {dependents}; drop these, load "
                "again, and make them anew on the new columns"
            )
        return [*there, *(name for name in dataset.types if name not in there)]

    def _drop_view(self, relation: Relation) -> str | None:
        """Drop a view; where something depends on it, it stays, and what does so is told."""
        try:
            # In a savepoint, so that the transaction goes on.
            with self._connection.transaction():
                self._run("drop view if exists {view}", view=_named(relation))
        except errors.DependentObjectsStillExist as error:
            return "; ".join((error.diag.message_detail or "something").splitlines())
        return None

    def _view_of(self, dataset: str) -> tuple[str, str] | None:
        """Product and table of a view that a loader made."""
        found = self._rows(
            "select product, table_name from {views} where dataset = {dataset}",
            views=self._own("views"),
            dataset=dataset,
        )
        return (str(found[0][0]), str(found[0][1])) if found else None

    def _grant(self, relation: Relation, grants: list[tuple[Any, ...]]) -> None:
        for role, privilege, is_grantable in grants:
            self._run(
                "grant {privilege} on {view} to {role}{option}",
                privilege=sql.SQL(privilege),
                view=_named(relation),
                role=sql.Identifier(role) if role else sql.SQL("public"),
                option=sql.SQL(" with grant option" if is_grantable else ""),
            )

    # --- shared ---

    def _describe(self, kind: str, relation: Relation, dataset: Dataset, note: str) -> None:
        """Comments from the contract."""
        table = dataset.table
        described = f"Contract {dataset.contract.id} {dataset.version}."
        self._run(
            "comment on {kind} {relation} is {text}",
            kind=sql.SQL(kind),
            relation=_named(relation),
            text=_squeezed(f"{table.description} {table.grain} {described} {note}"),
        )
        for column in table.columns:
            unit = f" Unit: {column.unit}." if column.unit else ""
            self._run(
                "comment on column {relation}.{name} is {text}",
                relation=_named(relation),
                name=sql.Identifier(column.name),
                text=_squeezed(f"{column.description}{unit}"),
            )

    def _columns(self, relation: Relation) -> dict[str, str]:
        """Type of each column of a table or view, in order; empty where it is not there."""
        return {str(name): str(type_) for name, type_ in self._rows(COLUMNS, **_parts(relation))}

    def _own(self, name: str) -> sql.Identifier:
        return sql.Identifier(self.tables_schema, name)

    def _run(self, statement: str, **parts: object) -> None:
        self._connection.execute(_sql(statement, **parts))

    def _rows(self, statement: str, **parts: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(_sql(statement, **parts)).fetchall()


def tables_schema(schema: str) -> str:
    """Schema of the tables that the views in `schema` read."""
    return f"{schema}_drops"


def _sql(statement: str, **parts: object) -> sql.Composed:
    """A statement; parts that are no SQL become literals."""
    return sql.SQL(statement).format(**parts)


def _listed(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def _names(names: Iterable[str]) -> sql.Composed:
    return _listed([sql.Identifier(name) for name in names])


def _named(relation: Relation) -> sql.Identifier:
    return sql.Identifier(*relation)


def _parts(relation: Relation) -> dict[str, str]:
    return {"schema": relation[0], "name": relation[1]}


def _written(relation: Relation) -> str:
    return ".".join(relation)


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def _type(column: Column) -> str:
    if column.type.startswith("DECIMAL("):
        precision, scale = column.type.removeprefix("DECIMAL(").removesuffix(")").split(",")
        return f"numeric({int(precision)},{int(scale)})"
    return TYPES[column.type]


def _in_words(error: psycopg.Error, *, is_lost: bool) -> str:
    said = (error.diag.message_primary or str(error) or type(error).__name__).splitlines()[0]
    if is_lost:
        return (
            f"the connection to PostgreSQL was lost ({said}); load again: either all of the drop "
            "was loaded or nothing"
        )
    if isinstance(error, errors.InsufficientPrivilege):
        return (
            f"PostgreSQL refuses: {said}; nothing was changed. The user that loads needs the right "
            "to create schemas in the database, or both schemas for its own"
        )
    # 53: out of disk, memory or connections.
    if (error.sqlstate or "").startswith("53"):
        return f"PostgreSQL has no room: {said}; nothing was changed: make room and load again"
    return f"PostgreSQL refuses: {said}; nothing was changed"
