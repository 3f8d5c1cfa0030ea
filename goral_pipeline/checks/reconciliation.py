"""Reconciliation: every record received is accounted for, once.

received = accepted + duplicate + quarantined, for each table of each delivery.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goral_pipeline.landing.ledger import Count


def reconcile(received: Mapping[str, int], counts: Iterable[Count]) -> list[str]:
    """The tables whose counts do not add up, in words; empty when all is well.

    Args:
        received: rows delivered, by table.
        counts: how rows ended, by table, outcome and reason.
    """
    ended: Counter[str] = Counter()
    for count in counts:
        ended[count.table_name] += count.rows
    return [
        f"{table}: {received.get(table, 0)} rows received, {ended[table]} accounted for"
        for table in sorted({*received, *ended})
        if received.get(table, 0) != ended[table]
    ]


def totals(counts: Iterable[Count]) -> dict[str, dict[str, int]]:
    """Rows by table and outcome, reasons added up."""
    result: dict[str, dict[str, int]] = {}
    for count in counts:
        outcomes = result.setdefault(
            count.table_name, {"accepted": 0, "duplicate": 0, "quarantined": 0}
        )
        outcomes[count.outcome] += count.rows
    return result
