"""What every publisher's module needs to ask: the question, the answer, one file over HTTP.

Does not belong here: anything that only one publisher does.
"""

from __future__ import annotations

from dataclasses import dataclass

from goral_pipeline.errors import NoAddress, SnapshotPast
from goral_pipeline.http_session import CHUNK_BYTES, HttpSession, Token, describe
from goral_pipeline.landing.store import Incoming
from goral_pipeline.settings import Settings, url_variable

DEMO_HEADER = "X-GORAL-Demo"
"""Set by the demo's server, so that what is invented is known as such from the first byte."""


@dataclass(frozen=True)
class Known:
    """What is known of the delivery before: where it came from and its validators."""

    origin: str
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True)
class Question:
    """One partition asked of a publisher."""

    partition: str
    current_partition: str
    """The partition that today falls in: the only one a snapshot can be asked for."""
    settings: Settings
    incoming: Incoming
    known: Known | None


@dataclass(frozen=True)
class Answer:
    """What is known of a delivery besides its bytes, which went into the question's `incoming`."""

    origin: str
    content_key: str
    etag: str | None = None
    last_modified: str | None = None
    demo: bool = False


def at_partition(url: str, name: str, question: Question) -> str:
    """The URL of a partition: `{month}` or `{edition}` filled in where the URL has it.

    Raises:
        SnapshotPast: when the URL has no such place and another than the current partition is
            asked for.
    """
    place = "{" + name + "}"
    if place in url:
        return url.replace(place, question.partition)
    if question.partition != question.current_partition:
        raise SnapshotPast(
            f"{describe(url)} gives today's state only, so {question.partition} cannot be asked "
            f"for; deliver a file kept from then with `goral deliver`, or set a URL with {place}"
        )
    return url


def session(settings: Settings, token: Token | None = None) -> HttpSession:
    """A session with the settings' limits."""
    return HttpSession(
        timeout_seconds=settings.http_timeout_seconds,
        attempts=settings.http_attempts,
        token=token,
    )


def download(question: Question, url: str, token: Token | None = None) -> Answer | None:
    """Ask for one file, only if it changed; None when it did not."""
    conditions = _conditions(url, question.known)
    asking = session(question.settings, token)
    try:
        with asking.get(url, conditions) as response:
            if response.status_code == 304:
                return None
            for chunk in response.iter_content(CHUNK_BYTES):
                question.incoming.write(chunk)
            return Answer(
                origin=describe(url),
                content_key=question.incoming.sha256,
                etag=_header(response.headers.get("ETag")),
                last_modified=_header(response.headers.get("Last-Modified")),
                demo=DEMO_HEADER in response.headers,
            )
    finally:
        asking.close()


def address(settings: Settings, dataset: str) -> str:
    """The URL that a dataset is asked at.

    Raises:
        NoAddress: when none is set.
    """
    if url := settings.url_of(dataset):
        return url
    raise NoAddress(f"{url_variable(dataset)} is not set; files are delivered by hand")


def _conditions(url: str, known: Known | None) -> dict[str, str]:
    # A validator is the server's word about one URL, so it is only good for that one.
    if known is None or known.origin != describe(url):
        return {}
    headers = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    return {name: value for name, value in headers.items() if value}


def _header(value: str | None) -> str | None:
    return value[:200] if value else None
