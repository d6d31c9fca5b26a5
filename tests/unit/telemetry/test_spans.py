"""A request as spans: what stands in them, what does not, and what is an error."""

from __future__ import annotations

import pytest

from falcongate.telemetry.otlp import CLIENT, SERVER
from falcongate.telemetry.record import Record, Tried
from falcongate.telemetry.spans import has_failed, spans_of
from falcongate.telemetry.trace import Trace, Tracer
from tests.unit.telemetry.records import USUAL

WALL_S = 1_700_000_000.0


def traced(traceparent: str | None = None) -> Trace:
    """A trace of a request that has ended."""
    tracer = Tracer(ratio=1, believes_everyone=True, believes_proxies=True)
    environ = {"SERVER_PROTOCOL": "HTTP/1.1", "HTTP_TRACESTATE": "a=1"}
    if traceparent is not None:
        environ["HTTP_TRACEPARENT"] = traceparent
    trace = tracer.trace_of(environ, is_trusted=False)
    trace.wall_clock_s = WALL_S
    trace.scheme, trace.host = "https", "api.test"
    trace.peer = trace.user_agent = trace.breaker = ""
    trace.sent_path = b"/x"
    return trace


def tried(*, status: int = 200, failure: str = "", reason: str = "", target: str = "http://hr:8000") -> Tried:
    """An attempt at second 100 of monotonic time."""
    made = Tried(target)
    made.began, made.connected, made.sent = 100.0, 100.1, 100.2
    made.answered = 100.3 if status else 0.0
    made.ended = 100.4
    made.status, made.failure, made.reason = status, failure, reason
    return made


def record(**changes: object) -> Record:
    """A request of one attempt that went well, unless it is said otherwise."""
    return USUAL._replace(**{"tried": (tried(),), "ended": WALL_S + 101, "duration_s": 1.5, **changes})  # type: ignore[arg-type]


def test_a_request_has_a_span_of_the_server_and_below_it_one_for_each_attempt() -> None:
    trace = traced(f"00-{'a' * 32}-{'b' * 16}-01")
    attempts = (tried(status=0, failure="service-broke-off", reason="why"), tried())
    for attempt in attempts:
        trace.lines_for(attempt)
    server, *clients = spans_of(record(tried=attempts), trace)
    assert (server.kind, server.name, server.parent_id) == (SERVER, "GET /api/hr", "b" * 16)
    assert (server.is_parent_remote, server.flags) == (True, "01")
    assert (server.begin_s, server.end_s) == (WALL_S + 99.5, WALL_S + 101)
    assert [client.kind for client in clients] == [CLIENT, CLIENT]
    assert {client.parent_id for client in clients} == {server.span_id}
    assert [client.span_id for client in clients] == [attempt.span_id for attempt in attempts]
    assert {span.trace_id for span in (server, *clients)} == {"a" * 32}
    assert {span.tracestate for span in (server, *clients)} == {"a=1"}
    assert [client.attributes.get("http.request.resend_count") for client in clients] == [None, 1]
    assert [client.error for client in clients] == ["why", None]
    assert clients[0].begin_s == pytest.approx(WALL_S + 100)
    assert [name for _, name in clients[0].events] == ["connected", "sent"]


def test_what_is_not_known_is_left_out() -> None:
    trace = traced()
    trace.host = trace.peer = ""
    bare = record(tried=(), service="", route="", caller="", status=404, problem="no-route")
    (server,) = spans_of(bare, trace)
    assert server.name == "GET"
    assert server.attributes == {
        "http.request.method": "GET",
        "url.path": "/api/hr/x",
        "url.scheme": "https",
        "network.protocol.version": "1.1",
        "http.response.status_code": 404,
        "falcongate.request_id": "an-id",
        "falcongate.problem": "no-route",
        "falcongate.answered_by": "service",
    }


def test_what_only_the_gateway_knows_is_told_as_its_own() -> None:
    trace = traced()
    trace.breaker = "HALF_OPEN"
    told = record(refused_by=("api", "each"), would_refuse=("new",), status=429, problem="limit-reached")
    server, _ = spans_of(told, trace)
    assert server.attributes["falcongate.refused_by"] == ("api", "each")
    assert server.attributes["falcongate.would_refuse"] == ("new",)
    assert server.attributes["falcongate.breaker.state"] == "HALF_OPEN"


