"""The clock: moments in UTC, months in Amsterdam."""

from datetime import UTC, datetime, timedelta

import pytest

from goral_pipeline import clock, ingestion
from goral_pipeline.contracts import staged


@pytest.mark.parametrize(
    ("moment", "month"),
    [
        # Winter time begins on 2022-10-30: an hour ahead of UTC.
        ("2022-10-31T22:59:59.999999+00:00", "2022-10"),
        ("2022-10-31T23:00:00+00:00", "2022-11"),
        ("2022-10-31T23:30:00+00:00", "2022-11"),
        # Summer time: two hours ahead.
        ("2022-07-31T21:59:59+00:00", "2022-07"),
        ("2022-07-31T22:00:00+00:00", "2022-08"),
        ("2022-12-31T23:30:00+00:00", "2023-01"),
        ("2022-12-31T22:30:00+00:00", "2022-12"),
    ],
)
def test_the_month_is_that_of_amsterdam(
    monkeypatch: pytest.MonkeyPatch, moment: str, month: str
) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime.fromisoformat(moment))
    assert clock.current_month() == month


def test_a_snapshot_belongs_to_the_partition_of_amsterdam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2022, 12, 31, 23, 30, tzinfo=UTC))
    locations = staged()["ndw_dotnl/locations"]
    boundaries = staged()["pdok/municipality_boundaries"]
    assert ingestion.current_partition(locations) == "2023-01"
    assert ingestion.current_partition(boundaries) == "2023"


def test_now_is_in_utc() -> None:
    assert clock.now().utcoffset() == timedelta(0)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
