"""A service with several addresses."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.callers import request_bytes
from tests.support.processes import ROOT, until
from tests.support.upstreams import (
    Conversation,
    ScriptedUpstream,
    full_port,
    listen,
    ok,
    refusing_port,
    url_of,
)
from tests.support.world import Plan, Site, Visit, running

COOLDOWN_S = 2.0


@dataclass
class Pair:
    """Two targets of one service, each answering with its own letter until told to stall."""

    name: str
    a: ScriptedUpstream
    b: ScriptedUpstream


def _saying(letter: bytes):  # noqa: ANN202
    def handler(conversation: Conversation) -> None:
        while True:
            head, _ = conversation.read_request()
            if "/stall" in head.start:
                conversation.stall()
            conversation.send(ok(letter))

    return handler


@pytest.fixture(scope="module")
def pairs() -> Iterator[list[Pair]]:
    made = [
        Pair(f"pair{n}", ScriptedUpstream().serve(_saying(b"a")), ScriptedUpstream().serve(_saying(b"b")))
        for n in range(3)
    ]
    yield made
    for pair in made:
        pair.a.stop()
        pair.b.stop()


@pytest.fixture(scope="module")
def silent() -> Iterator[socket.socket]:
    """A socket that refuses connections until a test lets it listen."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


@pytest.fixture(scope="module")
def six() -> Iterator[ScriptedUpstream]:
    """A service that has an IPv6 address only."""
    upstream = ScriptedUpstream(listen("::1")).serve(_saying(b"six"))
    yield upstream
    upstream.stop()


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[Pair], silent: socket.socket, six: ScriptedUpstream
) -> Iterator[Site]:
    with refusing_port() as refusing, refusing_port() as refusing_too, full_port() as full:
        here = pairs[0].a.url
        services = {pair.name: {"url": [pair.a.url, pair.b.url]} for pair in pairs}
        services["half"] = {"url": [f"http://127.0.0.1:{refusing}", here], "target_cooldown_s": COOLDOWN_S}
        services["slow-half"] = {
            "url": [f"http://127.0.0.1:{full}", here], "connect_timeout_s": 0.5, "target_cooldown_s": 600,
        }  # fmt: skip
        services["none"] = {"url": [f"http://127.0.0.1:{refusing}", f"http://127.0.0.1:{refusing_too}"]}
        services["one"] = {"url": f"http://127.0.0.1:{refusing}"}
        services["six"] = {"url": six.url}
        services["names"] = {"url": here.replace("127.0.0.1", "localhost")}
        services["returning"] = {"url": [url_of(silent), here], "target_cooldown_s": COOLDOWN_S}
        with running(
            Plan("balanced", {"services": services}, 0), tmp_path_factory.mktemp("balanced")
        ) as site:
            yield site


def test_requests_are_spread_over_the_targets(world: Visit) -> None:
    seen = Counter(world.get("/api/pair0/x").content for _ in range(60))
    assert set(seen) == {b"a", b"b"}
    assert min(seen.values()) >= 10


def test_a_busy_target_gets_no_more_while_the_other_is_free(world: Visit, pairs: list[Pair]) -> None:
    pair = pairs[1]
    busy = world.caller()
    busy.send(request_bytes("GET", f"/api/{pair.name}/stall"))
    held = until(
        lambda: [(letter, talk) for letter, upstream in ((b"a", pair.a), (b"b", pair.b))
                 for talk in upstream.conversations if talk.heads],
        "one target has the request",
    )  # fmt: skip
    (letter, conversation) = held[0]
    assert {world.get(f"/api/{pair.name}/x").content for _ in range(20)} == {b"a", b"b"} - {letter}
    conversation.release()
    assert busy.answer().content == letter


def test_two_busy_callers_have_a_target_each(world: Visit, pairs: list[Pair]) -> None:
    pair = pairs[2]
    callers = [world.caller(), world.caller()]
    for number, caller in enumerate(callers, 1):
        caller.send(request_bytes("GET", f"/api/{pair.name}/stall"))
        until(lambda number=number: len(pair.a.heads) + len(pair.b.heads) == number, "the request arrived")
    for upstream in (pair.a, pair.b):
        upstream.conversation().release()
    assert {caller.answer().content for caller in callers} == {b"a", b"b"}


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_a_target_that_refuses_is_passed_over(world: Visit, method: str) -> None:
    """No request was sent there, so any method may be sent to the other."""
    for _ in range(10):
        answer = world.exchange(method, "/api/half/x", body=b"body" if method != "GET" else None)
        assert (answer.status, answer.content) == (200, b"a")


def test_a_target_that_does_not_answer_a_connect_is_waited_for_once(world: Visit) -> None:
    started = time.monotonic()
    for _ in range(20):
        assert world.get("/api/slow-half/x").status == 200
    assert time.monotonic() - started < 3, "each wait is 0.5 s; twenty requests may meet few of them"


def test_a_target_that_comes_back_is_used_again(world: Visit, silent: socket.socket) -> None:
    for _ in range(10):
        assert world.get("/api/returning/x").content == b"a"
    silent.listen(16)
    upstream = ScriptedUpstream(silent).serve(_saying(b"back"))
    try:
        until(lambda: world.get("/api/returning/x").content == b"back", "it is used", within_s=COOLDOWN_S + 5)
    finally:
        upstream.stop()


@pytest.mark.parametrize("service", ["none", "one"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_where_no_target_can_be_reached_the_caller_is_told(world: Visit, service: str, method: str) -> None:
    answer = world.exchange(method, f"/api/{service}/x")
    assert (answer.status, answer.json()["type"]) == (502, "/problems/service-unreachable")


def test_a_target_that_is_the_only_one_is_asked_again_at_once(world: Visit) -> None:
    """A cooldown is for choosing another; where there is none, every request tries."""
    for _ in range(3):
        assert world.get("/api/one/x").status == 502


def test_a_target_may_have_an_ipv6_address(world: Visit) -> None:
    assert world.get("/api/six/x").content == b"six"


def test_a_target_may_be_a_name(world: Visit) -> None:
    assert world.get("/api/names/x").content == b"a"


RESOLVER = """
import _socket

native = _socket.getaddrinfo
known = {"lms_app": "127.0.0.1"}
_socket.getaddrinfo = lambda host, *rest, **more: native(known.get(host, host), *rest, **more)
"""


def test_a_target_name_may_have_an_underscore(tmp_path: Path) -> None:
    """The gateway's process finds the name `lms_app` where this test says, as in a network of containers."""
    (tmp_path / "sitecustomize.py").write_text(RESOLVER, encoding="utf-8")
    upstream = ScriptedUpstream().serve(_saying(b"found"))
    plan = Plan(
        "underscore",
        {"services": {"lms": {"url": upstream.url.replace("127.0.0.1", "lms_app")}}},
        0,
        environ={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
    )
    try:
        with running(plan, tmp_path / "gateway") as site:
            assert Visit(site).get("/api/lms/x").content == b"found"
    finally:
        upstream.stop()
    head = upstream.heads[0]
    assert head.get("Host") == upstream.url.removeprefix("http://").replace("127.0.0.1", "lms_app")
