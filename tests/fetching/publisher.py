"""A publisher on loopback that answers just as a test tells it, and remembers what it was asked."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Reply:
    """What is sent back. `announced`: the Content-Length that is claimed, if not the true one."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    announced: int | None = None
    is_chunked: bool = False


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    path: str
    headers: dict[str, str]


class Silence(Exception):
    """Raised by a script: no answer comes until the publisher closes down."""


Script = Callable[[Asked], Reply]


class Publisher:
    """A real HTTP server; `script` says what each request gets."""

    def __init__(self, script: Script | None = None) -> None:
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        self.script: Script = script or (lambda _: Reply(404))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.place}"

    def answers(self, *replies: Reply) -> None:
        """Give these replies in turn, the last of them for ever."""
        waiting = list(replies)
        self.script = lambda _: waiting.pop(0) if len(waiting) > 1 else waiting[0]

    def headers_seen(self, name: str) -> list[str]:
        return [asked.headers[name] for asked in self.asked if name in asked.headers]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(publisher: Publisher) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()})
            publisher.asked.append(asked)
            try:
                reply = publisher.script(asked)
            except Silence:
                publisher.closing.wait(30)
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.is_chunked:
                self.send_header("Transfer-Encoding", "chunked")
            elif reply.status != 304:
                length = len(reply.body) if reply.announced is None else reply.announced
                self.send_header("Content-Length", str(length))
            # One request a connection, so that a body cut short ends with it.
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


MakePublisher = Callable[..., Publisher]
