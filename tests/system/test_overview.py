"""What `/admin/overview` and `/admin/live` tell of several hosts: two of two workers each, on one Redis."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.support.fixtures import moody_service, redis_server
from tests.support.hosts import ask, callers_of_all_workers, hosts, know_each_other, plan_on
from tests.support.moody import Moody
from tests.support.processes import until
from tests.support.redis_servers import SERVER, RedisServer
from tests.support.world import Site

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")

server = redis_server("module")
moody = moody_service("module")
FEW = 7


@pytest.fixture(scope="module")
def sites(
    server: RedisServer, moody: Moody, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Site]]:
    """Two hosts with two workers each; `fragile` has a breaker, and `served` one test to itself."""
    few = {"rate": f"{FEW}/h", "key": "header:X-Tenant"}
    plan = plan_on(
        server.url,
        limits={
            "few": {**few, "paths": ["/api/steady/few/**"]},
            "tried": {**few, "paths": ["/api/steady/tried/**"], "mode": "shadow"},
        },
        services={
            "fragile": {"url": moody.url, "breaker": {"max_failures": 3, "open_s": 60}},
            "steady": {"url": moody.url},
            "served": {"url": moody.url, "breaker": {"enabled": False}},
        },
    )
    with hosts(tmp_path_factory.mktemp("hosts"), plan, plan) as sites:
        know_each_other(sites)
        yield sites


def overview(site: Site) -> dict[str, Any]:
    """What one of its workers tells."""
    told: dict[str, Any] = ask(site, "/admin/overview").json()
    return told


def named(many: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The one of that name."""
    return next(each for each in many if each["name"] == name)


def watching(site: Site) -> ClientConnection:
    host, port = site.gateway.address
    return connect(f"ws://{host}:{port}/admin/live")


def heard(client: ClientConnection, is_it: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """The first message that is the one."""
    while not is_it(told := json.loads(client.recv(timeout=15))):
        pass
    return told


def send(sites: list[Site], path: str, *tenants: str) -> Counter[int]:
    """One request for each of these, through all hosts in turn, eight at a time; the statuses."""

    def one(at: int) -> int:
        return ask(sites[at % len(sites)], path, fields=[("X-Tenant", tenants[at])]).status

    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(one, range(len(tenants))))


def test_all_hosts_are_known_with_what_they_are(sites: list[Site]) -> None:
    told = overview(sites[0])
    by_name = {host["name"]: host for host in told["hosts"]}

    assert len(by_name) == 2
    own = by_name.pop(told["gateway"]["host"])
    (other,) = by_name.values()
    assert (own["is_this"], own["differs"], own["workers"]) == (True, False, 2)
    # The ports of their own services are others.
    assert (other["is_this"], other["differs"], other["workers"]) == (False, True, 2)
    assert other["config"] == overview(sites[1])["gateway"]["config"] != own["config"]
    assert told["redis"]["state"] == "connected"
    assert told["redis"]["latency_ms"] > 0


def test_limits_are_counted_to_the_request_with_the_right_callers(sites: list[Site]) -> None:
    """Three tenants through both hosts: one keeps to its limit, two do not."""
    tenants = [*["heavy"] * 40, *["light"] * 10, *["good"] * FEW]
    assert send(sites, "/api/steady/few/x", *tenants) == {200: 3 * FEW, 429: 57 - 3 * FEW}
    assert send(sites, "/api/steady/tried/x", *tenants) == {200: 57}
    refused = [("heavy", 40 - FEW), ("light", 10 - FEW)]
    for site in sites:
        limits = until(
            lambda site=site: [
                limits
                for limits in [overview(site)["limits"]]
                if sum(named(limits, name)[of] for name in ("few", "tried") for of in DECISIONS) >= 114
            ],
            "all is told",
        )[0]
        few, tried = named(limits, "few"), named(limits, "tried")
        assert (few["admitted"], few["refused"], few["would_refuse"]) == (3 * FEW, 57 - 3 * FEW, 0)
        assert (tried["admitted"], tried["refused"], tried["would_refuse"]) == (3 * FEW, 0, 57 - 3 * FEW)
        for limit in (few, tried):
            assert [(of["caller"], of["refused"]) for of in limit["top"]] == [
                (f"header:X-Tenant:{name}", number) for name, number in refused
            ]
        assert (tried["mode"], tried["rates"], tried["key"]) == ("shadow", [f"{FEW}/h"], ["header:X-Tenant"])


DECISIONS = ("admitted", "refused", "would_refuse")


