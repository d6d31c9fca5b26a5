"""Small services to try the gateway with: real HTTP servers, in a process of their own.

They trust whoever speaks to them, so they belong behind the gateway and on the loopback address.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from shutil import copyfileobj
from socketserver import BaseRequestHandler, TCPServer
from tempfile import SpooledTemporaryFile
from threading import Thread
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES: Final = {"hello": 2, "echo": 1, "events": 1, "slow": 1}
"""The services by name, each with how many targets it has."""

_PIECE_BYTES: Final = 65_536
_MAX_HELD_BYTES: Final = 16 << 20
_EVENTS: Final = 10
_MAX_SLOW_S: Final = 10.0
_DEFAULT_SLOW_S: Final = 2.0
_READY_WITHIN_S: Final = 60
_TRIES: Final = (
    ("'{base}/api/hello/a%20path?and=a+query'", "what arrived at one of two targets, a or b: ask again"),
    ("-d 'some text' {base}/api/echo/", "some text"),
    ("-N {base}/api/events/", "ten server-sent events, one a second"),
    ("-i '{base}/api/slow/?seconds=2'", "200 after two seconds; Server-Timing says whose they were"),
    ("-i {base}/api/nowhere/", "404, as a problem document"),
    ("{base}/health/", "what the gateway knows of itself and its services"),
    ("{base}/metrics/", "what it counts, for Prometheus"),
)


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
        else:
            headers = [f"{name}: {value}" for name, value in self.headers.items()]
            came = {"method": self.command, "target": self.path, "headers": headers}
            self._send_json({"answered_by": self.server.letter, **came})

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


def serve(services: dict[str, list[DemoServer]]) -> None:
    """Answer until interrupted or terminated. Does not return before."""
    _answer_for(services)
    with suppress(KeyboardInterrupt):
        # As process 1 of a container it would not be ended by SIGTERM without a handler.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        signal.pause()


class Entrance(TCPServer):
    """Where a gateway in front will listen; the program that this process becomes inherits it.

    Callers wait in its queue until the gateway takes them. Raises OSError.
    """

    allow_reuse_address = True
    request_queue_size = 2048

    def __init__(self, host: str, port: int) -> None:
        super().__init__((host, port), BaseRequestHandler)
        os.set_inheritable(self.fileno(), True)  # noqa: FBT003  # positional only


def serve_behind(entrance: Entrance, services: dict[str, list[DemoServer]]) -> None:
    """Answer in a new process, for as long as this one lives or any that comes from it.

    However they end, the writing end of a pipe ends with the last of them, and so does the new
    process. Returns at once; what can be tried is printed when the gateway answers.
    """
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)  # noqa: FBT003  # positional only
    if os.fork():
        os.close(reading)
        return
    os.close(writing)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a terminal sends them to all; the gateway goes first
    host, port = entrance.server_address[:2]
    entrance.server_close()
    _answer_for(services)
    Thread(target=_announce, args=(str(host), port), daemon=True).start()
    os.read(reading, 1)
    os._exit(0)


def _answer_for(services: dict[str, list[DemoServer]]) -> None:
    for servers in services.values():
        for server in servers:
            Thread(target=server.serve_forever, daemon=True).start()


def _announce(host: str, port: int) -> None:
    """Print what to try as soon as the gateway answers; nothing if it ends before."""
    base = f"http://{host}:{port}"
    gateway = HTTPConnection(host, port, timeout=_READY_WITHIN_S)
    with suppress(OSError, HTTPException):
        gateway.request("GET", "/health/live/", headers={"Connection": "close"})
        gateway.getresponse().read()
        commands = [(f"curl {what.format(base=base)}", answer) for what, answer in _TRIES]
        width = max(len(command) for command, _ in commands)
        lines = [f"  {command:{width}}  # {answer}" for command, answer in commands]
        head = f"The gateway is ready on {base}, with demonstration services behind it. Try:"
        print("\n".join(["", head, "", *lines, "", "Ctrl-C ends all.", ""]), flush=True)


def _seconds_of(query: dict[str, list[str]]) -> float:
    """The `seconds` that were asked for, two if no number was, and never more than ten."""
    try:
        seconds = float(query["seconds"][0])
    except (KeyError, ValueError):
        return _DEFAULT_SLOW_S
    return seconds if 0 <= seconds <= _MAX_SLOW_S else _MAX_SLOW_S


if __name__ == "__main__":
    _services = listen()
    print(f"MICROSERVICE_URLS='{urls_of(_services)}'", flush=True)
    serve(_services)
