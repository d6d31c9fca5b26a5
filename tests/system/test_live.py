"""`/admin/live`: what operators watch, over a WebSocket that ends in the gateway."""

from __future__ import annotations

import json
import os
import signal
import struct
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.support.callers import request_bytes
from tests.support.upstreams import answering
from tests.support.websockets import close_code, frame, read_frame, upgrade
from tests.support.world import Plan, Site, Visit

pytestmark = pytest.mark.own_worker("only our own worker gives a connection away")


@pytest.fixture
def site(site_for: Callable[[Plan, str], Site], worker_kind: str) -> Site:
    breaker = {"max_failures": 1, "open_s": 60}
    return site_for(Plan("live", {"breaker": breaker}), worker_kind)


def watching(world: Visit, **headers: str) -> ClientConnection:
    host, port = world.gateway.address
    return connect(f"ws://{host}:{port}/admin/live", additional_headers=headers)


def heard(client: ClientConnection, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first message that is the one."""
    while not is_it(told := json.loads(client.recv(timeout=10))):
        pass
    return told


def breaker(told: dict[str, Any], name: str) -> dict[str, Any]:
    """The breaker of a service."""
    return next(service["breaker"] for service in told["services"] if service["name"] == name)


def test_all_is_told_once_and_again_when_something_has_changed(world: Visit) -> None:
    broken = world.service(answering(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"))
    with watching(world) as client:
        first = heard(client, lambda _: True)
        assert first["you"] == {"name": "operator@127.0.0.1", "may_change": True}
        assert breaker(first, broken.name)["state"] == "CLOSED"
        world.get(broken.path())
        told = heard(client, lambda told: breaker(told, broken.name)["state"] == "OPEN")
        assert breaker(told, broken.name)["why"] == "1 failures in 60 s"
        client.ping().wait(5)
        polled = world.get("/admin/overview").json()
        assert polled.keys() == told.keys()
        # Nobody has named a Redis here, so one that answers is the gateway's own.
        assert polled["redis"]["is_embedded"] is (polled["redis"]["state"] != "none")
        assert breaker(polled, broken.name) == breaker(told, broken.name)


def test_the_page_of_the_gateway_may_and_no_other(world: Visit) -> None:
    host, port = world.gateway.address
    with watching(world, Origin=f"http://{host}:{port}") as client:
        told = json.loads(client.recv(timeout=10))
        assert told["services"]
        # By an address alone, pages may look and no more.
        assert not told["you"]["may_change"]
    for headers in (
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://evil.example"},
        {"X-Forwarded-For": "203.0.113.7"},
    ):
        with pytest.raises(InvalidStatus) as refused, watching(world, **headers):
            pass
        assert refused.value.response.status_code == 403


def test_who_asks_without_an_upgrade_is_told_to(world: Visit) -> None:
    answer = world.get("/admin/live")
    assert (answer.status, answer.get("Upgrade")) == (426, "websocket")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (frame(b"no mask", 1, is_masked=False), 1002),
        (frame(b"reserved bits", 1, first=0xF0), 1002),
        (frame(b"", 3), 1002),
        (frame(b"continues nothing", 0), 1002),
        (frame(b"half a ping", 9, first=0), 1002),
        (frame(b"\xff\xfe no text", 1), 1007),
        (frame(b"x" * 4_097, 1), 1009),
        (frame(b"x" * 2_500, 1, first=0) + frame(b"x" * 2_500, 0), 1009),
        (b"\x82\xff" + b"\x7f" + b"\xff" * 7 + b"mask", 1009),
        (frame(struct.pack("!H", 1012), 8), 1001),
    ],
    ids=[
        "mask", "bits", "opcode", "continuation", "fragment", "text", "long", "long-together", "endless",
        "close",
    ],
)  # fmt: skip
def test_who_says_what_must_not_be_said_is_told_why_it_ends(world: Visit, raw: bytes, code: int) -> None:
    with world.caller() as caller:
        caller.send(upgrade("/admin/live"))
        assert caller.reader.head().start.startswith("HTTP/1.1 101 ")
        first, _ = read_frame(caller.reader)
        assert first == 0x81
        caller.send(raw)
        while (first := caller.reader.exactly(1)[0]) == 0x81:
            size = caller.reader.exactly(1)[0]
            if size >= 126:
                size = int.from_bytes(caller.reader.exactly(2 if size == 126 else 8))
            caller.reader.exactly(size)
        assert first == 0x88
        assert caller.reader.exactly(3)[1:] == struct.pack("!H", code)
        caller.expect_closed()


def test_a_flood_of_pings_is_answered_or_ended_and_harms_nobody(world: Visit) -> None:
    with world.caller() as caller:
        caller.send(upgrade("/admin/live"))
        caller.reader.head()
        for _ in range(2_000):
            caller.send_unless_closed(frame(os.urandom(20), 9))
        assert world.get("/api/honest/x").status == 200


def test_what_follows_is_no_request(world: Visit) -> None:
    with world.caller() as caller:
        raw = frame(struct.pack("!H", 1000), 8) + request_bytes("GET", "/health/live")
        caller.send(upgrade("/admin/live") + raw)
        caller.half_close()
        assert caller.reader.rest().count(b"HTTP/1.1") == 1


class TestDraining:
    """A worker that is told to stop."""

    @pytest.fixture
    def site(self, site_for: Callable[[Plan, str], Site], worker_kind: str) -> Site:
        arguments = ("--graceful-timeout", "4")
        return site_for(Plan("live and draining", {}, arguments=arguments), worker_kind)

    def test_it_is_told_to_come_again_when_the_worker_ends(self, world: Visit) -> None:
        with world.caller() as caller:
            caller.send(upgrade("/admin/live"))
            caller.reader.head()
            read_frame(caller.reader)
            (worker,) = world.gateway.children()
            world.gateway.allow_deaths()
            world.gateway.signal(signal.SIGTERM, worker)
            assert close_code(caller.reader) == 1012
            caller.expect_closed()
