"""Deadlines for services: no answer, no pause and no drip holds a request for ever."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.callers import Caller, request_bytes
from tests.support.honest import BLOCK
from tests.support.processes import takes, until
from tests.support.upstreams import Conversation, answering, full_port, ok
from tests.support.wire import Ended, Stalled, WireError
from tests.support.world import Plan, Site, Visit, running

ANSWER_S, IDLE_S, TOTAL_S, POOL_WAIT_S, CONNECT_S, KEEPALIVE_S = 1.0, 1.0, 3.0, 0.5, 0.5, 0.6
SERVICE = {
    "timeout_s": ANSWER_S,
    "idle_timeout_s": IDLE_S,
    "total_timeout_s": TOTAL_S,
    "pool_wait_s": POOL_WAIT_S,
    "max_connections": 2,
    "keepalive_timeout_s": KEEPALIVE_S,
}


@pytest.fixture(scope="module", params=["falcongate", "gevent"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with full_port() as port:
        full = {"url": f"http://127.0.0.1:{port}", "connect_timeout_s": CONNECT_S, "timeout_s": 10}
        settings = {
            "endpoint_timeouts": {"patient": 8, "/api/s0/patient/not": 0.5},
            "services": {"full": full},
        }
        plan = Plan("hasty", settings, 24, SERVICE, kind=request.param)
        with running(plan, tmp_path_factory.mktemp("hasty")) as site:
            yield site


def _drip(conversation: Conversation, opening: bytes, drop: bytes) -> None:
    """Send an opening, then one drop every tenth of a second until the gateway has had enough."""
    conversation.read_request()
    conversation.send(opening)
    for _ in range(200):
        conversation.send(drop)
        if conversation.left(within_s=0.1):
            return


def _stalling(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.left(within_s=20)


def _problem(world: Visit, path: str) -> tuple[int, object]:
    answer = world.get(path)
    return answer.status, answer.json()["type"]


def test_connecting(world: Visit) -> None:
    with takes(CONNECT_S):
        assert _problem(world, "/api/full/x") == (504, "/problems/connect-timeout")


def test_the_first_byte(world: Visit) -> None:
    service = world.service(_stalling)
    with takes(ANSWER_S):
        assert _problem(world, service.path()) == (504, "/problems/service-timeout")
    assert service.upstream.conversation().ended.wait(2), "the service must see that nobody waits any more"


@pytest.mark.parametrize(
    ("opening", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
        (b"HTTP/1.1 200 OK\r\n", b"X-A: 1\r\n"),
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    ],
)
def test_a_drip_does_not_extend_the_wait_for_the_head(world: Visit, opening: bytes, drop: bytes) -> None:
    service = world.service(lambda conversation: _drip(conversation, opening, drop))
    with takes(ANSWER_S):
        assert _problem(world, service.path()) == (504, "/problems/service-timeout")


@pytest.mark.parametrize(
    ("opening", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"a"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    ],
)
def test_a_drip_does_not_extend_the_whole_exchange(world: Visit, opening: bytes, drop: bytes) -> None:
    service = world.service(lambda conversation: _drip(conversation, opening, drop))
    with takes(TOTAL_S), pytest.raises(Ended):
        world.get(service.path())
    assert service.upstream.conversation().ended.wait(2)


def test_a_pause_within_the_answer(world: Visit) -> None:
    def handler(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        conversation.left(within_s=20)

    service = world.service(handler)
    with takes(IDLE_S), pytest.raises(Ended) as ended:
        world.get(service.path())
    assert ended.value.partial == b"half"


def test_a_service_that_takes_no_byte_of_the_upload(world: Visit) -> None:
    def handler(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.stall(within_s=20)

    service = world.service(handler)
    caller = world.caller()
    caller.send(request_bytes("POST", service.path("/patient"), [("Content-Length", str(1 << 30))]))
    with takes(IDLE_S, late_s=10):
        with contextlib.suppress(ConnectionError):
            caller.push(BLOCK, pause_s=IDLE_S, limit=64 << 20)
        assert caller.answer().status == 504
    service.upstream.conversation().release()


def test_a_pooled_connection(world: Visit) -> None:
    def handler(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.stall()
        conversation.send(ok())

    service = world.service(handler)
    held = [world.caller(), world.caller()]
    for caller in held:
        caller.send(request_bytes("GET", service.path("/patient")))
    service.upstream.conversation(1)
    with takes(POOL_WAIT_S):
        answer = world.get(service.path("/patient"))
    assert (answer.status, answer.json()["type"]) == (503, "/problems/saturated")
    assert int(answer.get("Retry-After") or 0) >= 1
    for conversation in service.upstream.conversations:
        conversation.release()
    assert [caller.answer().status for caller in held] == [200, 200]
    assert len(service.upstream.conversations) == 2


def test_a_connection_that_comes_free_in_time_is_used(world: Visit) -> None:
    def handler(conversation: Conversation) -> None:
        while True:
            conversation.read_request()
            conversation.stall()
            conversation.send(ok())

    service = world.service(handler)
    callers = [world.caller() for _ in range(3)]
    for caller in callers[:2]:
        caller.send(request_bytes("GET", service.path("/patient")))
    service.upstream.conversation(1)
    callers[2].send(request_bytes("GET", service.path("/patient")))
    for conversation in service.upstream.conversations:
        conversation.release()
    assert [caller.answer().status for caller in callers] == [200, 200, 200]
    assert len(service.upstream.conversations) == 2


def test_a_connection_that_was_idle_for_too_long_is_not_used_again(world: Visit) -> None:
    service = world.service(answering(ok()))
    for _ in range(2):
        assert world.exchange("POST", service.path(), body=b"x").status == 200
    assert len(service.upstream.conversations) == 1
    service.upstream.conversation().ended.wait(KEEPALIVE_S + 0.2)
    assert world.exchange("POST", service.path(), body=b"x").status == 200
    assert len(service.upstream.conversations) == 2


def test_the_longest_endpoint_timeout_wins_over_the_service_s(world: Visit) -> None:
    def handler(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.stall(within_s=ANSWER_S + 0.7)
        conversation.send(ok(b"worth the wait"))

    service = world.service(handler)
    assert world.get(service.path("/patient/x")).content == b"worth the wait"
    assert world.get(service.path("/impatient")).status == 504


def test_the_deadlines_of_one_hold_nobody_else(world: Visit) -> None:
    service = world.service(_stalling)
    held = [world.caller() for _ in range(2)]
    for caller in held:
        caller.send(request_bytes("GET", service.path("/patient")))
    for _ in range(5):
        started = time.monotonic()
        assert world.get("/api/honest/x").status == 200
        assert time.monotonic() - started < 1


def test_a_caller_who_stirs_does_not_stop_the_clock(world: Visit, site: Site) -> None:
    """It sends single bytes of a next request while the service says nothing."""
    if site.gateway.kind != "falcongate":
        pytest.skip("the stock worker reads nothing before it has answered")
    service = world.service(_stalling)
    caller = world.caller()
    caller.send(request_bytes("GET", service.path()))
    with takes(ANSWER_S):
        for _ in range(50):
            if not caller.send_unless_closed(b"G"):
                break
            with contextlib.suppress(Stalled):
                answer = caller.answer(within_s=0.1)
                break
    assert answer.status == 504


def test_the_end_comes_though_both_sides_are_always_ready(world: Visit) -> None:
    """A service that never stops sending, to a caller who takes all of it."""

    def handler(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(OSError, WireError):
            while True:
                conversation.send(BLOCK)

    caller = world.caller(keeps=False)
    caller.send(request_bytes("GET", world.service(handler).path()))
    caller.head()
    with takes(TOTAL_S), pytest.raises(Ended):
        _take_all(caller)


def _take_all(caller: Caller) -> None:
    while caller.reader.some():
        pass


def test_who_left_while_waiting_for_a_connection_is_not_forwarded(world: Visit) -> None:
    """Both connections are in use; a third caller asks, and resets its own before one comes free."""

    def handler(conversation: Conversation) -> None:
        while True:
            conversation.read_request()
            if conversation.number < 2 and len(conversation.heads) == 1:
                conversation.stall()
            conversation.send(ok())

    service = world.service(handler)
    held = [world.caller() for _ in range(2)]
    for number, caller in enumerate(held):
        caller.send(request_bytes("GET", service.path()))
        until(lambda number=number: service.upstream.conversation(number).heads, "it is held")
    gone = world.caller()
    gone.send(request_bytes("POST", service.path(), body=b""))
    until(lambda: _unread_of(gone) == 0, "the gateway has read it")
    gone.reset()
    for conversation in service.upstream.conversations:
        conversation.release()
    assert [caller.answer().status for caller in held] == [200, 200]
    assert world.get(service.path()).status == 200
    assert "POST" not in {head.start.split()[0] for head in service.upstream.heads}


def _unread_of(caller: Caller) -> int | None:
    """Bytes of a caller that wait in the gateway's socket, by proc(5); None if there is no such socket."""
    ports = [f"{port:04X}" for port in (caller.socket.getpeername()[1], caller.address[1])]
    for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]:
        fields = line.split()
        if [fields[1][-4:], fields[2][-4:]] == ports:
            return int(fields[4].partition(":")[2], 16)
    return None
