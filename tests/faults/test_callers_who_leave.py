"""A caller ends in the middle of something."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from tests.support.callers import request_bytes
from tests.support.honest import BLOCK
from tests.support.processes import until
from tests.support.upstreams import Conversation, answering, by_connection, ok
from tests.support.wire import Ended
from tests.support.world import Visit

SOON_S = 1.0


def _left_soon(conversation: Conversation) -> bool:
    return conversation.ended.wait(SOON_S + 1)


@pytest.mark.parametrize("with_reset", [False, True])
def test_a_caller_who_leaves_while_waiting_ends_the_service_s_work(
    world: Visit,
    with_reset: bool,  # noqa: FBT001
) -> None:
    """The service is busy with an answer when the caller closes or resets its connection."""
    gone: list[float] = []

    def handler(conversation: Conversation) -> None:
        conversation.read_request()
        if conversation.left(within_s=15):
            gone.append(time.monotonic())

    service = world.service(handler)
    caller = world.caller()
    caller.send(request_bytes("GET", service.path()))
    until(lambda: service.upstream.heads, "the service has the request")
    left = time.monotonic()
    caller.reset() if with_reset else caller.close()
    until(lambda: gone, "the service sees its connection end")
    assert gone[0] - left < SOON_S


@pytest.mark.parametrize("with_reset", [False, True])
def test_a_caller_who_leaves_within_the_answer_ends_the_service_s_work(
    world: Visit,
    with_reset: bool,  # noqa: FBT001
) -> None:
    """The service streams without end; the caller goes after the first bytes."""

    def handler(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
        conversation.push(BLOCK, pause_s=10, limit=1 << 40)

    service = world.service(handler)
    caller = world.caller()
    caller.send(request_bytes("GET", service.path()))
    caller.head()
    caller.reset() if with_reset else caller.close()
    assert _left_soon(service.upstream.conversation())


def test_a_caller_who_leaves_between_two_events_ends_the_stream(world: Visit) -> None:
    """Nothing is sent at the moment, in either direction, when the caller goes."""

    def handler(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        conversation.left(within_s=15)

    service = world.service(handler)
    caller = world.caller()
    caller.send(request_bytes("GET", service.path()))
    caller.reader.until(b"one\r\n")
    caller.close()
    assert _left_soon(service.upstream.conversation())


@pytest.mark.parametrize("with_reset", [False, True])
@pytest.mark.parametrize("framing", ["length", "chunked", "between-chunks"])
def test_an_upload_cut_short_never_looks_whole(world: Visit, framing: str, with_reset: bool) -> None:  # noqa: FBT001
    """The caller is killed in the middle of its body."""
    outcome: list[str] = []

    def handler(conversation: Conversation) -> None:
        head = conversation.read_head()
        try:
            conversation.read_body(head)
        except Ended:
            outcome.append("cut")
        else:
            outcome.append("whole")
            conversation.send(ok())

    service = world.service(handler)
    caller = world.caller()
    if framing == "length":
        caller.send(request_bytes("POST", service.path(), [("Content-Length", "1000")]) + b"x" * 500)
    else:
        part = b"5\r\nhello\r\n" if framing == "between-chunks" else b"ff\r\nhello"
        caller.send(request_bytes("POST", service.path(), [("Transfer-Encoding", "chunked")]) + part)
    until(lambda: service.upstream.heads, "the service has the head")
    caller.reset() if with_reset else caller.close()
    until(lambda: outcome, "the service knows")
    assert outcome == ["cut"]


def test_an_upload_cut_short_by_a_half_close_never_looks_whole(world: Visit) -> None:
    """The caller says that it is done before it has sent what it announced, and waits."""
    before = list(world.honest.finished)
    caller = world.caller()
    caller.send(request_bytes("POST", "/api/honest/sink", [("Content-Length", "100")]) + b"x" * 50)
    caller.half_close()
    with contextlib.suppress(Ended):  # there is perhaps nobody left to tell
        assert caller.answer().status == 400
    assert world.get("/api/honest/x").status == 200
    assert [target for target in world.honest.finished[len(before) :] if "sink" in target] == []


def test_the_next_caller_is_not_harmed(world: Visit) -> None:
    """Twenty callers leave at various moments; then one stays."""
    service = world.service(by_connection(*([_slow] * 20), answering(ok(b"mine"))))
    for number in range(20):
        caller = world.caller()
        caller.send(request_bytes("GET", service.path()))
        service.upstream.conversation(number)
        caller.reset() if number % 2 else caller.close()
    assert world.get(service.path()).content == b"mine"


def _slow(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.left(within_s=15)


def test_a_left_request_is_logged_once(world: Visit) -> None:
    """The log has one line for a request whose caller did not wait for the answer."""
    service = world.service(_slow)
    caller = world.caller()
    caller.send(request_bytes("GET", service.path(), [("X-Request-ID", "left-before-the-answer-1")]))
    until(lambda: service.upstream.heads, "the service has the request")
    caller.close()
    world.gateway.logged("left-before-the-answer-1")
    ids = [line["request_id"] for line in world.gateway.log_lines()]
    assert ids.count("left-before-the-answer-1") == 1


def test_no_connection_leaks(world: Visit) -> None:
    """After many callers left in many ways the worker has as many open files as before."""
    (pid,) = world.gateway.workers
    service = world.service(_slow)

    def open_files() -> int:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))

    world.get("/api/honest/x")
    before = open_files()
    for number in range(30):
        caller = world.caller()
        caller.send(request_bytes("GET", service.path()))
        service.upstream.conversation(number)
        caller.close()
    until(lambda: open_files() <= before + 2, "the files are closed again")


def test_a_caller_who_leaves_while_the_service_takes_nothing_is_noticed(world: Visit) -> None:
    """The upload has filled every buffer on its way to a service that does not read; the caller resets.

    A caller who closes instead cannot be noticed: its FIN waits behind bytes that nobody takes.
    """

    def handler(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.stall()

    service = world.service(handler)
    caller = world.caller()
    request_id = "left-behind-a-full-service"
    fields = [("Content-Length", str(1 << 30)), ("X-Request-ID", request_id)]
    caller.send(request_bytes("POST", service.path(), fields))
    caller.push(BLOCK, pause_s=0.5)
    caller.reset()
    world.gateway.logged(request_id)
    service.upstream.conversation().release()
