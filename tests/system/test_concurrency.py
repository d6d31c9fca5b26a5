"""How many requests may be in flight: over all workers and hosts, whatever becomes of them."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.callers import Caller, request_bytes
from tests.support.hosts import ask, health, hosts, know_each_other, plan_on
from tests.support.moody import Moody
from tests.support.processes import until
from tests.support.redis_servers import SERVER, RedisServer
from tests.support.websockets import echo, speaking, upgrade
from tests.support.world import Plan, Site

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")
KEY = "falcongate:1:lease:{it:moody}"
IN_A_CONTAINER = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
"""Processes are numbered anew from 1, and the host's name stays what it is."""


def can_contain() -> bool:
    """Whether this user may make such a thing."""
    if shutil.which(IN_A_CONTAINER[0]) is None:
        return False
    return subprocess.run([*IN_A_CONTAINER, "true"], capture_output=True, check=False).returncode == 0  # noqa: S603  # our own command


def plan_for(server: RedisServer, moody: Moody, **room: object) -> Plan:
    """A gateway with this concurrency limit, `it`, before the moody service."""
    services = {"moody": {"url": moody.url, "retries": 0, "breaker": {"enabled": False}}}
    return plan_on(server.url, services=services, concurrency={"it": room})


def taken(server: RedisServer, key: str = KEY) -> int:
    """How many places are taken, as `redis-cli` would show it."""
    with server.client() as client:
        return int(client.zcard(key))


def fill(sites: list[Site], moody: Moody, pool: ThreadPoolExecutor, count: int) -> None:
    """Have so many requests in flight."""
    moody.hold()
    for number in range(count):
        pool.submit(ask, sites[number % len(sites)], "/api/moody/x")
    until(lambda: moody.present == count, "all are with the service")


def test_never_more_than_the_limit_are_in_flight_on_both_hosts(
    server: RedisServer, tmp_path: Path, moody: Moody
) -> None:
    plan = plan_for(server, moody, limit=5)
    with hosts(tmp_path, plan, plan) as sites, ThreadPoolExecutor(64) as callers:
        moody.hold()
        waiting = [callers.submit(ask, sites[number % 2], "/api/moody/x") for number in range(64)]
        until(lambda: sum(each.done() for each in waiting) == 59, "all others are refused")
        moody.let_go()
        answers = [each.result() for each in waiting]
        assert Counter(answer.status for answer in answers) == {200: 5, 503: 59}
        assert moody.most == 5
        refused = next(answer for answer in answers if answer.status == 503)
        assert refused.json()["type"] == "/problems/service-full"
        assert refused.json()["violated-policies"] == ["it"]
        assert refused.get("Retry-After") == "1"
        until(lambda: taken(server) == 0, "all places are given back")
        assert ask(sites[1], "/api/moody/x").status == 200


def numbers_of(site: Site) -> list[str]:
    """Under which numbers its workers know themselves."""
    statuses = [Path(f"/proc/{pid}/status").read_text("ascii") for pid in site.gateway.workers]
    return [line.split()[-1] for text in statuses for line in text.splitlines() if line.startswith("NSpid:")]


def assert_never_more(sites: list[Site], moody: Moody, limit: int) -> None:
    """Send many at once through all hosts: so many are let through, and no more."""
    moody.hold()
    with ThreadPoolExecutor(32) as callers:
        waiting = [callers.submit(ask, sites[number % len(sites)], "/api/moody/x") for number in range(32)]
        until(lambda: sum(each.done() for each in waiting) >= 32 - limit, "all others are refused")
        moody.let_go()
        assert Counter(each.result().status for each in waiting) == {200: limit, 503: 32 - limit}
    assert moody.most == limit


def test_two_hosts_of_one_name_are_two_and_their_workers_none(
    server: RedisServer, tmp_path: Path, moody: Moody
) -> None:
    plan = plan_for(server, moody, limit=4)
    with hosts(tmp_path, plan, plan) as sites:
        know_each_other(sites)
        known = {tuple(host["name"] for host in health(site)["hosts"]) for site in sites * 12}
        assert len(known) == 1
        names = [name.rpartition(":") for name in known.pop()]
        assert len({machine for machine, _, _ in names}) == 1
        masters = {int(master.partition("-")[0]) for _, _, master in names}
        assert masters == {site.gateway.pid for site in sites}


