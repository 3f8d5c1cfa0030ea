"""Klimaatmonitor: the lists of a dataset's variables that add up to one delivery, or to none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from pydantic import SecretStr

from goral_pipeline import ingestion
from goral_pipeline.ingestion import Ingested
from goral_pipeline.landing import store
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.settings import Settings
from goral_pipeline.sources import asking, rvo
from goral_pipeline.sources.asking import Question
from tests.fetching.publisher import Asked, MakePublisher, Publisher, Reply

COUNTS = "rvo/charge_point_counts"
MONTH = "2022-11"
KEY = "k3y-that-nobody-may-see"
CODES = ["kern342a_lpt_pbreg", "kern342b_lpt_pbsnl", "kern342c_lpt_spreg", "kern342d_lpt_spsnl"]
MUNICIPALITIES = ["gemeente_106", "gemeente_202", "gemeente_1955"]
pytestmark = pytest.mark.usefixtures("_staged_here", "waits")

Lists = dict[str, list[Any] | None]


def value(code: str, text: Any = "12", **members: Any) -> dict[str, Any]:
    return {"ExternalCode": code, "ValueString": text} | members


def listed(values: list[Any], **members: Any) -> Reply:
    return Reply(200, json.dumps({"value": values} | members).encode())


def same_everywhere(text: str = "12") -> Lists:
    return {code: [value(place, text) for place in MUNICIPALITIES] for code in CODES}


def variable_of(asked: Asked) -> str:
    return unquote(asked.path).partition("Variables('")[2].partition("'")[0]


def serves(lists: Lists, key: str = KEY) -> Callable[[Asked], Reply]:
    """A script: one list a variable, 404 without one, 401 without the key."""

    def script(asked: Asked) -> Reply:
        if asked.headers.get("apikey") != key:
            return Reply(401)
        values = lists.get(variable_of(asked))
        return Reply(404) if values is None else listed(values)

    return script


@pytest.fixture
def asking_settings(settings: Settings, publisher: Publisher) -> Settings:
    return at(settings, publisher)


def at(settings: Settings, publisher: Publisher, **changes: Any) -> Settings:
    own = {
        "klimaatmonitor_url": f"{publisher.url}/jiveservices/odata",
        "klimaatmonitor_api_key": SecretStr(KEY),
    }
    return settings.model_copy(update=own | changes)


def ask(settings: Settings, ledger: Ledger, dataset: str = COUNTS, part: str = MONTH) -> Ingested:
    return ingestion.ingest(settings, ledger, dataset, part, fetch=True)


def landed(settings: Settings) -> list[Path]:
    return [path for path in settings.landing.rglob("*") if path.is_file()]


# ── what is asked, and what lands ────────────────────────────────────────────────────────────────


def test_each_variable_is_asked_for_by_municipality_and_month(
    asking_settings: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.script = serves(same_everywhere())
    result = ask(asking_settings, ledger)
    assert result.state == "new", result.message
    assert result.rows["charge_point_counts"]["accepted"] == len(CODES) * len(MUNICIPALITIES)
    assert [unquote(asked.path) for asked in publisher.asked] == [
        f"/jiveservices/odata/Variables('{code}')/GeoLevels('gemeente')/PeriodLevels('month')"
        "/Periods('m11y2022')/Values"
        for code in CODES
    ]
    assert publisher.headers_seen("apikey") == [KEY] * len(CODES)
    assert publisher.headers_seen("authorization") == []
    assert ledger.deliveries()[0].origin == f"{publisher.url}/jiveservices/odata"


def test_what_months_are_called_is_a_setting(
    settings: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.script = serves(same_everywhere())
    renamed = at(settings, publisher, klimaatmonitor_month_level="maand")
    assert ask(renamed, ledger, part="2022-02").state == "new"
    assert "/PeriodLevels('maand')/Periods('m2y2022')/" in unquote(publisher.asked[0].path)


@pytest.mark.parametrize(
    ("dataset", "codes"),
    [
        ("rvo/vehicles", ["pers_autos_herv_ev", "elekvoert_bev", "elekvoert_phev"]),
        ("rvo/inhabitants", ["inwoners"]),
    ],
)
def test_years_are_asked_for_by_year(
    asking_settings: Settings,
    ledger: Ledger,
    publisher: Publisher,
    dataset: str,
    codes: list[str],
) -> None:
    publisher.script = serves({code: [value("gemeente_106")] for code in codes})
    assert ask(asking_settings, ledger, dataset, "2022").state == "new"
    assert [variable_of(asked) for asked in publisher.asked] == codes
    assert all(
        "/PeriodLevels('year')/Periods('2022')/Values" in unquote(asked.path)
        for asked in publisher.asked
    )


def test_pages_land_as_they_came(
    asking_settings: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    body = b'{\r\n "value": [ {"ExternalCode": "gemeente_106", "ValueString":"\\u0031" } ]\n}'
    publisher.answers(Reply(200, body))
    assert ask(asking_settings, ledger, "rvo/inhabitants", "2022").state == "new"
    (file,) = landed(asking_settings)
    content = file.read_bytes()
    start = b'{"page":1,"offset":0,"variable":"inwoners","period":"2022","body":'
    assert content == start + body.replace(b"\r", b" ").replace(b"\n", b" ") + b"}\n"
    assert json.loads(content)["body"] == json.loads(body)


def test_pages_that_follow_are_of_the_same_list(
    asking_settings: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    pages = [
        listed([value("gemeente_106")], **{"@odata.nextLink": "Values?$skip=1"}),
        listed([value("gemeente_202"), value("gemeente_1955")]),
    ]
    publisher.answers(*pages)
    result = ask(asking_settings, ledger, "rvo/inhabitants", "2022")
    assert result.rows["inhabitants"]["accepted"] == 3
    assert publisher.asked[1].path.endswith("/Values?$skip=1")
    assert publisher.headers_seen("apikey") == [KEY] * 2
    lines = [json.loads(line) for line in landed(asking_settings)[0].read_bytes().splitlines()]
    assert [(line["page"], line["offset"]) for line in lines] == [(1, 0), (2, 1)]


def test_the_same_values_in_another_order_and_other_pages_are_no_news(
    asking_settings: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    lists = same_everywhere()
    publisher.script = serves(lists)
    assert ask(asking_settings, ledger).state == "new"

    def otherwise(asked: Asked) -> Reply:
        values = list(reversed(lists[variable_of(asked)] or []))
        if asked.path.endswith("rest"):
            return listed(values[1:], at="12:00")
        return listed(values[:1], at="11:59", **{"@odata.nextLink": asked.path + "?rest"})

    publisher.script = otherwise
    assert ask(asking_settings, ledger).state == "unchanged"
    assert len(ledger.deliveries()) == len(landed(asking_settings)) == 1
    assert not ingestion.has_news(asking_settings, ledger, COUNTS, MONTH, fetch=True)


@effort(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_only_values_make_the_key_of_the_content(
    settings: Settings, publisher: Publisher, data: st.DataObject
) -> None:
    texts = st.sampled_from(["0", "1", "12", ""])
    areas = st.sampled_from(["gemeente_1", "gemeente_2", "gemeente_3"])
    values = data.draw(st.lists(st.builds(value, areas, texts), min_size=1, max_size=8))
    others = data.draw(st.lists(st.builds(value, areas, texts), min_size=1, max_size=8))
    key, shuffled, other = (
        content_key(settings, publisher, listing, data.draw(st.integers(1, 4)))
        for listing in (values, data.draw(st.permutations(values)), others)
    )

    def told(listing: list[Any]) -> list[str]:
        return sorted(map(str, listing))

    assert shuffled == key
    assert (other == key) == (told(others) == told(values))


def content_key(settings: Settings, publisher: Publisher, values: list[Any], size: int) -> str:
    """What a list served in pages of a size is known by."""

    def script(asked: Asked) -> Reply:
        first = int(asked.path.partition("?from=")[2] or 0)
        stop = first + size
        link = {"@odata.nextLink": f"?from={stop}"} if stop < len(values) else {}
        return listed(values[first:stop], **link)

    publisher.script = script
    with store.receiving(settings.landing, 10) as incoming:
        question = Question("2022", "2026", at(settings, publisher), incoming, None)
        answer = rvo.fetch_inhabitants(question)
    assert answer is not None
    return answer.content_key


def test_one_value_that_changes_is_news(
    asking_settings: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.script = serves(same_everywhere())
    ask(asking_settings, ledger)
    publisher.script = serves(same_everywhere() | {CODES[2]: [value("gemeente_106", "13")]})
    result = ask(asking_settings, ledger)
    assert result.state == "new"
    assert result.rows["charge_point_counts"]["accepted"] == 10


def test_the_same_values_under_other_variables_are_news(
    asking_settings: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.script = serves(same_everywhere("12") | {CODES[0]: [value("gemeente_106", "7")]})
    ask(asking_settings, ledger)
    publisher.script = serves(same_everywhere("12") | {CODES[1]: [value("gemeente_106", "7")]})
    assert ask(asking_settings, ledger).state == "new"


def test_the_demos_label_is_kept(
    asking_settings: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    def labelled(asked: Asked) -> Reply:
        body = json.dumps({"value": [value("gemeente_106")]}).encode()
        last = variable_of(asked) == CODES[-1]
        return Reply(200, body, {asking.DEMO_HEADER: "invented"} if last else {})

    publisher.script = labelled
    ask(asking_settings, ledger)
    assert ledger.deliveries()[0].demo, "one invented page makes it invented"


# ── what is not published ────────────────────────────────────────────────────────────────────────


def test_nothing_at_that_level_is_missing_and_says_why(
    asking_settings: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.script = serves({})
    result = ask(asking_settings, ledger)
    assert result.state == "missing"
    assert "not published at that level" in result.message
    assert "m11y2022" in result.message
    assert "GORAL_KLIMAATMONITOR_MONTH_LEVEL" in result.message
    assert len(publisher.asked) == len(CODES)
    assert landed(asking_settings) == []
    assert not ingestion.has_news(asking_settings, ledger, COUNTS, MONTH, fetch=True)


@pytest.mark.parametrize("nothing", [None, []], ids=["404", "empty list"])
@pytest.mark.parametrize("code", CODES)
def test_a_part_of_a_month_is_not_taken_for_the_month(
    asking_settings: Settings,
    ledger: Ledger,
    publisher: Publisher,
    code: str,
    nothing: list[Any] | None,
) -> None:
    publisher.script = serves(same_everywhere() | {code: nothing})
    result = ask(asking_settings, ledger)
    assert result.state == "missing"
    assert code in result.message
    assert not [other for other in CODES if other != code and other in result.message]
    assert ledger.deliveries() == []
    assert landed(asking_settings) == []


def test_what_was_taken_stays_when_a_part_is_withdrawn(
    asking_settings: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.script = serves(same_everywhere())
    ask(asking_settings, ledger)
    publisher.script = serves(same_everywhere("99") | {CODES[3]: None})
    result = ask(asking_settings, ledger)
    assert result.state == "unchanged"
    assert CODES[3] in result.message
    assert len(ledger.current(COUNTS, MONTH)) == 1


# ── the key ──────────────────────────────────────────────────────────────────────────────────────


def test_without_a_key_nobody_is_asked_and_the_message_says_what_to_do(
    settings: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    result = ask(at(settings, publisher, klimaatmonitor_api_key=None), ledger)
    assert result.state == "missing"
    assert "GORAL_KLIMAATMONITOR_API_KEY" in result.message
    assert "by hand" in result.message
    assert publisher.asked == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_does_not_open_fails_and_is_not_shown(
    asking_settings: Settings, ledger: Ledger, publisher: Publisher, status: int
) -> None:
    publisher.answers(Reply(status))
    result = ask(asking_settings, ledger)
    assert result.state == "failed"
    assert f"HTTP {status}; the token or key" in result.message
    assert KEY not in result.message
    assert KEY not in repr(asking_settings)
    assert len(publisher.asked) == 1
    assert landed(asking_settings) == []


@pytest.mark.parametrize(
    "target",
    [
        "http://{other}/x",
        "//{other}/x",
        "https://{own}/x",
        "http://localhost:{port}/x",
        "http://{own}@{other}/x",
        "http://{other}\\@{own}/x",
        "http://{own}\\@{other}/x",
    ],
)
@pytest.mark.parametrize("how", ["redirect", "next page"])
def test_the_key_goes_nowhere_else(
    settings: Settings, ledger: Ledger, make_publisher: MakePublisher, target: str, how: str
) -> None:
    publisher, other = make_publisher(), make_publisher(serves(same_everywhere()))
    port = publisher.place.rpartition(":")[2]
    place = target.format(other=other.place, own=publisher.place, port=port)
    publisher.answers(
        Reply(302, headers={"Location": place})
        if how == "redirect"
        else listed([value("gemeente_106")], **{"@odata.nextLink": place}),
        Reply(500),
    )
    result = ask(at(settings, publisher), ledger)
    assert result.state == "failed"
    assert KEY not in result.message
    assert other.asked == []
    assert all(asked.headers["host"] == publisher.place for asked in publisher.asked)
    assert ledger.deliveries() == []


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────


def test_a_failure_that_passes_is_waited_out(
    asking_settings: Settings, ledger: Ledger, publisher: Publisher, waits: list[float]
) -> None:
    fine = listed([value("gemeente_106")])
    publisher.answers(fine, fine, Reply(500), fine)
    assert ask(asking_settings, ledger).state == "new"
    assert waits == [0.5]


def test_a_failure_that_stays_lands_nothing_of_the_month(
    asking_settings: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    fine = listed([value("gemeente_106")])
    publisher.answers(fine, fine, fine, Reply(500))
    result = ask(asking_settings, ledger)
    assert result.state == "failed"
    assert "HTTP 500" in result.message
    assert landed(asking_settings) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>busy</html>",
        b"[]",
        b"null",
        b'{"error": {"code": "", "message": "no"}}',
        b'{"value": {}}',
        b'{"value": [',
        b'{"value": [' + b"[" * 200_000 + b"]" * 200_000 + b"]}",
        b'{"value": ["\xff"]}',
    ],
    ids=lambda body: body[:12].decode(errors="replace") + str(len(body)),
)
def test_an_answer_that_is_no_list_of_values_is_refused(
    asking_settings: Settings, ledger: Ledger, publisher: Publisher, body: bytes
) -> None:
    publisher.answers(listed([value("gemeente_106")]), Reply(200, body))
    result = ask(asking_settings, ledger)
    assert result.state == "failed"
    assert "did not answer with a list of values" in result.message
    assert landed(asking_settings) == []


def test_an_answer_cut_short_lands_nothing(
    asking_settings: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    whole = listed([value("gemeente_106")])
    publisher.answers(Reply(200, whole.body[:9], announced=len(whole.body)))
    result = ask(asking_settings, ledger)
    assert result.state == "failed"
    assert "broke off" in result.message
    assert landed(asking_settings) == []


def test_pages_in_a_circle_are_refused(
    asking_settings: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.script = lambda asked: listed([], **{"@odata.nextLink": asked.path})
    result = ask(asking_settings, ledger)
    assert result.state == "failed"
    assert "circle" in result.message


def test_values_of_nothing_but_nonsense_are_rejected_and_kept(
    asking_settings: Settings, ledger: Ledger, publisher: Publisher
) -> None:
    publisher.answers(listed([1, None, "x", [], {}, {"ExternalCode": {"a": 1}}]))
    result = ask(asking_settings, ledger, "rvo/inhabitants", "2022")
    assert result.state == "failed"
    assert "6 of 6 inhabitants break a rule" in result.message
    assert len(landed(asking_settings)) == 1
