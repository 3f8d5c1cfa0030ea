"""What a party's server is asked for: a whole list as it is today, or what a month changed."""

from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from goral_pipeline import clock, ingestion
from goral_pipeline.ingestion import Ingested
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.settings import Settings
from tests import support_files
from tests.fetching.ocpi_server import OcpiList
from tests.fetching.publisher import MakePublisher, Publisher, Reply
from tests.sources.test_cdrs_reading import cdr

LOCATIONS, TARIFFS, SESSIONS = (f"vattenfall/{of}" for of in ("locations", "tariffs", "sessions"))
TODAY = clock.current_month()
pytestmark = pytest.mark.usefixtures("_staged_here", "waits")


@pytest.fixture
def places() -> OcpiList:
    return OcpiList([support_files.location(f"L{number}") for number in range(7)], most=3)


@pytest.fixture
def server(
    places: OcpiList, make_publisher: MakePublisher, monkeypatch: pytest.MonkeyPatch
) -> Publisher:
    """Serves the list at any path, to who has the token."""
    running = make_publisher(places)
    for dataset in ("LOCATIONS", "TARIFFS", "SESSIONS"):
        monkeypatch.setenv(f"GORAL_VATTENFALL_{dataset}_URL", f"{running.url}/{dataset.lower()}")
    monkeypatch.setenv("GORAL_VATTENFALL_TOKEN", "secret")
    return running


def ask(
    settings: Settings, ledger: Ledger, dataset: str = LOCATIONS, month: str = TODAY
) -> Ingested:
    return ingestion.ingest(settings, ledger, dataset, month, fetch=True)


def test_the_whole_list_is_asked_for_and_every_object_staged(
    settings: Settings, ledger: Ledger, places: OcpiList, server: Publisher
) -> None:
    result = ask(settings, ledger)
    assert result.state == "new", result.message
    # Pages overlap by one object, which counts once.
    assert result.rows["locations"]["accepted"] == 7
    assert result.rows["charge_points"]["accepted"] == 7
    queries = [parse_qs(urlsplit(asked.path).query) for asked in server.asked]
    assert all(query.keys() <= {"offset", "limit"} for query in queries)
    assert {asked.headers["authorization"] for asked in server.asked} == {"Token c2VjcmV0"}


def test_a_list_in_which_nothing_changed_is_no_new_delivery(
    settings: Settings, ledger: Ledger, places: OcpiList, server: Publisher
) -> None:
    ask(settings, ledger)
    assert not ingestion.has_news(settings, ledger, LOCATIONS, TODAY, fetch=True)
    # The same objects in pages of another size.
    places.most = 5
    assert ask(settings, ledger).state == "unchanged"
    assert len(ledger.deliveries()) == 1


def test_a_change_is_a_delivery_that_supersedes(
    settings: Settings, ledger: Ledger, places: OcpiList, server: Publisher
) -> None:
    ask(settings, ledger)
    places.objects = places.objects[1:]
    result = ask(settings, ledger)
    assert (result.state, result.rows["locations"]["accepted"]) == ("new", 6)
    first, second = ledger.deliveries()
    assert second.supersedes == first.delivery_id
    assert [c.delivery.delivery_id for c in ledger.current(LOCATIONS)] == [second.delivery_id]


@pytest.mark.parametrize("dataset", [LOCATIONS, TARIFFS])
def test_the_past_of_a_list_cannot_be_asked_for(
    settings: Settings, ledger: Ledger, server: Publisher, dataset: str
) -> None:
    month = clock.months_before(TODAY, 1)
    result = ask(settings, ledger, dataset, month)
    assert result.state == "missing"
    assert f"gives today's state only, so {month} cannot be asked for" in result.message
    assert server.asked == []


def test_an_archive_of_lists_can_be_asked_for_its_months(
    settings: Settings, ledger: Ledger, server: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GORAL_VATTENFALL_LOCATIONS_URL", f"{server.url}/{{month}}/locations")
    assert ask(settings, ledger, month="2023-05").state == "new"
    assert server.asked[0].path.startswith("/2023-05/locations?")


@pytest.mark.parametrize(
    ("dataset", "month", "said"),
    [
        (LOCATIONS, TODAY, "has nothing in its list of locations"),
        (TARIFFS, TODAY, "has nothing in its list of tariffs"),
        (SESSIONS, "2023-05", "has nothing that was changed in 2023-05"),
    ],
)
def test_a_list_without_objects_is_missing(
    settings: Settings,
    ledger: Ledger,
    places: OcpiList,
    server: Publisher,
    dataset: str,
    month: str,
    said: str,
) -> None:
    places.objects = []
    result = ask(settings, ledger, dataset, month)
    assert result.state == "missing"
    assert said in result.message
    assert ledger.deliveries() == []
    assert [path for path in settings.landing.rglob("*") if path.is_file()] == []


def test_what_is_not_there_leaves_what_was(
    settings: Settings, ledger: Ledger, places: OcpiList, server: Publisher
) -> None:
    ask(settings, ledger)
    places.before = lambda _: Reply(404)
    result = ask(settings, ledger)
    assert result.state == "failed"
    assert "is not there (HTTP 404)" in result.message
    assert "check GORAL_VATTENFALL_LOCATIONS_URL" in result.message
    assert len(ledger.current()) == 1


def test_an_archive_of_lists_may_lack_one(
    settings: Settings,
    ledger: Ledger,
    places: OcpiList,
    server: Publisher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GORAL_VATTENFALL_LOCATIONS_URL", f"{server.url}/{{month}}/locations")
    places.before = lambda _: Reply(404)
    assert ask(settings, ledger, LOCATIONS, "2023-05").state == "missing"


def test_a_month_is_delivered_again_when_it_is_over_if_nothing_was_added(
    settings: Settings,
    ledger: Ledger,
    places: OcpiList,
    server: Publisher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places.objects = [cdr()]
    told = []
    for now in ("2022-07-16", "2022-07-20", "2022-08-02", "2022-08-16"):
        moment = datetime.fromisoformat(f"{now}T05:30:00+00:00")
        monkeypatch.setattr(clock, "now", lambda moment=moment: moment)
        told.append(ask(settings, ledger, SESSIONS, "2022-07").state)
    assert told == ["new", "unchanged", "new", "unchanged"]


def test_sessions_are_asked_for_by_the_month_they_changed_in(
    settings: Settings, ledger: Ledger, places: OcpiList, server: Publisher
) -> None:
    places.objects = []
    ask(settings, ledger, SESSIONS, "2023-05")
    query = parse_qs(urlsplit(server.asked[0].path).query)
    # A month of the Netherlands, and an hour more on both sides.
    assert query["date_from"] == ["2023-04-30T21:00:00Z"]
    assert query["date_to"] == ["2023-05-31T23:00:00Z"]


def test_without_an_address_they_are_delivered_by_hand(settings: Settings, ledger: Ledger) -> None:
    result = ask(settings, ledger)
    assert result.state == "missing"
    assert "GORAL_VATTENFALL_LOCATIONS_URL is not set" in result.message
