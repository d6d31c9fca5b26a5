"""A channel without a socket: what arrives on it is known, and nobody ever waits."""

from __future__ import annotations


class Hung(AssertionError):
    """Whoever uses the channel goes round in circles."""


class FakeChannel:
    """Gives these pieces one by one, then the end; keeps what is sent."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.buffer = b""
        self.sent = b""
        self.is_closed = False
        self._pieces = [piece for piece in reversed(pieces) if piece]
        # A body may be asked for once more than there are pieces; much more than that is no progress.
        self._turns = 20 * len(pieces) + sum(map(len, pieces)) + 1_000

    def receive_now(self, limit: int) -> bytes:
        """The next piece, or its beginning; b"" at the end."""
        self._turns -= 1
        if self._turns < 0:
            raise Hung("reads without end")
        if not self._pieces:
            return b""
        piece = self._pieces.pop()
        if len(piece) > limit:
            self._pieces.append(piece[limit:])
        return piece[:limit]

    def receive(self, limit: int, timeout_s: float) -> bytes:
        """The same: there is always something there."""
        del timeout_s
        return self.receive_now(limit)

    def wait_readable(self, timeout_s: float) -> bool:
        """At once."""
        del timeout_s
        self._turns -= 1
        if self._turns < 0:
            raise Hung("waits without end")
        return True

    def send_all(self, data: bytes, idle_s: float, deadline: float = 0.0) -> None:
        """All of it, at once."""
        del idle_s, deadline
        self.sent += data

    def end_for_good(self) -> None:
        """Nothing more will be sent."""

    def close(self) -> None:
        """It is over."""
        self.is_closed = True

    reset = end_receiving = close

    @property
    def unread(self) -> bytes:
        """What was not used: what a next message would begin with."""
        return self.buffer + b"".join(reversed(self._pieces))
