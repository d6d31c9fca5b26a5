"""Breakers and places of requests in flight: workers that are killed holding them, Redis that goes away."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.hosts import all_say, ask, hosts, know_each_other, plan_on, redis_of
from tests.support.moody import Moody
from tests.support.processes import until
from tests.support.redis_servers import SERVER, RedisServer
from tests.support.wire import WireError
from tests.support.world import Plan, Site

pytestmark = pytest.mark.skipif(SERVER is None, reason="there is no redis-server to break")
PATH = "/api/moody/x"


def plan_for(server: RedisServer, moody: Moody, breaker: dict[str, object], **settings: object) -> Plan:
    """Two workers before the moody service, whose breaker is like this."""
    services = {"moody": {"url": moody.url, "retries": 0, "breaker": {"ramp_s": 0, **breaker}}}
    return plan_on(server.url, budget_ms=50, services=services, **settings)


def fail(sites: list[Site], moody: Moody, status: int = 502) -> None:
    """Let the service fail until all workers of these hosts know."""
    moody.status = status

    def opened() -> bool:
        for site in sites:
            assert ask(site, PATH).status in {status, 503}
        return all_say(sites, "OPEN")

    until(opened, "all workers know that it is open")


def work_again(sites: list[Site], moody: Moody) -> None:
    """Let it work until all workers know, and nobody is told anything else than that it is spared."""
    moody.status = 200

    def closed() -> bool:
        statuses = {ask(site, PATH).status for site in sites * 4}
        assert statuses <= {200, 503}
        return statuses == {200} and all_say(sites, "CLOSED")

    until(closed, "it is closed for all", within_s=30)


def kill_owners(site: Site, server: RedisServer, key: str) -> None:
    """SIGKILL the workers of this host whose requests hold places there."""
    site.gateway.allow(r"was sent SIGKILL|[Ww]orker exited")
    with server.client() as client:
        owners = client.zrange(key, 0, -1)
    pids = {int(owner.split(":")[-2]) for owner in owners}
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    workers = site.gateway.workers
    until(
        lambda: len(site.gateway.children()) == len(workers) and not pids & {*site.gateway.children()},
        "replaced",
    )
    site.gateway.workers = site.gateway.children()


def try_asking(site: Site) -> int:
    """The status, or 0 if the worker was killed under the request."""
    try:
        return ask(site, PATH).status
    except (OSError, WireError):
        return 0


def test_a_worker_killed_with_a_probe_leaves_its_place_to_others(
    server: RedisServer, tmp_path: Path, moody: Moody
) -> None:
    plan = plan_for(server, moody, {"max_failures": 1, "open_s": 1, "probes": 1, "successes": 1})
    with hosts(tmp_path, plan, plan) as sites, ThreadPoolExecutor(64) as callers:
        fail(sites, moody)
        moody.status = 200
        moody.hold()

        def is_out() -> bool:
            callers.submit(try_asking, sites[0])
            return moody.present == 1

        until(is_out, "a probe is out")
        kill_owners(sites[0], server, "falcongate:1:breaker:{moody}:probes")
        assert ask(sites[1], PATH).status == 503
        moody.let_go()
        work_again(sites, moody)


def test_a_worker_killed_with_requests_in_flight_gives_their_places_back(
    server: RedisServer, tmp_path: Path, moody: Moody
) -> None:
    plan = plan_for(server, moody, {"enabled": False}, concurrency={"it": {"limit": 4, "lease_s": 2}})
    with hosts(tmp_path, plan, plan) as sites, ThreadPoolExecutor(8) as callers:
        moody.hold()
        waiting = [callers.submit(try_asking, sites[0]) for _ in range(4)]
        until(lambda: moody.present == 4, "all places are taken")
        assert ask(sites[1], PATH).status == 503
        kill_owners(sites[0], server, "falcongate:1:lease:{it:moody}")
        assert {each.result() for each in waiting} == {0}
        moody.let_go()
        until(lambda: ask(sites[1], PATH).status == 200, "there is room again")
        moody.hold()

        def all_taken() -> bool:
            callers.submit(try_asking, sites[1])
            return moody.present == 4

        until(all_taken, "all of it is free")
        moody.let_go()


def test_what_is_open_stays_so_without_redis_and_closes_by_itself(
    server: RedisServer, tmp_path: Path, moody: Moody
) -> None:
    plan = plan_for(server, moody, {"max_failures": 1, "open_s": 4, "probes": 1, "successes": 1})
    with hosts(tmp_path, plan, plan) as sites:
        fail(sites, moody)
        server.kill()
        counted = Counter(ask(site, PATH).status for site in sites * 8)
        # On a slow machine its time may be over, and each worker has sent a probe.
        assert counted.keys() <= {502, 503}
        assert counted[502] <= 4
        work_again(sites, moody)
        server.start()
        until(lambda: all(redis_of(site) == "connected" for site in sites * 6), "they find it again")

        def is_of_all() -> bool:
            fail(sites[:1], moody)
            return all_say(sites, "OPEN")

        until(is_of_all, "what one host sees is all hosts' again", within_s=30)


def test_what_is_closed_stays_so_without_redis_and_opens_by_itself(
    server: RedisServer, tmp_path: Path, moody: Moody
) -> None:
    plan = plan_for(server, moody, {"max_failures": 3, "open_s": 60})
    with hosts(tmp_path, plan, plan) as sites:
        assert ask(sites[0], PATH).status == 200
        server.kill()
        with ThreadPoolExecutor(16) as callers:
            counted = Counter(callers.map(lambda number: ask(sites[number % 2], PATH).status, range(100)))
        assert counted == {200: 100}
        fail(sites, moody)

        def is_spared() -> bool:
            moody.forget()
            return {ask(site, PATH).status for site in sites * 10} == {503} and moody.served == 0

        until(is_spared, "each worker for itself spares it")
        server.start()  # empty: there no breaker has ever opened
        work_again(sites, moody)


def test_a_redis_that_was_emptied_is_believed(server: RedisServer, tmp_path: Path, moody: Moody) -> None:
    plan = plan_for(server, moody, {"max_failures": 3, "open_s": 60})
    with hosts(tmp_path, plan, plan) as sites:
        fail(sites, moody)
        moody.status = 200
        with server.client() as client:
            client.flushall()
        work_again(sites, moody)


@pytest.mark.parametrize("does", ["share", "open", "closed"])
def test_places_are_shared_out_while_redis_is_away(
    server: RedisServer, tmp_path: Path, moody: Moody, does: str
) -> None:
    """Two hosts with two workers each have 4 places, and each worker one of them without Redis."""
    fewest, most = {"share": (2, 4), "open": (12, 12), "closed": (0, 0)}[does]
    room = {"limit": 4, "on_store_failure": does}
    plan = plan_for(server, moody, {"enabled": False}, concurrency={"it": room})
    with hosts(tmp_path, plan, plan) as sites, contextlib.ExitStack() as stack:
        know_each_other(sites)
        server.kill()
        callers = stack.enter_context(ThreadPoolExecutor(12))
        stack.callback(moody.let_go)
        moody.hold()
        waiting = [callers.submit(ask, sites[number % 2], PATH) for number in range(12)]
        until(lambda: sum(each.done() for each in waiting) >= 12 - most, "those without a place are refused")
        moody.let_go()
        counted = Counter(each.result().status for each in waiting)
        assert counted.keys() <= {200, 503}
        assert fewest <= counted[200]
        assert moody.most <= most
