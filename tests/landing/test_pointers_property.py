"""Whatever the order in which partitions' deliveries come, the latest of each one counts."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from goral_pipeline import clock
from goral_pipeline.landing import ledger as ledger_module
from goral_pipeline.landing.ledger import Ledger
from tests.landing.records import DATASET, receive, sha256, staging_of

PARTITIONS = ("2022-05", "2022-06", "2022-07")
Fresh = Callable[[], Ledger]
START = datetime(2022, 8, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Coming:
    """A delivery that comes in, and whether staging will accept it."""

    partition: str
    content: str
    is_good: bool = True


def _coming(partition: str, content: str) -> Coming:
    # Staging is a pure function: the same content is always good, or always bad.
    return Coming(partition, content, is_good=content.isupper())


comings = st.builds(_coming, st.sampled_from(PARTITIONS), st.sampled_from("ABxy"))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    """Makes empty ledgers, which do not wait for the disk: many are made here."""
    folder, numbers = tmp_path_factory.mktemp("ledgers"), itertools.count()

    def quick(connection: Any, _: object) -> None:
        connection.execute("pragma synchronous=off")

    with mock.patch.object(ledger_module, "_configure_sqlite", quick):
        yield lambda: Ledger(f"sqlite:///{folder / f'{next(numbers)}.sqlite'}")


def after(ledger: Ledger, coming: Sequence[Coming]) -> Ledger:
    """The ledger with these deliveries taken in, one an hour."""
    for hours, one in enumerate(coming):
        moment = START + timedelta(hours=hours)
        with mock.patch.object(clock, "now", lambda moment=moment: moment):
            delivery = receive(ledger, one.content, partition=one.partition)
            if one.is_good:
                ledger.accept(staging_of(delivery))
            elif delivery.state == "received":
                ledger.reject(delivery.delivery_id, "it is bad")
    return ledger


def pointers(ledger: Ledger) -> dict[str, tuple[str, str, str | None]]:
    return {
        current.delivery.partition: (
            current.delivery.delivery_id,
            current.delivery.sha256,
            current.delivery.supersedes,
        )
        for current in ledger.current(DATASET)
    }


def by_partition(coming: Sequence[Coming]) -> list[Coming]:
    """The same deliveries, all of one partition after the other; within one the order stays."""
    return sorted(coming, key=lambda one: one.partition)


@effort(max_examples=25, deadline=None)
@given(st.lists(comings, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_partitions_does_not_matter(
    fresh: Fresh, coming: list[Coming], random: object
) -> None:
    columns = [list(own) for _, own in groupby(by_partition(coming), lambda one: one.partition)]
    mixed: list[Coming] = []
    while any(columns):
        own = random.choice([own for own in columns if own])  # type: ignore[attr-defined]
        mixed.append(own.pop(0))
    assert pointers(after(fresh(), mixed)) == pointers(after(fresh(), by_partition(coming)))


@effort(max_examples=25, deadline=None)
@given(st.lists(st.builds(Coming, st.sampled_from(PARTITIONS), st.sampled_from("ABC")), max_size=8))
def test_the_latest_received_counts(fresh: Fresh, coming: list[Coming]) -> None:
    ledger = after(fresh(), coming)
    last = {one.partition: one.content for one in coming}
    deliveries = {one.delivery_id: one for one in ledger.deliveries()}
    assert {p: deliveries[found[0]].sha256 for p, found in pointers(ledger).items()} == {
        partition: sha256(content) for partition, content in last.items()
    }
    for partition in last:
        latest = ledger.latest_delivery(DATASET, partition)
        assert latest is not None
        assert latest.delivery_id == pointers(ledger)[partition][0]


@effort(max_examples=25, deadline=None)
@given(st.lists(comings, max_size=8), st.integers(0, 8))
def test_as_of_is_what_the_ledger_was_then(fresh: Fresh, coming: list[Coming], number: int) -> None:
    number = min(number, len(coming))
    as_of = START + timedelta(hours=number - 1, minutes=1)
    now = after(fresh(), coming)
    then = {c.delivery.partition: c.delivery.delivery_id for c in now.current(DATASET, as_of=as_of)}
    before = {p: found[0] for p, found in pointers(after(fresh(), coming[:number])).items()}
    assert then == before
