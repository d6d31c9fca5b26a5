"""A channel inside TLS, and the choice between it and a plain one."""

from __future__ import annotations

import ssl
from typing import Any

from falcongate.wire.channel import Channel


class TlsChannel(Channel):
    """A channel inside TLS; its bytes must go through the library, so they are never spliced."""

    __slots__ = ()

    spliceable = False

    def __init__(self, sock: ssl.SSLSocket) -> None:
        super().__init__(sock)
        sock.settimeout(0)

    def wait_readable(self, timeout_s: float) -> bool:
        """As for any channel; what the library holds already is not waited for."""
        return bool(self.sock.pending()) or super().wait_readable(timeout_s)

    def receive_now(self, limit: int) -> bytes | None:
        """As for any channel."""
        try:
            data: bytes = self.sock.recv(limit)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        return data

    def send_now(self, data: bytes | memoryview) -> int:
        """As for any channel."""
        try:
            sent: int = self.sock.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        return sent

    def slim(self) -> None:
        """Nothing: the library needs the socket as it is."""

    def is_quiet(self) -> bool:
        """As for any channel."""
        # Session tickets make the socket readable with nothing in them for us, so ask the library.
        try:
            return self.receive_now(1) is None and not self.buffer
        except OSError:
            return False


def channel_for(sock: Any) -> Channel:
    """The right channel for a gevent socket, plain or TLS."""
    return TlsChannel(sock) if isinstance(sock, ssl.SSLSocket) else Channel(sock)
