"""Some requests that were counted, by name: who sees a slow bucket can look at one that is in it.

prometheus_client cannot share them among workers; each worker tells of its own.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final, NamedTuple

from falcongate.telemetry.metrics import BUCKETS_S

if TYPE_CHECKING:
    from falcongate.telemetry.record import Record

# OpenMetrics allows 128 characters for the labels of an exemplar, their names included.
_MAX_ID_LENGTH: Final = 100


class Exemplar(NamedTuple):
    """One request: its `label` is what it can be found by, `trace_id` if its trace is sampled.

    `ended` is wall time in seconds.
    """

    label: str
    id: str
    duration_s: float
    ended: float


class Exemplars:
    """The last request in each bucket of each service's durations."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[tuple[str, int], Record] = {}

    def note(self, record: Record) -> None:
        """Keep it, in place of the one before. Does not wait."""
        self._last[record.service, bisect_left(BUCKETS_S, record.duration_s)] = record

    def last(self, service: str, bucket: int) -> Exemplar | None:
        """That of the bucket whose number this is; None if it has none that can be told."""
        record = self._last.get((service, bucket))
        if record is None:
            return None
        # Others have a trace that nobody else may keep.
        if record.trace is not None and record.trace.is_sampled:
            return Exemplar("trace_id", record.trace_id, record.duration_s, record.ended)
        if not 0 < len(record.request_id) <= _MAX_ID_LENGTH:
            return None
        return Exemplar("request_id", record.request_id, record.duration_s, record.ended)


EXEMPLARS: Final = Exemplars()
