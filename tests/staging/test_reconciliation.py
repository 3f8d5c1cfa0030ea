"""The check that every record is accounted for sees when one is not."""

from goral_pipeline.checks.reconciliation import reconcile, totals
from goral_pipeline.landing.ledger import Count

COUNTS = [
    Count("locations", "accepted", "", 7),
    Count("locations", "duplicate", "same_key", 2),
    Count("locations", "quarantined", "publish_type", 1),
    Count("locations", "quarantined", "latitude_range", 3),
]


def test_counts_that_add_up_give_no_problem() -> None:
    assert reconcile({"locations": 13}, COUNTS) == []


def test_a_lost_row_is_a_problem_that_names_table_and_numbers() -> None:
    assert reconcile({"locations": 14}, COUNTS) == ["locations: 14 rows received, 13 accounted for"]


def test_a_table_that_only_one_side_knows_is_a_problem() -> None:
    assert len(reconcile({"locations": 13, "connectors": 1}, COUNTS)) == 1
    assert len(reconcile({}, COUNTS)) == 1


def test_totals_add_up_the_reasons() -> None:
    assert totals(COUNTS) == {"locations": {"accepted": 7, "duplicate": 2, "quarantined": 4}}
