"""A channel inside TLS, and the choice between it and a plain one."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Any

from falcongate.wire.channel import Channel


class TlsChannel(Channel):
    """A channel inside TLS; its bytes must go through the library, so they are never spliced."""

    __slots__ = ("_has_ended",)

    spliceable = False

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        sock.settimeout(0)
        self._has_ended = False
        # A service's answer without a length is whole only if TLS says that it has ended (RFC 9112, 9.8).
        # Callers who just leave are nothing special.
        sock.suppress_ragged_eofs = sock.server_side

    def wait_readable(self, timeout_s: float) -> bool:
        """As for any channel; what the library holds already is not waited for."""
        is_held = not self._has_ended and bool(self.sock.pending())
        return is_held or super().wait_readable(timeout_s)

    def receive_now(self, limit: int) -> bytes | None:
        """As for any channel. After `end_for_good` it is whatever comes, to be thrown away."""
        if self._has_ended:
            return super().receive_now(limit)
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

    def end_for_good(self) -> None:
        """As for any channel; told inside TLS too, so that the peer knows what it has for whole."""
        # The library sends the word, then complains that the peer has not answered it, or still sends.
        with suppress(OSError, ValueError):
            self.sock.unwrap()
        self._has_ended = True
        self.end_sending()

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


def client_certificate(sock: Any) -> dict[str, Any] | None:
    """What is said in the certificate that a caller has shown and that was verified; None without one."""
    return (sock.getpeercert() or None) if isinstance(sock, ssl.SSLSocket) else None
