"""The status report: what the ledger and the pointer say, as plain rows.

Does not belong here: printing it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goral_pipeline.checks.reconciliation import totals
from goral_pipeline.publishing import manifest

if TYPE_CHECKING:
    from goral_pipeline.landing.ledger import Delivery, Ledger
    from goral_pipeline.settings import Settings


def report(settings: Settings, ledger: Ledger) -> dict[str, Any]:
    """Every dataset and partition with a delivery, and what is published."""
    newest: dict[tuple[str, str], Delivery] = {}
    for delivery in ledger.deliveries():
        newest[delivery.dataset, delivery.partition] = delivery
    pointed = {(c.delivery.dataset, c.delivery.partition): c for c in ledger.current()}
    partitions = []
    for (dataset, partition), delivery in sorted(newest.items()):
        current = pointed.get((dataset, partition))
        counts = totals(ledger.counts(current.staging_id)) if current else {}
        outcomes = list(counts.values())
        partitions.append(
            {
                "dataset": dataset,
                "partition": partition,
                "state": delivery.state,
                "received_at": delivery.received_at.isoformat(timespec="seconds"),
                "received": sum(file.received for file in current.files) if current else None,
                "accepted": _sum(outcomes, "accepted"),
                "duplicate": _sum(outcomes, "duplicate"),
                "quarantined": _sum(outcomes, "quarantined"),
                "in_use": current.delivery.delivery_id if current else None,
                "newest": delivery.delivery_id,
                "demo": delivery.demo,
                "problem": delivery.problem,
            }
        )
    return {"partitions": partitions, "published": manifest.latest(settings.drops)}


def _sum(outcomes: list[dict[str, int]], name: str) -> int | None:
    return sum(counts[name] for counts in outcomes) if outcomes else None
