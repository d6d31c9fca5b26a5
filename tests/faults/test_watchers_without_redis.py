"""Redis stalls or ends while somebody watches `/admin/live`: the picture says so and heals, nobody waits."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.support.hosts import ask, hosts, plan_on
from tests.support.redis_servers import SERVER, RedisServer
from tests.support.world import Site

pytestmark = pytest.mark.skipif(SERVER is None, reason="there is no redis-server to break")

PATIENCE_S = 3.0
"""Far above the budget of 50 ms, as the machine may be busy; far below what a stalled server would take."""


@pytest.fixture
def site(server: RedisServer, tmp_path: Path) -> Iterator[Site]:
    """Two workers; what is asked for is limited, so that each request asks Redis as well."""
    plan = plan_on(server.url, budget_ms=50, limits={"all": {"rate": "100000/h", "key": "global"}})
    with hosts(tmp_path, plan) as sites:
        yield sites[0]


def stall(server: RedisServer) -> Callable[[], None]:
    """SIGSTOP, and what ends it."""
    server.stall()
    return server.go_on


def kill(server: RedisServer) -> Callable[[], None]:
    """SIGKILL; started again, it is empty."""
    server.kill()
    return server.start


def serve(site: Site, count: int) -> None:
    """So many requests, none of which waits for Redis or fails."""
    for _ in range(count):
        began = time.monotonic()
        assert ask(site).status == 200
        assert time.monotonic() - began < PATIENCE_S


def heard(client: ClientConnection, is_it: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """The first message that is the one."""
    while not is_it(told := json.loads(client.recv(timeout=20))):
        pass
    return told


def admitted(told: dict[str, Any]) -> int:
    """How many requests the limit has let pass, as far as that is known."""
    number: int = told["limits"][0]["admitted"]
    return number


def state(told: dict[str, Any]) -> str:
    """What is said of Redis."""
    said: str = told["redis"]["state"]
    return said


@pytest.mark.parametrize("fault", [stall, kill])
def test_who_watches_is_told_what_the_worker_knows_until_redis_is_back(
    site: Site, server: RedisServer, fault: Callable[[RedisServer], Callable[[], None]]
) -> None:
    """20 requests before, 20 while Redis is away and the picture is polled, 20 afterwards."""
    host, port = site.gateway.address
    with connect(f"ws://{host}:{port}/admin/live") as client:
        serve(site, 20)
        before = heard(client, lambda told: state(told) == "connected" and admitted(told) == 20)

        heal = fault(server)
        away = heard(client, lambda told: state(told) == "unreachable")
        assert away["redis"]["latency_ms"] is None
        assert [host["is_this"] for host in away["hosts"]] == [True]
        assert away["gateway"] == before["gateway"]
        for _ in range(4):
            serve(site, 5)
            polled = ask(site, "/admin/overview")
            assert (polled.status, state(polled.json())) == (200, "unreachable")
        client.ping().wait(5)

        heal()
        after = heard(client, lambda told: state(told) == "connected")
        known = admitted(after)
        serve(site, 20)
        heard(client, lambda told: admitted(told) >= known + 20)
    if fault is stall:
        assert known >= 20
