"""The months of the demonstration year, and the days they begin and end on.

Belongs here: dates that every demo publisher shares. Not: which months a publisher publishes.
"""

from datetime import UTC, date, datetime, timedelta

YEAR = 2022
MONTHS = tuple(f"{YEAR}-{number:02d}" for number in range(1, 13))


def first_day(month: str) -> date:
    """The first day of a month of the year; KeyError for any other text."""
    if month not in MONTHS:
        raise KeyError(month)
    return date.fromisoformat(f"{month}-01")


def last_day(month: str) -> date:
    """The last day of a month of the year; KeyError for any other text."""
    in_next_month = first_day(month) + timedelta(days=31)
    return in_next_month.replace(day=1) - timedelta(days=1)


def published_at(month: str) -> datetime:
    """When the delivery of a month is published: 04:00 UTC on the first day after it."""
    day_after = last_day(month) + timedelta(days=1)
    return datetime(day_after.year, day_after.month, day_after.day, 4, tzinfo=UTC)
