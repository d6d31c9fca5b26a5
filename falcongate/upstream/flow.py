"""One direction of a tunnel: bytes as they come, and frames of ours between two of theirs.

Everything here is called from the event loop and must not wait.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from gevent import get_hub

from falcongate.wire.channel import RECEIVE_BYTES
from falcongate.wire.websocket import TOO_BIG, FrameFollower

if TYPE_CHECKING:
    from falcongate.upstream.tunnel import Tunnel
    from falcongate.wire.channel import Channel

_READS_IN_A_TURN: Final = 8
_NEVER: Final = float("inf")


class Passed:
    """What has gone one way through all tunnels of a service since it was last told."""

    __slots__ = ("bytes", "messages")

    def __init__(self) -> None:
        self.bytes = 0
        self.messages = 0


class Flow(FrameFollower):
    """One direction of a tunnel: from a source to a sink.

    `passed_bytes` is what has gone through, counted in `traffic` as well. `sends_since` is when the sink
    last took a part of what there is for it, infinite while nothing waits.
    """

    __slots__ = (
        "_due",
        "_has_ended",
        "_held",
        "_is_lost",
        "_is_shut",
        "_pending",
        "_sink",
        "_source",
        "_traffic",
        "_tunnel",
        "passed_bytes",
        "sends_since",
    )

    def __init__(self, tunnel: Tunnel, source: Channel, sink: Channel, traffic: Passed) -> None:
        super().__init__(tunnel.settings.max_message_bytes)
        self._tunnel = tunnel
        self._traffic = traffic
        self._source = source
        self._sink = sink
        self._held = b""
        self._pending = b""
        self._due = b""
        self._is_shut = False
        self._is_lost = False
        self._has_ended = False
        self.passed_bytes = 0
        self.sends_since = _NEVER

    @property
    def has_ended(self) -> bool:
        """Whether its source has said its last, and the sink been told so."""
        return self._has_ended and not self._pending

    @property
    def has_said_last(self) -> bool:
        """Whether a Close frame or the end of its source has come, or a frame of ours is its last."""
        has_our_frame = self._due or (self._is_shut and not self._is_lost)
        return bool(self.close_code or has_our_frame or self._has_ended)

    @property
    def is_within_frame(self) -> bool:
        """Whether its sink has been sent a part of a frame whose rest it has not."""
        return bool(self.left or self._pending)

    def begin(self, early: bytes) -> None:
        """Pass on what was read with the handshake, and from now on what comes."""
        if early:
            self._take(early)
        if not self._pending and not self._tunnel.is_over:
            self._source.listen(self._read)

    def end_with(self, frame: bytes) -> None:
        """Pass on no more than the frame that is on its way, then this one."""
        if self._is_shut or self._due or self._has_ended:
            return
        if self.left:
            self._due = frame
        else:
            self._shut(frame)

    def put(self, frame: bytes) -> None:
        """Send a frame of ours between two others, if that can be done now."""
        if not (self.left or self._pending or self._is_shut or self._has_ended):
            self._send(frame)

    def _read(self) -> None:
        for _ in range(_READS_IN_A_TURN):
            try:
                data = self._source.receive_now(RECEIVE_BYTES)
            except OSError:
                self._source.pause()
                self._tunnel.was_reset(self)
                return
            if data is None:
                return
            if not data:
                self._source.pause()
                self.end()
                return
            self._take(data)
            if self._pending or self._tunnel.is_over:
                return
        # The TLS library may hold more, of which the socket says nothing.
        get_hub().loop.run_callback(self._read_on)

    def _read_on(self) -> None:
        if not (self._pending or self._has_ended or self._tunnel.is_over):
            self._read()

    def _take(self, data: bytes) -> None:
        tunnel = self._tunnel
        tunnel.last_s = monotonic()
        if self._held:
            data = self._held + data
        had_closed, messages = self.close_code, self.messages
        passed = self.follow(data, one_frame=bool(self._due))
        if passed == len(data):
            self._held = b""
        else:
            self._held = data[passed:]
            data = data[:passed]
        if self.close_code and not had_closed:
            tunnel.saw_close(self)
        if not self._is_shut and data:
            self.passed_bytes += len(data)
            self._traffic.bytes += len(data)
            self._traffic.messages += self.messages - messages
            self._send(data)
        if self._due and not self.left:
            frame, self._due = self._due, b""
            self._shut(frame)
            # What comes behind is dropped, but followed all the same: it may be a Close frame, and what is
            # left out would have the rest taken for what it is not.
            behind, self._held = self._held, b""
            if behind:
                self._take(behind)
        if self.is_too_long:
            self._held = b""
            tunnel.close(TOO_BIG, "the message is too long")

    def _shut(self, frame: bytes) -> None:
        self._send(frame)
        self._is_shut = True
        self._tunnel.placed_close()

    def _send(self, data: bytes) -> None:
        if self._pending:
            self._pending += data
            return
        try:
            sent = self._sink.send_now(data)
        except OSError:
            self._give_up()
            return
        if sent < len(data):
            self._pending = data[sent:]
            self.sends_since = monotonic()
            self._source.pause()
            self._sink.listen_for_room(self._flush)

    def _flush(self) -> None:
        try:
            sent = self._sink.send_now(self._pending)
        except OSError:
            self._give_up()
            return
        self._pending = self._pending[sent:]
        self.sends_since = monotonic()
        if self._pending:
            return
        self.sends_since = _NEVER
        self._sink.forget_room()
        if self._has_ended:
            self._pass_end()
        else:
            self._source.listen(self._read)

    def end(self) -> None:
        """The source sends nothing any more."""
        if self._held and not self._is_shut:
            held, self._held = self._held, b""
            self._send(held)
        self._tunnel.saw_end(self)
        self._has_ended = True
        if not self._pending:
            self._pass_end()

    def _give_up(self) -> None:
        """The sink can be sent nothing any more."""
        self._pending = b""
        self._is_shut = self._is_lost = True
        self.sends_since = _NEVER
        self._sink.forget_room()
        self._tunnel.takes_nothing(self)
        if not (self._has_ended or self._tunnel.is_over):
            # Who cannot say any more may still listen, and answers; what it says meanwhile is dropped.
            self._source.listen(self._read)

    def _pass_end(self) -> None:
        try:
            self._sink.end_sending()
        except OSError:
            self._tunnel.end()
            return
        self._tunnel.passed_end()
