"""OCPI lists on loopback that move, fail and lie just as a test tells them."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fetching.publisher import Asked, Reply

Json = dict[str, Any]
TIMESTAMP = "2024-06-01T00:00:00Z"
Before = Callable[["OcpiList"], Reply | None]


def cdr(number: int, updated: int = 0, **members: Any) -> Json:
    return {
        "country_code": "NL",
        "party_id": "NUO",
        "id": f"S{number}",
        "last_updated": f"2024-01-01T00:00:{updated:02d}Z",
    } | members


def envelope(objects: list[Any], **members: Any) -> bytes:
    body = {"data": objects, "status_code": 1000, "timestamp": TIMESTAMP} | members
    return json.dumps(body).encode()


@dataclass
class OcpiList:
    """A list and its server; `before` is called before each request, and may answer it."""

    objects: list[Any]
    most: int = 1000
    has_total: bool = True
    has_limit: bool = True
    has_link: bool = True
    before: Before = lambda _: None
    render: Callable[[list[Any]], bytes] = envelope
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    _lock: Any = field(default_factory=threading.Lock)

    def __call__(self, asked: Asked) -> Reply:
        with self._lock:
            self.asked.append(asked)
            if instead := self.before(self):
                return instead
            offset, limit = self.question(asked)
            end = offset + min(limit, self.most)
            page = self.objects[offset:end]
            headers = dict(self.headers)
            if self.has_total:
                headers["X-Total-Count"] = str(len(self.objects))
            if self.has_limit:
                headers["X-Limit"] = str(self.most)
            if self.has_link and end < len(self.objects):
                path = asked.path.partition("?")[0]
                url = f"http://{asked.headers['host']}{path}?offset={end}&limit={limit}"
                headers["Link"] = f'<{url}>; rel="next"'
            return Reply(200, self.render(page), headers)

    @staticmethod
    def question(asked: Asked) -> tuple[int, int]:
        query = parse_qs(urlsplit(asked.path).query)
        return int(query.get("offset", ["0"])[0]), int(query.get("limit", ["1000"])[0])

    @property
    def offsets(self) -> list[int]:
        return [self.question(asked)[0] for asked in self.asked]

    @property
    def limits(self) -> list[int]:
        return [self.question(asked)[1] for asked in self.asked]


def failing_from(request: int, reply: Reply) -> Before:
    """Answer well until the so-manieth request, and not any more from then on."""
    return lambda one: reply if len(one.asked) >= request else None
