"""What a request adds to which metric."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from falcongate.telemetry import metrics
from falcongate.telemetry.exemplars import EXEMPLARS
from falcongate.telemetry.exposition import OPENMETRICS, Exposition
from falcongate.telemetry.gauges import Shown
from falcongate.telemetry.metrics import BUCKETS_S
from falcongate.telemetry.record import Record, Tried
from falcongate.telemetry.round_trips import RoundTrips
from falcongate.telemetry.tally import tally
from falcongate.telemetry.trace import Trace
from tests.unit.telemetry.records import USUAL
from tests.unit.telemetry.test_metrics import new_service, value


def tried(
    *,
    failure: str = "",
    status: int = 200,
    connect_s: float = 0.0,
    answer_s: float = 0.0,
    is_reused: bool = False,
) -> Tried:
    """One attempt, as it went."""
    attempt = Tried("http://hr:8000")
    attempt.began = 100.0
    if connect_s:
        attempt.connected = attempt.sent = attempt.began + connect_s
        attempt.is_reused = is_reused
    if answer_s:
        attempt.answered = attempt.sent + answer_s
        attempt.status = status
    attempt.end(failure)
    return attempt


def told(**changes: object) -> Record:
    return USUAL._replace(**changes)  # type: ignore[arg-type]


def test_bodies_add_up() -> None:
    service = new_service()
    tally([told(service=service, received_bytes=5, sent_bytes=7), told(service=service, sent_bytes=3)])
    assert value("falcongate_http_received_bytes_total", service=service) == 5
    assert value("falcongate_http_sent_bytes_total", service=service) == 10


def test_each_attempt_counts_by_what_became_of_it() -> None:
    service = new_service()
    attempts = (
        tried(failure="service-unreachable"),
        tried(connect_s=0.1, failure="service-timeout"),
        tried(connect_s=0.1, answer_s=0.2, status=200),
        tried(connect_s=0.1, answer_s=0.2, status=503),
        tried(connect_s=0.1, answer_s=0.2, status=200, failure="service-broke-off"),
        tried(connect_s=0.1, answer_s=0.2, status=799),
    )
    tally([told(service=service, tried=attempts[:2]), told(service=service, tried=attempts[2:])])
    outcomes = {"service-unreachable", "service-timeout", "2xx", "5xx", "service-broke-off", "other"}
    for outcome in outcomes:
        assert value("falcongate_upstream_attempts_total", service=service, outcome=outcome) == 1
    name = "falcongate_upstream_request_duration_seconds"
    assert value(f"{name}_count", service=service) == 4
    assert value(f"{name}_sum", service=service) == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("connect_s", "is_reused", "counts"),
    [(0.0005, False, 1), (0.2, False, 1), (0.2, True, 1), (0.0005, True, 0), (0.0, False, 0)],
)
def test_a_connection_that_was_there_is_no_wait(connect_s: float, counts: int, *, is_reused: bool) -> None:
    service = new_service()
    tally([told(service=service, tried=(tried(connect_s=connect_s, is_reused=is_reused),))])
    assert value("falcongate_upstream_connect_seconds_count", service=service) == counts


def test_only_an_answer_that_began_has_a_first_byte() -> None:
    service = new_service()
    tally([told(service=service, first_byte_s=0.0), told(service=service, first_byte_s=0.3)])
    assert value("falcongate_http_first_byte_seconds_count", service=service) == 1
    assert value("falcongate_http_first_byte_seconds_sum", service=service) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("status", "shown"), [(200, "200"), (418, "418"), (499, "499"), (299, "2xx"), (777, "other")]
)
def test_statuses_without_a_name_fold_into_their_class(status: int, shown: str) -> None:
    service = new_service()
    tally([told(service=service, status=status)])
    assert value("falcongate_http_requests_total", service=service, method="GET", status=shown) == 1


def test_a_policy_decides_once_for_a_request() -> None:
    one, other = new_service(), new_service()
    tally(
        [
            told(admitted_by=(one, other)),
            told(admitted_by=(one, other), would_refuse=(other,)),
            told(refused_by=(one,)),
        ]
    )
    name = "falcongate_limit_decisions_total"
    assert value(name, policy=one, decision="admitted") == 2
    assert value(name, policy=one, decision="refused") == 1
    assert value(name, policy=other, decision="admitted") == 1
    assert value(name, policy=other, decision="would_refuse") == 1


@pytest.mark.parametrize("request_id", ['with "quotes" and \\', "x" * 100])
def test_an_exemplar_is_the_last_request_of_its_bucket(request_id: str) -> None:
    service = new_service()
    tally([told(service=service, duration_s=0.03, request_id="first"), told(service=service, duration_s=2.0)])
    tally([told(service=service, duration_s=0.04, request_id=request_id)])
    found = exemplars(service)
    assert found == {"0.05": (request_id, 0.04), "2.5": ("an-id", 2.0)}


@pytest.mark.parametrize("request_id", ["", "x" * 101])
def test_what_cannot_be_told_is_no_exemplar(request_id: str) -> None:
    service = new_service()
    tally([told(service=service, request_id=request_id)])
    assert exemplars(service) == {}


def test_only_a_trace_that_is_sampled_is_an_exemplar() -> None:
    service = new_service()
    for is_sampled, duration_s in ((True, 0.03), (False, 2.0)):
        trace = Trace("0" * 64, "HTTP/1.1", is_believed=False)
        trace.is_sampled = is_sampled
        tally([told(service=service, duration_s=duration_s, trace=trace, trace_id="a" * 32)])
    assert EXEMPLARS.last(service, bisect_left(BUCKETS_S, 0.03)) == (
        "trace_id", "a" * 32, 0.03, USUAL.ended,
    )  # fmt: skip
    assert EXEMPLARS.last(service, bisect_left(BUCKETS_S, 2.0)) == ("request_id", "an-id", 2.0, USUAL.ended)


def test_a_websocket_is_no_exemplar() -> None:
    service = new_service()
    tally([told(service=service, status=101)])
    assert exemplars(service) == {}


def exemplars(service: str) -> dict[str, tuple[str, float]]:
    """Those of a service, by the bound of their bucket."""
    text = Exposition(lambda: ()).render(OPENMETRICS).decode()
    return {
        sample.labels["le"]: (sample.exemplar.labels["request_id"], sample.exemplar.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.exemplar and sample.labels["service"] == service
    }


def test_round_trips_are_counted_when_they_are_handed_on_and_never_pile_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "falcongate_redis_round_trip_seconds_count"
    before = value(name)
    trips = RoundTrips()
    trips.note(0.001)
    trips.note(0.5)
    assert value(name) == before
    trips.hand_on()
    trips.hand_on()
    assert value(name) == before + 2
    monkeypatch.setattr("falcongate.telemetry.round_trips._MAX_PENDING", 3)
    for _ in range(3):
        trips.note(0.001)
    assert value(name) == before + 5


def test_a_gauge_is_set_when_it_changes() -> None:
    service, shown = new_service(), Shown()
    name = "falcongate_upstream_requests_in_flight"
    shown.show(metrics.IN_FLIGHT, service, value=0)
    assert REGISTRY.get_sample_value(name, {"service": service}) == 0
    shown.show(metrics.IN_FLIGHT, service, value=3)
    assert value(name, service=service) == 3
    metrics.IN_FLIGHT.labels(service).set(9)
    shown.show(metrics.IN_FLIGHT, service, value=3)
    assert value(name, service=service) == 9


def test_names_follow_the_rules_of_prometheus() -> None:
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            (family,) = metric.describe()
            assert family.name.startswith("falcongate_")
            assert not set(family.name.split("_")) & {"ms", "milliseconds", "kb"}
            if isinstance(metric, Histogram):
                assert family.name.endswith("_seconds")


def test_a_gauge_is_of_live_workers_only() -> None:
    """Of one that is gone, nobody could tell what it would say, and its file would stay."""
    gauges = [metric for metric in vars(metrics).values() if isinstance(metric, Gauge)]
    assert gauges
    for gauge in gauges:
        assert gauge._multiprocess_mode in ("livesum", "livemin", "livemax")  # noqa: SLF001  # it has no other way
