"""A worker, or the whole gateway, is told to stop or is killed."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.callers import Caller, request_bytes
from tests.support.fixtures import mortal_world
from tests.support.processes import until
from tests.support.upstreams import Conversation, ok
from tests.support.wire import Ended, WireError
from tests.support.world import Plan, ScriptedService, Site, Visit, running

GRACE_S = 8


world = mortal_world()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A gateway of this test's own, with two workers."""
    with running(Plan("ending", {"server": {"graceful_timeout_s": GRACE_S}}, 8, workers=2), tmp_path) as site:
        yield site


def _held(conversation: Conversation) -> None:
    while True:
        conversation.read_request()
        conversation.stall()
        conversation.send(ok(b"finished"))


@dataclass
class Held:
    """Callers whose requests are at the service, and who serves them."""

    service: ScriptedService
    callers: list[Caller] = field(default_factory=list)

    def add(self, world: Visit, count: int, *, worker: int | None = None) -> None:
        """Let `count` more callers wait; on one worker only, if it is given, while the others sleep."""
        others = [pid for pid in world.gateway.children() if worker not in (None, pid)]
        for pid in others:
            world.gateway.signal(signal.SIGSTOP, pid)
        try:
            first = len(self.callers)
            for _ in range(count):
                self.callers.append(world.caller())
                self.callers[-1].send(request_bytes("GET", self.service.path()))
            talks = [self.service.upstream.conversation(n) for n in range(first, first + count)]
            until(lambda: all(talk.heads for talk in talks), "all are at the service")
        finally:
            for pid in others:
                world.gateway.signal(signal.SIGCONT, pid)

    def release(self) -> None:
        """Let the service answer them all."""
        for conversation in self.service.upstream.conversations:
            conversation.release()


def _busy(world: Visit, count: int) -> Held:
    held = Held(world.service(_held))
    held.add(world, count)
    return held


def test_a_worker_that_is_stopped_as_it_begins_ends(world: Visit) -> None:
    """However early it is told, it hears it; the master would wait for it all the grace period."""
    world.gateway.allow("was sent SIGKILL")
    for _ in range(8):
        known = set(world.gateway.children())
        world.gateway.signal(signal.SIGKILL, min(known))
        while not (new := set(world.gateway.children()) - known):
            pass
        begun = new.pop()
        world.gateway.signal(signal.SIGTERM, begun)
        until(lambda begun=begun: begun not in world.gateway.children(), "it has ended", within_s=GRACE_S / 2)
        until(lambda: len(world.gateway.children()) == 2, "another has taken its place")


def test_requests_in_flight_finish_when_the_gateway_is_told_to_stop(world: Visit) -> None:
    """SIGTERM to the master while four requests wait for the service, which then answers."""
    held = _busy(world, 4)
    world.gateway.signal(signal.SIGTERM)
    until(lambda: not _accepts(world), "no new connection is taken")
    held.release()
    answers = [caller.answer() for caller in held.callers]
    assert [answer.content for answer in answers] == [b"finished"] * 4
    for caller in held.callers:
        caller.expect_closed()
    assert world.gateway.wait(within_s=5) == 0


def _accepts(world: Visit) -> bool:
    try:
        with Caller(world.gateway.address) as caller:
            return caller.get("/health/live").status == 200
    except (OSError, WireError):
        return False


def test_idle_connections_do_not_hold_the_gateway_up(world: Visit) -> None:
    """SIGTERM while ten callers hold idle keep-alive connections: they are closed at once."""
    callers = [world.caller() for _ in range(10)]
    for caller in callers[:8]:
        assert caller.get("/api/honest/x").status == 200
    started = time.monotonic()
    world.gateway.signal(signal.SIGTERM)
    for caller in callers:
        caller.expect_closed(within_s=3)
    assert world.gateway.wait(within_s=5) == 0
    assert time.monotonic() - started < 4


def _halfway(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
    conversation.stall()
    conversation.send(b"half")


def test_a_connection_that_was_promised_to_stay_ends_after_its_answer(world: Visit) -> None:
    """SIGTERM when the head of an answer is out already, without `Connection: close` in it."""
    service = world.service(_halfway)
    caller = world.caller()
    caller.send(request_bytes("GET", service.path()))
    head, _ = caller.head()
    assert not head.all("Connection")
    world.gateway.signal(signal.SIGTERM)
    until(lambda: not _accepts(world), "no new connection is taken")
    service.upstream.conversation(0).release()
    assert caller.body(head, 200, to="GET").content == b"halfhalf"
    caller.expect_closed(within_s=3)
    assert world.gateway.wait(within_s=5) == 0


def test_a_request_that_does_not_finish_is_ended_after_the_grace(world: Visit) -> None:
    """SIGTERM while one request waits for a service that never answers."""
    held = _busy(world, 1)
    started = time.monotonic()
    world.gateway.signal(signal.SIGTERM)
    world.gateway.allow(r"was sent SIG|WORKER TIMEOUT")
    assert world.gateway.wait(within_s=GRACE_S + 6) == 0
    assert time.monotonic() - started >= GRACE_S - 1
    with contextlib.suppress(Ended):
        assert held.callers[0].answer().status == 503


def test_a_killed_worker_takes_only_its_own_requests_with_it(world: Visit) -> None:
    """Kill -9 of one of two workers while requests wait in both; a new one comes in its place."""
    victim, survivor = world.gateway.children()
    doomed, safe = Held(world.service(_held)), Held(world.service(_held))
    doomed.add(world, 3, worker=victim)
    safe.add(world, 3, worker=survivor)
    world.gateway.allow(r"was sent SIGKILL|[Ww]orker exited")
    world.gateway.signal(signal.SIGKILL, victim)
    until(lambda: victim not in world.gateway.children() and len(world.gateway.children()) == 2, "replaced")
    for caller in doomed.callers:
        caller.expect_closed()
    safe.release()
    assert [caller.answer().content for caller in safe.callers] == [b"finished"] * 3
    _assert_all_serve(world)


def test_a_worker_told_to_stop_finishes_and_is_replaced(world: Visit) -> None:
    """SIGTERM to one worker of two, with requests in flight and new ones coming; nobody notices."""
    victim = world.gateway.children()[0]
    held = Held(world.service(_held))
    held.add(world, 4, worker=victim)
    world.gateway.signal(signal.SIGTERM, victim)
    for _ in range(50):
        assert world.get("/api/honest/x").status == 200
    held.release()
    assert [caller.answer().content for caller in held.callers] == [b"finished"] * 4
    until(lambda: victim not in world.gateway.children(), "it ends", within_s=5)
    until(lambda: len(world.gateway.children()) == 2, "it is replaced")
    _assert_all_serve(world)


def _assert_all_serve(world: Visit) -> None:
    """Every worker that runs now takes requests; a signal to one that still starts would be lost."""
    for pid in world.gateway.children():
        held = Held(world.service(_held))
        held.add(world, 1, worker=pid)
        held.release()
        assert held.callers[0].answer().content == b"finished"


def test_idle_connections_to_services_end_with_the_worker(world: Visit) -> None:
    """SIGTERM to the gateway: the service sees its pooled connections close."""
    service = world.service(_held)
    caller = world.caller()
    caller.send(request_bytes("GET", service.path()))
    conversation = service.upstream.conversation()
    conversation.release()
    assert caller.answer().content == b"finished"
    world.gateway.signal(signal.SIGTERM)
    assert conversation.ended.wait(5)
    assert world.gateway.wait(within_s=5) == 0
