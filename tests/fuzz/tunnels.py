"""A tunnel without sockets: one direction of it, with a source and a sink whose moods are known."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

from falcongate.upstream.flow import Flow, Passed
from falcongate.upstream.tunnel import Tunnel
from falcongate.wire.channel import Channel


class _Source:
    """Gives its pieces, one each time that it is said to be readable."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces[::-1]
        self.on_readable: Callable[[], object] | None = None
        self._has_given = False

    def listen(self, on_readable: Callable[[], object]) -> None:
        self.on_readable = on_readable

    def pause(self) -> None:
        self.on_readable = None

    def receive_now(self, limit: int) -> bytes | None:
        """One piece, then nothing until the next turn; b"" at the end."""
        del limit
        self._has_given = not self._has_given
        if not self._has_given:
            return None
        return self.pieces.pop() if self.pieces else b""


class _Sink:
    """Takes no more at once than `room` says, and nothing once it is gone."""

    def __init__(self, room: list[int]) -> None:
        self.room = room
        self.got = b""
        self.has_ended = self.is_gone = False
        self.on_writable: Callable[[], object] | None = None

    def send_now(self, data: bytes) -> int:
        if self.is_gone:
            raise ConnectionResetError
        took = self.room.pop() if self.room else len(data)
        assert not self.has_ended
        self.got += data[:took]
        return min(took, len(data))

    def listen_for_room(self, on_writable: Callable[[], object]) -> None:
        self.on_writable = on_writable

    def forget_room(self) -> None:
        self.on_writable = None

    def end_sending(self) -> None:
        self.has_ended = True


class _Tunnel:
    """What a flow tells its tunnel."""

    def __init__(self, max_message_bytes: int) -> None:
        self.settings = SimpleNamespace(max_message_bytes=max_message_bytes)
        self.last_s = 0.0
        self.is_over = False

    def saw_close(self, flow: Flow) -> None:
        """A Close frame has passed."""

    def close(self, code: int, reason: str) -> None:
        """A message is too long."""

    def saw_end(self, flow: Flow) -> None:
        """The source has ended."""

    def passed_end(self) -> None:
        """The sink has been told."""

    def takes_nothing(self, flow: Flow) -> None:
        """The sink is gone."""

    def placed_close(self) -> None:
        """A frame of ours was the last."""


class LoneFlow:
    """A flow with both its ends in hand."""

    def __init__(self, pieces: list[bytes], room: list[int], *, max_message_bytes: int = 0) -> None:
        self.source, self.sink = _Source(pieces), _Sink(room)
        self.tunnel = _Tunnel(max_message_bytes)
        self.traffic = Passed()
        self.flow = Flow(
            cast("Tunnel", self.tunnel),
            cast("Channel", self.source),
            cast("Channel", self.sink),
            self.traffic,
        )
        self.flow.begin(b"")

    @property
    def is_done(self) -> bool:
        """Whether nothing more can happen."""
        return self.source.on_readable is None and self.sink.on_writable is None

    def go_on(self) -> None:
        """Let the next thing happen: room at the sink comes before news at the source."""
        happens = self.sink.on_writable or self.source.on_readable
        assert happens is not None
        happens()
