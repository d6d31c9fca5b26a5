"""The service behind every peer where nginx cannot be it: reads bodies, holds callers for a second.

Run as a program: `upstream.py PORT`.
"""

from __future__ import annotations

import asyncio
import re
import sys

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SMALL = b"x" * 294
_HELD_S = 1.0


class Upstream(asyncio.Protocol):
    """One connection. Bodies are counted, never kept."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._missing = 0
        self._is_chunked = False
        self._is_held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take the head, then the body, then answer."""
        if self._missing:
            self._missing -= len(data)
            if self._missing <= 0:
                self._missing = 0
                self._answer()
            return
        self._buffer += data
        if self._is_chunked:
            if self._buffer.endswith(b"0\r\n\r\n"):
                self._answer()
            self._buffer = self._buffer[-16:]
            return
        end = self._buffer.find(b"\r\n\r\n")
        if end >= 0:
            self._take_head(self._buffer[:end], self._buffer[end + 4 :])

    def _take_head(self, head: bytes, rest: bytes) -> None:
        self._is_held = b"/held" in head.split(b"\r\n", 1)[0]
        length = _LENGTH.search(head)
        self._is_chunked = b"chunked" in head.lower()
        self._missing = max(int(length[1]) - len(rest), 0) if length else 0
        self._buffer = rest
        if self._is_chunked and not rest.endswith(b"0\r\n\r\n"):
            return
        if not self._missing:
            self._answer()

    def _answer(self) -> None:
        self._buffer = b""
        self._is_chunked = False
        if self._is_held:
            asyncio.get_running_loop().call_later(_HELD_S, self._send)
        else:
            self._send()

    def _send(self) -> None:
        if self._transport is not None:
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(_SMALL)
            self._transport.write(head + _SMALL)


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", port, backlog=4_096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
