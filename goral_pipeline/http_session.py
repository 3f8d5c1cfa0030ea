"""The HTTP session: the only way this project asks another machine for something.

Belongs here: time limits, which answers are tried again and when, and that a token goes to one
scheme, host and port only. Does not belong here: what a publisher's paths and pages look like.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from goral_pipeline import __version__, clock
from goral_pipeline.errors import NotPublished, PermanentHttpError, TransientHttpError

if TYPE_CHECKING:
    import requests

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0
MOST_REDIRECTS = 5
CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Token:
    """An Authorization header, and the place it was given for."""

    authorization: str
    place: str
    """URL whose scheme, host and port are the only ones to see it."""

    def __repr__(self) -> str:
        """Never show the secret."""
        return f"Token(for {describe(self.place)})"


class HttpSession:
    """Asks politely: with time limits, and again after 408, 429 and 5xx, with growing pauses."""

    def __init__(
        self, *, timeout_seconds: float, attempts: int, token: Token | None = None
    ) -> None:
        """Try a request `attempts` times at most; send `token` to its own place only."""
        import requests

        self._timeout = timeout_seconds
        self._attempts = attempts
        self._token = token
        self._session = requests.Session()
        # Else requests takes credentials from ~/.netrc, for any host.
        self._session.trust_env = False
        self._session.headers["User-Agent"] = f"goral-pipeline/{__version__}"

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    @contextmanager
    def get(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> Iterator[requests.Response]:
        """Ask for `url`; the answer's body is read by the caller, and closed after the block.

        Raises:
            NotPublished: 404 or 410.
            PermanentHttpError: any other refusal, or a redirect to where the token may not go.
            TransientHttpError: no proper answer after all attempts.
        """
        response = self._ask(url, dict(headers or {}))
        try:
            yield response
        finally:
            response.close()

    def _ask(self, url: str, headers: dict[str, str]) -> requests.Response:
        import requests

        problem = ""
        for attempt in range(1, self._attempts + 1):
            wait: float | None = None
            try:
                response = self._follow(url, headers)
            except (requests.ConnectionError, requests.Timeout) as error:
                problem = type(error).__name__
            else:
                if response.status_code < 400:
                    return response
                response.close()
                if not _may_pass(response.status_code):
                    raise _refusal(response, url)
                problem = f"HTTP {response.status_code}"
                wait = retry_after(response.headers.get("Retry-After"))
            if attempt < self._attempts:
                backoff = FIRST_WAIT_SECONDS * 2 ** (attempt - 1)
                time.sleep(min(wait if wait is not None else backoff, LONGEST_WAIT_SECONDS))
        raise TransientHttpError(
            f"{describe(url)} did not answer after {self._attempts} attempts ({problem}); "
            "it may later: run again"
        )

    def _follow(self, url: str, headers: dict[str, str]) -> requests.Response:
        # Redirects are followed here, not by requests, so that the token's place is checked first.
        for _ in range(MOST_REDIRECTS + 1):
            response = self._session.get(
                url,
                headers=headers | self._authorization(url),
                timeout=self._timeout,
                stream=True,
                allow_redirects=False,
            )
            if not response.is_redirect:
                return response
            url = urljoin(url, response.headers["Location"])
            response.close()
        raise PermanentHttpError(f"{describe(url)} redirects more than {MOST_REDIRECTS} times")

    def _authorization(self, url: str) -> dict[str, str]:
        if self._token is None:
            return {}
        if place_of(url) != place_of(self._token.place):
            raise PermanentHttpError(
                f"the publisher refers to {describe(url)}, not {describe(self._token.place)}: the "
                "token is not sent there; if the publisher moved, change the source's URL"
            )
        return {"Authorization": self._token.authorization}


def place_of(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    standard = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or standard


def describe(url: str) -> str:
    """A URL without what may be secret in it: user, password and query."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def retry_after(header: str | None) -> float | None:
    """Seconds to wait by a Retry-After header, given as seconds or as a date."""
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        moment = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (moment - clock.now()).total_seconds()) if moment.tzinfo else None


def _may_pass(status: int) -> bool:
    return status in (408, 429) or status >= 500


def _refusal(response: requests.Response, url: str) -> NotPublished | PermanentHttpError:
    if response.status_code in (404, 410):
        return NotPublished(f"{describe(url)} is not there (HTTP {response.status_code})")
    hint = {
        401: "; the token is missing or wrong",
        403: "; the token gives no access to it",
    }.get(response.status_code, "")
    return PermanentHttpError(f"{describe(url)} refuses: HTTP {response.status_code}{hint}")