def test_what_one_host_serves_is_watched_at_the_other(sites: list[Site], server: RedisServer) -> None:
    """60 requests at the first while somebody watches the second."""

    def total() -> int:
        with server.client() as client:
            return int(client.hget("falcongate:1:{traffic}:totals", "requests:served") or 0)

    with watching(sites[1]) as client:
        first = heard(client, lambda _: True)
        assert named(first["services"], "served")["breaker"] is None
        assert send(sites[:1], "/api/served/x", *["a"] * 60) == {200: 60}
        until(lambda: total() == 60, "all are told")
        told = heard(client, lambda told: named(told["services"], "served")["now"]["requests_per_s"] >= 4)
        now = named(told["services"], "served")["now"]
        assert now["requests_per_s"] <= 6
        assert 0 < now["p50_ms"] <= now["p99_ms"]
        told = heard(client, lambda told: sum(series(told)["requests_per_s"]) * 5 >= 59.9)
    shown = series(told)

    assert sum(shown["requests_per_s"]) * 5 == pytest.approx(60)
    assert {len(shown[column]) for column in ("requests_per_s", "errors_per_s", "p50_ms", "p99_ms")} == {180}
    assert [latency is None for latency in shown["p99_ms"]] == [not rate for rate in shown["requests_per_s"]]
    assert sum(shown["errors_per_s"]) == 0


def series(told: dict[str, Any]) -> dict[str, Any]:
    """How the service `served` did."""
    shown: dict[str, Any] = named(told["services"], "served")["series"]
    return shown


def test_errors_and_transitions_of_one_host_are_watched_at_the_other(sites: list[Site], moody: Moody) -> None:
    """The service fails at the first until its breaker opens."""

    def fragile(told: dict[str, Any]) -> dict[str, Any]:
        return named(told["services"], "fragile")

    with watching(sites[1]) as client:
        heard(client, lambda told: fragile(told)["breaker"]["state"] == "CLOSED")
        moody.status = 503
        until(lambda: ask(sites[0], "/api/fragile/x").get("Proxy-Status"), "the breaker refuses")
        moody.status = 200
        told = heard(client, lambda told: fragile(told)["breaker"]["state"] == "OPEN")
        breaker, line = fragile(told)["breaker"], told["transitions"][0]
        assert (line["name"], line["before"], line["state"]) == ("fragile", "CLOSED", "OPEN")
        # Those that were on their way when it opened count, too.
        assert re.fullmatch(r"[3-9] failures in 60 s", line["why"])
        assert line["by"] == breaker["by"] == overview(sites[0])["gateway"]["host"]
        assert breaker["until_s"] - line["at_s"] == pytest.approx(60)
        heard(client, lambda told: fragile(told)["now"]["errors_per_s"] > 0)


def test_twenty_who_watch_ask_redis_once_a_second_in_all(sites: list[Site], server: RedisServer) -> None:
    """Ten watch at each host; what the workers ask is counted at Redis."""
    reads = 0
    with contextlib.ExitStack() as stack, server.client() as client:
        for at in range(20):
            watcher = stack.enter_context(watching(sites[at % 2]))
            watcher.recv(timeout=10)
        began = time.monotonic()
        with client.monitor() as monitor:
            for command in monitor.listen():
                reads += command["command"] == "HGETALL falcongate:1:{traffic}:totals"
                if reads == 16:
                    break
        took_s = time.monotonic() - began

    # Of four workers each asks at the beginning, and then after a second at the earliest.
    assert took_s > 16 / 4 - 1 - 0.1


@pytest.mark.usefixtures("sites")
def test_nobody_is_asked_while_nobody_watches(server: RedisServer) -> None:
    """Two beats of the heart go by."""
    with server.client() as client, client.monitor() as monitor:
        until(lambda: len(idle(monitor)) == 0, "the last watcher is gone", within_s=30)


def idle(monitor: Any) -> list[str]:  # noqa: ANN401  # redis-py's
    """What the picture is made of, as far as it is asked for in the next few seconds."""
    asked: list[str] = []
    beats = 0
    for command in monitor.listen():
        text = command["command"]
        asked += [text] if text == "HGETALL falcongate:1:{traffic}:totals" else []
        beats += text.startswith(("EVALSHA", "EVAL")) and "falcongate:1:hosts" in text
        if beats >= 12:
            break
    return asked


def test_workers_tell_only_readers(sites: list[Site]) -> None:
    refused = ask(sites[0], "/admin/overview", fields=[("X-Forwarded-For", "203.0.113.7")])
    assert refused.status == 403
    with contextlib.ExitStack() as stack:
        for caller in callers_of_all_workers(stack, sites):
            answer = caller.exchange("GET", "/admin/overview/")
            assert (answer.status, answer.get("Cache-Control")) == (200, "no-store")
            assert answer.json()["you"]["name"] == "operator@127.0.0.1"
