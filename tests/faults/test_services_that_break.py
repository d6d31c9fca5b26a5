"""A service ends in the middle of something."""

from __future__ import annotations

import pytest

from tests.support.callers import Caller, request_bytes
from tests.support.processes import until
from tests.support.upstreams import Conversation, answering, by_connection, ok
from tests.support.wire import Ended
from tests.support.world import Visit

HEADS = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x" * 1000),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3e8\r\n" + b"x" * 1000 + b"\r\n"),
    "within-a-chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"ffff\r\n" + b"x" * 1000),
}


def _assert_truncation_shows(caller: Caller, framing: str) -> None:
    head, _ = caller.head()
    with pytest.raises(Ended):
        caller.body(head, 200, to="GET")
    assert framing != "length" or head.get("Content-Length") == "1000000"


@pytest.mark.parametrize("with_reset", [False, True])
@pytest.mark.parametrize("framing", HEADS)
def test_a_body_cut_short_looks_cut_short(world: Visit, framing: str, with_reset: bool) -> None:  # noqa: FBT001
    """The service is killed after the caller has got a part of its answer."""
    head, part = HEADS[framing]

    def handler(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(head + part)
        conversation.stall()
        if with_reset:
            conversation.reset()

    service = world.service(by_connection(handler, answering(ok())))
    caller = world.caller()
    caller.send(request_bytes("GET", service.path()))
    until(lambda: service.upstream.conversations and service.upstream.conversations[0].heads, "it was asked")
    service.upstream.conversation().release()
    _assert_truncation_shows(caller, framing)
    assert world.get(service.path()).content == b"ok"


@pytest.mark.own_worker("gunicorn can end a connection by FIN only, which is also how the body would end")
def test_an_http10_caller_sees_a_cut_too(world: Visit) -> None:
    """Without chunks and without a length only a reset tells the caller that more should have come."""

    def handler(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        conversation.stall()

    service = world.service(handler)
    caller = world.caller()
    caller.send(request_bytes("GET", service.path(), version="HTTP/1.0"))
    assert caller.reader.until(b"hello")
    service.upstream.conversation().release()
    with pytest.raises(Ended) as ended:
        caller.reader.rest()
    assert ended.value.reset


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_service_that_resets_while_it_is_spoken_to(world: Visit, method: str) -> None:
    """Every connection is reset as soon as its head is read."""

    def handler(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.reset()

    service = world.service(handler)
    answer = world.exchange(method, service.path(), body=b"x" * 100 if method == "POST" else None)
    assert (answer.status, answer.json()["type"]) == (502, "/problems/service-broke-off")


def test_a_service_that_resets_at_once(world: Visit) -> None:
    """Every connection is reset as soon as it is accepted."""
    service = world.service(lambda conversation: conversation.reset())
    for method in ("GET", "POST"):
        answer = world.exchange(method, service.path())
        assert answer.status == 502
    assert world.get("/api/honest/x").status == 200


@pytest.mark.own_worker(
    "a read of WSGI's input cannot be interrupted: there the end is seen with the next write"
)
def test_a_service_that_resets_in_the_middle_of_an_upload(world: Visit) -> None:
    """The service resets after a part of a large body, without a word."""

    def handler(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.reader.exactly(50_000)
        conversation.reset()

    service = world.service(handler)
    caller = world.caller()
    caller.send(request_bytes("POST", service.path(), [("Content-Length", "50000000")]))
    caller.send_unless_closed(b"x" * 500_000)
    answer = caller.answer()
    assert (answer.status, answer.json()["type"]) == (502, "/problems/service-broke-off")


def test_a_service_that_is_gone_and_comes_back(world: Visit) -> None:
    """All its idle connections are closed at once, as by a restart; the next requests notice."""
    service = world.service(answering(ok()))
    callers = [world.caller() for _ in range(5)]
    for caller in callers:
        caller.send(request_bytes("GET", service.path()))
    assert [caller.answer().status for caller in callers] == [200] * 5
    for conversation in list(service.upstream.conversations):
        conversation.close()
        conversation.ended.wait(5)
    for caller in callers:
        assert caller.exchange("POST", service.path(), body=b"x").status == 200
