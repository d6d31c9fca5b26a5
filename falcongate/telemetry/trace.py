"""The trace that a request belongs to: continued from its caller, or begun here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from falcongate.wire.trace_context import SAMPLED, Parent, parse_traceparent, sound_tracestate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcongate.telemetry.record import Tried

_RANDOM_BYTES: Final = 4_096
# What is taken of random digits for a request: the id of its trace, those of its own span and of the first
# attempt's.
_DIGITS: Final = 64
# The digits of a trace id that are compared with a ratio: 56 bits, as all samplers do that agree with each
# other (W3C Trace Context, level 2, 3.3).
_COMPARED_FROM: Final = 18
_COMPARED_BITS: Final = 56
_ABOVE_ALL_DIGITS: Final = "g"


class Trace:
    """One request in its trace.

    `span_id` is that of the gateway's own span, `parent_id` the caller's, "" if the trace begins here;
    `linked` is what a caller has sent whose trace is not continued. `is_sampled` was decided before anything
    was known of the request's end; `flags` say so in hexadecimal. What only a span tells is noted at the end
    of requests that may be told: `wall_clock_s`, what wall time is ahead of monotonic time, `host`, the one
    that was asked, `peer`, the address of the socket, `scheme`, `user_agent`, `sent_path`, what services were
    asked for, and `breaker`, the state of the service's.
    """

    __slots__ = (
        "_spare",
        "breaker",
        "flags",
        "host",
        "is_believed",
        "is_sampled",
        "linked",
        "parent_id",
        "peer",
        "protocol",
        "scheme",
        "sent_path",
        "span_id",
        "trace_id",
        "tracestate",
        "user_agent",
        "wall_clock_s",
    )

    def __init__(self, digits: str, protocol: str, *, is_believed: bool) -> None:
        """`digits` are random, in hexadecimal: an id for a trace, and one each for two spans."""
        self.trace_id = digits[:32]
        self.span_id = digits[32:48]
        self._spare = digits[48:]
        self.protocol = protocol
        self.is_believed = is_believed
        self.parent_id = self.tracestate = ""
        self.linked: Parent | None = None
        self.is_sampled = False
        self.flags = "02"

    scheme: str
    host: str
    peer: str
    user_agent: str
    breaker: str
    sent_path: bytes
    wall_clock_s: float

    def lines_for(self, tried: Tried) -> bytes:
        """The header lines of an attempt, with their line breaks: its service goes on from there."""
        tried.span_id = span_id = self._spare or new_span_id()
        self._spare = ""
        line = f"traceparent: 00-{self.trace_id}-{span_id}-{self.flags}\r\n"
        if self.tracestate:
            line += f"tracestate: {self.tracestate}\r\n"
        return line.encode("ascii")


def new_span_id() -> str:
    """For a further span of a trace, or one that nobody was told of."""
    return os.urandom(8).hex()


class Tracer:
    """Finds the trace of each request, by one configuration.

    `ratio` is the share of traces begun here that are kept. Callers are believed if `believes_everyone`, or
    if they came from a trusted proxy and `believes_proxies`.
    """

    __slots__ = ("_at", "_believes_everyone", "_believes_proxies", "_bound", "_digits")

    def __init__(self, *, ratio: float, believes_everyone: bool, believes_proxies: bool) -> None:
        self._believes_everyone = believes_everyone
        self._believes_proxies = believes_proxies
        refused = round((1 - ratio) * 2**_COMPARED_BITS)
        digits = _COMPARED_BITS // 4
        self._bound = f"{refused:0{digits}x}" if refused < 2**_COMPARED_BITS else _ABOVE_ALL_DIGITS
        self._forget()
        # A fork would go on with its parent's ids.
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._digits = ""
        self._at = 0

    def trace_of(self, environ: Mapping[str, Any], *, is_trusted: bool) -> Trace:
        """The trace of a request with these header fields, as WSGI has them. Does not wait.

        `is_trusted` says that it came through a trusted proxy.

        PERF: random digits are taken from a store; to ask the system for them each time takes twice as long
        as all of this.
        """
        at = self._at
        self._at = end = at + _DIGITS
        digits = self._digits[at:end]
        if not digits:
            self._digits = os.urandom(_RANDOM_BYTES).hex()
            self._at = _DIGITS
            digits = self._digits[:_DIGITS]
        is_believed = self._believes_everyone or (is_trusted and self._believes_proxies)
        trace = Trace(digits, environ["SERVER_PROTOCOL"], is_believed=is_believed)
        traceparent = environ.get("HTTP_TRACEPARENT")
        if traceparent is not None and (parent := parse_traceparent(traceparent)) is not None:
            if is_believed:
                trace.trace_id, trace.parent_id, trace.flags = parent
                trace.is_sampled = parent[2] in SAMPLED
                tracestate = environ.get("HTTP_TRACESTATE")
                if tracestate:
                    trace.tracestate = sound_tracestate(tracestate)
                return trace
            trace.linked = parent
        if digits[_COMPARED_FROM:32] >= self._bound:
            trace.is_sampled = True
            trace.flags = "03"
        return trace
