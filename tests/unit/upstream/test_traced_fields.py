"""The context of a trace among the fields for a service: the callers' own, or the gateway's word."""

from __future__ import annotations

import pytest

from falcongate.telemetry.trace import Trace
from falcongate.upstream.fields import ServiceFields
from tests.unit.making import make_exchange, make_match, make_route

CONTEXT = ["Traceparent: 00-x", "tracestate: a=1", "Baggage: b=2"]


def passed(*lines: str, is_tracing: bool = True, is_believed: bool = False) -> list[str]:
    """Those of the caller's own lines that the service is sent."""
    exchange = make_exchange("Host: api.test", *lines)
    if is_tracing:
        exchange.trace = Trace("0" * 64, "HTTP/1.1", is_believed=is_believed)
    route = make_route()
    exchange.route_match = make_match(route)
    fields = ServiceFields(credential_cookies=[], told=["X-User-ID"], is_tracing=is_tracing)
    sent = fields.render(exchange, route, b"").decode("latin-1").split("\r\n")
    return [line for line in sent if line in lines]


def test_it_passes_where_nothing_is_traced() -> None:
    assert passed(*CONTEXT, is_tracing=False) == CONTEXT


@pytest.mark.parametrize("is_believed", [False, True])
def test_while_traced_it_is_ours_to_say_but_for_the_baggage_of_who_is_believed(*, is_believed: bool) -> None:
    lines = [*CONTEXT, "X-Mine: 1", "BAGGAGE: c=3", "X-User-ID: evil", "TRACEPARENT: 00-y"]
    baggage = ["Baggage: b=2", "BAGGAGE: c=3"] if is_believed else []
    assert sorted(passed(*lines, is_believed=is_believed)) == sorted(["X-Mine: 1", *baggage])


def test_believed_baggage_ends_here_where_connection_says_so() -> None:
    assert passed("Connection: baggage", "Baggage: b=2", is_believed=True) == []


def test_what_tells_services_of_callers_stays_ours_whatever_it_is_called() -> None:
    fields = ServiceFields(credential_cookies=[], told=["Baggage"], is_tracing=True)
    exchange = make_exchange("Host: api.test", "Baggage: b=2")
    exchange.trace = Trace("0" * 64, "HTTP/1.1", is_believed=True)
    route = make_route()
    exchange.route_match = make_match(route)
    assert b"b=2" not in fields.render(exchange, route, b"")
