"""Files over HTTP: asked for only if they changed, and landed whole or not at all."""

import gzip
import json
from pathlib import Path

import pytest

from goral_pipeline import ingestion
from goral_pipeline.contracts import staged
from goral_pipeline.ingestion import Ingested
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.settings import Settings
from goral_pipeline.sources import ndw_dotnl
from tests import support_files
from tests.fetching.publisher import Asked, Publisher, Reply
from tests.support_files import LOCATIONS

MONTH = "2022-07"
pytestmark = pytest.mark.usefixtures("_staged_here", "waits")


def snapshot(*identifiers: str) -> bytes:
    elements = [support_files.location(identifier) for identifier in identifiers]
    return gzip.compress(json.dumps(elements).encode(), mtime=0)


ONE, TWO, THREE = snapshot("L1"), snapshot("L1", "L2"), snapshot("L3")


def with_validators(body: bytes, etag: str) -> Reply:
    modified = "Mon, 01 Aug 2022 04:00:00 GMT"
    return Reply(200, body, {"ETag": etag, "Last-Modified": modified})


@pytest.fixture
def asking(settings: Settings, publisher: Publisher) -> Settings:
    return settings.model_copy(update={"ndw_dotnl_url": f"{publisher.url}/{{month}}"})


def ask(settings: Settings, ledger: Ledger, month: str = MONTH) -> Ingested:
    return ingestion.ingest(settings, ledger, LOCATIONS, month, fetch=True)


def landed(settings: Settings) -> list[str]:
    """Every file in landing, temporary ones too."""
    return sorted(path.name for path in settings.landing.rglob("*") if path.is_file())


# ── asking only for what changed ─────────────────────────────────────────────────────────────────


