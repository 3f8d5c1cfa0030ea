"""The clock: the one place that asks what time it is.

Belongs here: the present moment and the calendar month or year it falls in. Months are calendar
months in Europe/Amsterdam; moments are UTC. Does not belong here: arithmetic on dates of data.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

PROGRAMME_ZONE = ZoneInfo("Europe/Amsterdam")


def now() -> datetime:
    """The present moment, UTC, to the microsecond."""
    return datetime.now(UTC)


def current_month() -> str:
    """The calendar month of the present moment in Amsterdam, e.g. `2026-11`."""
    return now().astimezone(PROGRAMME_ZONE).strftime("%Y-%m")


def today() -> date:
    """The day of the present moment in Amsterdam."""
    return now().astimezone(PROGRAMME_ZONE).date()


def quarter_of(month: str) -> str:
    """The quarter of a month, e.g. `2026Q4` of `2026-11`."""
    return f"{month[:4]}Q{(int(month[5:7]) + 2) // 3}"


def months_before(month: str, number: int) -> str:
    """The month so many before another, e.g. `2026-10` one before `2026-11`."""
    of = int(month[:4]) * 12 + int(month[5:7]) - 1 - number
    return f"{of // 12}-{of % 12 + 1:02d}"


def first_day_of(partition: str) -> str:
    """The first day of a month, year or edition, e.g. `2022-07-01` of `2022Q3`."""
    if "Q" in partition:
        return f"{partition[:4]}-{3 * int(partition[5]) - 2:02d}-01"
    return f"{partition}-01" if "-" in partition else f"{partition}-01-01"
