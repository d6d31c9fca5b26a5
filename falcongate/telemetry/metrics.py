"""Every metric of the gateway: name, help, unit and labels.

Labels are bounded: services and policies by the configuration, methods and statuses by HTTP. With several
workers the values live in files that prometheus_client shares between them.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections import Counter as Counter_
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    mmap_dict,
    multiprocess,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import Metric

    from falcongate.telemetry.record import Record

_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

# Those of RFC 6455, 7.4; callers choose theirs.
_CLOSE_CODES: Final = range(1_000, 1_016)
_APPLICATION_CODES: Final = range(3_000, 5_000)

# A file that has to grow while the process may open no more files is broken from then on. This is
# room for some ten thousand values; what is not used takes no disk.
mmap_dict._INITIAL_MMAP_SIZE = 1_048_576  # noqa: SLF001  # it has no setting

REQUESTS = Counter(
    "falcongate_http_requests_total",
    "Requests answered, by service (empty where none was found), method and status.",
    ("service", "method", "status"),
)
DURATION = Histogram(
    "falcongate_http_request_duration_seconds",
    "Time from the arrival of a request's head to the last byte of its answer.",
    ("service",),
    buckets=_BUCKETS_S,
)
PROBLEMS = Counter(
    "falcongate_problems_total",
    "Answers that the gateway made itself because something was wrong, by problem type.",
    ("service", "problem"),
)
LIMITS = Counter(
    "falcongate_limit_refusals_total",
    "Requests over a limit, by policy; in mode shadow they were let through.",
    ("policy", "mode"),
)
REDIS = Gauge(
    "falcongate_redis_connected",
    "Whether the shared state can be asked: 1, or 0 if some worker cannot.",
    multiprocess_mode="livemin",
)


WEBSOCKETS = Gauge(
    "falcongate_websockets",
    "WebSockets that are open, by service.",
    ("service",),
    multiprocess_mode="livesum",
)
WEBSOCKETS_OPENED = Counter(
    "falcongate_websockets_opened_total", "WebSockets opened, by service.", ("service",)
)
WEBSOCKETS_CLOSED = Counter(
    "falcongate_websockets_closed_total",
    "WebSockets ended, by service, who ended them (caller, service, gateway), and the code.",
    ("service", "by", "code"),
)
WEBSOCKET_MESSAGES = Counter(
    "falcongate_websocket_messages_total",
    "Messages through WebSockets, by service and direction (up: to the service).",
    ("service", "direction"),
)
WEBSOCKET_BYTES = Counter(
    "falcongate_websocket_bytes_total",
    "Bytes through WebSockets, frame headers included, by service and direction (up: to the service).",
    ("service", "direction"),
)

TRACE_SPANS_EXPORTED = Counter(
    "falcongate_trace_spans_exported_total", "Spans that the receiver of traces has taken."
)
TRACE_SPANS_DROPPED = Counter(
    "falcongate_trace_spans_dropped_total",
    "Spans that nobody will see, by why: queue_full, undelivered, refused, worker_ended.",
    ("why",),
)


def expect(services: Iterable[str], limits: Iterable[tuple[str, str]]) -> None:
    """Show these from the start, with nothing counted: what is absent cannot be watched.

    `limits` are names of policies with their modes.
    """
    for service in ("", *services):
        DURATION.labels(service)
    for policy, mode in limits:
        LIMITS.labels(policy, mode)


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


def tally(records: Iterable[Record]) -> None:
    """Count requests that have ended. Does not wait."""
    requests: Counter_[tuple[str, str, int]] = Counter_()
    problems: Counter_[tuple[str, str]] = Counter_()
    durations: dict[str, list[float]] = {}
    limits: Counter_[tuple[str, str]] = Counter_()
    for record in records:
        requests[record.service, record.method, record.status] += 1
        durations.setdefault(record.service, []).append(record.duration_s)
        if record.problem:
            problems[record.service, record.problem] += 1
        limits.update((policy, "enforce") for policy in record.refused_by)
        limits.update((policy, "shadow") for policy in record.would_refuse)
    for (service, method, status), count in requests.items():
        known_method = method if method in _METHODS else "other"
        REQUESTS.labels(service, known_method, str(status)).inc(count)
    for (service, problem), count in problems.items():
        PROBLEMS.labels(service, problem).inc(count)
    for (policy, mode), count in limits.items():
        LIMITS.labels(policy, mode).inc(count)
    for service, seconds in durations.items():
        _observe_all(DURATION.labels(service), seconds)


def _observe_all(histogram: Histogram, seconds: list[float]) -> None:
    """What `observe` does for one value, for many: it adds to these same parts."""
    in_bucket = Counter_(bisect_left(_BUCKETS_S, duration_s) for duration_s in seconds)
    for at, count in in_bucket.items():
        histogram._buckets[at].inc(count)
    histogram._sum.inc(sum(seconds))


def render_prometheus() -> bytes:
    """All metrics of all workers of this host, in Prometheus' text format."""
    return generate_latest(_registry())


def summarize() -> dict[str, dict[str, float]]:
    """By service: `requests`, `errors` (5xx) and `average_ms`, over all workers of this host."""
    services: dict[str, dict[str, float]] = {}
    seconds: dict[str, float] = {}
    for family in _registry().collect():
        for sample in family.samples:
            service = sample.labels.get("service", "")
            if sample.name == "falcongate_http_requests_total":
                row = services.setdefault(service, {"requests": 0, "errors": 0, "average_ms": 0})
                row["requests"] += sample.value
                if sample.labels["status"].startswith("5"):
                    row["errors"] += sample.value
            elif sample.name == "falcongate_http_request_duration_seconds_sum":
                seconds[service] = sample.value
    for service, row in services.items():
        row["average_ms"] = round(1000 * seconds.get(service, 0) / row["requests"], 1)
    return services


class _Workers(multiprocess.MultiProcessCollector):
    """All workers' files, but for those that a worker died writing or a full disk cut short."""

    def collect(self) -> Iterable[Metric]:
        files = [str(path) for path in Path(self._path).glob("*.db") if _is_whole(path)]
        merged: Iterable[Metric] = self.merge(files, accumulate=True)  # type: ignore[no-untyped-call]
        return merged


def _is_whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            used = file.read(4)
            return len(used) == 4 and int.from_bytes(used, sys.byteorder) <= path.stat().st_size
    except OSError:
        return False


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    try:
        _Workers(registry)  # type: ignore[no-untyped-call]
    except ValueError:
        return REGISTRY  # no directory to share: one process, whose own numbers are all there are
    return registry
