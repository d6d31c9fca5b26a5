"""A well-behaved HTTP/1.1 service on threads, for tests of what passes through unchanged.

Every path it does not know is an echo: JSON with the request as it arrived, byte for byte. The
part after `/api/<service>/` chooses; see `HonestUpstream` for what there is.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import queue
import random
import re
import socket
import threading
import zlib
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from tests.support.upstreams import listen, url_of
from tests.support.wire import Ended, Head, Reader, Stalled, WireError

BLOCK = random.Random(7).randbytes(1 << 20)  # noqa: S311 - content, not a secret
"""What large bodies are made of, repeated; a slip by one byte changes every checksum."""

GZIPPED = gzip.compress(b"a body that the gateway must not look into" * 20, mtime=0)
"""The body of `gzip`."""

_PATH = re.compile(r"(?:https?://[^/]*)?/*(?:api/[^/]+/|socket\.io/)?([^?]*)")
_REASONS = {200: "OK", 201: "Created", 204: "No Content", 304: "Not Modified", 404: "Not Found"}


def blocks_crc(count: int) -> int:
    """Checksum of the first `count` bytes of the repeated block."""
    crc = 0
    while count > 0:
        crc = zlib.crc32(BLOCK[: min(count, len(BLOCK))], crc)
        count -= len(BLOCK)
    return crc


class Request:
    """One request in hand, and the means to answer it."""

    def __init__(self, sock: socket.socket, reader: Reader, head: Head, serial: tuple[int, int]) -> None:
        self.socket = sock
        self.reader = reader
        self.head = head
        self.connection, self.number = serial
        self.method, self.target, self.version = head.start.split(" ", 2)
        length = head.get("Content-Length") or "0"
        self.has_unread_body = head.get("Transfer-Encoding") is not None or length != "0"
        self.must_close = (head.get("Connection") or "").lower() == "close"
        match = _PATH.match(self.target)
        self.name = match[1].split("/")[0] if match else ""
        self.query = {key: values[-1] for key, values in parse_qs(urlsplit(self.target).query).items()}

    def asked(self, key: str, default: int) -> int:
        """A number from the query."""
        return int(self.query.get(key, default))

    def body(self) -> tuple[str, int, list[tuple[str, str]]]:
        """Read the body: its digest, its length, its trailers."""
        if not self.has_unread_body:
            return hashlib.sha256().hexdigest(), 0, []
        self.has_unread_body = False
        if self.head.get("Transfer-Encoding") is not None:
            body = self.reader.chunked(within_s=60)
            return hashlib.sha256(body.content).hexdigest(), len(body.content), body.trailers
        left = length = int(self.head.get("Content-Length") or 0)
        digest = hashlib.sha256()
        while left:
            data = self.reader.exactly(min(left, 65_536), within_s=60)
            digest.update(data)
            left -= len(data)
        return digest.hexdigest(), length, []

    def answer(
        self,
        content: bytes = b"",
        fields: list[tuple[str, str]] | None = None,
        *,
        status: int = 200,
        length: int | None = None,
    ) -> None:
        """Send one whole answer; HEAD gets the head of it."""
        bare = status in (204, 304)
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'As Asked')}", "Server: honest/1"]
        lines += [f"{name}: {value}" for name, value in fields or []]
        if not bare:
            lines.append(f"Content-Length: {len(content) if length is None else length}")
        raw = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self.send(raw if bare or self.method == "HEAD" else raw + content)

    def send(self, raw: bytes) -> None:
        """Send bytes as they are."""
        self.socket.settimeout(60)
        self.socket.sendall(raw)


class HonestUpstream:
    """Serves until stopped.

    Paths: echo (default), fixed, chunked, until-close, events, sink, gzip, early-hints,
    status/<code>, answer?headers=<JSON pairs>&status=<code>. `begun` and `finished` list the
    targets of requests whose head, and whose whole body, arrived.
    """

    def __init__(self, listener: socket.socket | None = None) -> None:
        self._listener = listener or listen()
        self.url = url_of(self._listener)
        self.events: queue.Queue[bytes | None] = queue.Queue()
        self.begun: list[str] = []
        self.finished: list[str] = []
        self.connections = 0
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.failures: list[BaseException] = []
        self._doors: dict[str, Callable[[Request], None]] = {
            "fixed": _fixed,
            "chunked": _chunked,
            "until-close": _until_close,
            "sink": _sink,
            "gzip": lambda request: request.answer(GZIPPED, [("Content-Encoding", "gzip")]),
            "early-hints": _early_hints,
            "status": _status,
            "answer": _answer,
            "events": self._events,
        }
        self._start(self._accept)

    def _start(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._sockets.add(sock)
            self._start(self._serve, sock, self.connections)

    def _serve(self, sock: socket.socket, connection: int) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = Reader(sock, keeps=False)
        number = 0
        try:
            while True:
                number += 1
                request = Request(sock, reader, reader.head(within_s=600), (connection, number))
                self.begun.append(request.target)
                self._doors.get(request.name, _echo)(request)
                request.body()
                self.finished.append(request.target)
                if request.must_close:
                    return
        except (Ended, Stalled, OSError):
            pass  # the gateway may leave at any time
        except (WireError, ValueError) as error:
            self.failures.append(error)
        finally:
            self._sockets.discard(sock)
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _events(self, request: Request) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        request.send(head)
        while (event := self.events.get()) is not None:
            request.send(b"%x\r\n%b\r\n" % (len(event), event))
        request.send(b"0\r\n\r\n")

    def stop(self) -> None:
        """Close everything and fail if the gateway ever sent what is not HTTP."""
        self.events.put(None)
        for sock in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
        if self.failures:
            raise self.failures[0]


def _echo(request: Request) -> None:
    digest, length, trailers = request.body()
    document = {
        "method": request.method,
        "target": request.target,
        "version": request.version,
        "headers": request.head.fields,
        "body_sha256": digest,
        "body_bytes": length,
        "trailers": trailers,
        "connection": request.connection,
        "number": request.number,
    }
    request.answer(json.dumps(document).encode(), [("Content-Type", "application/json")])


def _fixed(request: Request) -> None:
    count = request.asked("bytes", 10)
    request.answer(length=count)
    if request.method != "HEAD":
        _send_blocks(request, count)


def _send_blocks(request: Request, count: int) -> None:
    while count > 0:
        request.send(BLOCK if count >= len(BLOCK) else BLOCK[:count])
        count -= len(BLOCK)


def _chunked(request: Request) -> None:
    request.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
    if request.method == "HEAD":
        return
    count, size = request.asked("bytes", 10), request.asked("size", 4)
    content = (BLOCK * (count // len(BLOCK) + 1))[:count]
    for at in range(0, count, size):
        part = content[at : at + size]
        request.send(b"%x\r\n%b\r\n" % (len(part), part))
    request.send(b"0\r\nX-Sum: 1\r\n\r\n")


def _until_close(request: Request) -> None:
    request.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    _send_blocks(request, request.asked("bytes", 10))
    request.must_close = True


def _sink(request: Request) -> None:
    """Counts and sums a body of any length without keeping it."""
    if request.head.get("Transfer-Encoding") is not None:
        body = request.reader.chunked(within_s=60)
        count, crc = len(body.content), zlib.crc32(body.content)
    else:
        count, crc = _summed(request, int(request.head.get("Content-Length") or 0))
    request.has_unread_body = False
    request.answer(json.dumps({"bytes": count, "crc32": crc}).encode())


def _summed(request: Request, length: int) -> tuple[int, int]:
    ahead = request.reader.exactly(min(length, len(request.reader.unread())))
    crc, left = zlib.crc32(ahead), length - len(ahead)
    view = memoryview(bytearray(1 << 20))
    request.socket.settimeout(60)
    while left:
        got = request.socket.recv_into(view, min(left, len(view)))
        if not got:
            raise Ended("the whole body", b"", reset=False)
        crc = zlib.crc32(view[:got], crc)
        left -= got
    return length, crc


def _early_hints(request: Request) -> None:
    request.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
    request.answer(b"after the hints")


def _status(request: Request) -> None:
    code = int(request.target.split("?")[0].rstrip("/").rsplit("/", 1)[1])
    request.body()
    request.answer(b"" if code in (204, 304) else b"as asked", status=code)


def _answer(request: Request) -> None:
    request.body()
    fields = [(str(name), str(value)) for name, value in json.loads(request.query.get("headers", "[]"))]
    request.answer(b"as asked", fields, status=request.asked("status", 200))
