"""Deadlines for callers: who sends or reads too slowly is told, or ended."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.support.callers import Caller, request_bytes
from tests.support.honest import BLOCK
from tests.support.processes import takes, until
from tests.support.upstreams import Conversation
from tests.support.wire import Ended
from tests.support.world import Plan, Site, Visit

HEAD_S, BODY_S, SEND_S, KEEPALIVE_S, TOTAL_S = 1.0, 1.0, 1.5, 2.5, 4.0
SERVER = {
    "head_timeout_s": HEAD_S,
    "body_idle_timeout_s": BODY_S,
    "send_timeout_s": SEND_S,
    "keepalive_timeout_s": KEEPALIVE_S,
}
PLAN = Plan("slow-callers", {"server": SERVER}, 8, {"total_timeout_s": TOTAL_S})


@pytest.fixture
def site(site_for: Callable[[Plan, str], Site], worker_kind: str) -> Site:
    return site_for(PLAN, worker_kind)


def _slow_send(caller: Caller, raw: bytes) -> None:
    """Send byte after byte, one every tenth of a second, until the gateway answers or ends it."""
    for byte in raw:
        if not caller.send_unless_closed(bytes([byte])):
            return
        caller.socket.settimeout(0.1)
        try:
            if caller.socket.recv(1, 2) is not None:  # MSG_PEEK
                return
        except TimeoutError:
            continue


@pytest.mark.own_worker("gunicorn closes without a word")
def test_a_head_that_stops(world: Visit) -> None:
    caller = world.caller()
    with takes(HEAD_S):
        caller.send(b"GET /api/honest/x HTTP/1.1\r\nHost: a\r\nX-Slow")
        answer = caller.answer()
    assert (answer.status, answer.json()["type"]) == (408, "/problems/request-timeout")
    assert answer.get("Connection") == "close"
    caller.expect_closed()


@pytest.mark.own_worker("gunicorn closes without a word")
def test_a_head_that_drips(world: Visit) -> None:
    caller = world.caller()
    with takes(HEAD_S):
        _slow_send(caller, b"GET /api/honest/x HTTP/1.1\r\nHost: a\r\nX-Slow: " + b"a" * 100)
        assert caller.answer().status == 408


@pytest.mark.own_worker("gunicorn has no deadline for an idle connection before its first byte")
@pytest.mark.parametrize("after_a_request", [False, True])
def test_an_idle_connection_is_ended_without_a_word(world: Visit, after_a_request: bool) -> None:  # noqa: FBT001
    caller = world.caller()
    if after_a_request:
        assert caller.get("/api/honest/x").status == 200
    with takes(KEEPALIVE_S):
        caller.expect_closed()


def test_a_body_that_stops(world: Visit) -> None:
    before = list(world.honest.finished)
    caller = world.caller()
    with takes(BODY_S):
        caller.send(request_bytes("POST", "/api/honest/sink", [("Content-Length", "100")]) + b"x" * 10)
        answer = caller.answer()
    assert (answer.status, answer.json()["type"]) == (408, "/problems/request-timeout")
    caller.expect_closed()
    assert world.honest.finished == before


def test_a_chunked_body_that_stops_within_a_chunk(world: Visit) -> None:
    caller = world.caller()
    with takes(BODY_S):
        caller.send(
            request_bytes("POST", "/api/honest/sink", [("Transfer-Encoding", "chunked")]) + b"ff\r\nabc"
        )
        assert caller.answer().status == 408
    caller.expect_closed()


def test_a_body_that_drips_does_not_extend_the_whole_exchange(world: Visit) -> None:
    service = world.service(
        lambda conversation: (conversation.read_head(), conversation.left(within_s=20), None)[-1]
    )
    caller = world.caller()
    started = time.monotonic()
    caller.send(request_bytes("POST", service.path(), [("Content-Length", "1000")]))
    _slow_send(caller, b"x" * 100)
    assert caller.answer().status in (408, 504)
    assert time.monotonic() - started < TOTAL_S + 1.5
    assert service.upstream.conversation().ended.wait(2)


@pytest.mark.own_worker("gunicorn writes answers without a deadline")
def test_a_caller_who_does_not_read(world: Visit) -> None:
    caller = world.caller(receive_buffer_bytes=65_536)
    pushed: list[float] = []

    def handler(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
        try:
            conversation.push(BLOCK, pause_s=20)
        finally:
            pushed.append(time.monotonic())

    service = world.service(handler)
    started = time.monotonic()
    caller.send(request_bytes("GET", service.path()))
    caller.head()
    until(lambda: pushed, "the service sees that its reader is gone", within_s=TOTAL_S + 3)
    assert pushed[0] - started < TOTAL_S - 0.1, "the deadline for sending must end it before the total does"


@pytest.mark.own_worker("gunicorn ends every connection in the same way")
def test_an_answer_that_was_given_up_looks_so_to_old_callers(world: Visit) -> None:
    """HTTP/1.0 has no length and no chunks here, so only a reset tells half an answer from a whole one."""
    caller = world.caller(receive_buffer_bytes=4_096)
    caller.send(request_bytes("GET", "/api/honest/until-close?bytes=30000000&size=70001", version="HTTP/1.0"))
    caller.head()
    time.sleep(SEND_S + 1)  # the pause that is tested
    with pytest.raises(Ended) as ended:
        caller.reader.exactly(30_000_000)
    assert ended.value.reset
