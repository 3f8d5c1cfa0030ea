"""Deliveries and stagings as records, without files, for tests of the ledger."""

import hashlib
from collections.abc import Callable

from goral_pipeline.landing.ledger import Count, Delivery, Ledger, StagedFile, Staging

MakeLedger = Callable[[], Ledger]
DATASET, MONTH = "vattenfall/requests", "2022-07"


def sha256(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def receive(
    ledger: Ledger,
    content: str,
    *,
    dataset: str = DATASET,
    partition: str = MONTH,
    content_key: str | None = None,
    etag: str | None = None,
) -> Delivery:
    return ledger.add_delivery(
        dataset=dataset,
        partition=partition,
        sha256=sha256(content),
        content_key=sha256(content_key or content),
        extension=".xlsx",
        size=len(content),
        origin="https://example.org/export.xlsx",
        etag=etag,
        last_modified=None,
        demo=False,
    )


def staging_of(delivery: Delivery, fingerprint: str = "f" * 16, rows: int = 3) -> Staging:
    return Staging(
        delivery_id=delivery.delivery_id,
        fingerprint=fingerprint,
        contract_version="1.0.0",
        key_id="k" * 16,
        files=(
            StagedFile(
                table_name="requests",
                path=f"staging/{delivery.dataset}/{delivery.delivery_id}-{fingerprint}/r.parquet",
                received=rows + 1,
                rows=rows,
                bytes=1000,
                sha256=sha256(f"{delivery.delivery_id} {fingerprint}"),
            ),
        ),
        counts=(
            Count("requests", "accepted", "", rows),
            Count("requests", "quarantined", "request_id_required", 1),
        ),
        months=(("requests", "2022-06", 1), ("requests", "2022-07", rows - 1)),
    )


def take_in(ledger: Ledger, content: str, **where: str) -> Delivery:
    """Receive and accept; gives the delivery as it then stands."""
    delivery = receive(ledger, content, **where)
    ledger.accept(staging_of(delivery))
    accepted = ledger.delivery(delivery.delivery_id)
    assert accepted is not None
    return accepted
