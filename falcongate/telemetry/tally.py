"""Counts requests, batch by batch: what many have in common is added up before any metric is touched.

PERF: touching a value that workers share costs 1 us; a request alone would touch fifteen.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Counter_
from functools import cache, lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from falcongate.errors import CALLER_LEFT_STATUS
from falcongate.telemetry.exemplars import EXEMPLARS
from falcongate.telemetry.metrics import (
    ANSWERED,
    ATTEMPTS,
    BUCKETS_S,
    CONNECTED,
    CONNECTION_BUCKETS_S,
    DURATION,
    FIRST_BYTE,
    LIMITS,
    PROBLEMS,
    RECEIVED,
    REQUESTS,
    SENT,
    WEBSOCKET_BYTES,
    WEBSOCKET_MESSAGES,
    WEBSOCKETS,
    WEBSOCKETS_CLOSED,
    WEBSOCKETS_OPENED,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from prometheus_client import Counter, Histogram

    from falcongate.telemetry.record import Record, Tried

_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
# Those that have a name, and ours for callers who left; a service may answer with any other number.
_STATUSES: Final = frozenset((*map(int, HTTPStatus), CALLER_LEFT_STATUS))
_SWITCHED: Final = 101
# Taking a connection that is there takes less.
_WAITED_S: Final = 0.001

# Those of RFC 6455, 7.4; callers choose theirs.
_CLOSE_CODES: Final = range(1_000, 1_016)
_APPLICATION_CODES: Final = range(3_000, 5_000)


class _Batch:
    """What the requests of one service have been."""

    __slots__ = (
        "answered",
        "attempts",
        "connected",
        "durations",
        "first_bytes",
        "received",
        "requests",
        "sent",
    )

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int], int] = {}
        self.attempts: dict[str, int] = {}
        self.durations: list[float] = []
        self.first_bytes: list[float] = []
        self.answered: list[float] = []
        self.connected: list[float] = []
        self.received = self.sent = 0

    def add_times(self, record: Record) -> None:
        # How long a WebSocket lasts is its users' business.
        if record.status != _SWITCHED:
            self.durations.append(record.duration_s)
            EXEMPLARS.note(record)
        if record.first_byte_s:
            self.first_bytes.append(record.first_byte_s)

    def add_attempts(self, tried: Iterable[Tried]) -> None:
        attempts = self.attempts
        for each in tried:
            outcome = each.failure or _class_of(each.status)
            attempts[outcome] = attempts.get(outcome, 0) + 1
            if each.answered:
                self.answered.append(each.answered - each.sent)
            if each.connected and not (each.is_reused and each.connected - each.began < _WAITED_S):
                self.connected.append(each.connected - each.began)


def tally(records: Iterable[Record]) -> None:
    """Count requests that have ended. Does not wait."""
    batches: dict[str, _Batch] = {}
    problems: Counter_[tuple[str, str]] = Counter_()
    decisions: Counter_[tuple[str, str]] = Counter_()
    for record in records:
        batch = batches.get(record.service)
        if batch is None:
            batch = batches[record.service] = _Batch()
        asked = (record.method, record.status)
        batch.requests[asked] = batch.requests.get(asked, 0) + 1
        batch.add_times(record)
        batch.received += record.received_bytes
        batch.sent += record.sent_bytes
        if record.tried:
            batch.add_attempts(record.tried)
        if record.problem:
            problems[record.service, record.problem] += 1
        if record.admitted_by or record.refused_by or record.would_refuse:
            decisions.update(_decisions(record))
    for service, batch in batches.items():
        _count(service, batch)
    for (service, problem), count in problems.items():
        _add(_value(PROBLEMS, service, problem), count)
    for (policy, decision), count in decisions.items():
        _add(_value(LIMITS, policy, decision), count)


def _decisions(record: Record) -> Iterable[tuple[str, str]]:
    for policy in record.admitted_by:
        if policy not in record.would_refuse:
            yield policy, "admitted"
    for policy in record.refused_by:
        yield policy, "refused"
    for policy in record.would_refuse:
        yield policy, "would_refuse"


def _count(service: str, batch: _Batch) -> None:
    for (method, status), count in batch.requests.items():
        known_method = method if method in _METHODS else "other"
        known_status = str(status) if status in _STATUSES else _class_of(status)
        _add(_value(REQUESTS, service, known_method, known_status), count)
    for outcome, count in batch.attempts.items():
        _add(_value(ATTEMPTS, service, outcome), count)
    if batch.durations:
        observe_all(_of_service(DURATION, service), BUCKETS_S, batch.durations)
    if batch.first_bytes:
        observe_all(_of_service(FIRST_BYTE, service), BUCKETS_S, batch.first_bytes)
    if batch.answered:
        observe_all(_of_service(ANSWERED, service), BUCKETS_S, batch.answered)
    if batch.connected:
        observe_all(_of_service(CONNECTED, service), CONNECTION_BUCKETS_S, batch.connected)
    if batch.received:
        _add(_value(RECEIVED, service), batch.received)
    if batch.sent:
        _add(_value(SENT, service), batch.sent)


def observe_all(histogram: Histogram, bounds: Sequence[float], seconds: Sequence[float]) -> None:
    """What `observe` does for one value, for many: it adds to these same parts. Does not wait."""
    buckets = histogram._buckets
    in_bucket: dict[int, int] = {}
    for duration_s in seconds:
        at = bisect_left(bounds, duration_s)
        in_bucket[at] = in_bucket.get(at, 0) + 1
    for at, count in in_bucket.items():
        _add(buckets[at], count)
    _add(histogram._sum, sum(seconds))


def _add(value: Any, amount: float) -> None:
    """What `inc` of a value does, without its lock and its look for a fork.

    PERF: a third of the time. Only the loop's thread counts, no greenlet switches in here, and workers do not
    fork.
    """
    if not value._multiprocess:
        value.inc(amount)
        return
    value._value = total = value._value + amount
    value._file.write_value(value._key, total, 0.0)


# PERF: finding a metric's child takes as long as adding to it. Labels are bounded, and so are these.
@cache
def _value(counter: Counter, *labels: str) -> Any:
    return counter.labels(*labels)._value


@cache
def _of_service(histogram: Histogram, service: str) -> Histogram:
    return histogram.labels(service)


@lru_cache(maxsize=1_024)
def _class_of(status: int) -> str:
    return f"{status // 100}xx" if 100 <= status < 600 else "other"


def tally_websockets(
    service: str,
    *,
    opened: int,
    closed: Mapping[tuple[str, int], int],
    messages: tuple[int, int],
    transferred: tuple[int, int],
) -> None:
    """Count what has become of a service's WebSockets: up to it, and down to the callers. Does not wait."""
    if opened:
        WEBSOCKETS_OPENED.labels(service).inc(opened)
    if change := opened - sum(closed.values()):
        WEBSOCKETS.labels(service).inc(change)
    for (by, code), count in closed.items():
        known = (
            str(code) if code in _CLOSE_CODES else "application" if code in _APPLICATION_CODES else "other"
        )
        WEBSOCKETS_CLOSED.labels(service, by, known).inc(count)
    for direction, message_count, byte_count in zip(("up", "down"), messages, transferred, strict=True):
        if byte_count:
            WEBSOCKET_MESSAGES.labels(service, direction).inc(message_count)
            WEBSOCKET_BYTES.labels(service, direction).inc(byte_count)
