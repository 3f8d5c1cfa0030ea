"""The HTTP session: the only way this project asks another machine for something.

Belongs here: time limits, which answers are tried again and when, and that a token or key goes to
one scheme, host and port only. Does not belong here: what a publisher's paths and pages look like.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from goral_pipeline import __version__, clock
from goral_pipeline.errors import NotPublished, PermanentHttpError, TransientHttpError

if TYPE_CHECKING:
    import requests
    import urllib3

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0
MOST_REDIRECTS = 5
CHUNK_BYTES = 1024 * 1024
STANDARD_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Token:
    """A secret header, and the place it was given for."""

    value: str
    place: str
    """URL whose scheme, host and port are the only ones to see it."""
    header: str = "Authorization"

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
        self.attempts = attempts
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
            TransientHttpError: no proper answer after all attempts, or one that breaks off while
                the caller reads it.
        """
        import requests

        response = self._ask(url, dict(headers or {}))
        try:
            yield response
        except requests.RequestException as error:
            # Its own words may hold the whole URL.
            raise TransientHttpError(
                f"the answer of {describe(url)} broke off or is damaged ({type(error).__name__}); "
                "nothing of it was kept: run again"
            ) from None
        finally:
            response.close()

    def _ask(self, url: str, headers: dict[str, str]) -> requests.Response:
        import requests

        problem = ""
        for attempt in range(1, self.attempts + 1):
            wait: float | None = None
            try:
                response = self._follow(url, headers)
            except (requests.ConnectionError, requests.Timeout) as error:
                problem = type(error).__name__
            except (requests.RequestException, ValueError) as error:
                raise PermanentHttpError(
                    f"{describe(url)} cannot be asked ({type(error).__name__}); check the source's "
                    "URL and token"
                ) from None
            else:
                if response.status_code in (200, 304):
                    return response
                response.close()
                if not _may_pass(response.status_code):
                    raise _refusal(response, url)
                problem = f"HTTP {response.status_code}"
                wait = retry_after(response.headers.get("Retry-After"))
            if attempt < self.attempts:
                backoff = FIRST_WAIT_SECONDS * 2 ** (attempt - 1)
                time.sleep(min(wait if wait is not None else backoff, LONGEST_WAIT_SECONDS))
        raise TransientHttpError(
            f"{describe(url)} did not answer after {self.attempts} attempts ({problem}); "
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
            response.close()
            url = referred(url, response.headers["Location"])
        raise PermanentHttpError(f"{describe(url)} redirects more than {MOST_REDIRECTS} times")

    def _authorization(self, url: str) -> dict[str, str]:
        if self._token is None:
            return {}
        if place_of(url) != place_of(self._token.place):
            raise PermanentHttpError(
                f"the publisher refers to {describe(url)}, not {describe(self._token.place)}: the "
                "token is not sent there; if the publisher moved, change the source's URL"
            )
        return {self._token.header: self._token.value}


def place_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL, as the library that connects reads it.

    Two readers of one hostile URL may find two hosts in it, so no other reader is asked.

    Raises:
        PermanentHttpError: when it is no URL of http or https.
    """
    parts = _parts(url)
    if parts is None or parts.scheme not in STANDARD_PORTS or not parts.host:
        raise PermanentHttpError(
            f"{describe(url)} is no URL of http or https; check the source's URL"
        )
    return parts.scheme, parts.host, parts.port or STANDARD_PORTS[parts.scheme]


def referred(url: str, reference: str) -> str:
    """The URL that an answer of `url` refers to.

    Raises:
        PermanentHttpError: when the reference is none.
    """
    try:
        return urljoin(url, reference)
    except ValueError:
        raise PermanentHttpError(f"{describe(url)} refers to what is no URL") from None


def describe(url: str) -> str:
    """A URL without what may be secret in it: user, password and query."""
    parts = _parts(url)
    if parts is None:
        return "an unreadable URL"
    return parts._replace(auth=None, query=None, fragment=None).url


def _parts(url: str) -> urllib3.util.Url | None:
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url

    try:
        return parse_url(url)
    except LocationParseError:
        return None


def retry_after(header: str | None) -> float | None:
    """Seconds to wait by a Retry-After header, given as seconds or as a date."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        moment = email.utils.parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (moment - clock.now()).total_seconds()) if moment.tzinfo else None


def _may_pass(status: int) -> bool:
    return status in (408, 429) or status >= 500


def _refusal(response: requests.Response, url: str) -> NotPublished | PermanentHttpError:
    if response.status_code in (404, 410):
        return NotPublished(f"{describe(url)} is not there (HTTP {response.status_code})")
    hint = {
        401: "; the token or key is missing or wrong",
        403: "; the token or key gives no access to it",
    }.get(response.status_code, "")
    return PermanentHttpError(f"{describe(url)} answers HTTP {response.status_code}{hint}")
