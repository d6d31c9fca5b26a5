"""A reload replaces the workers, and nobody who is connected notices."""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.callers import chunks, request_bytes
from tests.support.fixtures import mortal_world
from tests.support.load import Load
from tests.support.processes import GatewayProcess, is_running, until
from tests.support.upstreams import Conversation, ok
from tests.support.websockets import close_code, echo, frame, opened, speaking, upgrade
from tests.support.wire import Ended
from tests.support.world import Plan, Site, Visit, running

GRACE_S = 4
# Longer than a reload takes on a busy machine, or who is idle would be gone before it.
IDLE_S = 10
PLAN = Plan(
    "reloading",
    {"server": {"graceful_timeout_s": GRACE_S, "keepalive_timeout_s": IDLE_S}},
    scripted=8,
    scripted_settings={"retries": 0},
    workers=2,
)


world = mortal_world()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A gateway of this test's own, with two workers."""
    with running(PLAN, tmp_path) as site:
        yield site


def reload_but_for_one(world: Visit) -> int:
    """Reload where one worker of two has something to keep; that one, when the other has left."""
    old = world.gateway.reload()
    until(lambda: len(old & set(world.gateway.children())) == 1, "the idle one has left")
    return (old & set(world.gateway.children())).pop()


def test_not_one_request_fails_or_comes_twice(world: Visit) -> None:
    """Under load, with an upload, a download and a WebSocket on their way through it."""
    slow = world.service(speaking(echo))
    feed = world.service(_drip)
    sink = world.service(_sink)
    load = Load(world)
    with load.running():
        chat = opened(world, slow)
        download, upload = world.caller(), world.caller()
        download.send(request_bytes("GET", feed.path()))
        assert download.head()[0].start == "HTTP/1.1 200 OK"
        upload.send(request_bytes("PUT", sink.path(), [("Transfer-Encoding", "chunked")]))
        for _ in range(2):
            world.gateway.reload()
            upload.send(chunks(b"x" * 1_000, last=b""))
            chat.send(frame(b"still here", 1))
            assert chat.reader.exactly(len(frame(b"still here", 1)))
        upload.send(chunks())
        assert upload.answer().content == b"2000"
        feed.upstream.conversation().release()
        assert download.reader.exactly(len(b"the end")) == b"the end"
    assert len(load.answered) > 300
    assert sorted(load.arrived) == sorted(load.answered), "each came once"
    chat.send(frame(b"", 8))
    chat.reader.exactly(6)
    until(lambda: len(world.gateway.children()) == 2, "who has nothing more to do has left", within_s=20)


def test_workers_are_replaced_one_by_one(world: Visit) -> None:
    """Each new one serves before an old one is told, and then the next is started."""
    begun = len(world.gateway.stderr())
    old = set(world.gateway.children())
    world.gateway.signal(signal.SIGHUP)
    while not is_done(world.gateway):
        assert len(world.gateway.children()) >= 2
    until(lambda: not old & set(world.gateway.children()), "the old ones have left")
    steps = re.findall(r"Booting|retires", world.gateway.stderr()[begun:])
    assert steps == ["Booting", "retires", "Booting", "retires"]


def is_done(gateway: GatewayProcess) -> bool:
    """Whether a reload has come to its end, for better or worse."""
    return "Reload done" in gateway.stderr() or "Reload failed" in gateway.stderr()


def _drip(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")
    conversation.stall()
    conversation.send(b"the end")


def _sink(conversation: Conversation) -> None:
    body = conversation.read_body(conversation.read_head(), within_s=60)
    conversation.send(ok(b"%d" % len(body.content)))


def test_who_was_replaced_tells_its_websockets_when_the_gateway_ends(world: Visit) -> None:
    chat = opened(world, world.service(speaking(echo)))
    reload_but_for_one(world)
    world.gateway.signal(signal.SIGTERM)
    assert close_code(chat.reader) == 1012
    chat.send(frame(b"\x03\xf4", 8))
    assert world.gateway.wait(within_s=GRACE_S + 2) == 0


def test_a_worker_keeps_what_it_has_only_for_so_long(tmp_path: Path) -> None:
    settings = {"server": {"graceful_timeout_s": 2, "retirement_s": 1}}
    with running(Plan("brief", settings, scripted=1), tmp_path) as site:
        site.gateway.allow_deaths()
        world = Visit(site)
        chat = opened(world, world.service(speaking(echo)))
        site.gateway.signal(signal.SIGHUP)
        assert close_code(chat.reader) == 1012
        chat.close()
        until(lambda: len(site.gateway.children()) == 1, "it has left")
        world.leave()


def test_nobody_outlives_a_master_that_was_killed(world: Visit) -> None:
    chat = opened(world, world.service(speaking(echo)))
    old = reload_but_for_one(world)
    everybody = world.gateway.children()
    world.gateway.kill()
    with contextlib.suppress(Ended):
        chat.reader.some()
    until(lambda: not any(map(is_running, everybody)), "all have left")
    assert not is_running(old)


def test_one_that_was_replaced_and_is_killed_is_not_missed(world: Visit) -> None:
    opened(world, world.service(speaking(echo)))
    old = reload_but_for_one(world)
    world.gateway.allow("was sent SIGKILL")
    world.gateway.signal(signal.SIGKILL, old)
    until(lambda: "was sent SIGKILL" in world.gateway.stderr(), "the master has seen it")
    assert old not in world.gateway.children()
    assert len(world.gateway.children()) == 2
    assert world.get("/api/honest/x").status == 200


def test_a_worker_that_dies_is_replaced_while_others_retire(world: Visit) -> None:
    chat = opened(world, world.service(speaking(echo)))
    old = reload_but_for_one(world)
    world.gateway.allow("was sent SIGKILL")
    dead = next(pid for pid in world.gateway.children() if pid != old)
    world.gateway.signal(signal.SIGKILL, dead)
    until(
        lambda: len(world.gateway.children()) == 3 and dead not in world.gateway.children(),
        "another has taken its place",
    )
    chat.send(frame(b"here", 1))
    assert chat.reader.exactly(10)


def test_who_comes_again_is_answered_and_sent_elsewhere(world: Visit) -> None:
    kept = world.caller()
    assert kept.get("/api/honest/x").status == 200
    reload_but_for_one(world)
    answer = kept.get("/api/honest/x")
    assert (answer.status, answer.get("Connection")) == (200, "close")
    until(lambda: len(world.gateway.children()) == 2, "it has left")


def test_who_comes_again_for_a_websocket_gets_it_and_keeps_it(world: Visit) -> None:
    """It is the last thing that this connection can bring to a worker that takes no other ones."""
    kept = world.caller()
    assert kept.get("/api/honest/x").status == 200
    old = reload_but_for_one(world)
    kept.send(upgrade(f"/ws/{world.service(speaking(echo)).name}/x"))
    assert kept.reader.head().start.startswith("HTTP/1.1 101 ")
    kept.send(frame(b"here", 1))
    assert kept.reader.exactly(10)
    world.gateway.signal(signal.SIGTERM, old)
    assert close_code(kept.reader) == 1012
    kept.close()
    until(lambda: len(world.gateway.children()) == 2, "it has left")


def test_an_idle_connection_ends_by_its_own_time(world: Visit) -> None:
    kept = world.caller()
    assert kept.get("/api/honest/x").status == 200
    reload_but_for_one(world)
    kept.expect_closed(within_s=2 * IDLE_S)
    until(lambda: len(world.gateway.children()) == 2, "it has left")
