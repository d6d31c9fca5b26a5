"""How many requests pass: by caller, over all workers and hosts, with Redis and without."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.callers import Caller
from tests.support.hosts import ask, health, hosts, know_each_other, plan_on, redis_of
from tests.support.processes import until
from tests.support.redis_servers import SERVER, RedisServer
from tests.support.upstreams import refusing_port

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")


def test_a_limit_is_told_kept_and_refused_with_its_reasons(server: RedisServer, tmp_path: Path) -> None:
    with hosts(tmp_path, plan_on(server.url, limits={"api": {"rate": "3/m"}})) as (site,):
        answers = [ask(site) for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert [answer.get("RateLimit-Policy") for answer in answers] == ['"api-60s";q=3;w=60'] * 5
    assert (answers[0].get("RateLimit") or "").startswith('"api-60s";r=2;')
    refused = answers[-1]
    assert refused.json()["type"] == "/problems/limit-reached"
    assert 1 <= int(refused.get("Retry-After") or 0) <= 66
    assert refused.get("Proxy-Status") == "falcongate; error=http_request_denied"


@pytest.mark.parametrize("limit", [100, 1_000])
def test_never_more_than_the_limit_passes_through_two_hosts(
    server: RedisServer, tmp_path: Path, limit: int
) -> None:
    """64 callers at once, through two gateways with two workers each."""
    asked = limit + 300
    plan = plan_on(server.url, limits={"api": {"rate": f"{limit}/m"}})
    with hosts(tmp_path, plan, plan) as sites:
        know_each_other(sites)
        assert len({host["name"] for host in health(sites[0])["hosts"]}) == 2

        def status(number: int) -> int:
            return ask(sites[number % 2]).status

        with ThreadPoolExecutor(64) as callers:
            counted = Counter(callers.map(status, range(asked)))
    assert counted == {200: limit, 429: asked - limit}


def test_a_shadow_refuses_nothing(server: RedisServer, tmp_path: Path) -> None:
    with hosts(tmp_path, plan_on(server.url, limits={"api": {"rate": "1/m", "mode": "shadow"}})) as (site,):
        assert [ask(site).status for _ in range(4)] == [200] * 4


def test_old_clients_are_told_by_the_old_fields_where_that_is_asked_for(
    server: RedisServer, tmp_path: Path
) -> None:
    plan = plan_on(server.url, limits={"api": {"rate": ["3/m", "100/h"]}}, x_ratelimit_headers=True)
    with hosts(tmp_path, plan) as (site,):
        answer = ask(site)
    assert answer.get("RateLimit-Policy") == '"api-60s";q=3;w=60, "api-3600s";q=100;w=3600'
    assert answer.get("X-RateLimit-Limit") == "3"
    assert answer.get("X-RateLimit-Remaining") == "2"
    assert 1 <= int(answer.get("X-RateLimit-Reset") or 0) <= 66


def test_what_a_shadow_would_have_refused_is_in_the_log_and_the_metrics(
    server: RedisServer, tmp_path: Path
) -> None:
    limits = {"new": {"rate": "1/m", "mode": "shadow"}, "api": {"rate": "3/m"}}
    with hosts(tmp_path, plan_on(server.url, limits=limits)) as (site,):
        assert [ask(site).status for _ in range(5)] == [200, 200, 200, 429, 429]

        def counted() -> set[str]:
            with Caller(site.gateway.address) as caller:
                lines = caller.get("/metrics").content.decode().splitlines()
            return {line for line in lines if line.startswith("falcongate_limit_decisions_total{")}

        wanted = {
            'falcongate_limit_decisions_total{decision="admitted",policy="new"} 1.0',
            'falcongate_limit_decisions_total{decision="refused",policy="new"} 0.0',
            'falcongate_limit_decisions_total{decision="would_refuse",policy="new"} 2.0',
            'falcongate_limit_decisions_total{decision="admitted",policy="api"} 3.0',
            'falcongate_limit_decisions_total{decision="refused",policy="api"} 2.0',
            'falcongate_limit_decisions_total{decision="would_refuse",policy="api"} 0.0',
        }
        until(lambda: counted() == wanted, "decisions are counted")
        until(lambda: site.gateway.stdout().count('"would_refuse":["new"]') == 2, "they are in the log")
        assert site.gateway.stdout().count('"refused_by":["api"]') == 2


def test_a_network_of_one_ipv6_caller_is_one_caller_and_nobody_chooses_its_address(
    server: RedisServer, tmp_path: Path
) -> None:
    trusting = {"server": {"trusted_proxies": ["127.0.0.2"]}}
    with hosts(tmp_path, plan_on(server.url, limits={"api": {"rate": "2/m"}}, **trusting)) as (site,):

        def status(forwarded: str) -> int:
            with Caller(site.gateway.address, source="127.0.0.2") as caller:
                return caller.get("/api/honest/x", [("X-Forwarded-For", forwarded)]).status

        assert [status(f"2001:db8:1:2::{number}") for number in range(1, 4)] == [200, 200, 429]
        assert status("2001:db8:1:3::1") == 200
        # What stands left of the address that the proxy has seen is said by the caller itself.
        assert [status(f"192.0.2.{number}, 198.51.100.7") for number in range(1, 4)] == [200, 200, 429]


def test_what_the_gateway_could_not_deliver_is_given_back(server: RedisServer, tmp_path: Path) -> None:
    with refusing_port() as port:
        gone = {"gone": {"url": f"http://127.0.0.1:{port}"}}
        plan = plan_on(server.url, limits={"api": {"rate": "2/m"}}, services=gone, breaker={"enabled": False})
        with hosts(tmp_path, plan) as (site,):
            assert [ask(site, "/api/gone/x").status for _ in range(6)] == [502] * 6


@pytest.mark.parametrize(("mode", "statuses"), [("open", {200}), ("closed", {503}), ("share", {200, 429})])
def test_without_redis_each_policy_does_what_it_says(
    server: RedisServer, tmp_path: Path, mode: str, statuses: set[int]
) -> None:
    """Redis is killed; nobody gets a 500, and nobody waits for it."""
    with hosts(tmp_path, plan_on(server.url, limits={"api": {"rate": "4/m", "on_store_failure": mode}})) as (
        site,
    ):
        server.kill()
        until(lambda: redis_of(site) == "unreachable", "it is missed")
        assert {ask(site).status for _ in range(30)} == statuses
