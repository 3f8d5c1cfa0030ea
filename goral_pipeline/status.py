"""The status report: what ledger, quarantine, warehouse and pointer say, as plain rows.

Does not belong here: printing it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from goral_pipeline import ingestion
from goral_pipeline.checks import expectations
from goral_pipeline.checks.reconciliation import totals
from goral_pipeline.errors import VerificationFailed
from goral_pipeline.publishing import drop, manifest
from goral_pipeline.publishing.products import CDR, KPI, Product
from goral_pipeline.sources import contracts
from goral_pipeline.standing import standings
from goral_pipeline.warehouse import build

if TYPE_CHECKING:
    from goral_pipeline.landing.ledger import Current, Delivery, Ledger
    from goral_pipeline.settings import Settings

NOTHING = {"received": None, "accepted": None, "duplicate": None, "quarantined": None}


def report(settings: Settings, ledger: Ledger) -> dict[str, Any]:
    """Every dataset and partition with a delivery, what is implausible, and what is published.

    `state` is that of the newest delivery; the counts and the rules broken are of the one in use,
    by table and, at the top, of the dataset's records. `superseded` counts the deliveries that came
    before the newest; `published` is whether the published drop is made of the one in use.
    `removed_on` is the day on which retention removed the newest from landing; None where it lies
    there. `published_sessions` is None, too, where single sessions are not published at all.
    """
    deliveries = ledger.deliveries()
    newest = {(d.dataset, d.partition): d for d in deliveries}
    came = Counter((d.dataset, d.partition) for d in deliveries)
    pointed = {(c.delivery.dataset, c.delivery.partition): c for c in ledger.current()}
    published = _published(settings)
    return {
        "partitions": [
            _partition(settings, ledger, newest[key], pointed.get(key))
            | {
                "superseded": came[key] - 1,
                "published": key in pointed and pointed[key].staging_id in published,
            }
            for key in sorted(newest)
        ],
        "overdue": [
            {"dataset": one.dataset, "newest": one.newest, "expected": one.expected}
            for one in standings(settings, ledger)
            if one.is_overdue
        ],
        "implausible": _implausible(settings),
        "published": _pointer(settings, KPI),
        "published_sessions": _pointer(settings, CDR) if CDR.is_published(settings) else None,
    }


def _pointer(settings: Settings, product: Product) -> dict[str, str] | None:
    drops = product.open_store(settings)
    with drops.reaching():
        pointed = manifest.latest(drops.place)
    return vars(pointed) if pointed else None


def _published(settings: Settings) -> set[str]:
    """The stagings that the published drop is made of."""
    drops = KPI.open_store(settings)
    try:
        with drops.reaching():
            latest = drop.latest(drops)
    except VerificationFailed:
        # Of a damaged drop nothing is published; `goral drop verify` says what is wrong with it.
        return set()
    made_of = latest.staged_files if latest else []
    return {PurePosixPath(file["path"]).parent.name for file in made_of}


def _partition(
    settings: Settings, ledger: Ledger, delivery: Delivery, current: Current | None
) -> dict[str, Any]:
    tables = _tables(ledger, current) if current else {}
    removal = ingestion.removal_of(settings, ledger, delivery)
    # A dataset of a mapping that is gone has its tables still.
    contract = contracts(settings.home_folder).get(delivery.dataset)
    records = contract.tables[0].name if contract else next(iter(tables), "")
    return {
        "dataset": delivery.dataset,
        "partition": delivery.partition,
        "state": delivery.state,
        "received_at": delivery.received_at.isoformat(timespec="seconds"),
        **tables.get(records, NOTHING),
        "rules_broken": _rules_broken(settings, current) if current else [],
        "demo": delivery.demo,
        "newest": delivery.delivery_id,
        "in_use": current.delivery.delivery_id if current else None,
        "problem": delivery.problem,
        "removed_on": removal.day if removal else None,
        "tables": tables,
    }


def _tables(ledger: Ledger, current: Current) -> dict[str, dict[str, int]]:
    ended = totals(ledger.counts(current.staging_id))
    return {
        file.table_name: {"received": file.received, **ended.get(file.table_name, {})}
        for file in current.files
    }


def _rules_broken(settings: Settings, current: Current) -> list[dict[str, Any]]:
    """Which expectations rows of it did not meet, the worst first."""
    folder = settings.quarantine / current.delivery.dataset / current.staging_id
    failed = [verdict for verdict in expectations.read(folder) if not verdict.success]
    return [
        {"table": verdict.table, "rule": verdict.rule, "violations": verdict.violations}
        for verdict in sorted(failed, key=lambda one: (-one.violations, one.table, one.rule))
    ]


def _implausible(settings: Settings) -> list[dict[str, Any]]:
    """What the warehouse in use was found to hold that someone should look at."""
    found = build.findings(settings.warehouse / build.FILE)
    return [finding for finding in found if not finding.pop("passed")]
