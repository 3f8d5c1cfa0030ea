"""Stages one delivery: reads it, judges its rows, writes what was accepted and quarantined.

Belongs here: the order of things for one delivery. It runs in a process of its own (`worker`), for
a hostile file must not take the pipeline with it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goral_pipeline import durable, parquet
from goral_pipeline.checks import expectations
from goral_pipeline.checks.expectations import Broken, Verdict
from goral_pipeline.contracts import Contract, Table
from goral_pipeline.contracts.model import type_rule
from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.landing.ledger import Count, StagedFile, Staging
from goral_pipeline.sources import Source, registry, source_of_mapping
from goral_pipeline.sources.reading import Reading
from goral_pipeline.staging import judge, pseudonym, quality
from goral_pipeline.staging.quality import Quality

if TYPE_CHECKING:
    import duckdb

RESULT_FILE = "staging.json"
MOST_REASONS_SHOWN = 3
MOST_ROWS_WRITTEN_HERE = 250_000
"""More are written by DuckDB itself."""


@dataclass(frozen=True)
class Job:
    """All that staging one delivery needs to know."""

    dataset: str
    partition: str
    delivery_id: str
    fingerprint: str
    landed: Path
    home: Path
    spill: Path
    """Folder for DuckDB's spill files, inside landing, as they hold clear values. It goes when the
    delivery is staged, and carries a temporary name, so that it is swept if that is cut short."""
    key: bytes | None
    received_at: datetime
    memory_limit: str
    threads: int
    mapping: Path | None = None
    """The only layout that it may have; None: any that the dataset has."""

    @property
    def accepted_folder(self) -> Path:
        """Where the accepted rows come to lie."""
        return self.home / "staging" / self.dataset / f"{self.delivery_id}-{self.fingerprint}"

    @property
    def quarantine_folder(self) -> Path:
        """Where the quarantined rows come to lie."""
        return self.home / "quarantine" / self.dataset / f"{self.delivery_id}-{self.fingerprint}"


def fingerprint(source: Source, key: bytes | None) -> str:
    """Name of the way a delivery is staged: contract, code, mapping and key together."""
    from goral_pipeline.contracts import model

    code = [Path(module) for module in (__file__, judge.__file__, pseudonym.__file__)]
    code += [Path(quality.__file__)]
    code += [Path(expectations.__file__), Path(expectations.__file__).with_name("gx.py")]
    code += [Path(parquet.__file__), Path(model.__file__)]
    digest = hashlib.sha256()
    for path in (source.contract.path, *code, *source.reading):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    digest.update(pseudonym.key_id(key).encode() if key else b"no key")
    return digest.hexdigest()[:16]


def stage(job: Job) -> Staging:
    """Stage a delivery; what is already staged under the same fingerprint is not done again.

    Raises:
        DeliveryRejected: when it cannot be read or too much of it is bad. Nothing is kept of its
            rows but the quarantine, which tells why.
    """
    if (job.accepted_folder / RESULT_FILE).exists():
        return _read_result(job.accepted_folder / RESULT_FILE)
    source = source_of_mapping(job.mapping) if job.mapping else registry(job.home)[job.dataset]
    contract = source.contract
    con = _connect(job)
    try:
        reading = Reading(con, job.landed, contract, job.partition, job.spill, job.received_at)
        source.read(reading)
        received = {t.name: _settle(con, contract, t, reading.received) for t in contract.tables}
        for check in reading.later:
            check(con, f"typed_{contract.tables[0].name}")
        counts = tuple(count for table in contract.tables for count in _counts(con, table))
        verdicts = tuple(
            verdict for table in contract.tables for verdict in _judge(con, contract, table)
        )
        reports = [one for table in contract.tables for one in quality.report(con, table)]
        _write_quarantine(con, job, contract, verdicts, reports)
        _refuse_bad(contract, counts, verdicts)
        return _write_accepted(con, job, contract, received, counts)
    finally:
        con.close()
        shutil.rmtree(job.spill, ignore_errors=True)


def _connect(job: Job) -> duckdb.DuckDBPyConnection:
    import duckdb

    durable.make_folder(job.spill, durable.PRIVATE)
    con = duckdb.connect(
        config={
            "memory_limit": job.memory_limit,
            "threads": job.threads,
            "temp_directory": str(job.spill),
            # Extensions come with the wheel; nothing is ever fetched to read a file.
            "autoinstall_known_extensions": False,
        }
    )
    con.execute("set TimeZone = 'UTC'")
    con.execute("set enable_progress_bar = false")
    # What a delivery's rows are kept in while they are judged: packed, so that many are not
    # written to the disk and read back time and again.
    con.execute("attach ':memory:' as packed (compress)")
    con.execute("use packed")
    return con


def _settle(
    con: duckdb.DuckDBPyConnection, contract: Contract, table: Table, told: Mapping[str, str]
) -> int:
    """Say of each row of a table how it ends; gives the number of rows received."""
    raw = f"raw_{table.name}"
    given = [name for name, *_ in con.execute(f"select * from {raw} limit 0").description or ()]
    con.execute(judge.typed_table(table, given))
    # Not by the rows that were judged, so that one lost on the way to them is seen.
    received = int(_one(con, told.get(table.name, f"select count(*) from {raw}")) or 0)
    con.execute(judge.settlement(contract, table))
    if _one(con, f"select count(*) from duckdb_tables() where table_name = '{raw}'"):
        # The largest table, in the clear, and needed no more.
        con.execute(f"drop table {raw}")
    return received


def _counts(con: duckdb.DuckDBPyConnection, table: Table) -> list[Count]:
    rows = con.execute(
        f"select outcome, reason, count(*) from judged_{table.name} group by all order by all"
    ).fetchall()
    return [Count(table.name, outcome, reason, number) for outcome, reason, number in rows]


def _judge(con: duckdb.DuckDBPyConnection, contract: Contract, table: Table) -> list[Verdict]:
    """What becomes of the expectations of a table."""
    number, *found = con.execute(judge.counts_to_judge(table)).fetchall()[0]
    broken = [Broken(*pair) for pair in zip(found[::2], found[1::2], strict=True)]
    if number > expectations.MOST_ROWS:
        return expectations.judge_counts(contract, table, number, broken)
    rows = con.execute(judge.rows_to_judge(table)).df()
    return expectations.judge_rows(contract, table, rows, broken)


def _refuse_bad(
    contract: Contract, counts: tuple[Count, ...], verdicts: tuple[Verdict, ...]
) -> None:
    """Reject a delivery that does not pass the gate.

    Raises:
        DeliveryRejected: when it has no records, or more of a table's rows are bad than may be.
    """
    for verdict in verdicts:
        if verdict.severity == "critical" and not verdict.success:
            raise DeliveryRejected(_refusal(contract, counts, verdict))


def _refusal(contract: Contract, counts: tuple[Count, ...], verdict: Verdict) -> str:
    if verdict.rule == expectations.HAS_ROWS:
        return "found no records at all, expected one at least"
    own = [count for count in counts if count.table_name == verdict.table]
    bad = [
        count
        for count in own
        if count.outcome == "quarantined" and count.reason != judge.PARENT_QUARANTINED
    ]
    worst = sorted(bad, key=lambda count: (-count.rows, count.reason))[:MOST_REASONS_SHOWN]
    reasons = ", ".join(f"{count.reason} {count.rows} times" for count in worst)
    return (
        f"{verdict.violations} of {sum(count.rows for count in own)} {verdict.table} break a rule "
        f"({reasons}), expected at most {contract.max_bad_share:.1%}; the quarantine has the "
        "records and columns"
    )


def _write_quarantine(
    con: duckdb.DuckDBPyConnection,
    job: Job,
    contract: Contract,
    verdicts: tuple[Verdict, ...],
    reports: list[Quality],
) -> None:
    import pyarrow as pa

    if job.quarantine_folder.exists():
        return
    durable.make_folder(job.quarantine_folder.parent)
    with durable.new_folder(job.quarantine_folder) as folder:
        for table in contract.tables:
            broken = con.execute(
                judge.quarantined_rows(table), {"delivery_id": job.delivery_id}
            ).to_arrow_table()
            said = _expectations(table)
            rules = broken["rule"].to_pylist()
            expected = pa.array([said.get(rule, "") for rule in rules], pa.string())
            rows = broken.append_column("expected", expected)
            parquet.write(folder / f"{table.name}.parquet", rows.schema, rows.to_batches())
        (folder / expectations.FILE).write_text(expectations.to_json(verdicts))
        if reports:
            (folder / quality.FILE).write_text(quality.to_json(reports))


def _expectations(table: Table) -> dict[str, str]:
    """What each rule expects, in words."""
    rules = [*(type_rule(column) for column in table.columns), *table.rules]
    named = {rule.name: rule.description for rule in rules}
    return named | {
        judge.PARENT_QUARANTINED: "What it belongs to is in quarantine.",
        judge.CONFLICTING_KEY: "Rows of one key and one version say the same.",
    }


def _write_accepted(
    con: duckdb.DuckDBPyConnection,
    job: Job,
    contract: Contract,
    received: dict[str, int],
    counts: tuple[Count, ...],
) -> Staging:
    durable.make_folder(job.accepted_folder.parent)
    with durable.new_folder(job.accepted_folder) as folder:
        files = tuple(
            _write_table(con, job, folder, table, received[table.name]) for table in contract.tables
        )
        staging = Staging(
            delivery_id=job.delivery_id,
            fingerprint=job.fingerprint,
            contract_version=contract.version,
            key_id=pseudonym.key_id(job.key) if job.key and contract.needs_key else None,
            files=files,
            counts=counts,
            months=tuple(entry for table in contract.tables for entry in _months(con, table)),
        )
        (folder / RESULT_FILE).write_text(json.dumps(asdict(staging), indent=1))
    return staging


def _write_table(
    con: duckdb.DuckDBPyConnection, job: Job, folder: Path, table: Table, received: int
) -> StagedFile:
    path = folder / f"{table.name}.parquet"
    if making := judge.pseudonyms(table):
        con.execute(making, pseudonym.pads(job.key or b""))
    query, told = judge.accepted_rows(table), {"delivery_id": job.delivery_id}
    if received > MOST_ROWS_WRITTEN_HERE:
        rows = parquet.copy(con, query, told, path, table.arrow_schema())
    else:
        reader = con.execute(query, told).to_arrow_reader(parquet.ROWS_A_GROUP)
        rows = parquet.write(path, table.arrow_schema(), reader)
    lasting = job.accepted_folder / path.name
    return StagedFile(
        table_name=table.name,
        path=lasting.relative_to(job.home).as_posix(),
        received=received,
        rows=rows,
        bytes=path.stat().st_size,
        sha256=parquet.sha256(path),
    )


def _months(con: duckdb.DuckDBPyConnection, table: Table) -> list[tuple[str, str, int]]:
    """The months that the accepted rows fall in; a snapshot's month is its partition.

    Rows not dated yet, such as stations that are still being placed, fall in none.
    """
    if table.month_column is None:
        return []
    day = table.month_column
    if next(c.type for c in table.columns if c.name == day) == "TIMESTAMPTZ":
        day = f"timezone('Europe/Amsterdam', {day})"
    rows = con.execute(
        # To write a month out is dear, so it is done once a month.
        f"select strftime(month, '%Y-%m'), number from ("
        f"select date_trunc('month', {day}) as month, count(*) as number from judged_{table.name} "
        f"where outcome = 'accepted' and {table.month_column} is not null group by all"
        ") order by all"
    ).fetchall()
    return [(table.name, month, number) for month, number in rows]


def _read_result(path: Path) -> Staging:
    content = json.loads(path.read_text())
    return Staging(
        **content
        | {
            "files": tuple(StagedFile(**file) for file in content["files"]),
            "counts": tuple(Count(**count) for count in content["counts"]),
            "months": tuple(tuple(entry) for entry in content["months"]),
        }
    )


def _one(con: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = con.execute(query).fetchone()
    return row[0] if row else None
