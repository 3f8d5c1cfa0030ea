"""What is in quarantine: of the newest delivery of each partition, which records, and why.

Belongs here: finding it and giving it as rows, the quality reports that lie there too. Does not
belong here: writing it (`staging`), showing it (`cli_quarantine`), or staging a delivery again
(`ingestion`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goral_pipeline import ingestion
from goral_pipeline.errors import SettingsError
from goral_pipeline.sources import contracts
from goral_pipeline.staging import quality as report

if TYPE_CHECKING:
    import pyarrow as pa

    from goral_pipeline.landing.ledger import Delivery, Ledger
    from goral_pipeline.settings import Settings

_RECORDS = """
select parse_path(filename)[-1].replace('.parquet', '') as "table", record_number, rule,
    column_name, found, expected
from read_parquet($files, filename = true)
"""


@dataclass(frozen=True)
class Held:
    """What is in quarantine of one delivery."""

    delivery: Delivery
    folder: Path

    @property
    def files(self) -> list[str]:
        """One file a table."""
        return [str(path) for path in sorted(self.folder.glob("*.parquet"))]


def held(
    settings: Settings, ledger: Ledger, dataset: str | None = None, partition: str | None = None
) -> list[Held]:
    """What is held back of the newest delivery of each partition, as it was staged last.

    Raises:
        SettingsError: when there is no such dataset, or no delivery of such a partition.
    """
    wanted = _newest(settings, ledger, dataset, partition)
    found = [(delivery, _newest_folder(settings, delivery)) for delivery in wanted]
    return [Held(delivery, folder) for delivery, folder in found if folder]


def unread(
    settings: Settings, ledger: Ledger, dataset: str | None = None, partition: str | None = None
) -> list[Delivery]:
    """The newest deliveries that were rejected before a row of them was read.

    Raises:
        SettingsError: as in `held`.
    """
    return [
        delivery
        for delivery in _newest(settings, ledger, dataset, partition)
        if delivery.state == "rejected" and not _newest_folder(settings, delivery)
    ]


def to_retry(
    settings: Settings, ledger: Ledger, dataset: str | None = None, partition: str | None = None
) -> dict[str, list[str]]:
    """The partitions, by dataset, whose newest delivery would be staged otherwise than it was.

    So it is once a mapping was mended, a register has another name, or the code is newer. One that
    was rejected is always among them.

    Raises:
        SettingsError: as in `held`.
    """
    retry: dict[str, list[str]] = {}
    for of, keys in _described(settings, ledger, dataset, partition).items():
        for key in keys:
            if ingestion.needs_staging(settings, ledger, of, key):
                retry.setdefault(of, []).append(key)
    return retry


def staying(
    settings: Settings, ledger: Ledger, dataset: str | None = None, partition: str | None = None
) -> list[str]:
    """What cannot be retried, for retention removed the deliveries; a line a dataset.

    Raises:
        SettingsError: as in `held`.
    """
    wanted = _described(settings, ledger, dataset, partition)
    found = ingestion.staying(settings, ledger, wanted)
    return [ingestion.staying_in_words(of, removals) for of, removals in sorted(found.items())]


def removed(settings: Settings, ledger: Ledger, one: Held) -> str:
    """What to say where the file that record numbers refer to was removed; else nothing."""
    removal = ingestion.removal_of(settings, ledger, one.delivery)
    if removal is None:
        return ""
    return (
        f"{one.delivery.dataset} {one.delivery.partition}: the raw delivery was removed from "
        f"landing by retention on {removal.day}; record numbers are those of the file as it was "
        "sent, so look there"
    )


def _described(
    settings: Settings, ledger: Ledger, dataset: str | None, partition: str | None
) -> dict[str, list[str]]:
    """The partitions with a delivery, by dataset, of those that a contract describes."""
    known = contracts(settings.home_folder)
    found: dict[str, list[str]] = {}
    for delivery in _newest(settings, ledger, dataset, partition):
        if delivery.dataset in known:
            found.setdefault(delivery.dataset, []).append(delivery.partition)
    return found


def _newest(
    settings: Settings, ledger: Ledger, dataset: str | None, partition: str | None
) -> list[Delivery]:
    newest = {(d.dataset, d.partition): d for d in ledger.deliveries()}
    if dataset is not None and dataset not in {name for name, _ in newest}:
        ingestion.source_of(settings, dataset)
        raise SettingsError(f"nothing was delivered of {dataset} yet")
    wanted = [
        delivery
        for (of, key), delivery in sorted(newest.items())
        if dataset in (None, of) and partition in (None, key)
    ]
    if partition is not None and not wanted:
        raise SettingsError(f"nothing was delivered for {partition} of {dataset or 'any dataset'}")
    return wanted


def _newest_folder(settings: Settings, delivery: Delivery) -> Path | None:
    """Where the quarantine of a delivery lies, of the last way it was staged."""
    folders = (settings.quarantine / delivery.dataset).glob(f"{delivery.delivery_id}-*")
    return max(folders, key=lambda folder: folder.stat().st_mtime_ns, default=None)


def counted(one: Held) -> list[dict[str, Any]]:
    """How often each rule is broken, by table, the most often first."""
    rows = _query(
        one,
        'select "table", rule, column_name as "column", count(distinct record_number) as records, '
        "min(record_number) as first_record, any_value(expected) as expected "
        f'from ({_RECORDS}) group by all order by records desc, "table", rule',
    ).to_pylist()
    told = {
        "dataset": one.delivery.dataset,
        "partition": one.delivery.partition,
        "delivery": one.delivery.delivery_id,
        "state": one.delivery.state,
    }
    return [told | row for row in rows]


def records(one: Held, rule: str | None = None) -> pa.Table:
    """One row a record and rule that it breaks.

    Columns: table, record_number, rule, column_name, found (redacted, as in the file), expected.
    """
    where = "where rule = $rule" if rule else ""
    return _query(
        one,
        f'from ({_RECORDS}) {where} order by "table", record_number, rule',
        **({"rule": rule} if rule else {}),
    )


def quality(one: Held) -> list[dict[str, Any]]:
    """The quality report of a delivery, one row an operator; none where its contract wants none."""
    told = {"dataset": one.delivery.dataset, "partition": one.delivery.partition}
    return [
        told
        | {name: value for name, value in asdict(of).items() if name != "broken"}
        | {"delivery": one.delivery.delivery_id, "state": one.delivery.state}
        for of in report.read(one.folder)
    ]


def quality_by_rule(one: Held) -> list[dict[str, Any]]:
    """Each rule that records of an operator broke, with the ids of the first of them."""
    told = {"dataset": one.delivery.dataset, "partition": one.delivery.partition}
    return [
        told
        | {
            "operator": of.operator,
            "rule": broken.rule,
            "outcome": "refused" if broken.is_refused else "profile not met",
            "records": broken.records,
            "examples": ", ".join(broken.examples),
        }
        for of in report.read(one.folder)
        for broken in of.broken
    ]


def _query(one: Held, sql: str, **parameters: str) -> pa.Table:
    import duckdb

    with duckdb.connect(config={"threads": 1, "memory_limit": "500MB"}) as con:
        con.execute("set enable_progress_bar = false")
        return con.execute(sql, {"files": one.files} | parameters).to_arrow_table()
