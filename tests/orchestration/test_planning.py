"""Which partitions a range of months means."""

from datetime import UTC, datetime

import pytest

from goral_pipeline import clock, planning
from goral_pipeline.errors import SettingsError
from goral_pipeline.settings import Settings
from goral_pipeline.sources import contracts

REQUESTS, LOCATIONS, BOUNDARIES, OUTLOOK = (
    "vattenfall/requests",
    "ndw_dotnl/locations",
    "pdok/municipality_boundaries",
    "elaadnl/passenger_outlook",
)


@pytest.fixture(autouse=True)
def _november_2022(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2022, 11, 15, tzinfo=UTC))


def planned(first: str | None, last: str | None, only: list[str]) -> dict[str, list[str]]:
    return planning.partitions(Settings.load(), first, last, only)


def test_without_a_range_it_is_this_month() -> None:
    found = planned(None, None, [])
    assert found[LOCATIONS] == found[REQUESTS] == ["2022-11"]
    assert found[BOUNDARIES] == ["2022"]
    assert found[OUTLOOK] == ["2022Q4"]
    assert set(found) == set(contracts(Settings.load().home_folder))


def test_a_range_of_months_and_the_years_it_touches() -> None:
    found = planned("2021-12", "2022-02", [])
    assert found[LOCATIONS] == ["2021-12", "2022-01", "2022-02"]
    assert found[BOUNDARIES] == ["2021", "2022"]
    assert found[OUTLOOK] == ["2021Q4", "2022Q1"]


def test_one_end_alone_is_one_month() -> None:
    assert planned("2022-05", None, [REQUESTS]) == {REQUESTS: ["2022-05"]}
    assert planned(None, "2022-05", [REQUESTS]) == {REQUESTS: ["2022-05"]}


def test_what_lies_before_the_first_and_after_the_running_partition_is_left_out() -> None:
    found = planned("2020-11", "2030-12", [])
    assert found[REQUESTS] == [f"2022-{month:02d}" for month in range(4, 12)]
    assert found[LOCATIONS][-1] == "2022-11"
    assert found[BOUNDARIES][-1] == "2022"


def test_only_the_datasets_asked_for() -> None:
    assert set(planned("2022-05", "2022-06", [REQUESTS, LOCATIONS])) == {
        REQUESTS,
        LOCATIONS,
    }
    assert planned("2021-01", "2021-02", [REQUESTS]) == {REQUESTS: []}


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("2022-13", None, "--from '2022-13' is no month of the form 2022-07"),
        ("2022", None, "--from '2022' is no month of the form 2022-07"),
        ("2022-1", None, "--from '2022-1' is no month of the form 2022-07"),
        ("2022-01", "2022-00", "--to '2022-00' is no month of the form 2022-07"),
        ("2022-01", "x", "--to 'x' is no month of the form 2022-07"),
        ("٢٠٢٢-٠١", None, "--from '٢٠٢٢-٠١' is no month of the form 2022-07"),
        ("2022-01\n", None, "--from '2022-01\\n' is no month of the form 2022-07"),
        ("2022-05", "2022-04", "--from 2022-05 lies after --to 2022-04"),
        ("2022-12", None, "--from 2022-12 lies in the future"),
    ],
)
def test_a_range_that_is_none(first: str, last: str | None, said: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        planned(first, last, [])
    assert str(refusal.value) == said


def test_a_dataset_that_is_none() -> None:
    with pytest.raises(SettingsError, match=r"there is no dataset 'a/b'; there are ecotap_allego/"):
        planned(None, None, ["a/b"])
