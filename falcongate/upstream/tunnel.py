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
    from falcongate.upstream.flow import Traffic
    from falcongate.wire.channel import Channel

_CLOSE_S: Final = 5.0
_STALLED_S: Final = 60.0
_NEVER: Final = float("inf")


class Tunnel:
    """A caller and a service that have agreed on a WebSocket.

    `code` and `by` are those of its end: the code of the first Close frame, and whose it was: `caller`,
    `service` or `gateway`. `began_s` is when it began, `last_s` when something last came, monotonic seconds.
    `at_end` is called once, when it is over. `traffic` is that up to the service and that down to the caller.
    """

    __slots__ = (
        "_caller",
        "_close_by",
        "_messages_before",
        "_pinged_s",
        "_service",
        "at_end",
        "began_s",
        "by",
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
        traffic: tuple[Traffic, Traffic],
    ) -> None:
        self.settings = settings
        self._caller = caller
        self._service = service
        self.up = Flow(self, caller, service, traffic[0])
        self.down = Flow(self, service, caller, traffic[1])
        self.at_end: Callable[[], object] | None = None
        self.code = 0
        self.by = ""
        self.is_over = False
        self.began_s = self.last_s = monotonic()
        self.restart_at = _NEVER
        self._close_by = _NEVER
        self._pinged_s = 0.0
        self._messages_before = 0

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
        """Say to both sides that it ends, between two frames, and end it soon."""
        if self.is_over or self._close_by != _NEVER:
            return
        self._note(code, "gateway")
        self._close_by = monotonic() + _CLOSE_S
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
        if now > self._close_by:
            self._tell_service(self.code)
            self.end()
        elif now > self.restart_at:
            self.close(RESTART, "the gateway is restarted")
        elif now - min(self.up.sends_since, self.down.sends_since) > _STALLED_S:
            self.close(TRY_LATER, "the other side takes nothing")
        elif settings.idle_timeout_s and quiet_s > settings.idle_timeout_s:
            self.close(GOING_AWAY, "nothing was said for too long")
        elif settings.max_messages_per_s and self._said() > settings.max_messages_per_s:
            self.close(POLICY, "too many messages")
        elif settings.ping_interval_s and min(quiet_s, now - self._pinged_s) > settings.ping_interval_s:
            self._pinged_s = now
            self.down.put(PING)

    def _said(self) -> int:
        """How many messages the caller has sent since the last time that this was asked."""
        messages, self._messages_before = self.up.messages - self._messages_before, self.up.messages
        return messages

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
        if flow is self.down and self._close_by == _NEVER:
            self._note(INTERNAL_ERROR, "service")
            self._close_by = monotonic() + _CLOSE_S
            if flow.left:
                # Within a frame there is no place for ours.
                self._caller.reset()
                self.end()
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
            self._caller.pause()
            self._close_by = min(self._close_by, monotonic() + _CLOSE_S)
        else:
            self._note(ABNORMAL, "caller")
            self._service.reset()
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
