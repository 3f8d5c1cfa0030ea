"""The status report: what the ledger and the pointer say, as plain rows.

Does not belong here: printing it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goral_pipeline.checks.reconciliation import totals
from goral_pipeline.publishing import manifest
from goral_pipeline.sources import contracts

if TYPE_CHECKING:
    from goral_pipeline.landing.ledger import Current, Delivery, Ledger
    from goral_pipeline.settings import Settings

NOTHING = {"received": None, "accepted": None, "duplicate": None, "quarantined": None}


def report(settings: Settings, ledger: Ledger) -> dict[str, Any]:
    """Every dataset and partition with a delivery, and what is published.

    `state` is that of the newest delivery; the counts are of the one in use, by table and, at the
    top, of the dataset's records.
    """
    newest = {(d.dataset, d.partition): d for d in ledger.deliveries()}
    pointed = {(c.delivery.dataset, c.delivery.partition): c for c in ledger.current()}
    return {
        "partitions": [
            _partition(settings, ledger, newest[key], pointed.get(key)) for key in sorted(newest)
        ],
        "published": manifest.latest(settings.drops),
    }


def _partition(
    settings: Settings, ledger: Ledger, delivery: Delivery, current: Current | None
) -> dict[str, Any]:
    tables = _tables(ledger, current) if current else {}
    # A dataset of a mapping that is gone has its tables still.
    contract = contracts(settings.home_folder).get(delivery.dataset)
    records = contract.tables[0].name if contract else next(iter(tables), "")
    return {
        "dataset": delivery.dataset,
        "partition": delivery.partition,
        "state": delivery.state,
        "received_at": delivery.received_at.isoformat(timespec="seconds"),
        **tables.get(records, NOTHING),
        "demo": delivery.demo,
        "newest": delivery.delivery_id,
        "in_use": current.delivery.delivery_id if current else None,
        "problem": delivery.problem,
        "tables": tables,
    }


def _tables(ledger: Ledger, current: Current) -> dict[str, dict[str, int]]:
    ended = totals(ledger.counts(current.staging_id))
    return {
        file.table_name: {"received": file.received, **ended.get(file.table_name, {})}
        for file in current.files
    }
