"""The HTTP session: what is tried again, how long it waits, and where the token goes."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goral_pipeline import clock, http_session
from goral_pipeline.errors import GoralError, NotPublished, PermanentHttpError, TransientHttpError
from goral_pipeline.http_session import HttpSession, Token, describe, place_of, retry_after
from tests.fetching.publisher import MakePublisher, Publisher, Reply, Silence

SECRET = "s3cr3t-that-nobody-may-see"
ATTEMPTS = 4


@pytest.fixture
def session() -> Iterator[HttpSession]:
    opened = HttpSession(timeout_seconds=5, attempts=ATTEMPTS)
    yield opened
    opened.close()


def asked_of(url: str, **limits: Any) -> bytes:
    """The body that a session of its own gets."""
    opened = HttpSession(**{"timeout_seconds": 5, "attempts": 1} | limits)
    try:
        with opened.get(url) as response:
            return response.content
    finally:
        opened.close()


def with_token(publisher: Publisher, url: str = "") -> bytes:
    token = Token(f"Token {SECRET}", publisher.url + "/{month}.xlsx")
    return asked_of(url or publisher.url + "/2022-07.xlsx", token=token)


# ── trying again ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_is_asked_again_with_growing_pauses(
    publisher: Publisher, session: HttpSession, waits: list[float], status: int
) -> None:
    publisher.answers(Reply(status))
    with pytest.raises(TransientHttpError, match=rf"{ATTEMPTS} attempts \(HTTP {status}\)"):
        session.get(publisher.url).__enter__()
    assert len(publisher.asked) == ATTEMPTS
    assert waits == [0.5, 1.0, 2.0], "and none after the last attempt"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, PermanentHttpError),
        (401, PermanentHttpError),
        (403, PermanentHttpError),
        (404, NotPublished),
        (410, NotPublished),
        (418, PermanentHttpError),
        # Neither the file nor a redirect: landing the body of these would be a mistake.
        (204, PermanentHttpError),
        (206, PermanentHttpError),
        (300, PermanentHttpError),
        (301, PermanentHttpError),
    ],
)
def test_a_refusal_is_not_asked_again(
    publisher: Publisher,
    session: HttpSession,
    waits: list[float],
    status: int,
    kind: type[GoralError],
) -> None:
    publisher.answers(Reply(status))
    with pytest.raises(kind, match=f"HTTP {status}"):
        session.get(publisher.url).__enter__()
    assert len(publisher.asked) == 1
    assert waits == []


@pytest.mark.parametrize(("status", "hint"), [(401, "token or key is missing"), (403, "no access")])
def test_a_refusal_says_what_is_wrong_with_the_token(
    publisher: Publisher, session: HttpSession, status: int, hint: str
) -> None:
    publisher.answers(Reply(status))
    with pytest.raises(PermanentHttpError, match=hint):
        session.get(publisher.url).__enter__()


def test_an_answer_after_failures_is_taken(
    publisher: Publisher, session: HttpSession, waits: list[float]
) -> None:
    publisher.answers(Reply(503), Reply(429), Reply(200, b"here"))
    with session.get(publisher.url) as response:
        assert response.content == b"here"
    assert len(publisher.asked) == 3
    assert waits == [0.5, 1.0]


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("86400", http_session.LONGEST_WAIT_SECONDS),
        ("9" * 400, http_session.LONGEST_WAIT_SECONDS),
        # What is no such header leaves the usual pause.
        ("-1", 0.5),
        ("1.5", 0.5),
        ("soon", 0.5),
        ("²", 0.5),
    ],
)
def test_retry_after_in_seconds_is_honoured(
    publisher: Publisher, session: HttpSession, waits: list[float], header: str, wait: float
) -> None:
    publisher.answers(Reply(429, headers={"Retry-After": header}), Reply(200))
    with session.get(publisher.url):
        pass
    assert waits == [wait]


def test_retry_after_as_a_date_is_honoured(
    publisher: Publisher,
    session: HttpSession,
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = datetime(2022, 7, 1, 12, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: now)

    def busy_until(seconds: float) -> Reply:
        moment = format_datetime(now + timedelta(seconds=seconds), usegmt=True)
        return Reply(503, headers={"Retry-After": moment})

    publisher.answers(busy_until(9), busy_until(-9), busy_until(9000), Reply(200))
    with session.get(publisher.url):
        pass
    assert waits == [9.0, 0.0, http_session.LONGEST_WAIT_SECONDS]


@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=40))
def test_no_retry_after_breaks_the_session(header: str) -> None:
    wait = retry_after(header)
    assert wait is None or wait >= 0


@given(
    st.sampled_from(["Mon", "", "x"]),
    st.integers(0, 99),
    st.sampled_from(["Jan", "Feb", "13"]),
    st.integers(0, 10**10),
    st.sampled_from(["GMT", "+0000", "-9999", "+99999999999", "-0000", ""]),
)
def test_no_date_in_retry_after_breaks_the_session(
    weekday: str, day: int, month: str, year: int, zone: str
) -> None:
    wait = retry_after(f"{weekday}, {day} {month} {year} 00:00:00 {zone}")
    assert wait is None or wait >= 0


def test_a_refused_connection_may_pass(session: HttpSession, waits: list[float]) -> None:
    with socket.socket() as taken:
        # Bound and not listening: nobody answers at this port, and nobody else gets it.
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(TransientHttpError, match=rf"{ATTEMPTS} attempts \(ConnectionError\)"):
            session.get(f"http://127.0.0.1:{port}/x").__enter__()
    assert waits == [0.5, 1.0, 2.0]


def test_a_publisher_that_says_nothing_is_left(publisher: Publisher, waits: list[float]) -> None:
    def say_nothing(_: object) -> Reply:
        raise Silence

    publisher.script = say_nothing
    with pytest.raises(TransientHttpError, match=r"2 attempts \(ReadTimeout\)"):
        asked_of(publisher.url, timeout_seconds=0.2, attempts=2)
    assert len(publisher.asked) == 2
    assert waits == [0.5]


def test_an_answer_that_is_no_http_may_pass(waits: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"\x00\x01 hello\r\n\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        with pytest.raises(TransientHttpError):
            asked_of(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join()


@pytest.mark.parametrize(
    "cut_short",
    [
        {"body": b"half", "announced": 1000},
        {"body": b"3e8\r\nhalf", "is_chunked": True},
        {"body": b"5\r\nwhole\r\n", "is_chunked": True},
        {"body": b"no gzip at all", "headers": {"Content-Encoding": "gzip"}},
    ],
    ids=["content-length", "chunk", "last-chunk", "content-encoding"],
)
def test_an_answer_cut_short_is_never_taken_for_whole(
    publisher: Publisher, cut_short: dict[str, Any]
) -> None:
    publisher.answers(Reply(200, **cut_short))
    with pytest.raises(TransientHttpError, match="broke off") as caught:
        asked_of(f"{publisher.url}/file?key={SECRET}")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


# ── redirects ────────────────────────────────────────────────────────────────────────────────────


def redirect(to: str, status: int = 302) -> Reply:
    return Reply(status, headers={"Location": to})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(publisher: Publisher, status: int) -> None:
    publisher.answers(redirect("/moved", status), Reply(200, b"here"))
    assert asked_of(publisher.url) == b"here"
    assert [asked.path for asked in publisher.asked] == ["/", "/moved"]


def test_redirects_without_end_are_left(
    publisher: Publisher, session: HttpSession, waits: list[float]
) -> None:
    publisher.answers(redirect("/again"))
    with pytest.raises(PermanentHttpError, match="redirects more than 5 times"):
        session.get(publisher.url).__enter__()
    assert len(publisher.asked) == http_session.MOST_REDIRECTS + 1
    assert waits == []


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http://["])
def test_a_redirect_to_what_cannot_be_asked_is_refused(publisher: Publisher, target: str) -> None:
    publisher.answers(redirect(target))
    with pytest.raises(PermanentHttpError):
        asked_of(publisher.url)
    with pytest.raises(PermanentHttpError):
        with_token(publisher)
    assert len(publisher.asked) == 2


# ── the token ────────────────────────────────────────────────────────────────────────────────────


def test_the_token_is_sent_to_its_own_place(publisher: Publisher) -> None:
    publisher.answers(redirect("/moved?x=1"), Reply(200, b"here"))
    assert with_token(publisher) == b"here"
    assert publisher.headers_seen("authorization") == [f"Token {SECRET}"] * 2


@pytest.mark.parametrize(
    "target",
    [
        # Another port; the same name in other words; another scheme.
        "http://{other}/x",
        "//{other}/x",
        "http://localhost:{port}/x",
        "http://127.0.0.1.:{port}/x",
        "https://{own}/x",
        # User info that looks like the place itself.
        "http://{own}@{other}/x",
        # Readers of URLs disagree on these: some see the part before the sign, some that after it.
        "http://{other}\\@{own}/x",
        "http://{other}#@{own}/x",
        "http://{other}?@{own}/x",
        "http:\\\\{other}/x",
        "http://{other}\\.{own}/x",
        "http://{own}\\@{other}/x",
    ],
)
def test_the_token_is_sent_nowhere_else(make_publisher: MakePublisher, target: str) -> None:
    publisher = make_publisher()
    other = make_publisher(lambda _: Reply(200, b"thank you"))
    port = publisher.place.rsplit(":")[-1]
    place = target.format(other=other.place, own=publisher.place, port=port)
    publisher.answers(redirect(place), Reply(200, b"own"))
    # Where the reference is one within the place itself it may be followed.
    with suppress(PermanentHttpError):
        with_token(publisher)
    assert other.headers_seen("authorization") == []
    assert all(asked.headers["host"] == publisher.place for asked in publisher.asked)


def test_a_redirect_away_from_the_tokens_place_is_told(make_publisher: MakePublisher) -> None:
    publisher = make_publisher()
    other = make_publisher(lambda _: Reply(200, b"thank you"))
    publisher.answers(redirect(f"{other.url}/new?sid=private"))
    with pytest.raises(PermanentHttpError) as caught:
        with_token(publisher)
    message = str(caught.value)
    assert f"{other.url}/new" in message
    assert publisher.url in message
    assert "token is not sent there" in message
    assert "private" not in message
    assert other.asked == []


def test_without_a_token_a_redirect_elsewhere_is_followed(make_publisher: MakePublisher) -> None:
    other = make_publisher(lambda _: Reply(200, b"moved here"))
    publisher = make_publisher(lambda _: redirect(f"{other.url}/new"))
    assert asked_of(publisher.url) == b"moved here"
    assert other.headers_seen("authorization") == []


def test_credentials_of_the_users_machine_are_not_used(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password mine\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    publisher.answers(Reply(200))
    asked_of(publisher.url)
    assert publisher.headers_seen("authorization") == []


def test_a_token_with_a_line_break_is_refused_without_being_shown(publisher: Publisher) -> None:
    token = Token(f"Token {SECRET}\n", publisher.url)
    with pytest.raises(PermanentHttpError) as caught:
        asked_of(publisher.url, token=token)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert publisher.asked == []


def test_a_token_does_not_show_itself() -> None:
    token = Token(f"Token {SECRET}", f"https://me:{SECRET}@example.org/x?key={SECRET}")
    assert SECRET not in repr(token)
    assert SECRET not in f"{token}"


# ── what messages hold ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [401, 404, 500, 302])
def test_no_message_holds_what_may_be_secret_in_a_url(
    publisher: Publisher, waits: list[float], status: int
) -> None:
    publisher.answers(Reply(status, headers={"Location": "/again"} if status == 302 else {}))
    with pytest.raises(GoralError) as caught:
        asked_of(f"http://me:{SECRET}@{publisher.place}/path?key={SECRET}#{SECRET}")
    message = str(caught.value)
    assert SECRET not in message
    assert "me:" not in message
    assert publisher.place in message


def test_no_message_of_a_failed_connection_holds_the_query(waits: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(TransientHttpError) as caught:
            asked_of(f"http://me:{SECRET}@{place}/path?key={SECRET}")
    assert SECRET not in str(caught.value)
    # A library's error that stays attached would be shown with the traceback.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("url", "described"),
    [
        ("https://me:pw@example.org:8443/a/b?key=1#c", "https://example.org:8443/a/b"),
        ("HTTPS://EXAMPLE.org/a", "https://example.org/a"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
        ("http://[", "an unreadable URL"),
        ("http://example.org:99999/", "an unreadable URL"),
    ],
)
def test_a_url_is_described(url: str, described: str) -> None:
    assert describe(url) == described


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://Example.org/a", ("https", "example.org", 443)),
        ("http://example.org/a", ("http", "example.org", 80)),
        ("https://me@example.org:443/b?c", ("https", "example.org", 443)),
        ("http://example.org:8080", ("http", "example.org", 8080)),
    ],
)
def test_the_place_of_a_url_is_scheme_host_and_port(url: str, place: tuple[str, str, int]) -> None:
    assert place_of(url) == place


@pytest.mark.parametrize("url", ["", "/path", "ftp://example.org/", "http://", "http://[", "x"])
def test_what_is_no_url_of_http_has_no_place(url: str) -> None:
    with pytest.raises(PermanentHttpError):
        place_of(url)


@given(st.text(max_size=60))
def test_no_text_breaks_what_reads_urls(text: str) -> None:
    for url in (text, f"http://{text}", f"https://example.org{text}"):
        described = describe(url)
        assert isinstance(described, str)
        try:
            scheme, host, port = place_of(url)
        except PermanentHttpError:
            continue
        assert scheme in ("http", "https")
        assert host
        assert 0 < port < 65536
