"""The chat server of `server.mjs`, by python-socketio on threads: `server.py NAME`."""

from __future__ import annotations

import sys
import threading
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import socketio
from engineio.payload import Payload

TICK_S = 0.02
# As in `client.py`.
Payload.max_decode_packets = 1_000


class Chat:
    """Answers every message with what it got, and sends numbered ticks of its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        # Each message after the one before: in a thread for each, they would overtake each other.
        self.server = socketio.Server(async_mode="threading", async_handlers=False)
        self._got: dict[str, list[int]] = {}
        self._names: dict[str, str] = {}
        self._ticks: dict[str, int] = {}
        self._leaving: dict[str, threading.Event] = {}
        for event in ("connect", "say", "leave", "disconnect"):
            self.server.on(event, getattr(self, event))

    def connect(self, sid: str, environ: dict[str, Any], auth: dict[str, str]) -> None:
        """Somebody has come."""
        del environ
        _print("came")
        self._names[sid] = auth["name"]
        self._got[sid], self._ticks[sid], self._leaving[sid] = [], 0, threading.Event()
        threading.Thread(target=self._tick, args=(sid,), daemon=True).start()

    def say(self, sid: str, number: int, data: bytes) -> tuple[int, bytes, str]:
        """Somebody has said something."""
        self._got[sid].append(number)
        _print(f"heard {self._names[sid]} {number}")
        return number, data, self._name

    def leave(self, sid: str) -> tuple[int, list[int]]:
        """Somebody wants to know what was sent and heard."""
        self._leaving[sid].set()
        return self._ticks[sid], self._got[sid]

    def disconnect(self, sid: str, reason: str) -> None:
        """Somebody has gone."""
        del reason
        self._leaving[sid].set()

    def _tick(self, sid: str) -> None:
        while not self._leaving[sid].wait(TICK_S):
            self.server.emit("tick", self._ticks[sid], to=sid)
            self._ticks[sid] += 1


class Threads(ThreadingMixIn, WSGIServer):
    """wsgiref's server, with a thread for each connection."""

    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # the base's
        """Say nothing: it writes an answer where a WebSocket was, and finds it closed."""


class Handler(WSGIRequestHandler):
    """A silent handler that shows its socket, as python-engineio wants it."""

    def get_environ(self) -> dict[str, Any]:
        """The environ, with the socket in the place where werkzeug has it."""
        return super().get_environ() | {"werkzeug.socket": self.connection}

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Say nothing."""


def _print(line: str) -> None:
    # In one piece, as several threads do so.
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _main(name: str) -> None:
    application = socketio.WSGIApp(Chat(name).server)
    with make_server("127.0.0.1", 0, application, Threads, Handler) as http:
        _print(str(http.server_port))
        http.serve_forever()


if __name__ == "__main__":
    _main(sys.argv[1])
