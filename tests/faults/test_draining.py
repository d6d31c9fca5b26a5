"""A gateway that is told to stop: who comes meanwhile, who is there, and who says it twice."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.callers import Caller, request_bytes
from tests.support.hosts import plan_on
from tests.support.moody import Moody
from tests.support.processes import until
from tests.support.programs import program
from tests.support.redis_servers import SERVER, RedisServer, ended
from tests.support.upstreams import Conversation, ok
from tests.support.wire import Ended, WireError
from tests.support.world import Plan, Site, Visit, running

GRACE_S = 8
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LISTEN_S = 3


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A gateway of this test's own, with two workers, which goes on listening for a while."""
    server = {"graceful_timeout_s": GRACE_S, "drain_listen_s": LISTEN_S}
    with running(Plan("draining", {"server": server}, 4, workers=2), tmp_path) as site:
        yield site


@pytest.fixture
def world(site: Site) -> Iterator[Visit]:
    """As the common one, but here workers end because the test ends them."""
    site.gateway.allow_deaths()
    visit = Visit(site)
    yield visit
    visit.leave()


def readiness(world: Visit) -> int:
    """What `/health/ready/` says; 0: nobody is there to say it."""
    try:
        with Caller(world.gateway.address) as caller:
            return caller.get("/health/ready/").status
    except (OSError, WireError):
        return 0


def test_it_says_so_and_goes_on_listening_for_a_moment(world: Visit) -> None:
    """Connections are taken and kept as before, until the moment is over."""
    kept = world.caller()
    assert kept.get("/api/honest/x").status == 200
    began = time.monotonic()
    world.gateway.signal(signal.SIGTERM)
    until(lambda: readiness(world) == 503, "it is not ready")
    assert world.get("/health/live/").status == 200
    answer = kept.get("/api/honest/x")
    assert (answer.status, answer.get("Connection")) == (200, None)
    assert world.get("/api/honest/x").status == 200
    kept.expect_closed(within_s=2 * LISTEN_S)
    assert time.monotonic() - began > LISTEN_S - 0.5
    until(lambda: readiness(world) == 0, "it listens no more")
    assert world.gateway.wait(within_s=GRACE_S) == 0
    assert time.monotonic() - began < GRACE_S


def test_on_a_unix_socket_it_listens_for_the_same_moment(tmp_path: Path) -> None:
    """Gunicorn would remove the socket's file before its workers are told."""
    path = tmp_path / "gateway.sock"
    (tmp_path / "gateway.toml").write_text(f"[server]\ndrain_listen_s = {LISTEN_S}\n", "utf-8")
    command = [sys.executable, "-m", "falcongate", "serve", "--bind", f"unix:{path}", "--workers", "1"]
    with program(tmp_path, command, FALCONGATE_CONFIG=str(tmp_path / "gateway.toml")) as running_:
        until(lambda: said_at(path).startswith(b"HTTP/1.1 200 "), "it is ready")
        running_.process.send_signal(signal.SIGTERM)
        until(lambda: said_at(path).startswith(b"HTTP/1.1 503 "), "it says that it stops")
        until(lambda: not said_at(path), "it listens no more")
        assert running_.process.wait(GRACE_S) == 0
    assert not path.exists()


