"""What the settings make of traces, and what is noted when a request has ended."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from falcongate.config.environment import ProcessSettings
from falcongate.config.settings import GatewaySettings
from falcongate.exchange import Exchange
from falcongate.facts import may_be_told
from falcongate.sharing import host_name
from falcongate.telemetry.otlp import Envelope
from falcongate.telemetry.record import Tried
from falcongate.telemetry.trace import Trace
from falcongate.telemetry.traffic import Traffic
from falcongate.telling import takers_of, tracer_of, traces_to
from tests.unit.making import make_exchange, make_match, make_route

PARENT = f"00-{'a' * 32}-{'b' * 16}-01"


def settings(**tables: object) -> GatewaySettings:
    """Settings with a receiver of traces."""
    traces = {"endpoint": "http://127.0.0.1:4318", **tables.pop("traces", {})}  # type: ignore[dict-item]
    return GatewaySettings.model_validate({"traces": traces, **tables})


def ended(**changes: object) -> tuple[Exchange, Trace]:
    """A request of one quick attempt that has ended in order, unless it is said otherwise."""
    exchange = make_exchange("Host: api.test", "User-Agent: a-browser/1")
    exchange.block.environ["HTTP_USER_AGENT"] = "a-browser/1"
    exchange.host, exchange.target, exchange.status = "api.test", b"/api/hr/x?key=secret", 200
    exchange.started, exchange.begun, exchange.ended = 10.0, 10.1, 10.2
    exchange.route_match = make_match(make_route())
    exchange.tried = [Tried("http://hr")]
    for name, value in changes.items():
        setattr(exchange, name, value)
    return exchange, Trace("0" * 64, "HTTP/1.1", is_believed=False)


def test_without_a_receiver_nothing_is_traced() -> None:
    assert tracer_of(GatewaySettings()) is None


@pytest.mark.parametrize(
    ("tables", "is_trusted", "is_believed"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"server": {"trusted_hops": 1}}, True, False),
        ({"server": {"trusted_hops": 1}, "traces": {"believe": "everyone"}}, True, True),
        ({"traces": {"believe": "everyone"}}, False, True),
    ],
)
def test_who_is_believed(*, tables: dict[str, object], is_trusted: bool, is_believed: bool) -> None:
    tracer = tracer_of(settings(**tables))
    assert tracer is not None
    environ = {"SERVER_PROTOCOL": "HTTP/1.1", "HTTP_TRACEPARENT": PARENT}
    assert tracer.trace_of(environ, is_trusted=is_trusted).is_believed == is_believed


def test_a_plain_request_that_is_not_sampled_is_not_looked_at_further() -> None:
    exchange, trace = ended()
    assert may_be_told(trace, exchange, 5.0, slow_s=1) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"status": 500},
        {"status": 499},
        {"failure_reason": "the service's body was cut short"},
        {"begun": 11.0},
    ],
)
def test_what_failed_or_was_slow_may_be_told(changes: dict[str, object]) -> None:
    exchange, trace = ended(**changes)
    assert may_be_told(trace, exchange, 5.0, slow_s=1) is trace


def test_what_only_spans_tell_is_noted_without_the_query() -> None:
    exchange, trace = ended(breaker=SimpleNamespace(state="HALF_OPEN"), peer_address="192.0.2.7")
    trace.is_sampled = True
    assert may_be_told(trace, exchange, 5.0, slow_s=1) is trace
    assert (trace.wall_clock_s, trace.scheme, trace.host) == (5.0, "http", "api.test")
    assert (trace.peer, trace.user_agent, trace.breaker) == ("192.0.2.7", "a-browser/1", "HALF_OPEN")
    assert trace.sent_path == b"/api/hr/x"


def test_a_request_that_came_to_no_service_has_no_path_there() -> None:
    exchange, trace = ended(route_match=None, tried=[], status=503)
    assert may_be_told(trace, exchange, 5.0, slow_s=1) is trace
    assert (trace.sent_path, trace.breaker) == (b"", "")


def test_nothing_is_sent_by_making_who_tells() -> None:
    with_key = settings(traces={"headers": {"X-Key": "secret"}}).traces
    assert "secret" not in repr(with_key)
    assert traces_to(with_key, host="here") is not None


def test_workers_of_containers_that_share_a_name_are_instances_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resources = []

    def envelope(*, resource: dict[str, object], version: str) -> Envelope:
        resources.append(resource)
        return Envelope(resource={}, version=version)

    monkeypatch.setattr("falcongate.telling.Envelope", envelope)
    monkeypatch.setattr("platform.node", lambda: "web")
    traced = settings()
    for master in ("7-abc", "7-def"):
        process = ProcessSettings(
            port=8000, workers=1, master=master, admin_token=None, own_redis=None, no_color=False
        )
        takers_of(traced, process, Traffic(lambda _: None), host=host_name(process))
    assert [resource["service.instance.id"] for resource in resources] == [
        f"web:7-abc:{os.getpid()}",
        f"web:7-def:{os.getpid()}",
    ]
    assert {resource["host.name"] for resource in resources} == {"web"}
