"""PDOK: pages that add up to one delivery, whatever their size, and pages that are none."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from goral_pipeline import ingestion
from goral_pipeline.contracts import staged
from goral_pipeline.demo import regions
from goral_pipeline.demo.server import DemoServer
from goral_pipeline.errors import PermanentHttpError
from goral_pipeline.ingestion import Ingested
from goral_pipeline.landing import store
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.settings import Settings
from goral_pipeline.sources import asking, pdok
from goral_pipeline.sources.asking import Answer, Question
from tests import support_files
from tests.fetching.publisher import Asked, MakePublisher, Publisher, Reply
from tests.support_files import BOUNDARIES, feature, square

EDITION = ingestion.current_partition(staged()[BOUNDARIES])
COLLECTION = "/pdok/2022/collections/gemeente_gegeneraliseerd/items"
FEATURES = [feature(f"GM000{n}", f"Place {n}", square(5 + n / 10, 52)) for n in range(1, 6)]
pytestmark = pytest.mark.usefixtures("_staged_here", "waits")


@pytest.fixture(scope="module")
def demo_server() -> Iterator[DemoServer]:
    with DemoServer() as running:
        yield running


@pytest.fixture(scope="module")
def content_key(demo_server: DemoServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the demo's boundaries, asked for in pages as large as can be."""
    whole = support_files.settings(tmp_path_factory.mktemp("whole"))
    return fetched(at(whole, f"{demo_server.url}{COLLECTION}?limit=50"))[0].content_key


def at(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"pdok_boundaries_url": url})


def ask(settings: Settings, ledger: Ledger) -> Ingested:
    return ingestion.ingest(settings, ledger, BOUNDARIES, EDITION, fetch=True)


def fetched(settings: Settings) -> tuple[Answer, list[dict[str, Any]]]:
    """The answer and the lines that would land."""
    with store.receiving(settings.landing, 10) as incoming:
        answer = pdok.fetch_municipality_boundaries(
            Question(EDITION, EDITION, settings, incoming, None)
        )
        incoming.close()
        assert answer is not None
        return answer, [json.loads(line) for line in incoming.path.read_bytes().splitlines()]


def page(features: list[Any], following: str | None = None, **members: Any) -> Reply:
    links = [{"rel": "self", "href": "/here"}]
    if following is not None:
        links.append({"rel": "next", "href": following})
    body = {"type": "FeatureCollection", "features": features, "links": links} | members
    return Reply(200, json.dumps(body).encode(), {"Content-Type": "application/geo+json"})


def in_pages(size: int, **members: Any) -> Any:
    """A script that hands out FEATURES in pages of that size, by `?from=`."""

    def script(asked: Asked) -> Reply:
        first = int(asked.path.partition("?from=")[2] or 0)
        stop = first + size
        return page(FEATURES[first:stop], f"?from={stop}" if stop < 5 else None, **members)

    return script


# ── pages ────────────────────────────────────────────────────────────────────────────────────────


@effort(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 60))
def test_pages_of_any_size_are_the_same_delivery(
    demo_server: DemoServer, settings: Settings, content_key: str, size: int
) -> None:
    asking = at(settings, f"{demo_server.url}{COLLECTION}?limit={size}")
    answer, lines = fetched(asking)
    assert answer.content_key == content_key
    assert answer.demo
    features = [one for line in lines for one in line["body"]["features"]]
    assert features == list(regions.features())
    assert [line["page"] for line in lines] == list(range(1, len(lines) + 1))
    offsets = [line["offset"] for line in lines]
    assert offsets == list(range(0, len(features), min(size, 50)))