@pytest.mark.parametrize(
    ("method", "attributes", "name"),
    [
        ("PATCH", {"http.request.method": "PATCH"}, "PATCH /api/hr"),
        (
            "PROPFIND",
            {"http.request.method": "_OTHER", "http.request.method_original": "PROPFIND"},
            "HTTP /api/hr",
        ),
    ],
)
def test_methods_are_few(method: str, attributes: dict[str, str], name: str) -> None:
    server, client = spans_of(record(method=method), traced())
    for span in (server, client):
        assert {key: value for key, value in span.attributes.items() if "method" in key} == attributes
    assert (server.name, client.name) == (name, name.partition(" ")[0])


@pytest.mark.parametrize(
    ("host", "scheme", "address", "port"),
    [
        ("api.test", "http", "api.test", 80),
        ("api.test", "https", "api.test", 443),
        ("api.test:8443", "https", "api.test", 8443),
        ("[::1]:80", "https", "::1", 80),
        ("[::1", "https", None, None),
        ("api.test:99999", "https", None, None),
    ],
)
def test_who_was_asked_is_an_address_and_a_port(
    host: str, scheme: str, address: str | None, port: int | None
) -> None:
    trace = traced()
    trace.host, trace.scheme = host, scheme
    server, _ = spans_of(record(), trace)
    assert (server.attributes.get("server.address"), server.attributes.get("server.port")) == (address, port)


def test_an_attempt_tells_where_it_went_and_how() -> None:
    _, client = spans_of(record(tried=(tried(target="https://[fd00::1]:8000"),)), traced())
    assert client.attributes == {
        "http.request.method": "GET",
        "url.full": "https://[fd00::1]:8000/x",
        "server.address": "fd00::1",
        "server.port": 8000,
        "network.protocol.version": "1.1",
        "http.response.status_code": 200,
        "falcongate.connection.is_reused": False,
    }


@pytest.mark.parametrize(
    ("changes", "of_server", "of_client"),
    [
        ({}, None, None),
        ({"status": 404, "tried": (tried(status=404),)}, None, "404"),
        ({"status": 500, "tried": (tried(status=500),)}, "500", "500"),
        (
            {
                "status": 504,
                "problem": "service-timeout",
                "tried": (tried(status=0, failure="service-timeout"),),
            },
            "service-timeout",
            "service-timeout",
        ),
        ({"tried": (tried(failure="answer-cut-short"),)}, "answer-cut-short", "answer-cut-short"),
        ({"status": 499, "tried": (tried(status=0, failure="cut-off"),)}, None, None),
        (
            {"status": 400, "tried": (tried(status=0, failure="service-broke-off"),)},
            None,
            "service-broke-off",
        ),
    ],
)
def test_what_is_an_error_and_of_whom(
    changes: dict[str, object], of_server: str | None, of_client: str | None
) -> None:
    told = record(**changes)
    server, client = spans_of(told, traced())
    assert server.attributes.get("error.type") == of_server
    assert client.attributes.get("error.type") == of_client
    assert (server.error is not None, client.error is not None) == (
        of_server is not None, of_client is not None,
    )  # fmt: skip
    assert has_failed(told) == (of_server is not None or of_client not in (None, "404"))


def test_a_request_that_is_refused_while_it_is_sent_is_no_failure() -> None:
    cut = tried(status=0, failure="body-too-large")
    refused = record(status=413, problem="body-too-large", tried=(cut,))
    assert not has_failed(refused)
    made_good = tried(status=0, failure="service-unreachable")
    assert has_failed(refused._replace(tried=(made_good, cut)))


def test_a_service_that_failed_before_the_caller_left_has_failed() -> None:
    attempts = (
        tried(status=0, failure="service-unreachable", reason="why"),
        tried(status=0, failure="cut-off"),
    )
    told = record(status=499, tried=attempts)
    server, first, second = spans_of(told, traced())
    assert [span.attributes.get("error.type") for span in (server, first, second)] == [
        None, "service-unreachable", None,
    ]  # fmt: skip
    assert [span.error for span in (server, first, second)] == [None, "why", None]
    assert has_failed(told)
    assert not has_failed(told._replace(tried=attempts[1:]))


def test_a_request_that_ended_with_its_worker_has_no_status() -> None:
    server, _ = spans_of(record(status=0, tried=(tried(status=0, failure="cut-off"),)), traced())
    assert "http.response.status_code" not in server.attributes
    assert server.attributes["error.type"] == "cut-off"


def test_an_attempt_that_came_to_no_request_or_has_not_ended_is_told_all_the_same() -> None:
    attempt = tried(status=0, failure="service-unreachable")
    attempt.connected = attempt.sent = attempt.ended = 0.0
    told = record(tried=(attempt,), status=502)
    _, client = spans_of(told, traced())
    assert len(client.span_id) == 16
    assert (client.events, client.end_s) == ([], told.ended)