def test_the_first_question_has_no_conditions(
    asking: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.answers(with_validators(ONE, '"one"'))
    assert ask(asking, ledger).state == "new"
    assert publisher.asked[0].path == f"/{MONTH}/{ndw_dotnl.LOCATIONS_FILE}"
    assert publisher.headers_seen("if-none-match") == []
    assert publisher.headers_seen("if-modified-since") == []
    assert not ledger.deliveries()[0].demo


def test_the_next_question_names_what_is_there_already(
    asking: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.answers(with_validators(ONE, '"one"'), Reply(304))
    assert ask(asking, ledger).state == "new"
    assert ask(asking, ledger).state == "unchanged"
    assert publisher.headers_seen("if-none-match") == ['"one"']
    assert publisher.headers_seen("if-modified-since") == ["Mon, 01 Aug 2022 04:00:00 GMT"]
    assert len(ledger.deliveries()) == 1
    assert len(landed(asking)) == 1


def test_what_was_corrected_by_hand_stays_until_the_publisher_has_something_new(
    asking: Settings, ledger: Ledger, publisher: Publisher, tmp_path: Path
) -> None:
    corrected = tmp_path / "corrected.json.gz"
    corrected.write_bytes(TWO)
    publisher.answers(Reply(200, ONE))
    assert ask(asking, ledger).state == "new"
    by_hand = ingestion.deliver(asking, ledger, LOCATIONS, MONTH, corrected)
    again = ask(asking, ledger)
    assert (again.state, again.delivery_id) == ("unchanged", by_hand.delivery_id)
    assert "delivered by hand since stays in use" in again.message
    publisher.answers(Reply(200, THREE))
    assert ask(asking, ledger).state == "new"
    publisher.answers(Reply(200, ONE))
    assert ask(asking, ledger).state == "new", "what it goes back to is new again"


def test_equal_bytes_are_no_new_delivery(
    asking: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.answers(Reply(200, ONE))
    assert [ask(asking, ledger).state for _ in range(3)] == ["new", "unchanged", "unchanged"]
    assert publisher.headers_seen("if-none-match") == []
    assert len(ledger.deliveries()) == 1
    assert len(landed(asking)) == 1


def test_a_change_is_a_delivery_that_supersedes(
    asking: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.answers(with_validators(ONE, '"one"'), with_validators(TWO, '"two"'))
    first, second = ask(asking, ledger), ask(asking, ledger)
    assert (first.state, second.state) == ("new", "new")
    assert first.rows["locations"]["accepted"] == 1
    assert second.rows["locations"]["accepted"] == 2
    old, new = ledger.deliveries()
    assert new.supersedes == old.delivery_id == first.delivery_id
    (current,) = ledger.current(LOCATIONS, MONTH)
    assert current.delivery == new
    assert len(landed(asking)) == 2


def test_content_that_comes_back_is_a_delivery_again(
    asking: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.answers(Reply(200, ONE), Reply(200, TWO), Reply(200, ONE))
    ids = [ask(asking, ledger).delivery_id for _ in range(3)]
    assert len(set(ids)) == 3
    assert len(ledger.deliveries()) == 3
    assert len(landed(asking)) == 2, "but its bytes are kept once"
    assert ledger.current(LOCATIONS, MONTH)[0].delivery.delivery_id == ids[2]


def test_validators_are_for_the_url_they_came_from(
    asking: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.answers(with_validators(ONE, '"one"'))
    ask(asking, ledger)
    moved = asking.model_copy(update={"ndw_dotnl_url": f"{publisher.url}/new/{{month}}"})
    assert ask(moved, ledger).state == "unchanged"
    assert publisher.headers_seen("if-none-match") == []
    assert ask(asking, ledger, "2022-08").state == "new"
    assert publisher.headers_seen("if-none-match") == [], "nor for another month"


def test_a_file_given_by_hand_leaves_the_publisher_s_validators(
    asking: Settings, ledger: Ledger, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.answers(with_validators(ONE, '"one"'))
    ask(asking, ledger)
    (tmp_path / "mine.json.gz").write_bytes(TWO)
    ingestion.deliver(asking, ledger, LOCATIONS, MONTH, tmp_path / "mine.json.gz")
    ask(asking, ledger)
    assert publisher.headers_seen("if-none-match") == ['"one"']


def test_looking_for_news_writes_nothing(
    asking: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.answers(Reply(200, ONE))
    assert ingestion.has_news(asking, ledger, LOCATIONS, MONTH, fetch=True)
    assert ledger.deliveries() == []
    assert landed(asking) == []
    ask(asking, ledger)
    assert not ingestion.has_news(asking, ledger, LOCATIONS, MONTH, fetch=True)
    publisher.answers(Reply(200, TWO))
    assert ingestion.has_news(asking, ledger, LOCATIONS, MONTH, fetch=True)
    publisher.answers(Reply(404))
    assert not ingestion.has_news(asking, ledger, LOCATIONS, MONTH, fetch=True)
    publisher.answers(Reply(500))
    assert ingestion.has_news(asking, ledger, LOCATIONS, MONTH, fetch=True), "a run will tell"


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────

CUT_SHORT = [
    Reply(200, TWO[:50], announced=len(TWO)),
    Reply(200, b"a\r\n" + TWO[:10] + b"\r\n", is_chunked=True),
]


@pytest.mark.parametrize("cut_short", CUT_SHORT, ids=["content-length", "chunked"])
def test_a_body_cut_short_does_not_land(
    asking: Settings, ledger: Ledger, publisher: Publisher, cut_short: Reply
) -> None:
    publisher.answers(with_validators(ONE, '"one"'), cut_short, Reply(200, TWO))
    ask(asking, ledger)
    failed = ask(asking, ledger)
    assert failed.state == "failed"
    assert "broke off" in failed.message
    assert publisher.url in failed.message
    assert len(ledger.deliveries()) == 1
    assert len(landed(asking)) == 1, "no half delivery, no temporary file"
    assert ledger.current(LOCATIONS, MONTH)[0].delivery.state == "accepted"
    assert ask(asking, ledger).state == "new"


def test_a_publisher_that_is_down_fails_its_partition_only(
    asking: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.answers(Reply(200, ONE))
    ask(asking, ledger)

    def down_for_july(asked: Asked) -> Reply:
        return Reply(503) if MONTH in asked.path else Reply(200, TWO)

    publisher.script = down_for_july
    july, august = ingestion.ingest_all(asking, ledger, LOCATIONS, [MONTH, "2022-08"], fetch=True)
    assert july.state == "failed"
    assert "2 attempts (HTTP 503)" in july.message
    assert august.state == "new"
    partitions = {c.delivery.partition: c.files[0].rows for c in ledger.current(LOCATIONS)}
    assert partitions == {MONTH: 1, "2022-08": 2}


def test_what_is_not_published_is_missing(
    asking: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.answers(Reply(404))
    result = ask(asking, ledger)
    assert result.state == "missing"
    assert "is not there (HTTP 404)" in result.message
    assert ledger.deliveries() == []


def test_what_is_no_longer_published_stays_as_it_was(
    asking: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.answers(Reply(200, ONE), Reply(410))
    ask(asking, ledger)
    result = ask(asking, ledger)
    assert result.state == "unchanged"
    assert "HTTP 410" in result.message
    assert len(ledger.current(LOCATIONS)) == 1


def test_a_delivery_that_is_rejected_leaves_the_pointer(
    asking: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.answers(Reply(200, ONE), Reply(200, b"<html>we are moving</html>"))
    ask(asking, ledger)
    for _ in range(2):
        result = ask(asking, ledger)
        assert result.state == "failed"
        assert "found HTML or XML" in result.message
    good, bad = ledger.deliveries()
    assert (good.state, bad.state) == ("accepted", "rejected")
    assert bad.problem == result.message
    assert bad.supersedes == good.delivery_id
    assert ledger.current(LOCATIONS, MONTH)[0].delivery.delivery_id == good.delivery_id
    assert len(landed(asking)) == 2, "it stays in landing"


def test_a_delivery_that_is_too_large_is_not_kept(
    asking: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.answers(Reply(200, bytes(3 * 1024**2)))
    small = asking.model_copy(update={"max_delivery_mib": 1})
    result = ask(small, ledger)
    assert result.state == "failed"
    assert "larger than 1 MiB" in result.message
    assert landed(asking) == []
    assert ledger.deliveries() == []


# ── what can be asked ────────────────────────────────────────────────────────────────────────────


def test_the_past_of_a_snapshot_cannot_be_asked_for(
    asking: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    today_only = asking.model_copy(update={"ndw_dotnl_url": publisher.url})
    result = ask(today_only, ledger)
    assert result.state == "missing"
    assert "today's state only" in result.message
    assert MONTH in result.message
    assert "{month}" in result.message
    assert publisher.asked == []


def test_a_snapshot_of_today_can_be_asked_for(
    asking: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.answers(Reply(200, ONE))
    today_only = asking.model_copy(update={"ndw_dotnl_url": publisher.url + "/"})
    month = ingestion.current_partition(staged()[LOCATIONS])
    assert ask(today_only, ledger, month).state == "new"
    assert publisher.asked[0].path == f"/{ndw_dotnl.LOCATIONS_FILE}"


@pytest.mark.parametrize("url", ["http://[", "ftp://127.0.0.1/x", "opendata.example.org"])
def test_a_url_that_is_none_fails_with_a_message(
    settings: Settings, ledger: Ledger, url: str
) -> None:
    wrong = settings.model_copy(update={"ndw_dotnl_url": url + "/{month}"})
    result = ask(wrong, ledger)
    assert result.state == "failed"
    assert "check the source's URL" in result.message
