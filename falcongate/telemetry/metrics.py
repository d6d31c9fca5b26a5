"""Every metric of the gateway: name, help, unit and labels. Who counts is `tally.py`.

Labels are bounded: services, breakers and policies by the configuration, all else by what the code can say.
With several workers the values live in files that prometheus_client shares between them; the gauges are all
of live workers, as nobody could tell what one that is gone would say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client import Counter, Gauge, Histogram, mmap_dict

from falcongate.config.policies import DECISIONS
from falcongate.errors import (
    ANSWER_TIMEOUT,
    BROKE_OFF,
    CERTIFICATE_REFUSED,
    CONNECT_TIMEOUT,
    NOT_HTTP,
    UNREACHABLE,
    GatewayError,
)
from falcongate.refusals import CircuitOpen, Saturated, ServiceDisabled
from falcongate.telemetry import reload_count

if TYPE_CHECKING:
    from collections.abc import Iterable

BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
CONNECTION_BUCKETS_S: Final = (0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30)
REDIS_BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)

# Of requests to services, those that somebody should hear of, whether a service or the gateway is to blame.
_TO_WATCH: Final = (
    *(kind.problem for kind in (UNREACHABLE, CONNECT_TIMEOUT, CERTIFICATE_REFUSED)),
    *(kind.problem for kind in (BROKE_OFF, NOT_HTTP, ANSWER_TIMEOUT)),
    *(kind.problem for kind in (Saturated, CircuitOpen, ServiceDisabled, GatewayError)),
)

# A file that has to grow while the process may open no more files is broken from then on. This is
# room for some forty thousand values; what is not used takes no disk.
mmap_dict._INITIAL_MMAP_SIZE = 8_388_608  # noqa: SLF001  # it has no setting

REQUESTS = Counter(
    "falcongate_http_requests_total",
    "Requests answered, by service (empty where none was found), method and status.",
    ("service", "method", "status"),
)
DURATION = Histogram(
    "falcongate_http_request_duration_seconds",
    "Time from the arrival of a request's head to the last byte of its answer.",
    ("service",),
    buckets=BUCKETS_S,
)
FIRST_BYTE = Histogram(
    "falcongate_http_first_byte_seconds",
    "Time from the arrival of a request's head to the head of its answer.",
    ("service",),
    buckets=BUCKETS_S,
)
RECEIVED = Counter("falcongate_http_received_bytes_total", "Bytes of requests' bodies.", ("service",))
SENT = Counter("falcongate_http_sent_bytes_total", "Bytes of answers' bodies.", ("service",))
PROBLEMS = Counter(
    "falcongate_problems_total",
    "Answers that the gateway made itself because something was wrong, by problem type.",
    ("service", "problem"),
)

ATTEMPTS = Counter(
    "falcongate_upstream_attempts_total",
    "Attempts at services, by the class of the answer's status or the problem type of the failure.",
    ("service", "outcome"),
)
ANSWERED = Histogram(
    "falcongate_upstream_request_duration_seconds",
    "Time from the sending of a request to the head of the service's answer.",
    ("service",),
    buckets=BUCKETS_S,
)
CONNECTED = Histogram(
    "falcongate_upstream_connect_seconds",
    "Time until an attempt had its connection, where that had to be made or waited for.",
    ("service",),
    buckets=CONNECTION_BUCKETS_S,
)
IN_FLIGHT = Gauge(
    "falcongate_upstream_requests_in_flight",
    "Requests that services are busy with, WebSockets included.",
    ("service",),
    multiprocess_mode="livesum",
)
CONNECTIONS = Gauge(
    "falcongate_upstream_connections",
    "Connections to services, by what they do: in_use or idle.",
    ("service", "state"),
    multiprocess_mode="livesum",
)
MAX_CONNECTIONS = Gauge(
    "falcongate_upstream_connections_max",
    "Connections that may be in use at the same time.",
    ("service",),
    multiprocess_mode="livesum",
)
WAITING = Gauge(
    "falcongate_upstream_connection_waits",
    "Requests that wait for a connection to come free.",
    ("service",),
    multiprocess_mode="livesum",
)

BREAKER_STATE = Gauge(
    "falcongate_breaker_state",
    "1 for the state that a breaker is in as some worker of this host knows it, 0 for the others.",
    ("service", "state"),
    multiprocess_mode="livemax",
)
TRANSITIONS = Counter(
    "falcongate_breaker_transitions_total",
    "Transitions of breakers that this host has heard of.",
    ("service", "from", "to", "reason"),
)
LIMITS = Counter(
    "falcongate_limit_decisions_total",
    "What limits have decided, by policy: admitted, refused, or would_refuse (mode shadow).",
    ("policy", "decision"),
)

REDIS = Gauge(
    "falcongate_redis_connected",
    "Whether the shared state can be asked: 1, or 0 if some worker cannot.",
    multiprocess_mode="livemin",
)
ROUND_TRIPS = Histogram(
    "falcongate_redis_round_trip_seconds",
    "Time from the sending of questions to the shared state to their answers.",
    buckets=REDIS_BUCKETS_S,
)

CONFIG = Gauge(
    "falcongate_config_info",
    "1 for each version of the configuration, and release, of this host's workers; 0 if all have retired.",
    ("version", "release"),
    multiprocess_mode="livemax",
)
RELOADS = Counter(reload_count.NAME, reload_count.HELP, ("result",))
WORKERS = Gauge("falcongate_workers", "Workers that run, retired ones included.", multiprocess_mode="livesum")

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


class ClusterMetric(NamedTuple):
    """One that no worker counts: it is read from the shared state when it is asked for."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]


