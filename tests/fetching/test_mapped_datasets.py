"""Datasets that only a mapping describes: asked at the URL, with the token, of the environment."""

from pathlib import Path

import pytest

from goral_pipeline import ingestion
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.settings import Settings
from tests.fetching.publisher import MakePublisher, Publisher, Reply
from tests.support_files import REQUESTS, request, workbook_file

LOGISTICS = "elaadnl/logistics_outlook"
MONTH, EDITION = "2022-07", "2022Q3"
SECRET = "t0ken-that-nobody-may-see"
PARKS = (
    b"RIN_NUMMER;Bedrijventerrein;Gemeente;Jaar;Elektrische bestelwagens;"
    b"Elektrische vrachtwagens;Laadvraag kWh\n"
    b"228012;De Vallei;Ede;2030;120,25;31,5;812500\n"
)
pytestmark = pytest.mark.usefixtures("_staged_here", "waits")


def test_without_a_url_files_are_delivered_by_hand(settings: Settings, ledger: Ledger) -> None:
    for dataset, part in ((REQUESTS, MONTH), (LOGISTICS, EDITION), ("rvo/coverage", MONTH)):
        result = ingestion.ingest(settings, ledger, dataset, part, fetch=True)
        assert result.state == "missing"
        assert f"GORAL_{dataset.upper().replace('/', '_')}_URL" in result.message
        assert "by hand" in result.message


def test_a_month_is_asked_for_with_the_sources_token(
    settings: Settings,
    ledger: Ledger,
    publisher: Publisher,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GORAL_VATTENFALL_REQUESTS_URL", publisher.url + "/{month}.xlsx")
    monkeypatch.setenv("GORAL_VATTENFALL_TOKEN", SECRET)
    workbook = workbook_file(tmp_path / "export.xlsx", [request()]).read_bytes()
    publisher.answers(Reply(200, workbook, {"ETag": '"one"'}), Reply(304))
    results = [ingestion.ingest(settings, ledger, REQUESTS, MONTH, fetch=True) for _ in range(2)]
    assert [result.state for result in results] == ["new", "unchanged"], results
    assert [asked.path for asked in publisher.asked] == [f"/{MONTH}.xlsx"] * 2
    assert publisher.headers_seen("authorization") == [f"Token {SECRET}"] * 2
    assert publisher.headers_seen("if-none-match") == ['"one"']


def test_an_edition_is_asked_for_without_a_token_where_none_is_set(
    settings: Settings, ledger: Ledger, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GORAL_ELAADNL_LOGISTICS_OUTLOOK_URL", publisher.url + "/{edition}/parks")
    monkeypatch.setenv("GORAL_VATTENFALL_TOKEN", SECRET)
    publisher.answers(Reply(200, PARKS))
    result = ingestion.ingest(settings, ledger, LOGISTICS, EDITION, fetch=True)
    assert result.state == "new", result.message
    assert result.rows["logistics_outlook"]["accepted"] == 1
    assert publisher.asked[0].path == f"/{EDITION}/parks"
    assert publisher.headers_seen("authorization") == [], "another source's token stays away"


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_does_not_open_fails_and_is_not_shown(
    settings: Settings,
    ledger: Ledger,
    publisher: Publisher,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    monkeypatch.setenv("GORAL_VATTENFALL_REQUESTS_URL", publisher.url + "/{month}.xlsx")
    monkeypatch.setenv("GORAL_VATTENFALL_TOKEN", SECRET)
    publisher.answers(Reply(status))
    result = ingestion.ingest(settings, ledger, REQUESTS, MONTH, fetch=True)
    assert result.state == "failed"
    assert "the token or key" in result.message
    assert SECRET not in result.message


def test_the_token_does_not_follow_a_redirect_elsewhere(
    settings: Settings,
    ledger: Ledger,
    make_publisher: MakePublisher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publisher, other = make_publisher(), make_publisher(lambda _: Reply(200, b"thank you"))
    monkeypatch.setenv("GORAL_VATTENFALL_REQUESTS_URL", publisher.url + "/{month}.xlsx")
    monkeypatch.setenv("GORAL_VATTENFALL_TOKEN", SECRET)
    publisher.answers(Reply(302, headers={"Location": f"{other.url}/x"}))
    result = ingestion.ingest(settings, ledger, REQUESTS, MONTH, fetch=True)
    assert result.state == "failed"
    assert other.asked == []


def test_the_past_needs_its_place_in_the_url(
    settings: Settings, ledger: Ledger, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GORAL_RVO_COVERAGE_URL", publisher.url + "/coverage.xlsx")
    result = ingestion.ingest(settings, ledger, "rvo/coverage", MONTH, fetch=True)
    assert result.state == "missing"
    assert "{month}" in result.message
    assert publisher.asked == []


def test_a_page_of_html_is_rejected(
    settings: Settings, ledger: Ledger, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GORAL_RVO_COVERAGE_URL", publisher.url + "/{month}")
    publisher.answers(Reply(200, b"<html>log in first</html>"))
    result = ingestion.ingest(settings, ledger, "rvo/coverage", MONTH, fetch=True)
    assert result.state == "failed"
    assert "HTML" in result.message
