"""Small services to try the gateway with: real HTTP servers, in a process of their own.

They trust whoever speaks to them, so they belong behind the gateway and on the loopback address.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from shutil import copyfileobj
from socketserver import TCPServer
from tempfile import SpooledTemporaryFile
from threading import Thread
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES: Final = {"hello": 1, "echo": 1, "events": 1, "slow": 1, "twins": 2}
"""The services by name, each with how many targets it has."""

_PIECE_BYTES: Final = 65_536
_MAX_HELD_BYTES: Final = 16 << 20
_EVENTS: Final = 10
_MAX_SLOW_S: Final = 10.0
_LOOK_AT_PARENT_EVERY_S: Final = 0.5


class DemoServer(ThreadingHTTPServer):
    """One target. `letter` tells it from the others of its service."""

    request_queue_size = 128

    def __init__(self, host: str, port: int, letter: str) -> None:
        self.letter = letter
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """Its address."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    def server_bind(self) -> None:
        """Bind without asking a name server for our name, as HTTPServer does."""
        TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of callers who left."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Behaves like the first service that the path names; without one, like `hello`."""

    protocol_version = "HTTP/1.1"
    # Longer than the gateway keeps idle connections.
    timeout = 120
    disable_nagle_algorithm = True
    server: DemoServer

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        named = [segment for segment in parts.path.split("/") if segment in SERVICES]
        behaviour = named[0] if named else "hello"
        if behaviour == "echo" and self.command != "HEAD":
            self._echo()
            return
        for _ in self._body():
            pass  # only an echo cares
        if behaviour == "events":
            self._send_events()
        elif behaviour == "slow":
            seconds = _seconds_of(parse_qs(parts.query))
            time.sleep(seconds)
            self._send_json({"waited_s": seconds})
        elif behaviour == "twins":
            self._send_json({"answered_by": self.server.letter})
        else:
            headers = [f"{name}: {value}" for name, value in self.headers.items()]
            self._send_json({"method": self.command, "target": self.path, "headers": headers})

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815  # http.server's

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's
        """Nothing: the gateway logs each request."""

    def _echo(self) -> None:
        """The body, once all of it is here: whoever answers in the middle of an upload ends it."""
        with SpooledTemporaryFile(_MAX_HELD_BYTES) as held:
            for piece in self._body():
                held.write(piece)
            content_type = self.headers.get("Content-Type", "application/octet-stream")
            self._send_head(content_type, "Content-Length", str(held.tell()))
            held.seek(0)
            copyfileobj(held, self.wfile)

    def _send_events(self) -> None:
        self._send_head("text/event-stream", "Transfer-Encoding", "chunked")
        if self.command == "HEAD":
            return
        for number in range(1, _EVENTS + 1):
            event = b'id: %d\ndata: {"event": %d, "of": %d}\n\n' % (number, number, _EVENTS)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
            time.sleep(1)
        self.wfile.write(b"0\r\n\r\n")

    def _body(self) -> Iterator[bytes]:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            yield from self._exactly(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self._line().partition(b";")[0], 16):
            yield from self._exactly(size)
            self._line()
        while self._line().strip():
            pass  # trailers

    def _line(self) -> bytes:
        line = self.rfile.readline()
        if not line:
            raise ConnectionError("the body was cut short")
        return line

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self.rfile.read1(min(size, _PIECE_BYTES))
            if not piece:
                raise ConnectionError("the body was cut short")
            size -= len(piece)
            yield piece

    def _send_head(self, content_type: str, name: str, value: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header(name, value)
        self.end_headers()

    def _send_json(self, document: dict[str, object]) -> None:
        data = json.dumps(document, indent=2).encode() + b"\n"
        self._send_head("application/json", "Content-Length", str(len(data)))
        if self.command != "HEAD":
            self.wfile.write(data)


def listen(host: str = "127.0.0.1", port: int | None = None) -> dict[str, list[DemoServer]]:
    """All services by name, listening but not yet answering, on ports that are free.

    With a `port`, one server there plays them all, under the name `demo`. Raises OSError.
    """
    if port is not None:
        return {"demo": [DemoServer(host, port, "a")]}
    return {
        name: [DemoServer(host, 0, letter) for letter in "abc"[:targets]]
        for name, targets in SERVICES.items()
    }


def urls_of(services: dict[str, list[DemoServer]]) -> str:
    """The services as the variable MICROSERVICE_URLS takes them."""
    return json.dumps({name: [server.url for server in servers] for name, servers in services.items()})


def serve(services: dict[str, list[DemoServer]], *, parent: int | None = None) -> None:
    """Answer until interrupted, or until process `parent` is our parent no longer. Does not return before."""
    for servers in services.values():
        for server in servers:
            Thread(target=server.serve_forever, daemon=True).start()
    with suppress(KeyboardInterrupt):
        while parent is None or os.getppid() == parent:
            time.sleep(_LOOK_AT_PARENT_EVERY_S)


def _seconds_of(query: dict[str, list[str]]) -> float:
    """The `seconds` that were asked for, 3 if none were, and never more than can be waited for."""
    try:
        seconds = float(query.get("seconds", ["3"])[0])
    except ValueError:
        seconds = _MAX_SLOW_S
    return seconds if 0 <= seconds <= _MAX_SLOW_S else _MAX_SLOW_S


if __name__ == "__main__":
    _services = listen()
    print(f"MICROSERVICE_URLS='{urls_of(_services)}'", flush=True)
    serve(_services)
