"""Doubts about which partition a delivery is of."""

from goral_pipeline.checks.belonging import doubts
from goral_pipeline.contracts import staged

REQUESTS = staged()["concession/requests"]
SESSIONS = staged()["concession/sessions"]


def test_what_is_kept_by_its_change_may_have_begun_in_any_month_before() -> None:
    before = ["2022-11", "2022-12"]
    assert doubts(REQUESTS, "2023-01", before, []) != []
    assert doubts(SESSIONS, "2023-01", before, []) == []


def test_a_delivery_of_few_rows_that_takes_the_place_of_many_is_doubted() -> None:
    assert doubts(SESSIONS, "2022-12", ["2022-12"], [], rows=(40, 50_000)) == [
        "40 rows took the place of 50000: a delivery is all of its month"
    ]
    assert doubts(SESSIONS, "2022-12", ["2022-12"], [], rows=(40, 80)) == []


def test_nothing_that_was_changed_in_a_month_began_after_it() -> None:
    assert doubts(SESSIONS, "2022-12", ["2022-12", "2023-01"], []) == [
        "there are rows of after 2022-12: of 2023-01"
    ]
