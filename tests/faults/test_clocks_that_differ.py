"""Two hosts on one Redis, of which one is 10 seconds ahead: what is shared goes by the time of Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.fixtures import moody_service, redis_server
from tests.support.hosts import all_say, ask, hosts, plan_on
from tests.support.moody import Moody
from tests.support.processes import until
from tests.support.redis_servers import SERVER, RedisServer
from tests.support.world import Site

FAKETIME = next(map(str, Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), "")
LIMIT = 200
OPEN_S = 3
LEASE_S = 2
PATH = "/api/moody/x"

pytestmark = [
    pytest.mark.skipif(SERVER is None, reason="redis-server is not installed"),
    pytest.mark.skipif(not FAKETIME, reason="libfaketime is not installed"),
]

server = redis_server("module")
moody = moody_service("module")


@pytest.fixture(scope="module")
def sites(
    server: RedisServer, moody: Moody, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Site]]:
    breaker = {"max_failures": 1, "open_s": OPEN_S, "probes": 1, "successes": 1, "ramp_s": 0}
    settings: dict[str, Any] = {
        "limits": {"api": {"rate": f"{LIMIT}/h", "paths": ["/api/honest/x"]}},
        "concurrency": {"it": {"limit": 1, "lease_s": LEASE_S, "services": ["moody"]}},
        "services": {"moody": {"url": moody.url, "retries": 0, "breaker": breaker}},
    }
    ahead = {"LD_PRELOAD": FAKETIME, "FAKETIME": "+10"}
    plans = [plan_on(server.url, environ=environ, **settings) for environ in ({}, ahead)]
    with hosts(tmp_path_factory.mktemp("hosts"), *plans) as sites:
        yield sites


def time_of(site: Site) -> float:
    """The wall clock of a gateway, as it writes it into its log."""
    answer = ask(site, "/api/honest/clock")
    request_id = answer.get("X-Request-ID") or ""
    line = until(lambda: site.gateway.logged(request_id), "it is logged")
    return time.mktime(time.strptime(str(line["time"])[:19], "%Y-%m-%dT%H:%M:%S"))


def now_s(client: redis.Redis) -> float:
    """The time of Redis."""
    seconds, microseconds = client.time()
    return float(seconds) + float(microseconds) / 1e6


def test_one_is_ahead_and_both_keep_one_limit(sites: list[Site]) -> None:
    here, there = map(time_of, sites)
    assert 8 < there - here < 12
    with ThreadPoolExecutor(16) as callers:
        statuses = list(callers.map(lambda number: ask(sites[number % 2]).status, range(2 * LIMIT)))
    assert statuses.count(200) == LIMIT


@pytest.mark.parametrize("opener", [0, 1])
def test_a_breaker_that_one_opens_stays_so_for_the_other_and_is_tried_in_time(
    server: RedisServer, sites: list[Site], moody: Moody, opener: int
) -> None:
    prober = sites[1 - opener]
    moody.status = 502
    assert ask(sites[opener], PATH).status == 502
    until(lambda: all_say(sites, "OPEN"), "all know that it is open")
    moody.status = 200
    moody.forget()
    key = "falcongate:1:breaker:{moody}"
    with server.client() as client:
        until_s = float(client.hget(key, "until_s") or 0)

        def is_tried() -> bool:
            answer = ask(prober, PATH)
            if moody.served:
                return True
            assert answer.status == 503
            assert int(answer.get("Retry-After") or 0) <= OPEN_S
            return False

        until(is_tried, "a probe is let through")
        assert now_s(client) >= until_s
        transitions = client.xrevrange(f"{key}:history", count=3)
    states = {fields["state"]: float(fields["at_s"]) for _, fields in transitions}
    assert states["OPEN"] + OPEN_S <= states["HALF_OPEN"] < states["OPEN"] + OPEN_S + 5
    until(lambda: all_say(sites, "CLOSED"), "it closes for both")


@pytest.mark.parametrize("holder", [0, 1])
def test_a_place_that_one_holds_is_taken_for_the_other(
    server: RedisServer, sites: list[Site], moody: Moody, holder: int
) -> None:
    key = "falcongate:1:lease:{it:moody}"
    other = sites[1 - holder]
    moody.status = 200
    moody.hold()
    with ThreadPoolExecutor(1) as callers, server.client() as client:
        waiting = callers.submit(ask, sites[holder], PATH)
        until(lambda: moody.present == 1, "it is with the service")
        ((owner, first_ms),) = client.zrange(key, 0, -1, withscores=True)
        assert 0 < first_ms / 1000 - now_s(client) <= LEASE_S

        def was_kept() -> bool:
            assert ask(other, PATH).status == 503
            return float(client.zscore(key, owner) or 0) > first_ms + LEASE_S * 1000

        until(was_kept, "its place was kept for longer than a lease")
        moody.let_go()
        assert waiting.result().status == 200
        until(lambda: client.zcard(key) == 0, "it is given back")
    assert ask(other, PATH).status == 200
