"""The ledger, on both databases: facts in, answers out, nothing lost between writers."""

import multiprocessing
import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from goral_pipeline import clock
from goral_pipeline.errors import SettingsError
from goral_pipeline.landing.ledger import Delivery, Ledger, Removal
from tests.landing.records import DATASET, MONTH, MakeLedger, receive, sha256, staging_of, take_in

START = datetime(2022, 8, 1, 12, tzinfo=UTC)
PASSWORD = "pa55word-that-nobody-may-see"


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by a day at each look."""
    days = iter(range(10_000))
    monkeypatch.setattr(clock, "now", lambda: START + timedelta(days=next(days)))


def pointed(ledger: Ledger, as_of: datetime | None = None) -> dict[tuple[str, str], str]:
    return {
        (current.delivery.dataset, current.delivery.partition): current.delivery.delivery_id
        for current in ledger.current(as_of=as_of)
    }


# ── deliveries ───────────────────────────────────────────────────────────────────────────────────


def test_an_empty_ledger_answers(ledger: Ledger) -> None:
    assert ledger.deliveries() == []
    assert ledger.current() == []
    assert ledger.drops() == []
    assert ledger.latest_delivery(DATASET, MONTH) is None
    assert ledger.delivery("none") is None
    assert ledger.counts("none") == []
    assert ledger.months("none") == []


def test_a_delivery_is_kept_as_it_was_received(make_ledger: MakeLedger) -> None:
    received = receive(make_ledger(), "A", etag='"a"')
    reopened = make_ledger()
    assert reopened.delivery(received.delivery_id) == received
    assert reopened.latest_delivery(DATASET, MONTH) == received
    assert reopened.deliveries() == [received]
    assert received.state == "received"
    assert received.supersedes is None
    assert abs(received.received_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert received.received_at.tzinfo is not None


def test_moments_are_told_in_utc(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    amsterdam = timezone(timedelta(hours=2))
    monkeypatch.setattr(
        clock, "now", lambda: datetime(2022, 8, 1, 0, 30, 15, 123456, tzinfo=amsterdam)
    )
    received = receive(ledger, "A")
    (kept,) = ledger.deliveries()
    assert kept.received_at == received.received_at
    assert kept.received_at.isoformat() == "2022-07-31T22:30:15.123456+00:00"


def test_ids_follow_from_what_was_delivered_alone(make_ledger: MakeLedger, tmp_path: Path) -> None:
    elsewhere = Ledger(f"sqlite:///{tmp_path / 'elsewhere.sqlite'}")
    take_in(elsewhere, "something", partition="2022-01")
    ids = [take_in(make_ledger(), content).delivery_id for content in "ABA"]
    assert [take_in(elsewhere, content).delivery_id for content in "ABA"] == ids
    assert len(set(ids)) == 3
    elsewhere.close()


@pytest.mark.parametrize("other", [{"partition": "2022-08"}, {"dataset": "ecotap/requests"}])
def test_the_same_content_elsewhere_is_another_delivery(
    ledger: Ledger, other: dict[str, str]
) -> None:
    assert receive(ledger, "A").delivery_id != receive(ledger, "A", **other).delivery_id


@pytest.mark.usefixtures("ticking")
def test_content_that_comes_back_is_a_third_delivery(ledger: Ledger) -> None:
    first, second, third = (take_in(ledger, content) for content in "ABA")
    assert first.sha256 == third.sha256
    assert [first.supersedes, second.supersedes, third.supersedes] == [
        None,
        first.delivery_id,
        second.delivery_id,
    ]
    assert pointed(ledger) == {(DATASET, MONTH): third.delivery_id}
    assert ledger.latest_delivery(DATASET, MONTH) == third
    assert ledger.deliveries() == [first, second, third]


def test_content_just_recorded_by_another_is_not_recorded_again(ledger: Ledger) -> None:
    first = receive(ledger, "A")
    assert receive(ledger, "A") == first
    assert receive(ledger, "A in other pages", content_key="A") == first
    assert ledger.deliveries() == [first]


@pytest.mark.usefixtures("ticking")
def test_only_what_was_accepted_is_superseded(ledger: Ledger) -> None:
    good = take_in(ledger, "A")
    bad = receive(ledger, "B")
    ledger.reject(bad.delivery_id, "it is bad")
    assert receive(ledger, "C").supersedes == good.delivery_id


def test_a_rejection_keeps_the_pointer_and_says_why(ledger: Ledger) -> None:
    good = take_in(ledger, "A")
    bad = receive(ledger, "B")
    ledger.reject(bad.delivery_id, "3 of 10 requests break a rule")
    rejected = ledger.delivery(bad.delivery_id)
    assert rejected is not None
    assert (rejected.state, rejected.problem) == ("rejected", "3 of 10 requests break a rule")
    assert pointed(ledger) == {(DATASET, MONTH): good.delivery_id}


def test_what_was_rejected_can_be_accepted_later(ledger: Ledger) -> None:
    delivery = receive(ledger, "A")
    ledger.reject(delivery.delivery_id, "a fault of the program")
    ledger.accept(staging_of(delivery))
    accepted = ledger.delivery(delivery.delivery_id)
    assert accepted is not None
    assert (accepted.state, accepted.problem) == ("accepted", None)


def test_long_words_of_a_publisher_fit(ledger: Ledger) -> None:
    delivery = ledger.add_delivery(
        dataset=DATASET,
        partition=MONTH,
        sha256=sha256("A"),
        content_key=sha256("A"),
        extension=".xlsx",
        size=5 * 1024**3,
        origin="https://example.org/" + "x" * 1000,
        etag="e" * 200,
        last_modified="m" * 60,
        demo=True,
    )
    ledger.reject(delivery.delivery_id, "ë" * 5000)
    (kept,) = ledger.deliveries()
    assert len(kept.origin) == 500
    assert kept.bytes == 5 * 1024**3
    assert kept.demo


# ── staging and pointers ─────────────────────────────────────────────────────────────────────────


def test_what_was_staged_is_kept(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    delivery = receive(ledger, "A")
    staging = staging_of(delivery, rows=5)
    ledger.accept(staging)
    reopened = make_ledger()
    (current,) = reopened.current()
    assert current.staging_id == staging.staging_id
    assert current.fingerprint == staging.fingerprint
    assert current.files == staging.files
    assert reopened.counts(staging.staging_id) == list(staging.counts)
    assert reopened.months(staging.staging_id) == ["2022-06", "2022-07"]


@pytest.mark.usefixtures("ticking")
def test_accepting_twice_changes_nothing_but_the_moment(ledger: Ledger) -> None:
    delivery = receive(ledger, "A")
    for _ in range(2):
        ledger.accept(staging_of(delivery))
    (current,) = ledger.current()
    assert current.delivery.delivery_id == delivery.delivery_id
    assert len(current.files) == 1
    assert len(ledger.counts(current.staging_id)) == 2


def test_nothing_is_kept_of_a_staging_that_cannot_be_recorded(ledger: Ledger) -> None:
    before = take_in(ledger, "A")
    delivery = receive(ledger, "B")
    staging = staging_of(delivery)
    twice = type(staging)(**vars(staging) | {"files": staging.files * 2})
    with pytest.raises(sa.exc.IntegrityError):
        ledger.accept(twice)
    kept = ledger.delivery(delivery.delivery_id)
    assert kept is not None
    assert kept.state == "received"
    assert pointed(ledger) == {(DATASET, MONTH): before.delivery_id}
    assert ledger.counts(staging.staging_id) == []
    ledger.accept(staging)
    assert pointed(ledger) == {(DATASET, MONTH): delivery.delivery_id}


def test_a_pointer_moves_for_its_own_partition_only(ledger: Ledger) -> None:
    july, august = take_in(ledger, "A"), take_in(ledger, "A", partition="2022-08")
    other = take_in(ledger, "A", dataset="ecotap/requests")
    newer = take_in(ledger, "B")
    assert pointed(ledger) == {
        (DATASET, MONTH): newer.delivery_id,
        (DATASET, "2022-08"): august.delivery_id,
        ("ecotap/requests", MONTH): other.delivery_id,
    }
    assert july.delivery_id not in pointed(ledger).values()
    assert len(ledger.current(DATASET)) == 2
    assert len(ledger.current(DATASET, MONTH)) == 1
    assert len(ledger.current(partition=MONTH)) == 2


def test_current_is_in_order_of_dataset_and_partition(ledger: Ledger) -> None:
    for dataset, partition in [("b/b", "2022-02"), ("a/a", "2022-03"), ("b/b", "2022-01")]:
        take_in(ledger, "A", dataset=dataset, partition=partition)
    assert list(pointed(ledger)) == [("a/a", "2022-03"), ("b/b", "2022-01"), ("b/b", "2022-02")]


@pytest.mark.usefixtures("ticking")
def test_staging_anew_counts_instead_of_the_old(ledger: Ledger) -> None:
    delivery = receive(ledger, "A")
    ledger.accept(staging_of(delivery, "1" * 16, rows=3))
    ledger.accept(staging_of(delivery, "2" * 16, rows=4))
    (current,) = ledger.current()
    assert current.fingerprint == "2" * 16
    assert [file.rows for file in current.files] == [4]
    assert ledger.counts(f"{delivery.delivery_id}-{'1' * 16}")[0].rows == 3, "the old is kept"


@pytest.mark.usefixtures("ticking")
def test_as_of_is_what_had_been_received_by_then(ledger: Ledger) -> None:
    first = take_in(ledger, "A")
    august = take_in(ledger, "A", partition="2022-08")
    second = take_in(ledger, "B")
    july = (DATASET, MONTH)
    assert pointed(ledger, first.received_at - timedelta(microseconds=1)) == {}
    assert pointed(ledger, first.received_at) == {july: first.delivery_id}
    assert pointed(ledger, second.received_at - timedelta(microseconds=1)) == {
        july: first.delivery_id,
        (DATASET, "2022-08"): august.delivery_id,
    }
    assert pointed(ledger, second.received_at)[july] == second.delivery_id
    local = second.received_at.astimezone(timezone(timedelta(hours=-11)))
    assert pointed(ledger, local)[july] == second.delivery_id


@pytest.mark.usefixtures("ticking")
def test_as_of_does_not_ask_when_it_was_staged(ledger: Ledger) -> None:
    delivery = receive(ledger, "A")
    ledger.accept(staging_of(delivery, "1" * 16))
    ledger.accept(staging_of(delivery, "2" * 16))
    (current,) = ledger.current(as_of=delivery.received_at)
    assert current.fingerprint == "2" * 16


# ── drops ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("ticking")
def test_a_drop_is_recorded_once(ledger: Ledger) -> None:
    ledger.add_drop("2022-08-b", sha256("b"), "fb", demo=False)
    ledger.add_drop("2022-07-a", sha256("a"), "fa", demo=True)
    ledger.add_drop("2022-08-b", sha256("other"), "other", demo=True)
    assert [drop["drop_id"] for drop in ledger.drops()] == ["2022-08-b", "2022-07-a"]
    assert ledger.drops()[0]["manifest_sha256"] == sha256("b")
    assert ledger.drops()[0]["published_at"].tzinfo is not None


# ── removals ─────────────────────────────────────────────────────────────────────────────────────


def removal(path: str, reason: str = "old") -> Removal:
    return Removal(path, "delivery", DATASET, "d" * 16, 5 * 1024**3, reason, clock.now(), None)


def test_a_removal_is_decided_and_then_confirmed(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    assert ledger.removals() == []
    assert ledger.removal("landing/a") is None
    ledger.decide_removals([removal("landing/a"), removal("landing/b")])
    ledger.confirm_removals(["landing/a"])
    a, b = make_ledger().removals()
    assert (a.path, b.path) == ("landing/a", "landing/b")
    assert a.removed_at is not None
    assert a.removed_at.tzinfo is not None
    assert b.removed_at is None
    assert b.bytes == 5 * 1024**3
    assert ledger.removal("landing/b") == b


def test_what_was_decided_and_not_done_is_decided_anew(ledger: Ledger) -> None:
    ledger.decide_removals([removal("landing/a", "before")])
    ledger.decide_removals([removal("landing/a", "after")])
    (kept,) = ledger.removals()
    assert kept.reason == "after"


@pytest.mark.usefixtures("ticking")
def test_what_is_removed_again_is_told_again(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.decide_removals([removal("landing/a")])
        ledger.confirm_removals(["landing/a"])
    first, second = ledger.removals()
    assert first.removed_at is not None
    assert second.removed_at is not None
    assert first.removed_at < second.removed_at
    assert ledger.removal("landing/a") == second


def test_the_day_of_a_removal_is_that_in_amsterdam(ledger: Ledger) -> None:
    late = datetime(2022, 7, 31, 23, 30, tzinfo=UTC)
    told = Removal("p", "delivery", DATASET, "", 1, "old", late, None)
    assert told.day == "2022-08-01"


@pytest.mark.usefixtures("ticking")
def test_out_of_use_is_what_another_came_after(ledger: Ledger) -> None:
    first, other = take_in(ledger, "A"), take_in(ledger, "A", partition="2022-08")
    assert ledger.out_of_use() == {}
    second = take_in(ledger, "B")
    (since,) = ledger.out_of_use().values()
    assert set(ledger.out_of_use()) == {staging_of(first).staging_id}
    assert since > second.received_at
    ledger.accept(staging_of(first))
    assert set(ledger.out_of_use()) == {staging_of(second).staging_id}
    ledger.accept(staging_of(first))
    assert set(ledger.out_of_use()) == {staging_of(second).staging_id}, "pointed at twice"
    assert staging_of(other).staging_id not in ledger.out_of_use()


# ── several writers at once ──────────────────────────────────────────────────────────────────────

WRITERS, EACH = 3, 10


def _write_many(url: str, name: str, begin: Any, same_content: bool) -> None:
    begin.wait(30)
    ledger = Ledger(url)
    for number in range(EACH):
        content = f"{number}" if same_content else f"{name} {number}"
        delivery = receive(ledger, content, partition=f"20{number:02d}-01")
        ledger.accept(staging_of(delivery))
    ledger.close()


def write_at_once(url: str, *, same_content: bool) -> None:
    # Not forked: a connection must not be shared with a child.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.landing.records"])
    begin = context.Barrier(WRITERS)
    processes = [
        context.Process(target=_write_many, args=(url, f"writer {n}", begin, same_content))
        for n in range(WRITERS)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * WRITERS


def test_writers_at_once_lose_nothing(ledger_url: str) -> None:
    """The tables are made by whoever comes first, too."""
    write_at_once(ledger_url, same_content=False)
    ledger = Ledger(ledger_url)
    deliveries = ledger.deliveries()
    assert len(deliveries) == WRITERS * EACH
    assert {delivery.state for delivery in deliveries} == {"accepted"}
    for number in range(EACH):
        partition = f"20{number:02d}-01"
        (current,) = ledger.current(partition=partition)
        assert len(current.files) == 1
        assert len(ledger.counts(current.staging_id)) == 2
    ledger.close()


def test_writers_of_the_same_record_it_once(ledger_url: str) -> None:
    write_at_once(ledger_url, same_content=True)
    ledger = Ledger(ledger_url)
    assert len(ledger.deliveries()) == EACH
    assert len(ledger.current()) == EACH
    ledger.close()


# ── opening ──────────────────────────────────────────────────────────────────────────────────────


def test_opening_and_reading_changes_no_byte_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(f"sqlite:///{path}")
    take_in(ledger, "A")
    ledger.close()
    before, changed = path.read_bytes(), path.stat().st_mtime_ns
    again = Ledger(f"sqlite:///{path}")
    again.current()
    again.latest_delivery(DATASET, MONTH)
    again.close()
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == changed
    assert [p.name for p in tmp_path.iterdir()] == ["ledger.sqlite"]


def test_sqlite_lets_readers_read_while_one_writes(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(f"sqlite:///{path}")
    first = take_in(ledger, "A")
    with sqlite3.connect(path) as other:
        assert other.execute("pragma journal_mode").fetchone() == ("wal",)
        other.execute("begin immediate")
        other.execute("update deliveries set state = 'rejected'")
        assert ledger.deliveries() == [first], "the state before, without waiting"
        other.rollback()
    other.close()
    ledger.close()


def test_sqlite_waits_for_the_disk_and_minds_references(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    with ledger._engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"pragma {name}").scalar()
            for name in ("synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}
    ledger.close()


def test_a_staging_without_its_delivery_is_refused(ledger: Ledger) -> None:
    delivery = receive(ledger, "A")
    unknown = Delivery(**vars(delivery) | {"delivery_id": "nobody"})
    with pytest.raises(sa.exc.NoResultFound):
        ledger.accept(staging_of(unknown))


def test_the_folder_of_the_ledger_is_made(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'a' / 'b' / 'ledger.sqlite'}")
    ledger.close()
    assert (tmp_path / "a" / "b" / "ledger.sqlite").is_file()


@pytest.mark.parametrize(
    "url",
    [
        f"not a url {PASSWORD}",
        f"nosuchdatabase://me:{PASSWORD}@127.0.0.1/ledger",
        f"postgresql+nosuchdriver://me:{PASSWORD}@127.0.0.1/ledger",
        f"postgresql+psycopg2://me:{PASSWORD}@127.0.0.1:1/ledger",
        f"postgresql+psycopg://me:{PASSWORD}@127.0.0.1:1/ledger",
        f"postgresql+psycopg://me:{PASSWORD}@127.0.0.1:port/ledger",
        "sqlite:////dev/null/ledger.sqlite",
        "sqlite:////proc/ledger.sqlite",
    ],
)
def test_a_ledger_that_cannot_be_opened_is_told_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Ledger(url)
    message = str(caught.value)
    assert "GORAL_LEDGER_URL" in message
    assert PASSWORD not in message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_file_that_is_no_ledger_is_told(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"this is no database at all " * 100)
    with pytest.raises(SettingsError, match="cannot be opened"):
        Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")


def test_a_wrong_password_is_told_without_it(postgres: str) -> None:
    url = sa.make_url(postgres).set(database="nosuchdatabase", password=PASSWORD)
    with pytest.raises(SettingsError) as caught:
        Ledger(url.render_as_string(hide_password=False))
    assert PASSWORD not in str(caught.value)