CLUSTER: Final = (
    HOSTS := ClusterMetric("falcongate_cluster_hosts", "gauge", "Hosts that are alive.", ()),
    CLUSTER_STATE := ClusterMetric(
        "falcongate_cluster_breaker_state",
        "gauge",
        "1 for the state that a breaker is in for all hosts, 0 for the others.",
        ("service", "state"),
    ),
    CLUSTER_OPENED := ClusterMetric(
        "falcongate_cluster_breaker_opened_in_a_row",
        "gauge",
        "How many times in a row a breaker has opened without having closed.",
        ("service",),
    ),
    CLUSTER_CALLS := ClusterMetric(
        "falcongate_cluster_breaker_calls_total",
        "counter",
        "Calls that hosts have reported to a breaker since it was reset.",
        ("service",),
    ),
    CLUSTER_FAILURES := ClusterMetric(
        "falcongate_cluster_breaker_failures_total",
        "counter",
        "Those of them that failed.",
        ("service",),
    ),
    CLUSTER_REQUESTS := ClusterMetric(
        "falcongate_cluster_requests_total",
        "counter",
        "Requests that were for services, on all hosts together.",
        ("service",),
    ),
    CLUSTER_ERRORS := ClusterMetric(
        "falcongate_cluster_errors_total", "counter", "Those of them that failed.", ("service",)
    ),
    CLUSTER_LIMITS := ClusterMetric(
        "falcongate_cluster_limit_decisions_total",
        "counter",
        "What limits have said to requests on all hosts together.",
        ("policy", "decision"),
    ),
)
"""What is true for all hosts; each host tells the same."""


LOG_DROPPED = Counter(
    "falcongate_log_lines_dropped_total",
    "Lines of the access log that were dropped, as nobody read it fast enough.",
)
DECISIONS_DROPPED = Counter(
    "falcongate_decisions_dropped_total",
    "Decisions that were to be kept and were not: too many of a kind, or the shared state away.",
    ("why",),
)


def expect(services: Iterable[str], policies: Iterable[str]) -> None:
    """Show these from the start, with nothing counted: what is absent cannot be watched."""
    names = tuple(services)
    for why in ("too_many", "state_away"):
        DECISIONS_DROPPED.labels(why)
    for why in ("queue_full", "undelivered", "refused", "worker_ended"):
        TRACE_SPANS_DROPPED.labels(why)
    for result in reload_count.RESULTS:
        RELOADS.labels(result)
    for service in ("", *names):
        DURATION.labels(service)
    for service in names:
        WEBSOCKETS.labels(service)
        for problem in _TO_WATCH:
            PROBLEMS.labels(service, problem)
    for policy in policies:
        for decision in DECISIONS:
            LIMITS.labels(policy, decision)
