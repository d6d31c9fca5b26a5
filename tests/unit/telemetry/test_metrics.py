"""What is counted of requests: each once, under labels that nobody can make up."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from falcongate.telemetry.exposition import TEXT, Exposition, summarize
from falcongate.telemetry.metrics import DURATION
from falcongate.telemetry.record import Record
from falcongate.telemetry.tally import tally
from tests.unit.telemetry.records import USUAL

_numbers = count()
# Every example leaves a service behind, and every look at the numbers goes through all of them.
few_examples = settings(max_examples=25)
DURATIONS = st.floats(0, 1_000) | st.sampled_from([0, 0.005, 0.01, 0.5, 1, 60, 300, 300.1])


def new_service() -> str:
    """A service of which nothing was counted before: what is counted stays for the whole run."""
    return f"service-{next(_numbers)}"


def value(name: str, **labels: str) -> float:
    """What a metric says."""
    return REGISTRY.get_sample_value(name, labels) or 0


def buckets(service: str) -> dict[str, float]:
    """How many requests took no longer than each bound."""
    return {
        sample.labels["le"]: sample.value
        for family in DURATION.collect()
        for sample in family.samples
        if sample.labels["service"] == service and sample.name.endswith("_bucket")
    }


@few_examples
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
            st.sampled_from([200, 404, 499, 502]),
        ),
        max_size=10,
    ),
    st.integers(0, 10),
)
def test_every_request_counts_once_however_they_are_gathered(
    answers: list[tuple[str, int]], cut: int
) -> None:
    service = new_service()
    records = [USUAL._replace(service=service, method=method, status=status) for method, status in answers]
    tally(records[:cut])
    tally(iter(records[cut:]))
    for method, status in set(answers):
        counted = value("falcongate_http_requests_total", service=service, method=method, status=str(status))
        assert counted == answers.count((method, status))
    assert value("falcongate_http_request_duration_seconds_count", service=service) == len(answers)


@pytest.mark.parametrize("method", ["REPORT", "get", "X" * 100])
def test_a_method_that_is_not_one_of_the_usual_counts_as_other(method: str) -> None:
    service = new_service()
    tally([USUAL._replace(service=service, method=method)])
    assert value("falcongate_http_requests_total", service=service, method="other", status="200") == 1
    assert value("falcongate_http_requests_total", service=service, method=method, status="200") == 0


def test_only_a_problem_counts_as_one() -> None:
    service = new_service()
    slow: Record = USUAL._replace(service=service, status=504, problem="service-timeout")
    tally([slow, slow, USUAL._replace(service=service), slow._replace(problem="saturated")])
    assert value("falcongate_problems_total", service=service, problem="service-timeout") == 2
    assert value("falcongate_problems_total", service=service, problem="saturated") == 1
    assert value("falcongate_problems_total", service=service, problem="") == 0


@few_examples
@given(st.lists(DURATIONS, min_size=1, max_size=8))
def test_a_batch_of_durations_is_what_one_by_one_would_be(durations: list[float]) -> None:
    service, one_by_one = new_service(), new_service()
    tally(USUAL._replace(service=service, duration_s=duration) for duration in durations)
    for duration in durations:
        DURATION.labels(one_by_one).observe(duration)
    assert buckets(service) == buckets(one_by_one)
    name = "falcongate_http_request_duration_seconds_sum"
    assert value(name, service=service) == pytest.approx(value(name, service=one_by_one))


def test_the_summary_is_of_requests_errors_and_their_time() -> None:
    service = new_service()
    assert service not in summarize()
    tally(
        USUAL._replace(service=service, status=status, duration_s=duration)
        for status, duration in ((200, 0.1), (404, 0.2), (499, 0.3), (500, 0.4), (503, 0.5004))
    )
    assert summarize()[service] == {"requests": 5, "errors": 2, "average_ms": 300.1}


def test_how_long_a_websocket_lasts_is_no_duration() -> None:
    service = new_service()
    lasting = USUAL._replace(service=service, status=101, duration_s=3_600.0)
    tally([lasting])
    assert summarize()[service] == {"requests": 1, "errors": 0, "average_ms": 0}
    assert value("falcongate_http_request_duration_seconds_count", service=service) == 0
    tally([lasting, USUAL._replace(service=service, duration_s=0.1)])
    assert summarize()[service] == {"requests": 3, "errors": 0, "average_ms": 100}
    assert value("falcongate_http_request_duration_seconds_count", service=service) == 1


def test_what_is_rendered_can_be_read_by_prometheus() -> None:
    service = new_service()
    tally([USUAL._replace(service=service, problem="saturated")] * 3)
    families = {
        family.name: family
        for family in text_string_to_metric_families(Exposition(lambda: ()).render(TEXT).decode())
    }
    for name in ("http_requests", "http_request_duration_seconds", "problems"):
        family = families[f"falcongate_{name}"]
        assert family.documentation
        said = [sample.value for sample in family.samples if sample.labels.get("service") == service]
        assert 3 in said
