"""What becomes of decisions when Redis stalls or is gone: nobody waits, and what is lost is counted."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fixtures import redis_server
from tests.support.hosts import ask, plan_on, redis_of
from tests.support.processes import until
from tests.support.redis_servers import SERVER, RedisServer
from tests.support.world import Plan, Site, running

pytestmark = pytest.mark.skipif(SERVER is None, reason="there is no redis-server to break")

DROPPED = re.compile(r'^falcongate_decisions_dropped_total\{why="(\w+)"\} ([\d.]+)$', re.MULTILINE)
REQUESTS = 20

server = redis_server("function")


@pytest.fixture
def site(server: RedisServer, tmp_path: Path) -> Iterator[Site]:
    plan: Plan = plan_on(server.url, budget_ms=50)
    with running(plan, tmp_path) as site:
        until(lambda: redis_of(site) == "connected", "it has found its Redis")
        yield site


def dropped(site: Site) -> dict[str, float]:
    """How many were not kept, and why."""
    return {why: float(count) for why, count in DROPPED.findall(ask(site, "/metrics/").content.decode())}


def refuse_many(site: Site) -> float:
    """Requests that are refused, and so to be kept; the time that the longest took."""
    longest_s = 0.0
    for _ in range(REQUESTS):
        began = time.monotonic()
        assert ask(site, "/api/nobody/x").status == 404
        longest_s = max(longest_s, time.monotonic() - began)
    return longest_s


def kept(server: RedisServer) -> int:
    """How many are in Redis."""
    with server.client() as client:
        count: int = client.xlen("falcongate:1:decisions")
    return count


def test_stalled(server: RedisServer, site: Site) -> None:
    """SIGSTOP while requests are refused, and SIGCONT."""
    until(lambda: refuse_many(site) and kept(server) >= REQUESTS, "they are kept")
    lost = dropped(site)["state_away"]

    server.stall()
    try:
        # Far above what a refusal takes, far below what a stalled server would take.
        assert refuse_many(site) < 3
        until(lambda: dropped(site)["state_away"] >= lost + REQUESTS, "they are counted as lost")
        answer = ask(site, "/admin/why?last=1")
        assert (answer.status, answer.json()["type"]) == (503, "/problems/state-unavailable")
        assert answer.get("Proxy-Status") == "falcongate; error=proxy_internal_error"
    finally:
        server.go_on()

    before = kept(server)
    until(lambda: refuse_many(site) and kept(server) >= before + 2 * REQUESTS, "they are kept again")


def test_killed_and_started_empty(server: RedisServer, site: Site) -> None:
    """SIGKILL, and a server that knows no script."""
    server.kill()
    until(lambda: redis_of(site) != "connected", "it is missed")
    lost = dropped(site)["state_away"]
    assert refuse_many(site) < 3
    until(lambda: dropped(site)["state_away"] >= lost + REQUESTS, "they are counted as lost")

    server.start()
    until(lambda: refuse_many(site) and kept(server) >= REQUESTS, "they are kept again")