def test_the_moment_of_asking_makes_no_new_delivery(
    settings: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    asking = at(settings, publisher.url)
    publisher.script = in_pages(2, timeStamp="2022-07-01T00:00:00Z")
    assert ask(asking, ledger).state == "new"
    publisher.script = in_pages(3, timeStamp="2022-07-02T00:00:00Z")
    assert ask(asking, ledger).state == "unchanged"
    (delivery,) = ledger.deliveries()
    landed = [path for path in settings.landing.rglob("*") if path.is_file()]
    assert [path.name for path in landed] == [f"{delivery.sha256}.ndjson"]
    publisher.script = lambda _: page(FEATURES[:4])
    assert ask(asking, ledger).state == "new"


def test_pages_are_staged_as_one(settings: Settings, ledger: Ledger, publisher: Publisher) -> None:
    publisher.script = in_pages(2)
    result = ask(at(settings, publisher.url), ledger)
    assert result.rows == {
        "municipality_boundaries": {"accepted": 5, "duplicate": 0, "quarantined": 0}
    }


def test_pages_land_as_they_came(settings: Settings, publisher: Publisher) -> None:
    name = "Geldrop–Mierlo \\u00e9 \u2028 \\\\ \\n"
    text = f'{{"type": "FeatureCollection",\r\n "x": 1.10,\n "features": [{{"name": "{name}"}}]\n}}'
    publisher.answers(Reply(200, text.encode()))
    with store.receiving(settings.landing, 10) as incoming:
        question = Question(EDITION, EDITION, at(settings, publisher.url), incoming, None)
        pdok.fetch_municipality_boundaries(question)
        incoming.close()
        content = incoming.path.read_bytes()
    assert content.count(b"\n") == 1
    body = content.removeprefix(b'{"page":1,"offset":0,"body":').removesuffix(b"}\n")
    assert body == text.replace("\r", " ").replace("\n", " ").encode()
    assert json.loads(content)["body"] == json.loads(text)


def test_an_edition_without_municipalities_is_not_published_yet(
    settings: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.answers(page([]))
    result = ask(at(settings, publisher.url), ledger)
    assert result.state == "missing"
    assert "has no municipalities of" in result.message


# ── links ────────────────────────────────────────────────────────────────────────────────────────


def test_links_are_relative_to_their_page(settings: Settings, publisher: Publisher) -> None:
    publisher.answers(page(FEATURES[:1], "more?offset=1"), page(FEATURES[1:]))
    fetched(at(settings, f"{publisher.url}/collection/items"))
    assert [asked.path for asked in publisher.asked] == [
        "/collection/items",
        "/collection/more?offset=1",
    ]


@pytest.mark.parametrize("target", ["http://{other}/x", "//{other}/x", "http://{other}\\@{own}/x"])
def test_a_next_page_elsewhere_is_refused(
    settings: Settings, ledger: Ledger, make_publisher: MakePublisher, target: str
) -> None:
    publisher, other = make_publisher(), make_publisher(lambda _: page(FEATURES))
    link = target.format(other=other.place, own=publisher.place)
    publisher.answers(page(FEATURES[:1], link))
    result = ask(at(settings, f"{publisher.url}/items?key=private"), ledger)
    assert result.state == "failed"
    assert "refers to another host for its next page" in result.message
    assert "private" not in result.message
    assert other.asked == []
    assert ledger.deliveries() == []


@pytest.mark.parametrize("target", ["https://{own}/x", "ftp://{own}/x", "http://[", "http://x:y/"])
def test_a_next_page_that_is_none_is_refused(
    settings: Settings, publisher: Publisher, target: str
) -> None:
    publisher.answers(page(FEATURES[:1], target.format(own=publisher.place)))
    with pytest.raises(PermanentHttpError):
        fetched(at(settings, publisher.url))
    assert len(publisher.asked) == 1


@pytest.mark.parametrize("circle", [["/"], ["/a", "/b", "/a"]])
def test_pages_in_a_circle_are_refused(
    settings: Settings, ledger: Ledger, publisher: Publisher, circle: list[str]
) -> None:
    publisher.answers(*(page(FEATURES[:1], following) for following in circle))
    result = ask(at(settings, f"{publisher.url}/"), ledger)
    assert result.state == "failed"
    assert "circle" in result.message
    assert ledger.deliveries() == []


def test_pages_without_end_are_left(
    settings: Settings, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST_PAGES", 5)
    publisher.script = lambda asked: page([], f"{asked.path}0")
    with pytest.raises(PermanentHttpError, match="not ended after 5 pages"):
        fetched(at(settings, publisher.url))
    assert len(publisher.asked) == 5


@pytest.mark.parametrize(
    "links",
    [None, "next", {"rel": "next"}, [None, 1, "next"], [{"rel": "next"}], [{"href": "/x"}]],
)
def test_links_of_another_shape_lead_nowhere(
    settings: Settings, publisher: Publisher, links: Any
) -> None:
    publisher.answers(page(FEATURES, links=links))
    _, lines = fetched(at(settings, publisher.url))
    assert len(lines) == 1


# ── pages that are none ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>busy</html>",
        b"[]",
        b"null",
        b'"features"',
        b'{"type": "FeatureCollection"}',
        b'{"features": {}}',
        b'{"features": [',
        b'{"features": [' + b"[" * 200_000 + b"]" * 200_000 + b"]}",
        b'{"features": ["\xff"]}',
        b"9" * 5000,
    ],
)
def test_a_page_that_is_no_feature_collection_is_refused(
    settings: Settings, ledger: Ledger, publisher: Publisher, body: bytes
) -> None:
    publisher.answers(page(FEATURES[:1], "/2"), Reply(200, body))
    result = ask(at(settings, publisher.url), ledger)
    assert result.state == "failed"
    assert "did not answer with a GeoJSON FeatureCollection" in result.message
    assert ledger.deliveries() == []
    assert not [path for path in settings.landing.rglob("*") if path.is_file()]


def test_a_page_that_is_too_large_is_refused(
    settings: Settings, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MAX_PAGE_BYTES", 1024**2)
    publisher.answers(Reply(200, b" " * 3 * 1024**2))
    with pytest.raises(PermanentHttpError, match="larger than 1 MiB"):
        fetched(at(settings, publisher.url))


def test_a_page_cut_short_lands_nothing(
    settings: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    whole = page(FEATURES)
    publisher.answers(
        page(FEATURES[:1], "/2"), Reply(200, whole.body[:99], announced=len(whole.body))
    )
    result = ask(at(settings, publisher.url), ledger)
    assert result.state == "failed"
    assert "broke off" in result.message
    assert ledger.deliveries() == []


def test_a_page_that_fails_for_a_moment_is_asked_again(
    settings: Settings, publisher: Publisher
) -> None:
    publisher.answers(page(FEATURES[:2], "/2"), Reply(503), page(FEATURES[2:]))
    _, lines = fetched(at(settings, publisher.url))
    assert [len(line["body"]["features"]) for line in lines] == [2, 3]


def test_an_edition_of_the_past_needs_its_place_in_the_url(
    settings: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    asking = at(settings, publisher.url)
    result = ingestion.ingest(asking, ledger, BOUNDARIES, "2022", fetch=True)
    assert result.state == "missing"
    assert "{edition}" in result.message
    assert publisher.asked == []
