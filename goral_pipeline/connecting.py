"""Connecting a dataset or layout: what there is, a draft of a mapping, a trial of a mapping.

Belongs here: what a person does before a first delivery, none of which leaves anything behind. Does
not belong here: how drafts are made (`sources.drafting`) or deliveries staged (`staging`).
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goral_pipeline import clock, durable
from goral_pipeline.checks.reconciliation import reconcile, totals
from goral_pipeline.contracts import Contract, staged
from goral_pipeline.errors import DeliveryRejected, SettingsError
from goral_pipeline.ingestion import check_partition, current_partition
from goral_pipeline.settings import Settings
from goral_pipeline.sources import (
    Source,
    check_beside,
    drafting,
    lacking_to_ask,
    registry,
    source_of_mapping,
)
from goral_pipeline.sources.drafting import Draft, Wish
from goral_pipeline.sources.mapping import Concession

if TYPE_CHECKING:
    from goral_pipeline.staging.stage import Job

MOST_RECORDS = 5
MOST_FOUND = 3
MIB = 1024 * 1024

Row = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """What would come of a file under a mapping."""

    dataset: str
    contract: str
    partition: str
    problem: str | None
    """Why it would be rejected; None when it would be accepted."""
    rows: dict[str, dict[str, int]]
    """Rows by table and outcome; empty when it would be rejected."""
    broken: list[Row]
    """Each rule that is broken: how often, in which records first, what was found, redacted."""
    unused: list[str]
    """Headers of the file that the mapping does not name."""
    notes: list[str]


def datasets(settings: Settings) -> list[Row]:
    """Every dataset: its kind, contract and mappings, and whether it can be asked for."""
    return [_described(settings, source) for source in registry(settings.home_folder).values()]


def draft(
    settings: Settings,
    file: Path,
    *,
    dataset: str | None = None,
    contract: str | None = None,
    sheet: str | None = None,
) -> Draft:
    """Propose a mapping for a file never seen.

    Raises:
        SettingsError: when file, dataset or contract is none.
        DeliveryRejected: when the file cannot be read.
    """
    from goral_pipeline.staging.worker import apart

    _check_file(settings, file)
    told = _told_of_concession(settings, dataset)
    wish = Wish(
        path=file.resolve(),
        contracts=_contracts_for(dataset, contract),
        dataset=dataset,
        is_named=any(one.name for one in told),
        is_listed=any(one.participants is None and not one.everybody for one in told),
        sheet=sheet,
    )
    return apart(
        drafting.draft,
        wish,
        seconds=settings.staging_seconds,
        memory_mib=settings.staging_memory_mib,
    )


def check(settings: Settings, mapping: Path, file: Path, partition: str | None) -> Trial:
    """Stage a file by a mapping, tell what came of it, and keep nothing.

    Raises:
        SettingsError: when mapping, file or partition is none.
    """
    from goral_pipeline.staging.worker import apart, stage_apart

    source = source_of_mapping(mapping)
    check_beside(settings.home_folder, mapping)
    _check_file(settings, file)
    contract = source.contract
    partition = check_partition(contract, partition or current_partition(contract))
    key, notes = _key_for(settings, contract)
    limits = {"seconds": settings.staging_seconds, "memory_mib": settings.staging_memory_mib}
    problem, rows = None, {}
    with _folder_of_its_own(settings) as home:
        job = _job(settings, source, mapping, file, partition, home, key)
        try:
            staging = stage_apart(job, **limits)
            rows = totals(staging.counts)
            received = {entry.table_name: entry.received for entry in staging.files}
            if problems := reconcile(received, staging.counts):
                raise DeliveryRejected(f"records are not accounted for: {'; '.join(problems)}")
        except DeliveryRejected as rejection:
            problem = str(rejection)
        broken = [row for table in contract.tables for row in _broken(job, table.name)]
    try:
        look = partial(drafting.unused_headers, mapping=mapping.resolve())
        unused = apart(look, file.resolve(), **limits)
    except DeliveryRejected:
        # What is wrong with the file was told above.
        unused = []
    return Trial(
        dataset=source.dataset,
        contract=contract.id,
        partition=partition,
        problem=problem,
        rows={name: rows[name] for table in contract.tables if (name := table.name) in rows},
        broken=broken,
        unused=unused,
        notes=notes,
    )


def _described(settings: Settings, source: Source) -> Row:
    contract = source.contract
    lacking = lacking_to_ask(settings, source)
    return {
        "dataset": source.dataset,
        "partition": contract.partition,
        "kind": "snapshot" if contract.is_snapshot else "event",
        "from": contract.first_partition,
        # Without the address, for that may hold a secret.
        "asked": f"by hand, as {lacking} is not set" if lacking else "by URL",
        "contract": contract.id,
        "mappings": [_named(settings, layout.path) for layout in source.mappings],
    }


def _named(settings: Settings, path: Path) -> str:
    own = settings.home_folder / "mappings"
    return f"mappings/{path.name}" if path.parent == own else f"built in: {path.name}"


def _contracts_for(dataset: str | None, contract: str | None) -> tuple[str, ...]:
    """Ids of the contracts that a file may be for."""
    known = {one.id: one for one in staged().values()}
    if contract is not None:
        if contract not in known:
            raise SettingsError(
                f"there is no contract {contract!r}; there are {', '.join(sorted(known))}"
            )
        return (contract,)
    # Snapshots are asked of services of their own, and are no tables that somebody draws up.
    drawn_up = [one for one in known.values() if not one.is_snapshot]
    if dataset is None:
        return tuple(one.id for one in drawn_up)
    fitting = [one.id for one in drawn_up if _can_be(one, dataset)]
    if not fitting:
        kinds = sorted(one.dataset.split("/", 1)[1] for one in drawn_up if one.is_per_concession)
        raise SettingsError(
            f"{dataset!r} is no dataset that a mapping can be for: a concession's are "
            f"{' and '.join(f'<concession>/{kind}' for kind in kinds)}, the others "
            f"{', '.join(sorted(one.dataset for one in drawn_up if not one.is_per_concession))}"
        )
    return tuple(fitting)


def _can_be(contract: Contract, dataset: str) -> bool:
    if not contract.is_per_concession:
        return contract.dataset == dataset
    import re

    kind = contract.dataset.split("/", 1)[1]
    return re.fullmatch(rf"[a-z][a-z0-9_]*/{kind}", dataset) is not None


def _told_of_concession(settings: Settings, dataset: str | None) -> list[Concession]:
    """What mappings there are say of the concession of a dataset."""
    source = dataset.split("/", 1)[0] if dataset else None
    return [
        layout.concession
        for one in registry(settings.home_folder).values()
        for layout in one.mappings
        if layout.source == source and layout.concession
    ]


def _check_file(settings: Settings, file: Path) -> None:
    if not file.is_file():
        raise SettingsError(f"{file} is not a file")
    if file.stat().st_size > settings.max_delivery_mib * MIB:
        raise SettingsError(
            f"{file} is larger than {settings.max_delivery_mib} MiB (GORAL_MAX_DELIVERY_MIB)"
        )


def _key_for(settings: Settings, contract: Contract) -> tuple[bytes | None, list[str]]:
    """The programme key, or one for this trial alone; and what to say of it."""
    from goral_pipeline.staging.pseudonym import programme_key

    if not contract.needs_key:
        return None, []
    if settings.pseudonym_key:
        return programme_key(settings), []
    return secrets.token_bytes(32), [
        "GORAL_PSEUDONYM_KEY is not set; tried with a key made for this check alone"
    ]


@contextmanager
def _folder_of_its_own(settings: Settings) -> Iterator[Path]:
    """A private folder that goes afterwards; if this is killed, the next delivery sweeps it."""
    durable.make_folder(settings.landing, durable.PRIVATE)
    folder = durable.temporary_beside(settings.landing / "trial")
    durable.make_folder(folder, durable.PRIVATE)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _job(
    settings: Settings,
    source: Source,
    mapping: Path,
    file: Path,
    partition: str,
    home: Path,
    key: bytes | None,
) -> Job:
    from goral_pipeline.staging.stage import Job

    return Job(
        dataset=source.dataset,
        partition=partition,
        delivery_id="trial",
        fingerprint="trial",
        landed=file.resolve(),
        home=home,
        spill=home / "spill",
        key=key,
        received_at=clock.now(),
        memory_limit=settings.duckdb_memory_limit,
        threads=settings.duckdb_threads,
        mapping=mapping.resolve(),
    )


def _broken(job: Job, table: str) -> list[Row]:
    """What the quarantine holds of a table, by rule."""
    import pyarrow.parquet as pq

    path = job.quarantine_folder / f"{table}.parquet"
    if not path.is_file():
        return []
    by_rule: dict[tuple[str, str], Row] = {}
    for row in pq.read_table(path).to_pylist():
        rule = by_rule.setdefault(
            (row["rule"], row["column_name"]),
            {
                "table": table,
                "rule": row["rule"],
                "column": row["column_name"],
                "rows": 0,
                "records": [],
                "found": [],
                "expected": row["expected"],
            },
        )
        rule["rows"] += 1
        if len(rule["records"]) < MOST_RECORDS and row["record_number"] not in rule["records"]:
            rule["records"].append(row["record_number"])
        found = row["found"]
        if found is not None and len(rule["found"]) < MOST_FOUND and found not in rule["found"]:
            rule["found"].append(found)
    return sorted(by_rule.values(), key=lambda rule: (-rule["rows"], rule["rule"]))