def said_at(path: Path) -> bytes:
    """What `/health/ready/` says on a Unix socket; nothing where nobody listens."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(5)
        caller.connect(str(path))
        caller.sendall(b"GET /health/ready/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return caller.recv(65_536)
    return b""


def test_who_looks_where_to_ask_loses_nothing(world: Visit) -> None:
    """Callers ask without a pause for as long as it says that it is ready, as a load balancer has them do."""
    is_ready = threading.Event()
    is_ready.set()
    asked = []

    def ask(number: int) -> None:
        while is_ready.is_set():
            with contextlib.ExitStack() as stack:
                caller = stack.enter_context(Caller(world.gateway.address))
                for _ in range(1 + number % 3):
                    assert caller.get(f"/api/honest/{number}").status == 200
                    asked.append(number)

    with ThreadPoolExecutor(8) as pool:
        callers = [pool.submit(ask, number) for number in range(8)]
        until(lambda: len(asked) > 100, "they ask")
        world.gateway.signal(signal.SIGTERM)
        until(lambda: readiness(world) == 503, "it is not ready")
        is_ready.clear()
        for caller in callers:
            caller.result(10)
    assert world.gateway.wait(within_s=GRACE_S) == 0


def held(world: Visit) -> Caller:
    """A caller whose request is at a service that does not answer."""

    def hold(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.left(within_s=2 * GRACE_S)

    service = world.service(hold)
    caller = world.caller()
    caller.send(request_bytes("GET", service.path()))
    until(lambda: service.upstream.conversation().heads, "it is at the service")
    return caller


def test_on_heroku_a_second_sigterm_means_the_first(tmp_path: Path) -> None:
    """Its dynos get several; the request in flight is answered."""
    server = {"graceful_timeout_s": GRACE_S, "drain_listen_s": 0}
    plan = Plan("dyno", {"server": server}, 1, environ={"DYNO": "web.1"})
    with running(plan, tmp_path) as site:
        site.gateway.allow_deaths()
        world = Visit(site)

        def answer_late(conversation: Conversation) -> None:
            conversation.read_request()
            conversation.stall()
            conversation.send(ok())

        service = world.service(answer_late)
        caller = world.caller()
        caller.send(request_bytes("GET", service.path()))
        conversation = service.upstream.conversation()
        until(lambda: conversation.heads, "it is at the service")
        for _ in range(3):
            site.gateway.signal(signal.SIGTERM)
            until(lambda: readiness(world) == 0, "it listens no more")
        conversation.release()
        assert caller.answer().status == 200
        assert site.gateway.wait(within_s=GRACE_S) == 0
        world.leave()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_second_signal_ends_at_once(world: Visit, second: signal.Signals) -> None:
    """While a request is in flight that would be waited for."""
    caller = held(world)
    began = time.monotonic()
    world.gateway.signal(signal.SIGTERM)
    until(lambda: readiness(world) == 503, "it has begun to stop")
    world.gateway.signal(second)
    assert world.gateway.wait(within_s=GRACE_S) == 0
    assert time.monotonic() - began < GRACE_S / 2
    with contextlib.suppress(Ended):
        assert caller.answer().status == 503


def test_a_signal_to_all_processes_lets_requests_finish(world: Visit) -> None:
    """As a dyno and a unit's control group end: each worker is told by the platform, and by the master."""
    may_answer = threading.Event()

    def answer_late(conversation: Conversation) -> None:
        conversation.read_request()
        may_answer.wait(GRACE_S)
        conversation.send(OK)

    service = world.service(answer_late)
    caller = world.caller()
    caller.send(request_bytes("GET", service.path()))
    until(lambda: service.upstream.conversation().heads, "it is at the service")
    # One after the other, as a kernel may make one of two that come together.
    for worker in world.gateway.workers:
        world.gateway.signal(signal.SIGTERM, worker)
    until(lambda: world.gateway.stderr().count("Told to stop") == 2, "both know")
    world.gateway.signal(signal.SIGTERM)
    until(lambda: readiness(world) == 0, "nobody listens any more")
    may_answer.set()
    assert caller.answer().status == 200
    assert world.gateway.wait(within_s=GRACE_S) == 0


def test_a_worker_that_is_told_not_to_wait_ends_at_once(world: Visit) -> None:
    held(world)
    began = time.monotonic()
    for worker in world.gateway.children():
        world.gateway.signal(signal.SIGTERM, worker)
    until(lambda: world.gateway.stderr().count("Told to stop") == 2, "both know")
    old = world.gateway.workers
    for worker in old:
        world.gateway.signal(signal.SIGQUIT, worker)
    until(lambda: not set(old) & set(world.gateway.children()), "both are gone")
    assert time.monotonic() - began < GRACE_S / 2


@pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")
def test_places_of_requests_that_are_cut_off_are_given_back(tmp_path: Path) -> None:
    """They would be free only when their time is over, for hosts that go on."""
    server, moody = RedisServer(tmp_path / "redis"), Moody()
    with contextlib.ExitStack() as stack:
        stack.enter_context(ended(server))
        stack.callback(moody.stop)
        services = {"moody": {"url": moody.url, "retries": 0}}
        plan = plan_on(
            server.url,
            services=services,
            concurrency={"it": {"limit": 5}},
            server={"graceful_timeout_s": 2, "drain_listen_s": 0},
        )
        site = stack.enter_context(running(plan, tmp_path / "gateway"))
        redis = stack.enter_context(server.client())
        moody.hold()
        callers = [stack.enter_context(Caller(site.gateway.address)) for _ in range(3)]
        for caller in callers:
            caller.send(request_bytes("GET", "/api/moody/x"))
        key = "falcongate:1:lease:{it:moody}"
        until(lambda: redis.zcard(key) == 3, "each has its place")
        site.gateway.allow_deaths()
        site.gateway.signal(signal.SIGTERM)
        assert site.gateway.wait(within_s=6) == 0
        assert redis.zcard(key) == 0
        moody.let_go()
