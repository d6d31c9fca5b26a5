"""What can be known of a caller whose bytes another server reads."""

from __future__ import annotations

import socket as std_socket
from typing import Any

from falcongate.wire.channel import Channel


class PeekedChannel(Channel):
    """The channel of a caller whose bytes another server reads: only its leaving is noticed."""

    __slots__ = ("_has_next",)

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self._has_next = False

    def watch(self) -> None:
        """As for any channel, until the caller has sent something."""
        # Its next request stays where it is, so the socket would be readable all the time.
        if not self._has_next:
            super().watch()

    def receive_now(self, limit: int) -> bytes | None:
        """b"" when the caller has left, else None."""
        del limit
        try:
            if not self._raw.recv(1, std_socket.MSG_PEEK):
                return b""
        except BlockingIOError:
            return None
        self._has_next = True
        return None

    def close(self) -> None:
        """Stop watching; the socket is somebody else's."""
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
