"""Callers: raw connections to the gateway, which send any bytes and read answers strictly."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.support import wire
from tests.support.wire import PATIENCE_S, Body, Ended, Head, Reader, Stalled, WireError

Fields = Iterable[tuple[str, str]]


@dataclass
class Answer:
    """One final answer: its head, its body, and the interim answers that came before it."""

    version: str
    status: int
    reason: str
    head: Head
    body: Body
    interim: list[Head] = field(default_factory=list)

    @property
    def content(self) -> bytes:
        """The body's bytes, without framing."""
        return self.body.content

    def json(self) -> dict[str, object]:
        """The body as a JSON object."""
        document = self.body.json()
        if not isinstance(document, dict):
            raise WireError(f"not a JSON object: {document!r}")
        return document

    def get(self, name: str) -> str | None:
        """The only value of a header, or None."""
        return self.head.get(name)

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return self.head.all(name)

    def __str__(self) -> str:
        return f"{self.head.raw.decode('latin-1')}{self.content[:600]!r}"


def request_bytes(
    method: str,
    target: str,
    fields: Fields = (),
    body: bytes | None = None,
    *,
    host: str | None = "gateway.test",
    version: str = "HTTP/1.1",
) -> bytes:
    """One request as bytes: Host first unless it is None, Content-Length last if there is a body."""
    lines = [f"{method} {target} {version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in fields]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def chunks(*parts: bytes, last: bytes = b"0\r\n\r\n") -> bytes:
    """A chunked body of these parts."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + last


class Caller:
    """One connection to the gateway."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        source: str | None = None,
        receive_buffer_bytes: int | None = None,
        keeps: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        if source is not None:
            self.socket.bind((source, 0))
        self.socket.settimeout(PATIENCE_S)
        try:
            self.socket.connect(address)
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket, server_hostname="gateway.test")
        except OSError:
            self.socket.close()
            raise
        self.reader = Reader(self.socket, keeps=keeps)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def address(self) -> tuple[str, int]:
        """This caller's own address, as the gateway sees it."""
        host, port = self.socket.getsockname()[:2]
        return str(host), int(port)

    def send(self, raw: bytes, *, within_s: float = PATIENCE_S) -> None:
        """Send bytes as they are; all of them."""
        self.socket.settimeout(within_s)
        self.socket.sendall(raw)

    def send_unless_closed(self, raw: bytes) -> bool:
        """Send bytes to a gateway that may already have had enough; whether they could be sent."""
        try:
            self.send(raw)
        except ConnectionError:
            return False
        return True

    def push(self, raw: bytes, *, pause_s: float = 1.0, limit: int = 1 << 30) -> int:
        """Send `raw` again and again until nobody has taken a byte for `pause_s`; how many bytes went."""
        return wire.push(self.socket, raw, pause_s=pause_s, limit=limit)

    def exchange(
        self,
        method: str,
        target: str,
        fields: Fields = (),
        body: bytes | None = None,
        *,
        host: str | None = "gateway.test",
        version: str = "HTTP/1.1",
        within_s: float = PATIENCE_S,
    ) -> Answer:
        """Send one request and read its whole answer."""
        self.send(request_bytes(method, target, fields, body, host=host, version=version))
        return self.answer(to=method, within_s=within_s)

    def get(self, target: str, fields: Fields = ()) -> Answer:
        """Ask for `target`."""
        return self.exchange("GET", target, fields)

    def head(self, *, within_s: float = PATIENCE_S) -> tuple[Head, list[Head]]:
        """Read one final head, and the interim heads before it."""
        interim: list[Head] = []
        while True:
            head = self.reader.head(within_s=within_s)
            if not head.start.startswith(("HTTP/1.1 1", "HTTP/1.0 1")):
                return head, interim
            interim.append(head)

    def answer(self, *, to: str = "GET", within_s: float = PATIENCE_S) -> Answer:
        """Read one whole answer to a request with the method `to`."""
        head, interim = self.head(within_s=within_s)
        version, status, reason = [*head.start.split(" ", 2), ""][:3]
        if not status.isdigit() or len(status) != 3:
            raise wire.NotHttp(f"not a status line: {head.start!r}")
        body = self.body(head, int(status), to=to, within_s=within_s)
        return Answer(version, int(status), reason, head, body, interim)

    def body(self, head: Head, status: int, *, to: str, within_s: float = PATIENCE_S) -> Body:
        """Read the body that this head announces."""
        if head.get("Transfer-Encoding") is not None and head.get("Content-Length") is not None:
            raise wire.NotHttp(f"two framings at once: {head.raw!r}")
        if to == "HEAD" or status in (204, 304):
            return Body()
        if (coding := head.get("Transfer-Encoding")) is not None:
            if coding.lower() != "chunked":
                raise wire.NotHttp(f"unknown transfer coding {coding!r}")
            return self.reader.chunked(within_s=within_s)
        if (length := head.get("Content-Length")) is not None:
            return Body(self.reader.exactly(int(length), within_s=within_s), "length")
        return Body(self.reader.rest(within_s=within_s), "close")

    def expect_closed(self, *, within_s: float = PATIENCE_S) -> None:
        """The gateway ends the connection and sends nothing more before it."""
        try:
            left = self.reader.rest(within_s=within_s)
        except Ended:
            left = self.reader.unread()
        if left:
            raise WireError(f"more bytes before the end: {left[:400]!r}")

    def expect_silence(self, *, for_s: float = 0.3) -> None:
        """Nothing comes and nothing ends for a while; only for what must not happen at all."""
        try:
            came = self.reader.some(within_s=for_s)
        except Stalled:
            return
        raise WireError(f"more bytes than one answer: {came[:400]!r}")

    def half_close(self) -> None:
        """Say that no more will be sent, and go on reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave with RST."""
        wire.reset(self.socket)

    def close(self) -> None:
        """Leave with FIN; harmless if repeated."""
        self.socket.close()


def drain(caller: Caller, count: int, *, within_s: float = 60) -> int:
    """Read `count` body bytes and drop them; how many came before the deadline or the end."""
    view = bytearray(1 << 20)
    deadline = time.monotonic() + within_s
    left = count - len(caller.reader.exactly(min(count, len(caller.reader.unread()))))
    while left and (pause := deadline - time.monotonic()) > 0:
        caller.socket.settimeout(pause)
        got = caller.socket.recv_into(view, min(left, len(view)))
        if not got:
            break
        left -= got
    return count - left
