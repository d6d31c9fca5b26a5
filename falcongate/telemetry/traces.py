"""Which requests are told to a receiver of traces, decided when they have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from falcongate.telemetry.otlp import render_span
from falcongate.telemetry.spans import has_failed, spans_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from falcongate.telemetry.record import Record
    from falcongate.telemetry.span_queue import SpanQueue


class Traces:
    """Tells `queue` of requests that are sampled, have failed, or were slow.

    Slow are those that took `slow_s` to the head of their answer.
    """

    __slots__ = ("_queue", "_slow_s")

    def __init__(self, queue: SpanQueue, *, slow_s: float) -> None:
        self._queue = queue
        self._slow_s = slow_s

    def tell(self, records: Iterable[Record]) -> None:
        """Take requests that have ended. Does not wait."""
        dropped = 0
        for record in records:
            trace = record.trace
            if trace is None or not (trace.is_sampled or self._is_notable(record)):
                continue
            count = 1 + len(record.tried)
            if self._queue.has_room(count):
                self._queue.put([render_span(span) for span in spans_of(record, trace)])
            else:
                dropped += count
        if dropped:
            self._queue.drop(dropped)

    def _is_notable(self, record: Record) -> bool:
        # Who left before there was an answer has waited all the time.
        return (record.first_byte_s or record.duration_s) >= self._slow_s or has_failed(record)
