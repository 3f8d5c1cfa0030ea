"""Belonging: whether a delivery looks like one of the partition that it was given for.

Belongs here: doubts, which warn. Does not belong here: what keeps a delivery back
(`reconciliation`, `expectations`), or whether its figures are likely (`plausibility`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    from goral_pipeline.contracts import Contract


FEWEST_LEFT = 0.5
"""Share of its rows that a delivery is not expected to lose when another takes its place."""


def doubts(
    contract: Contract,
    partition: str,
    months: Sequence[str],
    same_content: Sequence[str],
    end_day: date | None = None,
    rows: tuple[int, int] = (0, 0),
) -> list[str]:
    """Why a delivery may be another partition's; none of a snapshot, which is of when it came.

    Args:
        contract: the dataset's.
        partition: the one it was given for.
        months: the months that its accepted rows fall in, if the contract says which; in order.
        same_content: other partitions in use that have the very same content; in order.
        end_day: the first day on which the concession takes requests no more, after which an export
            has none of its own month.
        rows: how many rows of it are accepted, and how many were of the delivery that it took the
            place of.
    """
    if contract.is_snapshot:
        return []
    found = []
    if same_content:
        found.append(f"the same content is in use for {_some(same_content)}")
    if months and contract.partition == "month":
        has_ended = end_day is not None and end_day.isoformat() <= f"{partition}-01"
        if partition not in months and not has_ended and not contract.is_by_change:
            found.append(f"no row is of {partition}: they are of {_range(months)}")
        if later := [month for month in months if month > partition]:
            found.append(f"there are rows of after {partition}: of {_range(later)}")
    now, before = rows
    if now < FEWEST_LEFT * before:
        found.append(
            f"{now} rows took the place of {before}: a delivery is all of its {contract.partition}"
        )
    return found


def _some(partitions: Sequence[str]) -> str:
    first, *others = partitions
    return f"{first} and {len(others)} more" if others else first


def _range(months: Sequence[str]) -> str:
    return months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"
