"""The partitions of the demonstration year, and the days they begin and end on.

Belongs here: dates that every demo publisher shares. Not: which of them a publisher publishes.
"""

from datetime import UTC, date, datetime, timedelta

YEAR = 2022
MONTHS = tuple(f"{YEAR}-{number:02d}" for number in range(1, 13))
YEARS = (str(YEAR),)
END_OF_YEAR = date(YEAR, 12, 31)


def first_day(month: str) -> date:
    """The first day of a month of the year; KeyError for any other text."""
    if month not in MONTHS:
        raise KeyError(month)
    return date.fromisoformat(f"{month}-01")


def last_day(month: str) -> date:
    """The last day of a month of the year; KeyError for any other text."""
    in_next_month = first_day(month) + timedelta(days=31)
    return in_next_month.replace(day=1) - timedelta(days=1)


def published_at(partition: str) -> datetime:
    """When the delivery of a month, quarter or year is published: 04:00 UTC on the day after it."""
    day_after = last_day(_last_month(partition)) + timedelta(days=1)
    return datetime(day_after.year, day_after.month, day_after.day, 4, tzinfo=UTC)


def _last_month(partition: str) -> str:
    if partition in YEARS:
        return MONTHS[-1]
    year, _, quarter = partition.partition("Q")
    return f"{year}-{3 * int(quarter):02d}" if quarter else partition
