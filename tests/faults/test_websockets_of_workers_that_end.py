"""WebSockets of a worker that is stopped: those that begin, and those with a long message on its way."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.callers import Caller
from tests.support.processes import is_running, until
from tests.support.upstreams import Conversation
from tests.support.websockets import agreeing, close_code, echo, frame, speaking, upgrade
from tests.support.wire import Ended
from tests.support.world import Plan, Visit, running

GRACE_S = 6
LONG = frame(bytes(16 << 20), 2, is_masked=False)
"""More than lies between a service and a caller who reads nothing."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Visit]:
    """A gateway of one worker."""
    settings = {"server": {"graceful_timeout_s": GRACE_S}}
    with running(Plan("ending", settings, scripted=2), tmp_path) as site:
        visit = Visit(site)
        yield visit
        visit.leave()


def stop_worker(world: Visit) -> None:
    """Tell the worker to stop, and wait until it has begun to: it ends connections where nothing happens."""
    idle = world.caller()
    assert idle.get("/api/honest/x").status == 200
    world.gateway.allow_deaths()
    world.gateway.signal(signal.SIGTERM, *world.gateway.workers)
    idle.expect_closed()


def reader_of_long(world: Visit) -> Caller:
    """A caller who has begun to read a long message."""

    def talk(conversation: Conversation) -> None:
        conversation.send(LONG)
        conversation.left(within_s=GRACE_S * 2)

    service = world.service(speaking(talk))
    caller = world.caller(receive_buffer_bytes=65_536)
    caller.send(upgrade(f"/ws/{service.name}/x"))
    assert caller.reader.head().start.startswith("HTTP/1.1 101 ")
    assert caller.reader.exactly(10) == LONG[:10]
    return caller


def test_a_handshake_that_comes_after_it_was_told_is_refused(world: Visit) -> None:
    service = world.service(speaking(echo))
    new = world.caller()
    # Whoever is answered came later, so this one is with the worker as well.
    stop_worker(world)
    new.send(upgrade(f"/ws/{service.name}/x"))
    answer = new.answer()
    assert answer.status == 503
    assert answer.json()["type"] == "/problems/shutting-down"
    assert answer.get("Retry-After") == "1"
    assert answer.get("Connection") == "close"
    assert not service.upstream.conversations, "the service was not asked"


def test_one_that_is_agreed_to_after_it_was_told_is_told_1012_at_once(world: Visit) -> None:
    def agree_late(conversation: Conversation) -> None:
        head, _ = conversation.read_request()
        conversation.stall()
        conversation.send(agreeing(head))
        echo(conversation)

    service = world.service(agree_late)
    caller = world.caller()
    caller.send(upgrade(f"/ws/{service.name}/x"))
    conversation = service.upstream.conversation()
    stop_worker(world)
    conversation.release()
    assert caller.reader.head().start.startswith("HTTP/1.1 101 ")
    began = time.monotonic()
    assert close_code(caller.reader) == 1012
    assert time.monotonic() - began < GRACE_S / 2


def test_a_long_message_comes_whole_before_1012(world: Visit) -> None:
    """Its caller is still reading when all have been told."""
    caller = reader_of_long(world)
    stop_worker(world)
    told = time.monotonic() + GRACE_S * 0.7
    rest = b""
    while time.monotonic() < told:
        rest += caller.reader.exactly(4_096)
        time.sleep(0.02)  # the pace of somebody slow
    rest += caller.reader.exactly(len(LONG) - 10 - len(rest), within_s=GRACE_S)
    assert rest == LONG[10:]
    assert close_code(caller.reader) == 1012


def test_a_message_that_is_cut_does_not_look_like_an_end(world: Visit) -> None:
    """Its caller takes nothing until the worker has gone."""
    caller = reader_of_long(world)
    (worker,) = world.gateway.workers
    stop_worker(world)
    until(lambda: not is_running(worker), "the worker has gone")
    with pytest.raises(Ended) as ended:
        caller.reader.exactly(len(LONG))
    assert ended.value.reset
    assert len(ended.value.partial) < len(LONG) - 10
