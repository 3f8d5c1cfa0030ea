"""The server, asked over real HTTP."""

import hashlib
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from goral_pipeline.demo import (
    charge_points,
    ocpi_lists,
    regions,
    rvo_counts,
    sessions,
    vattenfall_requests,
)
from goral_pipeline.demo.deliveries import FILES, Files
from goral_pipeline.demo.server import DemoServer

LOCATIONS = "/ndw_dotnl/2022-07/charging_point_locations_ocpi.json.gz"
REQUESTS = "/vattenfall/requests/2022-07.xlsx"
BOUNDARIES = "/pdok/2022/collections/gemeente_gegeneraliseerd/items"
CDRS = "/vattenfall/ocpi/2.2.1/cdrs"
PLACES = "/vattenfall/2022-12/ocpi/2.2.1/locations"
PRICES = "/vattenfall/2022-12/ocpi/2.2.1/tariffs"
TOKEN = {"Authorization": "Token demo-token"}
OCPI_TOKEN = {"Authorization": "Token ZGVtby10b2tlbg=="}
API_KEY = {"apikey": "demo-key"}


def values_path(variable: str, level: str, period: str, geo_level: str = "gemeente") -> str:
    return (
        f"/klimaatmonitor/odata/Variables('{variable}')/GeoLevels('{geo_level}')"
        f"/PeriodLevels('{level}')/Periods('{period}')/Values"
    )


def get(server: DemoServer, path: str, **headers: str) -> requests.Response:
    return requests.get(server.url + path, headers=headers, timeout=30)


