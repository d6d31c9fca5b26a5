"""A WebSocket between a caller and a service: bytes as they come, Close frames where they must be ours.

No greenlet waits here: what can be read or sent calls back from the event loop, so that a tunnel in
which nothing happens costs next to nothing. Nothing in here may wait.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from falcongate.upstream.flow import Flow
from falcongate.wire.websocket import (
    ABNORMAL,
    GOING_AWAY,
    INTERNAL_ERROR,
    PING,
    POLICY,
    RESTART,
    TOO_BIG,
    TRY_LATER,
    close_frame,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from falcongate.config.websocket import WebSocketSettings
    from falcongate.exchange import Caller
    from falcongate.upstream.flow import Passed
    from falcongate.wire.channel import Channel

_CLOSE_S: Final = 5.0
_FRAME_S: Final = 60.0
_NEVER: Final = float("inf")


class Tunnel:
    """A caller and a service that have agreed on a WebSocket.

    `code` and `by` are those of its end: the code of the first Close frame, and whose it was: `caller`,
    `service` or `gateway`. `began_s` is when it began, `last_s` when something last came, monotonic seconds.
    `at_end` is called once, when it is over. With a `caller` it lasts no longer than its credential.
    `traffic` is that up to the service and that down to the caller. A side that takes nothing for
    `stalled_s` has been waited for long enough.
    """

    __slots__ = (
        "_caller",
        "_close_by",
        "_frames_before",
        "_looked_s",
        "_pinged_s",
        "_service",
        "_stalled_s",
        "at_end",
        "began_s",
        "by",
        "caller",
        "code",
        "down",
        "is_over",
        "last_s",
        "restart_at",
        "settings",
        "up",
    )

    def __init__(
        self,
        caller: Channel,
        service: Channel,
        settings: WebSocketSettings,
        *,
        stalled_s: float,
        traffic: tuple[Passed, Passed],
    ) -> None:
        self.settings = settings
        self._stalled_s = stalled_s
        self._caller = caller
        self._service = service
        self.up = Flow(self, caller, service, traffic[0])
        self.down = Flow(self, service, caller, traffic[1])
        self.at_end: Callable[[], object] | None = None
        self.caller: Caller | None = None
        self.code = 0
        self.by = ""
        self.is_over = False
        self.began_s = self.last_s = self._looked_s = monotonic()
        self.restart_at = _NEVER
        self._close_by = _NEVER
        self._pinged_s = 0.0
        self._frames_before = 0

    @property
    def is_dropped(self) -> bool:
        """Whether the service ended it without a Close frame, or with one that says it cannot go on."""
        return self.by == "service" and self.code in (INTERNAL_ERROR, TRY_LATER)

    def begin(self) -> None:
        """Relay from now on, first what was read along with the handshake."""
        for channel in (self._caller, self._service):
            channel.slim()
        from_caller, self._caller.buffer = self._caller.buffer, b""
        from_service, self._service.buffer = self._service.buffer, b""
        self.down.begin(from_service)
        if not self.is_over:
            self.up.begin(from_caller)

    def close(self, code: int, reason: str) -> None:
        """Say to both sides that it ends, between two frames, and end it soon after it was said."""
        if self.is_over or self._close_by != _NEVER:
            return
        self._note(code, "gateway")
        self._close_by = monotonic() + _FRAME_S
        self.down.end_with(close_frame(code, reason, is_masked=False))
        # What the caller has said before it knew is still for the service, up to its own Close frame.
        if code != RESTART:
            self._tell_service(code)

    def _tell_service(self, code: int) -> None:
        if not self.is_over:
            # In its own words: codes like 1012 are a server's to say.
            own_code = code if code in (POLICY, TOO_BIG) else GOING_AWAY
            self.up.end_with(close_frame(own_code, is_masked=True))

    def look(self, now: float) -> None:
        """Once a second: what must not last any longer."""
        settings = self.settings
        quiet_s = now - self.last_s
        is_stalled = now - min(self.up.sends_since, self.down.sends_since) > self._stalled_s
        if now > self._close_by or (is_stalled and self._close_by != _NEVER):
            self._tell_service(self.code)
            self.cut()
        elif now > self.restart_at:
            self.close(RESTART, "the gateway is restarted")
        elif is_stalled:
            self.close(TRY_LATER, "the other side takes nothing")
        elif settings.idle_timeout_s and quiet_s > settings.idle_timeout_s:
            self.close(GOING_AWAY, "nothing was said for too long")
        elif settings.max_messages_per_s and self._frames_per_s(now) > settings.max_messages_per_s:
            self.close(POLICY, "too many messages")
        elif settings.ping_interval_s and min(quiet_s, now - self._pinged_s) > settings.ping_interval_s:
            self._pinged_s = now
            self.down.put(PING)

    def _frames_per_s(self, now: float) -> float:
        """How many frames the caller has sent since the last time that this was asked, in a second."""
        frames, self._frames_before = self.up.frames - self._frames_before, self.up.frames
        # A worker that was busy must not take what came meanwhile for what comes in a second.
        passed_s, self._looked_s = now - self._looked_s, now
        return frames / max(passed_s, 1.0)

    def placed_close(self) -> None:
        """A Close frame of ours is on its way: from now on the other side is waited for."""
        self._close_by = min(self._close_by, monotonic() + _CLOSE_S)

    def saw_close(self, flow: Flow) -> None:
        """One side has sent a Close frame."""
        if self._close_by == _NEVER:
            self._note(flow.close_code, "caller" if flow is self.up else "service")
            self._close_by = monotonic() + _CLOSE_S
        elif self.by == "gateway" and flow is self.up:
            # The caller has answered ours.
            self._close_by = min(self._close_by, monotonic() + 1)

    def saw_end(self, flow: Flow) -> None:
        """One side has ended its half of the connection."""
        if flow is self.up:
            # It may still listen, and a service that ends now does so for its sake.
            self._note(ABNORMAL, "caller")
        elif not (self.up.has_said_last or flow.has_said_last):
            self._note(INTERNAL_ERROR, "service")
            self._close_by = min(self._close_by, monotonic() + _CLOSE_S)
            if flow.left:
                # Within a frame there is no place for ours.
                self.cut()
            else:
                flow.end_with(close_frame(INTERNAL_ERROR, "the service is gone", is_masked=False))

    def passed_end(self) -> None:
        """The end of one side has been passed on."""
        if self.up.has_ended and self.down.has_ended:
            self.end()

    def was_reset(self, flow: Flow) -> None:
        """One side has broken off."""
        if flow is self.up:
            self._note(ABNORMAL, "caller")
            self._service.reset()
            self.end()
        else:
            flow.end()

    def takes_nothing(self, flow: Flow) -> None:
        """One side can be sent nothing any more."""
        if flow is self.up:
            # What the service has said before it went is still to be read.
            self._note(INTERNAL_ERROR, "service")
            self._close_by = min(self._close_by, monotonic() + _CLOSE_S)
        else:
            self._note(ABNORMAL, "caller")
            self._service.reset()
            self.end()

    def cut(self) -> None:
        """End it where it is. Who is left with a part of a frame must not take that for a proper end."""
        for flow, sink in ((self.down, self._caller), (self.up, self._service)):
            if flow.is_within_frame:
                sink.reset()
        self.end()

    def end(self) -> None:
        """Close both sides; harmless if repeated."""
        if self.is_over:
            return
        self.is_over = True
        self._note(ABNORMAL, "gateway")
        self._caller.close()
        self._service.close()
        at_end, self.at_end = self.at_end, None
        if at_end is not None:
            at_end()

    def _note(self, code: int, by: str) -> None:
        if not self.by:
            self.code, self.by = code, by
