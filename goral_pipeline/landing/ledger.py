"""The ledger: what was delivered, what staging made of it, and which version counts.

Belongs here: the tables, and functions that record a fact or answer a question, each in one
transaction. Does not belong here: files, deliveries' content, decisions. Facts are added, not
changed, but for the state of a delivery and the moment a removal was done; so "as of" a day is a
filter on `received_at`.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

from goral_pipeline import clock, durable
from goral_pipeline.errors import SettingsError

State = Literal["received", "accepted", "rejected"]
Outcome = Literal["accepted", "duplicate", "quarantined"]


class _Moment(TypeDecorator[datetime]):
    """A moment in UTC, on databases that keep no zone too."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_SWITCH_ATTEMPTS = 100  # five seconds
# Waits for the writer before; 2022 is any number, but the same for every ledger.
TAKE_A_TURN = {
    "sqlite": "begin immediate",
    "postgresql": "select pg_advisory_xact_lock(2022)",
}

_metadata = sa.MetaData()

_deliveries = sa.Table(
    "deliveries",
    _metadata,
    sa.Column("delivery_id", sa.String(16), primary_key=True),
    sa.Column("dataset", sa.String(80), nullable=False),
    sa.Column("partition", sa.String(10), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("content_key", sa.String(64), nullable=False),
    sa.Column("extension", sa.String(20), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("origin", sa.String(500), nullable=False),
    sa.Column("etag", sa.String(200)),
    sa.Column("last_modified", sa.String(60)),
    sa.Column("demo", sa.Boolean, nullable=False),
    sa.Column("received_at", _Moment, nullable=False),
    sa.Column("supersedes", sa.ForeignKey("deliveries.delivery_id")),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("problem", sa.Text),
    sa.Index("deliveries_by_partition", "dataset", "partition", "received_at"),
)
_stagings = sa.Table(
    "stagings",
    _metadata,
    sa.Column("staging_id", sa.String(40), primary_key=True),
    sa.Column("delivery_id", sa.ForeignKey("deliveries.delivery_id"), nullable=False),
    sa.Column("fingerprint", sa.String(16), nullable=False),
    sa.Column("contract_version", sa.String(20), nullable=False),
    sa.Column("key_id", sa.String(16)),
    sa.Column("staged_at", _Moment, nullable=False),
)
_staged_files = sa.Table(
    "staged_files",
    _metadata,
    sa.Column("staging_id", sa.ForeignKey("stagings.staging_id"), primary_key=True),
    sa.Column("table_name", sa.String(80), primary_key=True),
    sa.Column("path", sa.String(500), nullable=False),
    sa.Column("received", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
)
_staged_counts = sa.Table(
    "staged_counts",
    _metadata,
    sa.Column("staging_id", sa.ForeignKey("stagings.staging_id"), primary_key=True),
    sa.Column("table_name", sa.String(80), primary_key=True),
    sa.Column("outcome", sa.String(12), primary_key=True),
    sa.Column("reason", sa.String(80), primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
)
_staged_months = sa.Table(
    "staged_months",
    _metadata,
    sa.Column("staging_id", sa.ForeignKey("stagings.staging_id"), primary_key=True),
    sa.Column("table_name", sa.String(80), primary_key=True),
    sa.Column("month", sa.String(7), primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
)
_OF_A_STAGING = (
    _stagings.c.staging_id,
    _stagings.c.fingerprint,
    _stagings.c.key_id,
    *_deliveries.c,
)
_pointers = sa.Table(
    "pointers",
    _metadata,
    sa.Column("pointer_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("dataset", sa.String(80), nullable=False),
    sa.Column("partition", sa.String(10), nullable=False),
    sa.Column("staging_id", sa.ForeignKey("stagings.staging_id"), nullable=False),
    sa.Column("moved_at", _Moment, nullable=False),
    sa.Index("pointers_by_partition", "dataset", "partition", "pointer_id"),
)
_drops = sa.Table(
    "drops",
    _metadata,
    sa.Column("drop_id", sa.String(80), primary_key=True),
    sa.Column("manifest_sha256", sa.String(64), nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("demo", sa.Boolean, nullable=False),
    sa.Column("published_at", _Moment, nullable=False),
)
_removals = sa.Table(
    "removals",
    _metadata,
    sa.Column("removal_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("path", sa.String(500), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("dataset", sa.String(80), nullable=False),
    sa.Column("delivery_id", sa.String(16), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.String(200), nullable=False),
    sa.Column("decided_at", _Moment, nullable=False),
    sa.Column("removed_at", _Moment),
    sa.Index("removals_by_path", "path", "removal_id"),
)


@dataclass(frozen=True)
class Delivery:
    """One delivery of one partition of one dataset, as it came."""

    delivery_id: str
    dataset: str
    partition: str
    sha256: str
    content_key: str
    """Hash of what matters in it: equal keys mean that nothing new was delivered."""
    extension: str
    bytes: int
    origin: str
    etag: str | None
    last_modified: str | None
    demo: bool
    received_at: datetime
    supersedes: str | None
    state: State
    problem: str | None


@dataclass(frozen=True)
class StagedFile:
    """Accepted rows of one table of one delivery; `path` is relative to GORAL_HOME.

    `received` counts the rows delivered, `rows` those accepted.
    """

    table_name: str
    path: str
    received: int
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Count:
    """How many rows of a table ended how; `reason` is empty for accepted rows."""

    table_name: str
    outcome: Outcome
    reason: str
    rows: int


@dataclass(frozen=True)
class Staging:
    """What staging made of a delivery."""

    delivery_id: str
    fingerprint: str
    contract_version: str
    key_id: str | None
    files: tuple[StagedFile, ...]
    counts: tuple[Count, ...]
    months: tuple[tuple[str, str, int], ...]
    """(table, month, accepted rows)."""

    @property
    def staging_id(self) -> str:
        """Delivery and fingerprint together."""
        return f"{self.delivery_id}-{self.fingerprint}"


@dataclass(frozen=True)
class Current:
    """What a partition's pointer points at."""

    delivery: Delivery
    staging_id: str
    fingerprint: str
    key_id: str | None
    """Of the pseudonyms in it; None where it has none."""
    files: tuple[StagedFile, ...] = field(default=())


@dataclass(frozen=True)
class Removal:
    """A file or folder that retention removed; `path` is relative to GORAL_HOME.

    What was landed again since then lies there though it was removed once.
    """

    path: str
    kind: str
    dataset: str
    """Empty where it is of none."""
    delivery_id: str
    """Empty where it is of none that was recorded."""
    bytes: int
    reason: str
    decided_at: datetime
    removed_at: datetime | None
    """None as long as nobody has seen that it is gone: whoever decided it may have been killed."""

    @property
    def day(self) -> str:
        """The day in Amsterdam on which it was removed, as far as is known."""
        moment = (self.removed_at or self.decided_at).astimezone(clock.PROGRAMME_ZONE)
        return moment.strftime("%Y-%m-%d")


class Ledger:
    """A connection to the ledger; the tables are made where they are missing."""

    def __init__(self, url: str) -> None:
        """Open the ledger at a SQLAlchemy URL.

        Raises:
            SettingsError: when the database cannot be reached; the URL, which may hold a
                password, is not shown.
        """
        try:
            self._engine = sa.create_engine(url, **_engine_options(url))
            if self._engine.dialect.name == "sqlite":
                sa.event.listen(self._engine, "connect", _configure_sqlite)
            if set(_metadata.tables) - set(sa.inspect(self._engine).get_table_names()):
                with self._write() as connection:
                    _metadata.create_all(connection)
        except (sa.exc.SQLAlchemyError, ImportError, OSError, ValueError) as error:
            cause = type(getattr(error, "orig", None) or error).__name__
            raise SettingsError(
                f"the ledger cannot be opened ({cause}); check GORAL_LEDGER_URL and GORAL_HOME"
            ) from None

    def close(self) -> None:
        """Give back the connections."""
        self._engine.dispose()

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        """A transaction that no other writer comes between, so that what it reads stays true."""
        with self._engine.begin() as connection:
            if turn := TAKE_A_TURN.get(self._engine.dialect.name):
                connection.exec_driver_sql(turn)
            yield connection

    # --- deliveries ---------------------------------------------------------------------------

    def latest_delivery(self, dataset: str, partition: str) -> Delivery | None:
        """The delivery received last for a partition, whatever became of it."""
        with self._engine.connect() as connection:
            return self._latest(connection, dataset, partition)

    def latest_fetched(self, dataset: str, partition: str) -> Delivery | None:
        """The delivery that the publisher gave last when asked; not one given by hand."""
        with self._engine.connect() as connection:
            # A URL; the name of a file has no slash.
            return self._latest(connection, dataset, partition, _deliveries.c.origin.contains("/"))

    def _latest(
        self,
        connection: sa.Connection,
        dataset: str,
        partition: str,
        *conditions: sa.ColumnElement[bool],
    ) -> Delivery | None:
        query = (
            sa.select(_deliveries)
            .where(
                _deliveries.c.dataset == dataset, _deliveries.c.partition == partition, *conditions
            )
            .order_by(_deliveries.c.received_at.desc(), _deliveries.c.delivery_id.desc())
            .limit(1)
        )
        found = connection.execute(query).mappings().first()
        return Delivery(**found) if found else None

    def delivery(self, delivery_id: str) -> Delivery | None:
        """The delivery of that id."""
        found = self._all(sa.select(_deliveries).where(_deliveries.c.delivery_id == delivery_id))
        return Delivery(**found[0]) if found else None

    def deliveries(self) -> list[Delivery]:
        """Every delivery, the first received first."""
        query = sa.select(_deliveries).order_by(
            _deliveries.c.received_at, _deliveries.c.delivery_id
        )
        return [Delivery(**row) for row in self._all(query)]

    def add_delivery(
        self,
        *,
        dataset: str,
        partition: str,
        sha256: str,
        content_key: str,
        extension: str,
        size: int,
        origin: str,
        etag: str | None,
        last_modified: str | None,
        demo: bool,
    ) -> Delivery:
        """Record a delivery that now lies in landing.

        Where another process has just recorded the same content, that delivery is it.
        """
        same = sa.select(sa.func.count()).where(
            _deliveries.c.dataset == dataset,
            _deliveries.c.partition == partition,
            _deliveries.c.sha256 == sha256,
        )
        with self._write() as connection:
            before = self._latest(connection, dataset, partition)
            if before and before.content_key == content_key:
                return before
            times_before = connection.execute(same).scalar_one()
            current = self._current(connection, dataset, partition, None)
            delivery = Delivery(
                delivery_id=_delivery_id(dataset, partition, sha256, times_before),
                dataset=dataset,
                partition=partition,
                sha256=sha256,
                content_key=content_key,
                extension=extension,
                bytes=size,
                origin=origin[:500],
                etag=etag,
                last_modified=last_modified,
                demo=demo,
                received_at=clock.now(),
                supersedes=current[0].delivery.delivery_id if current else None,
                state="received",
                problem=None,
            )
            connection.execute(_deliveries.insert().values(**vars(delivery)))
        return delivery

    def reject(self, delivery_id: str, problem: str) -> None:
        """Record that a delivery was rejected, and why; the pointer stays where it is."""
        with self._write() as connection:
            connection.execute(
                _deliveries.update()
                .where(_deliveries.c.delivery_id == delivery_id)
                .values(state="rejected", problem=problem)
            )

    # --- staging and pointers -----------------------------------------------------------------

    def accept(self, staging: Staging) -> None:
        """Record a staging and move its partition's pointer to it, in one transaction."""
        staging_id = staging.staging_id
        with self._write() as connection:
            delivery = connection.execute(
                sa.select(_deliveries.c.dataset, _deliveries.c.partition).where(
                    _deliveries.c.delivery_id == staging.delivery_id
                )
            ).one()
            known = sa.select(_stagings.c.staging_id).where(_stagings.c.staging_id == staging_id)
            if connection.execute(known).first() is None:
                self._insert_staging(connection, staging)
            connection.execute(
                _deliveries.update()
                .where(_deliveries.c.delivery_id == staging.delivery_id)
                .values(state="accepted", problem=None)
            )
            connection.execute(
                _pointers.insert().values(
                    dataset=delivery.dataset,
                    partition=delivery.partition,
                    staging_id=staging_id,
                    moved_at=clock.now(),
                )
            )

    def _insert_staging(self, connection: sa.Connection, staging: Staging) -> None:
        key = {"staging_id": staging.staging_id}
        connection.execute(
            _stagings.insert().values(
                **key,
                delivery_id=staging.delivery_id,
                fingerprint=staging.fingerprint,
                contract_version=staging.contract_version,
                key_id=staging.key_id,
                staged_at=clock.now(),
            )
        )
        for table, rows in (
            (_staged_files, [key | vars(file) for file in staging.files]),
            (_staged_counts, [key | vars(count) for count in staging.counts]),
            (
                _staged_months,
                [
                    key | {"table_name": table_name, "month": month, "rows": number}
                    for table_name, month, number in staging.months
                ],
            ),
        ):
            if rows:
                connection.execute(table.insert(), rows)

    def current(
        self,
        dataset: str | None = None,
        partition: str | None = None,
        as_of: datetime | None = None,
    ) -> list[Current]:
        """What the pointers point at, by dataset and partition; as known at `as_of` if given."""
        with self._engine.connect() as connection:
            return self._current(connection, dataset, partition, as_of)

    def _current(
        self,
        connection: sa.Connection,
        dataset: str | None,
        partition: str | None,
        as_of: datetime | None,
    ) -> list[Current]:
        conditions: list[sa.ColumnElement[bool]] = []
        if dataset is not None:
            conditions.append(_pointers.c.dataset == dataset)
        if partition is not None:
            conditions.append(_pointers.c.partition == partition)
        if as_of is not None:
            conditions.append(_deliveries.c.received_at <= as_of)
        joined = _pointers.join(_stagings).join(_deliveries)
        newest = (
            sa.select(sa.func.max(_pointers.c.pointer_id))
            .select_from(joined)
            .where(*conditions)
            .group_by(_pointers.c.dataset, _pointers.c.partition)
        )
        query = (
            sa.select(*_OF_A_STAGING)
            .select_from(joined)
            .where(_pointers.c.pointer_id.in_(newest))
            .order_by(_pointers.c.dataset, _pointers.c.partition)
        )
        pointed = sa.select(_pointers.c.staging_id).where(_pointers.c.pointer_id.in_(newest))
        return self._with_files(connection, query, pointed)

    def staged(self, staging_ids: Collection[str]) -> list[Current]:
        """What these stagings made of their deliveries, by dataset and partition.

        Whatever the pointers point at now; those that are not known are left out.
        """
        wanted = _stagings.c.staging_id.in_(staging_ids)
        query = (
            sa.select(*_OF_A_STAGING)
            .select_from(_stagings.join(_deliveries))
            .where(wanted)
            .order_by(_deliveries.c.dataset, _deliveries.c.partition)
        )
        with self._engine.connect() as connection:
            return self._with_files(
                connection, query, sa.select(_stagings.c.staging_id).where(wanted)
            )

    def _with_files(
        self,
        connection: sa.Connection,
        query: sa.Select[Any],
        staging_ids: sa.Select[tuple[str]],
    ) -> list[Current]:
        rows = [dict(row) for row in connection.execute(query).mappings()]
        files = self._files(connection, staging_ids)
        return [
            Current(
                staging_id=(staging_id := row.pop("staging_id")),
                fingerprint=row.pop("fingerprint"),
                key_id=row.pop("key_id"),
                delivery=Delivery(**row),
                files=tuple(files.get(staging_id, ())),
            )
            for row in rows
        ]

    def _files(
        self, connection: sa.Connection, staging_ids: sa.Select[tuple[str]]
    ) -> dict[str, list[StagedFile]]:
        query = (
            sa.select(_staged_files)
            .where(_staged_files.c.staging_id.in_(staging_ids))
            .order_by(_staged_files.c.staging_id, _staged_files.c.table_name)
        )
        files: dict[str, list[StagedFile]] = {}
        for row in connection.execute(query).mappings():
            entry = dict(row)
            files.setdefault(entry.pop("staging_id"), []).append(StagedFile(**entry))
        return files

    def counts(self, staging_id: str) -> list[Count]:
        """How the rows of a staging ended."""
        query = (
            sa.select(_staged_counts)
            .where(_staged_counts.c.staging_id == staging_id)
            .order_by(_staged_counts.c.table_name, _staged_counts.c.outcome)
        )
        return [
            Count(row["table_name"], row["outcome"], row["reason"], row["rows"])
            for row in self._all(query)
        ]

    def accepted(self, delivery_id: str, table: str) -> int:
        """How many rows of a table were accepted of a delivery, the way it was staged last."""
        last = (
            sa.select(_stagings.c.staging_id)
            .where(_stagings.c.delivery_id == delivery_id)
            .order_by(_stagings.c.staged_at.desc(), _stagings.c.staging_id)
            .limit(1)
        )
        return sum(
            count.rows
            for row in self._all(last)
            for count in self.counts(row["staging_id"])
            if (count.table_name, count.outcome) == (table, "accepted")
        )

    def months(self, staging_id: str) -> list[str]:
        """The months that the accepted rows of a staging touch."""
        query = (
            sa.select(_staged_months.c.month)
            .where(_staged_months.c.staging_id == staging_id)
            .distinct()
            .order_by(_staged_months.c.month)
        )
        return [row["month"] for row in self._all(query)]

    def months_by_staging(self) -> dict[str, list[str]]:
        """The months that each staging's accepted rows touch, of all stagings that touch any."""
        query = (
            sa.select(_staged_months.c.staging_id, _staged_months.c.month)
            .distinct()
            .order_by(_staged_months.c.staging_id, _staged_months.c.month)
        )
        found: dict[str, list[str]] = {}
        for row in self._all(query):
            found.setdefault(row["staging_id"], []).append(row["month"])
        return found

    def partitions_with(self, dataset: str, content_key: str) -> list[str]:
        """The partitions of a dataset whose delivery in use has that content."""
        newest = (
            sa.select(sa.func.max(_pointers.c.pointer_id))
            .where(_pointers.c.dataset == dataset)
            .group_by(_pointers.c.partition)
        )
        query = (
            sa.select(_pointers.c.partition)
            .select_from(_pointers.join(_stagings).join(_deliveries))
            .where(_pointers.c.pointer_id.in_(newest), _deliveries.c.content_key == content_key)
            .order_by(_pointers.c.partition)
        )
        return [row["partition"] for row in self._all(query)]

    def out_of_use(self) -> dict[str, datetime]:
        """Since when each staging that was in use once is so no more."""
        query = sa.select(_pointers).order_by(
            _pointers.c.dataset, _pointers.c.partition, _pointers.c.pointer_id
        )
        found: dict[str, datetime] = {}
        before: dict[str, Any] = {}
        for row in self._all(query):
            found.pop(row["staging_id"], None)
            is_same = all(before.get(name) == row[name] for name in ("dataset", "partition"))
            if is_same and before["staging_id"] != row["staging_id"]:
                found[before["staging_id"]] = row["moved_at"]
            before = row
        return found

    # --- removals -----------------------------------------------------------------------------

    def decide_removals(self, removals: Iterable[Removal]) -> None:
        """Record what is about to be removed; what was decided before and not done is decided anew.

        Recorded before it is done, so that nothing is ever gone without the ledger knowing why.
        """
        with self._write() as connection:
            for removal in removals:
                connection.execute(
                    _removals.delete().where(
                        _removals.c.path == removal.path, _removals.c.removed_at.is_(None)
                    )
                )
                connection.execute(_removals.insert().values(**vars(removal)))

    def confirm_removals(self, paths: Iterable[str]) -> None:
        """Record that what was decided to be removed is gone."""
        with self._write() as connection:
            now = clock.now()
            for path in paths:
                connection.execute(
                    _removals.update()
                    .where(_removals.c.path == path, _removals.c.removed_at.is_(None))
                    .values(removed_at=now)
                )

    def removals(self) -> list[Removal]:
        """All that retention removed or has decided to, the first first."""
        query = sa.select(_removals).order_by(_removals.c.removal_id)
        return [_removal(row) for row in self._all(query)]

    def removal(self, path: str) -> Removal | None:
        """The last removal of a path: what explains that nothing lies there."""
        query = (
            sa.select(_removals)
            .where(_removals.c.path == path)
            .order_by(_removals.c.removal_id.desc())
            .limit(1)
        )
        found = self._all(query)
        return _removal(found[0]) if found else None

    # --- drops --------------------------------------------------------------------------------

    def add_drop(self, drop_id: str, manifest_sha256: str, fingerprint: str, demo: bool) -> None:
        """Record a published drop; a drop already recorded stays as it is."""
        with self._write() as connection:
            known = sa.select(_drops.c.drop_id).where(_drops.c.drop_id == drop_id)
            if connection.execute(known).first() is None:
                connection.execute(
                    _drops.insert().values(
                        drop_id=drop_id,
                        manifest_sha256=manifest_sha256,
                        fingerprint=fingerprint,
                        demo=demo,
                        published_at=clock.now(),
                    )
                )

    def drops(self) -> list[dict[str, Any]]:
        """The published drops, the oldest first."""
        return self._all(sa.select(_drops).order_by(_drops.c.published_at, _drops.c.drop_id))

    def _all(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _removal(row: dict[str, Any]) -> Removal:
    return Removal(**{name: value for name, value in row.items() if name != "removal_id"})


def _delivery_id(dataset: str, partition: str, sha256: str, times_before: int) -> str:
    # No clock and no counter of the ledger's: the same deliveries give the same ids, and with
    # them the same staged files, on every machine.
    text = f"{dataset}|{partition}|{sha256}|{times_before}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _engine_options(url: str) -> dict[str, Any]:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return {"pool_pre_ping": True}
    if parsed.database:
        from pathlib import Path

        durable.make_folder(Path(parsed.database).parent)
    return {"connect_args": {"timeout": 30}, "poolclass": sa.pool.NullPool}


def _switch_to_wal(cursor: Any) -> None:
    # Of several that open a new file at once one switches it; SQLite refuses the others at once,
    # whatever the busy timeout.
    for _ in range(_SWITCH_ATTEMPTS):
        with suppress(sqlite3.OperationalError):
            cursor.execute("pragma journal_mode=wal")
            return
        time.sleep(0.05)
    cursor.execute("pragma journal_mode=wal")


def _configure_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    _switch_to_wal(cursor)
    cursor.execute("pragma synchronous=full")
    cursor.execute("pragma foreign_keys=on")
    cursor.close()
