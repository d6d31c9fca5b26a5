"""HTTP/1.1 as bytes on a socket: what the callers and the services of the tests both speak.

Strict on purpose: what this reader accepts as a message is exactly what RFC 9112 calls one, so
that a test which reads an answer has also checked its framing. Nothing here repairs anything.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import Any

PATIENCE_S = 10.0
"""How long a test waits for what should come at once; generous, for machines under load."""

_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*", re.DOTALL)
_CHUNK = re.compile(rb"([0-9A-Fa-f]+)(?:[ \t]*;[^\r\n]*)?")


class WireError(AssertionError):
    """The peer did not do what the test needed; an assertion, because that is what failed."""


class NotHttp(WireError):
    """Bytes that are no message of RFC 9112."""


class Stalled(WireError):
    """Nothing more came within the deadline; `partial` is what had come."""

    def __init__(self, what: str, partial: bytes) -> None:
        self.partial = partial
        super().__init__(f"waited in vain for {what}; had {_shown(partial)}")


class Ended(WireError):
    """The connection ended too early; `partial` is what had come, `reset` whether by RST."""

    def __init__(self, what: str, partial: bytes, *, reset: bool) -> None:
        self.partial = partial
        self.reset = reset
        super().__init__(f"connection {'reset' if reset else 'closed'} before {what}; had {_shown(partial)}")


def _shown(raw: bytes) -> str:
    return repr(raw[:400]) + (f"... ({len(raw)} bytes)" if len(raw) > 400 else "")


@dataclass
class Head:
    """Start line and fields of a message, in the order and case in which they came."""

    start: str
    fields: list[tuple[str, str]]
    raw: bytes = b""

    def all(self, name: str) -> list[str]:
        """Every value of a field, in order."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """The only value of a field, or None; two of it fail the test."""
        values = self.all(name)
        if len(values) > 1:
            raise WireError(f"{name} came {len(values)} times: {values}")
        return values[0] if values else None

    def names(self) -> list[str]:
        """Field names as they were written."""
        return [key for key, _ in self.fields]


@dataclass
class Body:
    """A message's content, how it was framed, and the trailer fields behind it."""

    content: bytes = b""
    framing: str = "none"
    trailers: list[tuple[str, str]] = field(default_factory=list)

    def json(self) -> Any:  # noqa: ANN401 - a JSON document is of any shape
        """The content read as JSON."""
        return json.loads(self.content)


def parse_fields(lines: list[bytes]) -> list[tuple[str, str]]:
    """Field lines to pairs; a line that is no field fails the test."""
    pairs = []
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise NotHttp(f"not a header field: {_shown(line)}")
        pairs.append((match[1].decode("ascii"), match[2].decode("latin-1")))
    return pairs


def parse_head(raw: bytes) -> Head:
    """A head up to and with its empty line."""
    lines = raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
    return Head(lines[0].decode("latin-1"), parse_fields(lines[1:]), raw)


class Reader:
    """Reads a socket in units of HTTP, each with its own deadline, and keeps every byte it saw."""

    def __init__(self, sock: socket.socket, *, keeps: bool = True) -> None:
        self._socket = sock
        self._ahead = bytearray()
        self._keeps = keeps
        self.seen = bytearray()
        self.received = 0

    def _more(self, what: str, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise Stalled(what, bytes(self._ahead))
        self._socket.settimeout(left)
        try:
            data = self._socket.recv(262_144)
        except TimeoutError:
            raise Stalled(what, bytes(self._ahead)) from None
        except OSError:
            raise Ended(what, bytes(self._ahead), reset=True) from None
        if not data:
            raise Ended(what, bytes(self._ahead), reset=False)
        self.received += len(data)
        if self._keeps:
            self.seen += data
        self._ahead += data

    def _taken(self, count: int) -> bytes:
        data = bytes(self._ahead[:count])
        del self._ahead[:count]
        return data

    def until(self, mark: bytes, *, within_s: float = PATIENCE_S) -> bytes:
        """Bytes up to and with `mark`."""
        deadline = time.monotonic() + within_s
        while (at := self._ahead.find(mark)) < 0:
            self._more(repr(mark), deadline)
        return self._taken(at + len(mark))

    def exactly(self, count: int, *, within_s: float = PATIENCE_S) -> bytes:
        """The next `count` bytes."""
        deadline = time.monotonic() + within_s
        while len(self._ahead) < count:
            self._more(f"{count} bytes", deadline)
        return self._taken(count)

    def some(self, *, within_s: float = PATIENCE_S) -> bytes:
        """Whatever comes next, at least one byte."""
        if not self._ahead:
            self._more("any byte", time.monotonic() + within_s)
        return self._taken(len(self._ahead))

    def rest(self, *, within_s: float = PATIENCE_S) -> bytes:
        """Everything up to the peer's orderly end; a reset fails the test."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                self._more("the end of the connection", deadline)
            except Ended as end:
                if end.reset:
                    raise
                return self._taken(len(self._ahead))

    def head(self, *, within_s: float = PATIENCE_S) -> Head:
        """One message head."""
        return parse_head(self.until(b"\r\n\r\n", within_s=within_s))

    def chunked(self, *, within_s: float = PATIENCE_S) -> Body:
        """One chunked body with its trailers; what ends too early carries the content so far."""
        deadline = time.monotonic() + within_s
        content = bytearray()
        try:
            while True:
                line = self.until(b"\r\n", within_s=deadline - time.monotonic())[:-2]
                match = _CHUNK.fullmatch(line)
                if match is None:
                    raise NotHttp(f"not a chunk size: {_shown(line)}")
                size = int(match[1], 16)
                if size == 0:
                    return Body(bytes(content), "chunked", self._trailers(deadline))
                content += self.exactly(size, within_s=deadline - time.monotonic())
                if self.exactly(2, within_s=deadline - time.monotonic()) != b"\r\n":
                    raise NotHttp("a chunk does not end with CRLF")
        except Ended as end:
            raise Ended("the last chunk", bytes(content) + end.partial, reset=end.reset) from None

    def _trailers(self, deadline: float) -> list[tuple[str, str]]:
        lines = []
        while line := self.until(b"\r\n", within_s=deadline - time.monotonic())[:-2]:
            lines.append(line)
        return parse_fields(lines)

    def unread(self) -> bytes:
        """What came but was not asked for yet."""
        return bytes(self._ahead)


def reset(sock: socket.socket) -> None:
    """End a connection with RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def push(sock: socket.socket, raw: bytes, *, pause_s: float, limit: int) -> int:
    """Send `raw` again and again until nobody has taken a byte for `pause_s`; how many bytes went."""
    sent = 0
    sock.settimeout(pause_s)
    with contextlib.suppress(TimeoutError):
        while sent < limit:
            sent += sock.send(raw)
    return sent