def raw(server: DemoServer, request: bytes) -> bytes:
    """What the server answers to bytes that no decent client sends."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_it_listens_on_loopback_only(server: DemoServer) -> None:
    assert server.url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (LOCATIONS, charge_points.locations_gz("2022-07")),
        (REQUESTS, vattenfall_requests.export("2022-07")),
    ],
)
def test_a_file_is_handed_out_once(server: DemoServer, path: str, content: bytes) -> None:
    first = get(server, path, **TOKEN)
    assert first.status_code == 200
    assert first.content == content
    etag = first.headers["ETag"]
    assert etag == f'"{hashlib.sha256(content).hexdigest()}"'
    assert first.headers["Last-Modified"] == "Mon, 01 Aug 2022 04:00:00 GMT"
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = get(server, path, **TOKEN, **{"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == etag
        assert again.headers["X-GORAL-Demo"] == "invented data"
    assert get(server, path, **TOKEN, **{"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("files", FILES, ids=lambda files: files.dataset)
def test_each_published_file_is_there_and_no_other(server: DemoServer, files: Files) -> None:
    for partition in files.partitions:
        answer = get(server, files.path.format(partition), **TOKEN)
        assert answer.content == files.make(partition)
        assert answer.headers["Content-Type"] == files.content_type
    for other in ("2021-12", "2023-01", "2021Q4", "2023Q1", "2022", ""):
        assert get(server, files.path.format(other), **TOKEN).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Token"},
        {"Authorization": "Token other"},
        {"Authorization": "Bearer demo-token"},
        {"Authorization": "Token demo-token2"},
    ],
)
def test_exports_of_concessions_need_the_token(server: DemoServer, headers: dict[str, str]) -> None:
    closed = [files for files in FILES if files.needs_token]
    assert {files.dataset for files in closed} == {
        f"{concession}/{what}"
        for concession in ("vattenfall", "ecotap_allego")
        for what in ("requests", "placements")
    }
    for files in closed:
        answer = get(server, files.path.format(files.partitions[0]), **headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Token"
        assert answer.headers["X-GORAL-Demo"] == "invented data"


@pytest.mark.parametrize(
    ("variable", "level", "period", "partition"),
    [
        *((code, "month", "m11y2022", "2022-11") for code in rvo_counts.COUNTED_BY_MONTH),
        (rvo_counts.PUBLIC_FAST, "month", "m1y2022", "2022-01"),
        *((code, "year", "2022", "2022") for code in rvo_counts.COUNTED_BY_YEAR),
    ],
)
def test_values_are_those_of_the_variable_and_period(
    server: DemoServer, variable: str, level: str, period: str, partition: str
) -> None:
    answer = get(server, values_path(variable, level, period), **API_KEY)
    assert answer.status_code == 200
    assert answer.headers["X-GORAL-Demo"] == "invented data"
    assert answer.json() == {"value": rvo_counts.values(variable, partition)}


@pytest.mark.parametrize("headers", [{}, {"apikey": "other"}, TOKEN])
def test_values_need_the_key(server: DemoServer, headers: dict[str, str]) -> None:
    path = values_path(rvo_counts.PUBLIC_REGULAR, "month", "m11y2022")
    answer = get(server, path, **headers)
    assert answer.status_code == 401
    assert answer.headers["X-GORAL-Demo"] == "invented data"


@pytest.mark.parametrize(
    "path",
    [
        values_path(rvo_counts.PUBLIC_REGULAR, "month", "m11y2021"),
        values_path(rvo_counts.PUBLIC_REGULAR, "month", "m13y2022"),
        values_path(rvo_counts.PUBLIC_REGULAR, "month", "2022"),
        values_path(rvo_counts.PUBLIC_REGULAR, "year", "2022"),
        values_path(rvo_counts.INHABITANTS, "month", "m11y2022"),
        values_path(rvo_counts.INHABITANTS, "year", "2021"),
        values_path(rvo_counts.INHABITANTS, "year", "2022", geo_level="provincie"),
        values_path("nothing", "year", "2022"),
    ],
)
def test_what_is_not_published_at_that_level_is_not_found(server: DemoServer, path: str) -> None:
    assert get(server, path, **API_KEY).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        LOCATIONS.replace("2022-07", "2021-12"),
        LOCATIONS.replace("2022-07", "2022-13"),
        LOCATIONS.replace("2022-07", "2022-7"),
        LOCATIONS + "/",
        REQUESTS.replace("2022-07", "2022-03"),
        REQUESTS.replace("2022-07", "2023-01"),
        BOUNDARIES.replace("2022", "2023"),
        BOUNDARIES.replace("gemeente", "provincie"),
        "/ndw_dotnl/..%2f..%2fetc%2fpasswd/charging_point_locations_ocpi.json.gz",
        "/index.html",
        "/%00",
    ],
)
def test_anything_else_is_not_found(server: DemoServer, path: str) -> None:
    answer = get(server, path, **TOKEN)
    assert answer.status_code == 404
    assert answer.headers["X-GORAL-Demo"] == "invented data"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /../../etc/passwd HTTP/1.1", b"404"),
        (f"GET {LOCATIONS.replace('2022', '%32022')} HTTP/1.1".encode(), b"404"),
        (f"GET /.{LOCATIONS} HTTP/1.1".encode(), b"404"),
        (b"GET http://elsewhere.example/ HTTP/1.1", b"404"),
        (b"GET /ndw_dotnl/\xff\xd9\xa2/x HTTP/1.1", b"404"),
        (b"POST / HTTP/1.1", b"501"),
        (b"GET / x HTTP/1.1", b"400"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1", b"414"),
    ],
)
def test_hostile_requests_are_refused_with_the_label(
    server: DemoServer, line: bytes, status: bytes
) -> None:
    answer = raw(server, line + b"\r\nConnection: close\r\n\r\n")
    assert answer.split()[1] == status
    assert b"X-GORAL-Demo: invented data" in answer


def pages(server: DemoServer, query: str) -> list[dict[str, Any]]:
    found = []
    address: str | None = server.url + BOUNDARIES + query
    while address:
        page = requests.get(address, timeout=30).json()
        found.append(page)
        following = [link["href"] for link in page["links"] if link["rel"] == "next"]
        address = following[0] if following else None
    return found


@pytest.mark.parametrize(
    ("query", "expected_pages"),
    [("", 8), ("?limit=7", 12), ("?limit=79", 2), ("?limit=1000", 2), ("?limit=1", 79)],
)
def test_paging_gives_each_municipality_once(
    server: DemoServer, query: str, expected_pages: int
) -> None:
    found = pages(server, query)
    assert len(found) == expected_pages
    features = [feature for page in found for feature in page["features"]]
    assert features == list(regions.features())
    assert len({feature["properties"]["statcode"] for feature in features}) == 79
    for page in found:
        assert page["numberReturned"] == len(page["features"]) <= 50
        assert page["links"][0]["rel"] == "self"
        assert "DEMO" in page["description"]


def test_a_page_beyond_the_last_is_empty(server: DemoServer) -> None:
    assert [page["features"] for page in pages(server, "?offset=79")] == [[]]


@pytest.mark.parametrize(
    "query", ["?limit=0", "?limit=-1", "?offset=x", "?limit=", "?limit=1&limit=2", "?limit=1e3"]
)
def test_impossible_pages_are_refused(server: DemoServer, query: str) -> None:
    answer = get(server, BOUNDARIES + query)
    assert answer.status_code == 400
    assert answer.headers["X-GORAL-Demo"] == "invented data"


def test_boundaries_differ_in_their_time_stamp_and_have_no_etag(server: DemoServer) -> None:
    first, second = get(server, BOUNDARIES), get(server, BOUNDARIES)
    assert "ETag" not in first.headers
    assert first.headers["Content-Type"] == "application/geo+json"
    assert first.headers["X-GORAL-Demo"] == "invented data"
    assert first.json()["timeStamp"] != second.json()["timeStamp"]
    assert first.json()["features"] == second.json()["features"]


def crawled(server: DemoServer, query: str, path: str = CDRS) -> list[requests.Response]:
    """All pages, by following the links of their headers."""
    found = [get(server, path + query, **OCPI_TOKEN)]
    while "next" in found[-1].links:
        address = found[-1].links["next"]["url"]
        assert address.startswith(f"{server.url}{path}?")
        found.append(get(server, address.removeprefix(server.url), **OCPI_TOKEN))
    return found


def records(found: list[requests.Response]) -> list[dict[str, Any]]:
    return [record for page in found for record in page.json()["data"]]


@pytest.mark.parametrize(
    ("query", "expected_pages"),
    [
        ("", 12),
        ("?limit=1000", 12),
        ("?limit=180", 13),
        ("?date_from=2022-07-01T00:00:00Z&limit=200", 12),
        ("?date_from=2021-01-01T00:00:00&date_to=2024-01-01T00:00:00.000Z&limit=200", 12),
    ],
)
def test_paging_gives_each_charging_session_once(
    server: DemoServer, query: str, expected_pages: int
) -> None:
    found = crawled(server, query)
    assert len(found) == expected_pages
    assert records(found) == [record for _, record in sessions.cdrs()]
    for page in found:
        assert page.status_code == 200
        assert page.headers["Content-Type"] == "application/json"
        assert page.headers["X-GORAL-Demo"] == "invented data"
        assert page.headers["X-Total-Count"] == str(len(sessions.cdrs()))
        assert page.headers["X-Limit"] == "200"
        body = page.json()
        assert len(body.pop("data")) <= 200
        assert body == {
            "status_code": 1000,
            "status_message": "Success",
            "timestamp": sessions.cdrs()[-1][1]["last_updated"],
        }


@pytest.mark.parametrize("month", sessions.PUBLISHED_MONTHS)
def test_a_month_is_asked_by_when_its_records_were_changed(server: DemoServer, month: str) -> None:
    year, number = int(month[:4]), int(month[5:])
    following = f"{year + number // 12}-{number % 12 + 1:02d}"
    query = f"?date_from={month}-01T00:00:00Z&date_to={following}-01T00:00:00Z"
    found = crawled(server, query)
    assert records(found) == sessions.cdrs_of(month)
    assert {page.headers["X-Total-Count"] for page in found} == {str(len(sessions.cdrs_of(month)))}
    for page in found[:-1]:
        following_link = page.links["next"]["url"]
        assert f"date_from={month}-01T00%3A00%3A00Z&date_to={following}-01T00" in following_link


@pytest.mark.parametrize("kind", ocpi_lists.KINDS)
@pytest.mark.parametrize("month", ocpi_lists.PUBLISHED_MONTHS)
def test_a_list_of_the_concession_is_there_whole(server: DemoServer, kind: str, month: str) -> None:
    every = [one for _, one in ocpi_lists.listed(kind, month)]
    found = crawled(server, "?limit=7", f"/vattenfall/{month}/ocpi/2.2.1/{kind}")
    assert records(found) == every
    assert {page.headers["X-Total-Count"] for page in found} == {str(len(every))}
    assert {page.headers["X-GORAL-Demo"] for page in found} == {"invented data"}


def test_date_from_is_inclusive_and_date_to_is_exclusive(server: DemoServer) -> None:
    at = sessions.cdrs()[500][1]["last_updated"]
    since = records(crawled(server, f"?date_from={at}"))
    before = records(crawled(server, f"?date_to={at}"))
    assert before + since == [record for _, record in sessions.cdrs()]
    assert since[0]["last_updated"] == at
    assert all(record["last_updated"] < at for record in before)
    for nothing in (f"?date_from={at}&date_to={at}", f"?offset={len(sessions.cdrs())}"):
        (empty,) = crawled(server, nothing)
        assert empty.json()["data"] == []
        assert empty.json()["status_code"] == 1000


def test_the_last_page_has_no_link(server: DemoServer) -> None:
    every = len(sessions.cdrs())
    exact = get(server, f"{CDRS}?offset={every - 100}&limit=100", **OCPI_TOKEN)
    assert len(exact.json()["data"]) == 100
    assert "Link" not in exact.headers
    one_before = get(server, f"{CDRS}?offset={every - 101}&limit=100", **OCPI_TOKEN)
    assert one_before.headers["Link"] == (
        f'<{server.url}{CDRS}?offset={every - 1}&limit=100>; rel="next"'
    )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        TOKEN,
        API_KEY,
        {"Authorization": "ZGVtby10b2tlbg=="},
        {"Authorization": "Token ZGVtby10b2tlbg"},
        {"Authorization": "Bearer ZGVtby10b2tlbg=="},
    ],
)
@pytest.mark.parametrize("path", [CDRS, PLACES, PRICES])
def test_lists_of_ocpi_need_the_encoded_token(
    server: DemoServer, headers: dict[str, str], path: str
) -> None:
    answer = get(server, path, **headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Token"
    assert answer.headers["X-GORAL-Demo"] == "invented data"
    assert '"id"' not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=",
        "limit=1e3",
        "limit=9999999",
        "limit=1&limit=2",
        "limit=%D9%A1",
        "offset=x",
        "offset=-1",
        "offset=%00",
        "date_from=",
        "date_from=yesterday",
        "date_from=2022-07-01",
        "date_from=2022-13-01T00:00:00Z",
        "date_from=0000-01-01T00:00:00Z",
        "date_from=2022-07-01T24:00:01Z",
        "date_from=2022-07-01T00:00:00%2B02:00",
        "date_from=2022-07-01T00:00:00Z&date_from=2022-07-02T00:00:00Z",
        "date_to=2022-07-01T00:00:00Z%0D%0AX-Evil:%201",
        "date_to=%FF%FE",
        "date_to=' or 1=1 --",
        "&".join(f"x{number}=1" for number in range(50)),
    ],
)
def test_malformed_parameters_are_refused_as_ocpi_does(server: DemoServer, query: str) -> None:
    answer = get(server, f"{CDRS}?{query}", **OCPI_TOKEN)
    assert answer.status_code == 200
    assert answer.headers["X-GORAL-Demo"] == "invented data"
    body = answer.json()
    assert body["status_code"] == 2001
    assert "data" not in body
    assert {"Link", "X-Total-Count", "X-Evil"}.isdisjoint(answer.headers)


def test_what_nobody_asked_for_does_not_come_back_in_a_link(server: DemoServer) -> None:
    hostile = "?limit=5&x=%0D%0AX-Evil:%201&Host=evil.example"
    answer = get(server, CDRS + hostile, **OCPI_TOKEN, Host="evil.example")
    assert answer.links["next"]["url"] == f"{server.url}{CDRS}?offset=5&limit=5"
    assert "X-Evil" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        *(CDRS + "/", CDRS.upper(), CDRS + "/DEMO-CDR-000001", CDRS + "%3F"),
        *(PLACES + "/", PLACES.replace("12", "01"), PLACES.replace("12", "{month}")),
        "/vattenfall/ocpi/2.2.1/locations",
    ],
)
def test_other_paths_of_ocpi_are_not_found(server: DemoServer, path: str) -> None:
    assert get(server, path, **OCPI_TOKEN).status_code == 404


def test_the_first_page_lists_what_there_is_and_says_demo(server: DemoServer) -> None:
    answer = get(server, "/")
    assert answer.status_code == 200
    assert "DEMO" in answer.text
    starts = [files.path.partition("{")[0] for files in FILES]
    for start in (
        *starts,
        "/pdok/2022/",
        "/klimaatmonitor/odata/",
        CDRS,
        "/vattenfall/{month}/ocpi",
    ):
        assert server.url + start in answer.text


def test_head_answers_without_a_body(server: DemoServer) -> None:
    answer = requests.head(server.url + LOCATIONS, timeout=30)
    assert answer.status_code == 200
    assert int(answer.headers["Content-Length"]) == len(charge_points.locations_gz("2022-07"))
    assert answer.content == b""


def test_many_clients_at_once(server: DemoServer) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: get(server, LOCATIONS).content, range(48)))
    assert set(answers) == {charge_points.locations_gz("2022-07")}


def test_it_logs_only_if_asked_and_never_a_token(capfd: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    with DemoServer(log=lines.append) as talkative, DemoServer() as silent:
        get(talkative, REQUESTS, **TOKEN)
        get(silent, REQUESTS, **TOKEN)
    assert len(lines) == 1
    assert "200" in lines[0]
    assert "demo-token" not in lines[0]
    assert capfd.readouterr() == ("", "")


def test_the_port_is_given_back() -> None:
    with DemoServer() as running:
        port = int(running.url.rsplit(":", 1)[1])
    with DemoServer(port) as again:
        assert again.url == running.url
        assert get(again, "/").status_code == 200
