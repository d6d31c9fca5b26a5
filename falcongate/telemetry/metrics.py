"""Every metric of the gateway: name, help, unit and labels.

Labels are bounded: services by the configuration, methods and statuses by HTTP. With several
workers the values live in files that prometheus_client shares between them.
"""

from __future__ import annotations

import atexit
from bisect import bisect_left
from typing import Final, NoReturn

import gevent
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    multiprocess,
)

_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

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

_FLUSH_EVERY_S: Final = 1.0


class _Tally:
    """What happened since the last flush, in plain numbers.

    PERF: counting here costs 0.4 us; prometheus_client's counter and histogram take 4 together.
    """

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str, int], int] = {}
        self.durations: dict[str, list[float]] = {}

    def flush(self) -> None:
        """Move everything to prometheus_client. Does not wait."""
        requests, self.requests = self.requests, {}
        durations, self.durations = self.durations, {}
        for (service, method, status), count in requests.items():
            known_method = method if method in _METHODS else "other"
            REQUESTS.labels(service, known_method, str(status)).inc(count)
        for service, row in durations.items():
            histogram = DURATION.labels(service)
            # `observe` takes one value at a time, so this goes to the parts it adds to.
            for bucket, observed in zip(histogram._buckets, row[1:], strict=True):
                if observed:
                    bucket.inc(observed)
            histogram._sum.inc(row[0])


_tally = _Tally()
atexit.register(_tally.flush)


def observe_request(*, service: str, method: str, status: int, problem: str, duration_s: float) -> None:
    """Count one request that has ended."""
    key = (service, method, status)
    requests = _tally.requests
    requests[key] = requests.get(key, 0) + 1
    row = _tally.durations.get(service)
    if row is None:
        # The sum, then a count for each bucket and one for whatever is longer.
        row = _tally.durations[service] = [0.0] * (len(_BUCKETS_S) + 2)
    row[0] += duration_s
    row[1 + bisect_left(_BUCKETS_S, duration_s)] += 1
    if problem:
        PROBLEMS.labels(service, problem).inc()


def keep_flushing() -> NoReturn:
    """Make this worker's numbers visible to scrapes of others, every second. Runs for ever."""
    while True:
        gevent.sleep(_FLUSH_EVERY_S)
        _tally.flush()


def render_prometheus() -> bytes:
    """All metrics of all workers of this host, in Prometheus' text format."""
    _tally.flush()
    return generate_latest(_registry())


def summarize() -> dict[str, dict[str, float]]:
    """By service: `requests`, `errors` (5xx) and `average_ms`, over all workers of this host."""
    _tally.flush()
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


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    try:
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    except ValueError:
        return REGISTRY  # no directory to share: one process, whose own numbers are all there are
    return registry
