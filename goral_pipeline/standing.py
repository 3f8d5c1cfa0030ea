"""How the datasets stand: what was left behind, and what should have come by now.

Belongs here: judging that from the ledger, and the command that mends it. Does not belong here:
showing it (`cli`, `orchestration`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from goral_pipeline import clock
from goral_pipeline.sources import concessions, lacking_to_ask, registry

if TYPE_CHECKING:
    from goral_pipeline.contracts import Contract
    from goral_pipeline.landing.ledger import Delivery, Ledger
    from goral_pipeline.settings import Settings

DAILY_DAYS = 2
"""A daily snapshot may be so many days old."""
MONTHLY_DAY = 15
"""The day by which the month before should be there."""


@dataclass(frozen=True)
class Standing:
    """How one dataset stands."""

    dataset: str
    newest: str | None
    """Its newest partition with a delivery."""
    received_at: datetime | None
    """When the last delivery came."""
    expected: str | None
    """The partition, or day, that should be there by now; None where no day is known."""
    is_overdue: bool
    left_behind: tuple[str, ...]
    """Partitions whose newest delivery is not in use, each with the reason."""
    missing: tuple[str, ...]
    """Partitions without a delivery between others that have one, where the past can be had."""
    is_demo: bool
    """Whether the last delivery is invented; then nothing of it is overdue or missing."""
    to_mend: tuple[str, ...]
    """What to do about what was left behind."""
    to_complete: tuple[str, ...]
    """What to type, or where to put the files, to have what is missing."""
    to_catch_up: tuple[str, ...]
    """The same for what is overdue."""

    @property
    def commands(self) -> tuple[str, ...]:
        """All there is to do."""
        return self.to_mend + self.to_complete + self.to_catch_up


def standings(settings: Settings, ledger: Ledger) -> list[Standing]:
    """How every dataset stands, by name.

    One that was never delivered, or whose last delivery is of the demo, is never overdue.
    """
    deliveries: dict[str, list[Delivery]] = {}
    for delivery in ledger.deliveries():
        deliveries.setdefault(delivery.dataset, []).append(delivery)
    in_use = {current.delivery.delivery_id for current in ledger.current()}
    finals = {
        one.concession: (one.requests_until - timedelta(days=1)).strftime("%Y-%m")
        for one in concessions(settings.home_folder)
        if one.requests_until
    }
    return [
        _standing(
            source.contract,
            deliveries.get(dataset, []),
            in_use,
            is_asked=lacking_to_ask(settings, source) is None,
            final=finals.get(source.contract.source),
        )
        for dataset, source in registry(settings.home_folder).items()
    ]


def _standing(
    contract: Contract, came: list[Delivery], in_use: set[str], *, is_asked: bool, final: str | None
) -> Standing:
    newest = {delivery.partition: delivery for delivery in came}
    behind = {key: d for key, d in sorted(newest.items()) if d.delivery_id not in in_use}
    last = max(came, key=lambda delivery: delivery.received_at, default=None)
    expected, is_overdue = _due(contract, max(newest, default=None), last)
    missing = [] if _is_demo(last) else _missing(contract, sorted(newest))
    if final is not None:
        # A concession that has ended tells what it likes, and nothing is due of it.
        missing = [month for month in missing if month <= final]
        is_overdue = is_overdue and expected is not None and expected <= final
    due = clock.current_month() if contract.is_snapshot else str(expected)
    return Standing(
        dataset=contract.dataset,
        newest=max(newest, default=None),
        received_at=last.received_at if last else None,
        expected=expected,
        is_overdue=is_overdue,
        left_behind=tuple(
            f"{partition}: {delivery.problem or 'received and not yet staged'}"
            for partition, delivery in behind.items()
        ),
        missing=tuple(missing),
        is_demo=_is_demo(last),
        to_mend=tuple(_to_mend(contract, partition) for partition in behind),
        to_complete=(_to_get(contract, is_asked, missing[0], missing[-1]),) if missing else (),
        to_catch_up=(_to_get(contract, is_asked, due, due),) if is_overdue else (),
    )


def _to_mend(contract: Contract, partition: str) -> str:
    """Either the file is wrong, or how it is read."""
    of = f"{contract.dataset} --partition {partition}"
    return (
        f"goral deliver {contract.dataset} BETTER_FILE --partition {partition}, or once its "
        f"mapping is mended: goral quarantine retry {of}"
    )


def _to_get(contract: Contract, is_asked: bool, first: str, last: str) -> str:
    """How to get what is not there: the publisher is asked, or a file is put down."""
    if is_asked:
        return f"goral run --only {contract.dataset} --from {first} --to {last}"
    which = first if first == last else f"<{first} to {last}>"
    return (
        f"put its file in inbox/{contract.dataset}/{which}/, or "
        f"goral deliver {contract.dataset} FILE --partition {first}"
    )


def _missing(contract: Contract, there: list[str]) -> list[str]:
    """The months between the first and the last that are not there; none of a snapshot's."""
    if contract.is_snapshot or contract.partition != "month" or not there:
        return []
    known, month, found = set(there), there[-1], []
    while month > there[0]:
        month = clock.months_before(month, 1)
        if month not in known:
            found.append(month)
    return found[::-1]


def _due(contract: Contract, newest: str | None, last: Delivery | None) -> tuple[str | None, bool]:
    """What should be there by now, and whether it is not."""
    today = clock.now().astimezone(clock.PROGRAMME_ZONE)
    if contract.cadence == "daily":
        day = today - timedelta(days=DAILY_DAYS)
        is_late = last is not None and last.received_at < day
        return f"{day:%Y-%m-%d}", is_late and not _is_demo(last)
    if contract.cadence != "monthly":
        # An edition, or a register of the year, comes on no known day.
        return None, False
    expected = clock.months_before(today.strftime("%Y-%m"), 1 if today.day >= MONTHLY_DAY else 2)
    return expected, newest is not None and newest < expected and not _is_demo(last)


def _is_demo(last: Delivery | None) -> bool:
    return last is not None and last.demo
