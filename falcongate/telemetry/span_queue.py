"""Spans on their way to a receiver: gathered, sent in batches, dropped rather than waited for."""

from __future__ import annotations

import atexit
import logging
import random
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

import gevent
from gevent.event import Event

from falcongate.telemetry.metrics import TRACE_SPANS_DROPPED, TRACE_SPANS_EXPORTED
from falcongate.telemetry.otlp import parse_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from falcongate.telemetry.otlp import Envelope

_log = logging.getLogger("falcongate")

_GATHER_S: Final = 1.0
_BATCH: Final = 512
_MAX_PENDING: Final = 4_096
_MAX_PENDING_BYTES: Final = 8_388_608
# OTLP says 200; what stands before a receiver may take spans with another.
_TAKEN: Final = range(200, 300)
# Those that OTLP says may be sent again; 0: nobody answered.
_PASSING: Final = frozenset((0, 429, 502, 503, 504))
_MAX_TRIES: Final = 5
_FIRST_PAUSE_S: Final = 1.0
_MAX_PAUSE_S: Final = 30.0
_LAST_WAIT_S: Final = 1.0


class Answer(NamedTuple):
    """What a receiver has answered: `status` 0 if it did not, then `why` says so for the log."""

    status: int
    body: bytes = b""
    retry_after_s: float = 0.0
    why: str = ""


class SpanQueue:
    """Sends spans by `post`, which waits for an answer and raises nothing, from one greenlet.

    Nothing runs while there is nothing to send, so there is nothing that a fork could lose. What a receiver
    does not keep up with, or does not take, is dropped and counted.
    """

    __slots__ = (
        "_bytes",
        "_ending",
        "_envelope",
        "_in_flight",
        "_is_enough",
        "_pending",
        "_post",
        "_sender",
        "_state",
    )

    def __init__(self, post: Callable[[bytes], Answer], envelope: Envelope) -> None:
        self._post = post
        self._envelope = envelope
        self._pending: deque[bytes] = deque()
        self._bytes = self._in_flight = 0
        self._sender: gevent.Greenlet[..., None] | None = None
        self._is_enough, self._ending = Event(), Event()
        self._state = "taken"
        atexit.register(self.end)

    def has_room(self, count: int) -> bool:
        """Whether so many more spans can be taken."""
        return len(self._pending) + count <= _MAX_PENDING and self._bytes < _MAX_PENDING_BYTES

    def put(self, spans: Sequence[bytes]) -> None:
        """Take the encoded spans of one request. Does not wait."""
        self._pending.extend(spans)
        self._bytes += sum(map(len, spans))
        if self._sender is None:
            self._sender = gevent.spawn(self._send_all)
        elif len(self._pending) >= _BATCH:
            self._is_enough.set()

    def drop(self, count: int, why: str = "queue_full") -> None:
        """Count spans that nobody will see."""
        TRACE_SPANS_DROPPED.labels(why).inc(count)

    def end(self) -> None:
        """At the end of the process: send what is there, within a second, and no longer."""
        self._ending.set()
        self._is_enough.set()
        if self._sender is not None:
            self._sender.join(_LAST_WAIT_S)
        if left := self._in_flight + len(self._pending):
            self.drop(left, "worker_ended")

    def _send_all(self) -> None:
        try:
            while self._pending:
                self._is_enough.wait(_GATHER_S)
                if not self._ending.is_set():
                    self._is_enough.clear()
                self._send_batch()
        finally:
            self._sender = None

    def _send_batch(self) -> None:
        batch = [self._pending.popleft() for _ in range(min(len(self._pending), _BATCH))]
        self._bytes -= sum(map(len, batch))
        self._in_flight = len(batch)
        answer = self._deliver(self._envelope.render(batch))
        self._in_flight = 0
        if answer.status not in _TAKEN:
            self.drop(len(batch), "undelivered" if answer.status in _PASSING else "refused")
            return
        rejected, why = parse_answer(answer.body)
        rejected = min(rejected, len(batch))
        TRACE_SPANS_EXPORTED.inc(len(batch) - rejected)
        if rejected:
            self.drop(rejected, "refused")
            self._note("partly refused", f"{rejected} of {len(batch)} spans: {why}")

    def _deliver(self, request: bytes) -> Answer:
        """The last answer to a request that is sent again as long as that may help."""
        pause_s = _FIRST_PAUSE_S
        tries_left = _MAX_TRIES
        while True:
            answer = self._post(request)
            tries_left = 0 if self._ending.is_set() else tries_left - 1
            if answer.status in _TAKEN:
                self._note("taken", "")
                return answer
            self._note("not taken", answer.why or f"status {answer.status}")
            if answer.status not in _PASSING or not tries_left:
                return answer
            # All workers of all hosts find it away at the same time; they must not come back as one.
            jitter = random.uniform(0.5, 1)  # noqa: S311  # nobody gains by guessing it
            self._ending.wait(min(answer.retry_after_s or pause_s * jitter, _MAX_PAUSE_S))
            pause_s *= 2

    def _note(self, state: str, why: str) -> None:
        """Log what has changed, once."""
        before, self._state = self._state, state
        if state == before:
            return
        if state != "taken":
            _log.warning("Traces are %s: %r; what is not taken is dropped", state, why)
        elif before == "not taken":
            _log.info("Traces are taken again")
