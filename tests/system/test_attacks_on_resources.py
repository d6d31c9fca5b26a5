"""Who wants to use up memory, connections or time, and who is served meanwhile."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.support.callers import Caller, request_bytes
from tests.support.hosts import redis_of
from tests.support.processes import until
from tests.support.upstreams import answering
from tests.support.world import Plan, Site, Visit

BOMB = gzip.compress(bytes(64 << 20), 9, mtime=0)
"""64 MiB of zeros in 64 KB, a thousand to one."""

PATIENT = {"head_timeout_s": 60, "body_idle_timeout_s": 60, "send_timeout_s": 60, "keepalive_timeout_s": 60}
SETTINGS = {"server": PATIENT, "services": {"other": {}}}
PLAN = Plan("attacked", SETTINGS, 20, {"timeout_s": 60, "total_timeout_s": 120})
"""Deadlines far away: nobody is rid of the attackers in time, so it must do without."""


@pytest.fixture
def site(site_for: Callable[[Plan, str], Site], worker_kind: str) -> Site:
    return site_for(PLAN, worker_kind)


@contextlib.contextmanager
def flat_memory(world: Visit, *, bytes_: int = 8 << 20) -> Iterator[None]:
    """Whatever happens inside, the worker's memory at its highest stays where it was before."""
    (pid,) = world.gateway.workers
    world.gateway.forget_peak(pid)
    before = world.gateway.memory_bytes(pid)
    yield
    assert world.gateway.memory_bytes(pid, "VmHWM") - before < bytes_


def test_a_bomb_that_a_service_sends_is_not_unpacked(world: Visit) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB)
    service = world.service(answering(head + BOMB))
    world.get(service.path())
    with flat_memory(world):
        for _ in range(5):
            answer = world.get(service.path(), [("Accept-Encoding", "gzip")])
            assert (answer.get("Content-Encoding"), answer.content == BOMB) == ("gzip", True)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip", "nonsense"])
def test_a_bomb_that_a_caller_sends_is_not_unpacked(world: Visit, coding: str) -> None:
    fields = [("Content-Encoding", coding)]
    world.exchange("POST", "/api/honest/sink", fields, BOMB)
    with flat_memory(world):
        for _ in range(5):
            answer = world.exchange("POST", "/api/honest/sink", fields, BOMB)
            assert answer.json() == {"bytes": len(BOMB), "crc32": zlib.crc32(BOMB)}


def test_a_range_of_three_hundred_parts_costs_no_memory(world: Visit) -> None:
    value = "bytes=" + ",".join(f"{number}-" for number in range(300))
    world.get("/api/honest/fixed?bytes=100000", [("Range", value)])
    with flat_memory(world):
        for _ in range(50):
            assert world.get("/api/honest/fixed?bytes=100000", [("Range", value)]).status == 200


SLOW = {
    "head": b"GET /api/honest/x HTTP/1.1\r\nHost: a\r\nX-Slow: ",
    "body": request_bytes("POST", "/api/honest/sink", [("Content-Length", "100000")]) + b"x",
    "chunks": request_bytes("POST", "/api/honest/sink", [("Transfer-Encoding", "chunked")]) + b"5\r\nhe",
    "reading": request_bytes("GET", "/api/honest/fixed?bytes=10000000"),
    "nothing": b"",
}
"""How callers begin who never come to an end."""


def _all_slow(world: Visit, kind: str, count: int, source: str) -> list[Caller]:
    slow = [world.caller(source=source, receive_buffer_bytes=4_096) for _ in range(count)]
    for caller in slow:
        caller.send(SLOW[kind])
    return slow


@pytest.mark.parametrize("kind", SLOW)
def test_others_are_served_beside_two_hundred_who_are_slow(world: Visit, kind: str) -> None:
    """Who uploads or reads slowly uses up connections to his own service; see the next test for that one."""
    slow = _all_slow(world, kind, 200, "127.0.0.2")
    for _ in range(3):
        for caller in slow:
            caller.send_unless_closed(b"a" if kind != "reading" else b"")
        assert world.get("/api/other/x").status == 200
        assert world.exchange("POST", "/api/other/sink", body=b"x" * 100_000).status == 200


class TestPlaces:
    """No caller's address has more than a few requests in flight."""

    @pytest.fixture
    def site(self, site_for: Callable[[Plan, str], Site], worker_kind: str) -> Site:
        places = {"each": {"limit": 20, "key": "caller_address"}}
        # Places are counted anew when Redis comes back, so it is waited for, and never given up.
        settings = PLAN.settings | {"concurrency": places, "redis": {"budget_ms": 5_000}}
        site = site_for(replace(PLAN, name="attacked-places", settings=settings), worker_kind)
        until(lambda: redis_of(site) == "connected", "its Redis is there")
        return site

    # An address each: places of callers who have just left would refuse the next who are slow.
    @pytest.mark.parametrize(
        ("kind", "address"), [("body", "127.0.0.2"), ("chunks", "127.0.0.3"), ("reading", "127.0.0.4")]
    )
    def test_a_slow_address_does_not_use_up_its_service(self, world: Visit, kind: str, address: str) -> None:
        _all_slow(world, kind, 120, address)
        with world.caller(source=address) as slow:

            def are_taken() -> bool:
                if slow.get("/api/honest/x").status == 429:
                    return True
                _all_slow(world, kind, 20, address)  # who was refused comes again
                return False

            until(are_taken, "its places are taken")
        for _ in range(3):
            assert world.get("/api/honest/x").status == 200