@pytest.mark.skipif(not can_contain(), reason="processes cannot be numbered anew here")
def test_two_hosts_whose_names_and_process_numbers_are_the_same_keep_one_limit(
    server: RedisServer, tmp_path: Path, moody: Moody
) -> None:
    plan = replace(plan_for(server, moody, limit=4), launcher=IN_A_CONTAINER)
    with hosts(tmp_path, plan, plan) as sites:
        know_each_other(sites)
        assert numbers_of(sites[0]) == numbers_of(sites[1])
        assert_never_more(sites, moody, 4)
        until(lambda: taken(server) == 0, "all places are given back")


def test_each_caller_has_places_of_its_own(server: RedisServer, tmp_path: Path, moody: Moody) -> None:
    plan = plan_for(server, moody, limit=1, key="header:X-Tenant")
    with hosts(tmp_path, plan) as (site,), ThreadPoolExecutor(2) as callers:
        moody.hold()
        first = callers.submit(ask, site, "/api/moody/x", [("X-Tenant", "a")])
        until(lambda: moody.present == 1, "one is there")
        refused = ask(site, "/api/moody/x", [("X-Tenant", "a")])
        assert refused.status == 429
        assert refused.json()["type"] == "/problems/too-many-at-once"
        second = callers.submit(ask, site, "/api/moody/x", [("X-Tenant", "b")])
        until(lambda: moody.present == 2, "another tenant has its own")
        moody.let_go()
        assert (first.result().status, second.result().status) == (200, 200)


def test_a_caller_who_leaves_gives_its_place_back(server: RedisServer, tmp_path: Path, moody: Moody) -> None:
    with hosts(tmp_path, plan_for(server, moody, limit=1)) as (site,):
        moody.hold()
        with Caller(site.gateway.address) as caller:
            caller.send(request_bytes("GET", "/api/moody/x"))
            until(lambda: taken(server) == 1, "it has its place")
        until(lambda: taken(server) == 0, "it is free again")
        moody.let_go()
        assert ask(site, "/api/moody/x").status == 200


def test_what_lasts_longer_than_a_lease_keeps_its_place(
    server: RedisServer, tmp_path: Path, moody: Moody
) -> None:
    with (
        hosts(tmp_path, plan_for(server, moody, limit=1, lease_s=1)) as (site,),
        ThreadPoolExecutor(1) as callers,
        server.client() as client,
    ):
        fill([site], moody, callers, 1)
        ((owner, until_ms),) = client.zrange(KEY, 0, -1, withscores=True)

        def later_by_two_leases() -> bool:
            assert ask(site, "/api/moody/x").status == 503
            return float(client.zscore(KEY, owner)) > float(until_ms) + 2_000

        until(later_by_two_leases, "its place was kept for it")
        moody.let_go()
        until(lambda: taken(server) == 0, "it is given back")


def test_a_websocket_keeps_its_place_until_it_ends(server: RedisServer, tmp_path: Path) -> None:
    plan = plan_on(server.url, concurrency={"it": {"limit": 1}})
    with hosts(tmp_path, plan) as (site,):
        name, upstream = site.unused[-1]
        upstream.serve(speaking(echo))
        with Caller(site.gateway.address) as caller:
            caller.send(upgrade(f"/ws/{name}/x"))
            assert caller.reader.head().start.startswith("HTTP/1.1 101 ")
            with Caller(site.gateway.address) as other:
                other.send(upgrade(f"/ws/{name}/x"))
                assert other.answer().status == 503
        until(lambda: taken(server, f"falcongate:1:lease:{{it:{name}}}") == 0, "its place is free")


def test_a_shadow_refuses_nothing_and_tells(server: RedisServer, tmp_path: Path, moody: Moody) -> None:
    plan = plan_for(server, moody, limit=1, mode="shadow")
    with hosts(tmp_path, plan) as (site,), ThreadPoolExecutor(2) as callers:
        fill([site], moody, callers, 2)
        moody.let_go()

        def counted() -> bool:
            text = ask(site, "/metrics").content.decode()
            return 'falcongate_limit_decisions_total{decision="would_refuse",policy="it"} 1.0' in text

        until(counted, "what it would have refused is counted")


def test_a_request_that_finds_no_room_is_not_charged_to_limits(
    server: RedisServer, tmp_path: Path, moody: Moody
) -> None:
    services = {"moody": {"url": moody.url, "retries": 0}}
    plan = plan_on(
        server.url, services=services, limits={"api": {"rate": "4/h"}}, concurrency={"it": {"limit": 1}}
    )
    with hosts(tmp_path, plan) as (site,), ThreadPoolExecutor(1) as callers:
        fill([site], moody, callers, 1)
        # Were they charged, the fourth would be a 429.
        assert [ask(site, "/api/moody/x").status for _ in range(10)] == [503] * 10
        moody.let_go()
        assert ask(site).status == 200
