"""Traces as a receiver gets them from a gateway of two workers, and as services see them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from falcongate import __version__
from tests.support.processes import until
from tests.support.receiver import CLIENT, SERVER, Receiver, tell
from tests.support.upstreams import Conversation, answering, answering_then_closing, by_connection, ok
from tests.support.websockets import echo, speaking, upgrade
from tests.support.wire import Head, WireError
from tests.support.world import Plan, Site, Visit, running

TRUSTED = "127.0.0.2"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = ("traceparent", f"00-{TRACE}-{PARENT}-01")
SLOW_S = 0.4


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def site(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    traces = {
        "endpoint": f"{receiver.url}/otlp",
        "headers": {"X-Key": "${RECEIVER_KEY}"},
        "ratio": 0,
        "slow_s": SLOW_S,
        "service_name": "edge",
    }
    settings = {"traces": traces, "server": {"trusted_proxies": [TRUSTED]}}
    plan = Plan(
        "traces",
        settings,
        scripted_settings={"websocket": True, "strip_prefix": "/api", "breaker": {"enabled": False}},
        workers=2,
        environ={"RECEIVER_KEY": "a-secret-key"},
    )
    with running(plan, tmp_path_factory.mktemp("traces")) as site:
        yield site


def parent_in(head: Head) -> tuple[str, str, str]:
    """Trace, span and flags that a service was sent."""
    version, trace_id, span_id, flags = (head.get("traceparent") or "").split("-")
    assert version == "00"
    return trace_id, span_id, flags


def new_trace() -> tuple[str, tuple[str, str]]:
    """The id of a trace that nobody has begun, and the field by which it is to be continued."""
    trace_id = f"{time.monotonic_ns():032x}"
    return trace_id, ("traceparent", f"00-{trace_id}-{PARENT}-01")


def test_a_believed_trace_goes_on_through_both_spans_to_the_service(world: Visit, receiver: Receiver) -> None:
    service = world.service(answering(ok()))
    fields = [
        SAMPLED,
        ("tracestate", "congo=t61rcWkgMzE, rojo=00f067aa0ba902b7"),
        ("baggage", "tenant=blue"),
        ("Connection", "traceparent, tracestate"),
        ("User-Agent", "a-browser/1"),
        ("X-Forwarded-For", "192.0.2.9"),
    ]
    with world.caller(source=TRUSTED) as caller:
        answer = caller.exchange("GET", f"{service.path('/room/7')}?key=secret", fields, host="api.test:8443")
    server, client = receiver.of(TRACE, 2)
    (head,) = service.upstream.heads
    assert parent_in(head) == (TRACE, client.span_id, "01")
    assert head.get("tracestate") == "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"
    assert head.get("baggage") == "tenant=blue"

    assert (server.name, server.kind, server.parent_id) == (f"GET /api/{service.name}", SERVER, PARENT)
    assert (client.name, client.kind, client.parent_id) == ("GET", CLIENT, server.span_id)
    assert {server.tracestate, client.tracestate} == {"congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"}
    assert not server.is_error
    assert not client.is_error
    assert server.attributes == {
        "http.request.method": "GET",
        "url.path": service.path("/room/7"),
        "url.scheme": "http",
        "http.route": f"/api/{service.name}",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "client.address": "192.0.2.9",
        "network.peer.address": TRUSTED,
        "server.address": "api.test",
        "server.port": 8443,
        "user_agent.original": "a-browser/1",
        "falcongate.request_id": answer.get("X-Request-ID"),
        "falcongate.service": service.name,
        "falcongate.answered_by": "service",
    }
    address, port = service.upstream.url.removeprefix("http://").split(":")
    assert client.attributes == {
        "http.request.method": "GET",
        "url.full": f"{service.upstream.url}/{service.name}/room/7",
        "server.address": address,
        "server.port": int(port),
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "falcongate.connection.is_reused": False,
    }
    assert client.events == ["connected", "sent", "answered"]
    assert server.begin_ns <= client.begin_ns <= client.end_ns <= server.end_ns
    assert server.resource.items() >= {"service.name": "edge", "service.version": __version__}.items()
    request_id = answer.get("X-Request-ID")
    assert request_id is not None
    assert world.gateway.logged(request_id)["trace_id"] == TRACE
    # Where it was sent, and with whose key, which nobody else has seen.
    assert receiver.heads[0].start == "POST /otlp/v1/traces HTTP/1.1"
    assert receiver.heads[0].get("X-Key") == "a-secret-key"
    assert "a-secret-key" not in world.gateway.stderr() + world.gateway.stdout()


def test_a_repeated_request_has_a_span_for_each_attempt(world: Visit, receiver: Receiver) -> None:
    def first(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(ok(b"first"))
        conversation.read_head()

    service = world.service(by_connection(first, answering(ok(b"second"))))
    trace_id, field = new_trace()
    with world.caller(source=TRUSTED) as caller:
        assert caller.exchange("GET", service.path()).content == b"first"
        assert caller.exchange("GET", service.path(), [field]).content == b"second"
    server, broken, good = receiver.of(trace_id, 3)
    heads = service.upstream.heads[1:]
    assert [parent_in(head) for head in heads] == [
        (trace_id, broken.span_id, "01"), (trace_id, good.span_id, "01"),
    ]  # fmt: skip
    assert {broken.parent_id, good.parent_id} == {server.span_id}
    assert (server.is_error, broken.is_error, good.is_error) == (False, True, False)
    assert broken.attributes["error.type"] == "service-broke-off"
    assert broken.message.startswith("await_head: ")
    assert (broken.attributes["falcongate.connection.is_reused"], broken.events) == (
        True, ["connected", "sent"],
    )  # fmt: skip
    assert "http.request.resend_count" not in broken.attributes
    assert good.attributes["http.request.resend_count"] == 1


def test_a_strangers_trace_is_linked_and_what_it_says_goes_nowhere(world: Visit, receiver: Receiver) -> None:
    service = world.service(answering_then_closing(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"))
    linked, field = new_trace()
    fields = [field, ("tracestate", "evil=1"), ("baggage", "role=admin"), ("Connection", "traceparent")]
    with world.caller() as caller:
        assert caller.exchange("GET", service.path(), fields).status == 503
    (head,) = service.upstream.heads
    trace_id, span_id, flags = parent_in(head)
    assert trace_id != linked
    assert flags == "02"
    assert (head.get("tracestate"), head.get("baggage")) == (None, None)
    server, client = receiver.of(trace_id, 2)
    assert (server.linked, server.parent_id) == ([(linked, PARENT)], "")
    assert client.span_id == span_id
    assert (server.is_error, server.attributes["error.type"]) == (True, "503")
    assert (client.is_error, client.attributes["error.type"]) == (True, "503")


@pytest.mark.parametrize("source", [TRUSTED, None])
def test_what_cannot_be_read_begins_a_new_trace(world: Visit, source: str | None) -> None:
    service = world.service(answering(ok()))
    fields = [SAMPLED, SAMPLED, ("tracestate", "a=1")]
    with world.caller(source=source) as caller:
        caller.exchange("GET", service.path(), fields)
    (head,) = service.upstream.heads
    assert parent_in(head)[0] != TRACE
    assert head.get("tracestate") is None


def test_only_the_slow_and_the_failed_are_kept_of_those_not_sampled(world: Visit, receiver: Receiver) -> None:
    def slowly(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.released.wait(SLOW_S * 1.5)
        conversation.send(ok())

    quick, slow = world.service(answering(ok())), world.service(slowly)
    broken = world.service(lambda conversation: conversation.reset())
    cut = world.service(answering_then_closing(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"))
    unsampled = f"00-{'c' * 32}-{PARENT}-00"
    with world.caller(source=TRUSTED) as caller:
        assert caller.exchange("GET", quick.path(), [("traceparent", unsampled)]).status == 200
    assert [world.get(service.path()).status for service in (quick, slow)] == [200, 200]
    assert world.exchange("POST", broken.path(), body=b"x").status == 502
    with world.caller() as caller:
        caller.send(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % cut.path().encode())
        assert caller.reader.until(b"half")
        # Who left now would have left before it was cut short.
        with contextlib.suppress(WireError, OSError):
            caller.reader.until(b"never")
    server, client = receiver.of(parent_in(slow.upstream.heads[0])[0], 2)
    assert server.end_ns - server.begin_ns > SLOW_S * 1_000_000_000
    assert not server.flags & 1
    assert not client.is_error
    server, client = receiver.of(parent_in(cut.upstream.heads[0])[0], 2)
    assert (server.attributes["error.type"], client.attributes["error.type"]) == ("answer-cut-short",) * 2
    assert (server.is_error, server.attributes["http.response.status_code"]) == (True, 200)
    of_quick = {parent_in(head)[0] for head in quick.upstream.heads}
    assert len(of_quick) == 2
    assert not of_quick & {span.trace_id for span in receiver.spans}
    failed = until(
        lambda: [span for span in receiver.spans if span.attributes.get("falcongate.service") == broken.name],
        "the failed request is told",
    )
    assert [span.is_error for span in failed] == [True]


def test_what_a_caller_does_wrong_is_no_error_of_the_gateway(world: Visit, receiver: Receiver) -> None:
    trace_id, field = new_trace()
    with world.caller(source=TRUSTED) as caller:
        assert caller.exchange("PROPFIND", "/api/nothing/x", [field]).status == 404
    (server,) = receiver.of(trace_id, 1)
    assert (server.name, server.is_error) == ("HTTP", False)
    assert server.attributes["http.request.method"] == "_OTHER"
    assert server.attributes["http.request.method_original"] == "PROPFIND"
    assert (server.attributes["falcongate.problem"], server.attributes["falcongate.answered_by"]) == (
        "no-route", "gateway",
    )  # fmt: skip


def test_what_never_became_a_request_is_answered_all_the_same(world: Visit) -> None:
    with world.caller(source=TRUSTED) as caller:
        caller.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\ntraceparent: x\r\n\r\n")
        answer = caller.answer()
    assert answer.status == 400
    request_id = answer.get("X-Request-ID")
    assert request_id is not None
    assert len(str(world.gateway.logged(request_id)["trace_id"])) == 32


def test_a_caller_who_leaves_is_no_error(world: Visit, receiver: Receiver) -> None:
    def silent(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.stall()

    service = world.service(silent)
    trace_id, field = new_trace()
    caller = world.caller(source=TRUSTED)
    caller.send(f"GET {service.path()} HTTP/1.1\r\nHost: x\r\n{field[0]}: {field[1]}\r\n\r\n".encode("ascii"))
    until(lambda: service.upstream.heads, "it was asked")
    caller.close()
    server, client = receiver.of(trace_id, 2)
    assert (server.is_error, client.is_error) == (False, False)
    assert "http.response.status_code" not in server.attributes


def test_a_websocket_is_in_its_trace(world: Visit, receiver: Receiver) -> None:
    chat = world.service(speaking(echo))
    trace_id, field = new_trace()
    with world.caller(source=TRUSTED) as caller:
        caller.send(upgrade(f"/ws/{chat.name}/room", [field]))
        assert "101" in caller.reader.head().start
    server, client = receiver.of(trace_id, 2)
    assert parent_in(chat.upstream.heads[0])[1] == client.span_id
    assert server.attributes["http.response.status_code"] == 101
    assert (server.is_error, client.is_error) == (False, False)


def test_a_service_that_goes_on_is_below_the_attempt_that_asked_it(world: Visit, receiver: Receiver) -> None:
    def service(conversation: Conversation) -> None:
        head, _ = conversation.read_request()
        trace_id, parent_id, _ = parent_in(head)
        now = time.clock_gettime_ns(time.CLOCK_REALTIME)
        tell(
            receiver.url,
            Span(
                trace_id=bytes.fromhex(trace_id),
                span_id=b"service1",
                parent_span_id=bytes.fromhex(parent_id),
                name="work",
                kind=SERVER,
                start_time_unix_nano=now,
                end_time_unix_nano=now,
            ),
        )
        conversation.send(ok())

    played = world.service(service)
    trace_id, field = new_trace()
    with world.caller(source=TRUSTED) as caller:
        assert caller.exchange("GET", played.path(), [field]).status == 200
    by_id = {span.span_id: span for span in receiver.of(trace_id, 3)}
    work = by_id[b"service1".hex()]
    attempt = by_id[work.parent_id]
    assert (attempt.kind, by_id[attempt.parent_id].kind) == (CLIENT, SERVER)
    # What began later on the same machine does not look as if it had begun before.
    assert attempt.begin_ns <= work.begin_ns <= attempt.end_ns
