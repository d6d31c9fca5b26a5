"""Whole gateways on a Redis Cluster of three masters: limits, breakers, places and commands are the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from tests.support.fixtures import moody_service
from tests.support.hosts import all_say, ask, hosts, know_each_other, plan_on
from tests.support.moody import Moody
from tests.support.processes import ROOT, environment, until
from tests.support.redis_servers import SERVER, RedisServer, cluster
from tests.support.world import Site

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")

FEW, MANY = 20, 30
PLACES = 5

moody = moody_service("module")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RedisServer]]:
    with cluster(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


@pytest.fixture(scope="module")
def sites(
    servers: list[RedisServer], moody: Moody, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Site]]:
    """Two hosts with two workers each."""
    few, many = {"rate": f"{FEW}/h"}, {"rate": f"{MANY}/h"}
    first, last = {"paths": ["/api/honest/first/**"]}, {"paths": ["/api/honest/last/**"]}
    tenant = {"key": "header:X-Tenant"}
    plan = plan_on(
        "",
        redis={"url": servers[0].url, "cluster": True, "budget_ms": 2_000},
        limits={
            "first-tenant": {**few, **first, **tenant},
            "first-all": {**many, **first, "key": "global"},
            "last-tenant": {**many, **last, **tenant},
            "last-all": {**few, **last, "key": "global"},
            "one": {"rate": "1/h", "paths": ["/api/honest/one/**"], "key": "global"},
        },
        access={"keys": {"identity": "required", "paths": ["/api/honest/keys/**"]}},
        concurrency={"it": {"limit": PLACES, "paths": ["/api/moody/room/**"]}},
        services={
            "moody": {
                "url": moody.url,
                "retries": 0,
                "breaker": {"max_failures": 3, "open_s": 1, "probes": 1, "successes": 1, "ramp_s": 0},
            }
        },
    )
    with hosts(tmp_path_factory.mktemp("hosts"), plan, plan) as sites:
        know_each_other(sites)
        yield sites


def windows(servers: list[RedisServer], policy: str) -> dict[str, int]:
    """The windows of a policy by their keys, wherever they lie, and what each was charged."""
    found: dict[str, int] = {}
    for server in servers:
        with server.client() as client:
            for key in client.keys(f"falcongate:1:limit:*:{policy}:*"):
                found[key] = sum(map(int, client.hvals(key)))
    return found


def master_of(servers: list[RedisServer], key: str) -> int:
    """Which of the masters holds a key."""
    return key_slot(key.encode()) * len(servers) // 16_384


@pytest.mark.parametrize("smaller", ["first", "last"])
def test_limits_of_callers_who_lie_apart_admit_the_smaller_and_charge_both_the_same(
    servers: list[RedisServer], sites: list[Site], smaller: str
) -> None:
    """What the one has reserved when the other refuses is given back."""
    elsewhere = master_of(servers, "{all}")
    tenant = next(name for name in "abcdef" if master_of(servers, f"{{header:X-Tenant:{name}}}") != elsewhere)

    def status(number: int) -> int:
        return ask(sites[number % 2], f"/api/honest/{smaller}/x", [("X-Tenant", tenant)]).status

    with ThreadPoolExecutor(16) as callers:
        counted = Counter(callers.map(status, range(3 * FEW)))
    assert counted == {200: FEW, 429: 2 * FEW}

    def charged() -> dict[str, int]:
        return windows(servers, f"{smaller}-tenant") | windows(servers, f"{smaller}-all")

    assert len({master_of(servers, key) for key in charged()}) == 2
    until(lambda: list(charged().values()) == [FEW, FEW], "what was reserved in vain is given back")


def test_one_breaker_opens_and_closes_for_both_hosts(sites: list[Site], moody: Moody) -> None:
    moody.status = 503
    for number in range(3):
        ask(sites[number % 2], "/api/moody/x")
    until(lambda: all_say(sites, "OPEN") or all_say(sites, "HALF_OPEN"), "all know that it is open")
    moody.status = 200

    def closed() -> bool:
        return {ask(site, "/api/moody/x").status for site in sites} == {200} and all_say(sites, "CLOSED")

    until(closed, "it closes for all")


def test_no_more_than_its_places_are_in_flight_on_both_hosts(
    servers: list[RedisServer], sites: list[Site], moody: Moody
) -> None:
    moody.forget()
    moody.hold()
    with ThreadPoolExecutor(32) as callers:
        waiting = [callers.submit(ask, sites[number % 2], "/api/moody/room/x") for number in range(32)]
        until(lambda: sum(each.done() for each in waiting) == 32 - PLACES, "all others are refused")
        moody.let_go()
        assert Counter(each.result().status for each in waiting) == {200: PLACES, 503: 32 - PLACES}
    assert moody.most == PLACES
    key = "falcongate:1:lease:{it:moody}"
    with servers[master_of(servers, key)].client() as client:
        until(lambda: client.zcard(key) == 0, "all places are given back")


NAMES = ("honest", "s1", "s3")


@pytest.fixture
def command(servers: list[RedisServer], tmp_path: Path) -> Callable[..., str]:
    """A command on the cluster that must succeed; answers what it has said."""
    config = tmp_path / "gateway.toml"
    services = "".join(f'[services.{name}]\nurl = "http://127.0.0.1:1"\n' for name in NAMES)
    config.write_text(f'[redis]\nurl = "{servers[2].url}"\ncluster = true\n{services}', "utf-8")

    def run(*words: str) -> str:
        done = subprocess.run(  # noqa: S603  # our own command
            [sys.executable, "-m", "falcongate", *words, "--config", str(config)],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


def test_keys_are_made_and_ended_wherever_they_lie(sites: list[Site], command: Callable[..., str]) -> None:
    made = [json.loads(command("keys", "create", f"key {number}", "--json")) for number in range(4)]

    def all_answer(status: int, text: str) -> bool:
        fields = [("X-API-Key", text)]
        with ThreadPoolExecutor(8) as pool:
            answers = pool.map(lambda site: ask(site, "/api/honest/keys/x", fields), sites * 12)
            return all(answer.status == status for answer in answers)

    for key in made:
        assert all_answer(200, key["key"])
    again = json.loads(command("keys", "rotate", made[0]["id"], "--grace", "0", "--json"))
    command("keys", "revoke", made[1]["id"], "--reason", "lost")
    until(lambda: all_answer(401, made[0]["key"]), "its secret before is gone")
    until(lambda: all_answer(401, made[1]["key"]), "it is revoked")
    assert all_answer(200, again["key"])
    assert all_answer(200, made[2]["key"])
    listed = json.loads(command("keys", "list", "--json"))
    assert [key["name"] for key in listed] == [f"key {number}" for number in range(4)]
    noted = json.loads(command("audit", "--last", "2", "--json"))
    assert [change["did"] for change in noted] == ["key revoke", "key rotate"]


def test_commands_reach_breakers_wherever_they_lie(
    servers: list[RedisServer], sites: list[Site], command: Callable[..., str]
) -> None:
    assert len({master_of(servers, f"falcongate:1:breaker:{{{name}}}") for name in NAMES}) == 3
    listed = json.loads(command("breaker", "list", "--json"))
    assert {name: breaker["state"] for name, breaker in listed.items()} == dict.fromkeys(NAMES, "CLOSED")
    for name in NAMES:
        assert command("breaker", "disable", name, "--reason", "moving house") == f"{name}: DISABLED\n"
    until(lambda: all(all_say(sites, "DISABLED", name) for name in NAMES), "all know of the orders")
    assert command("breaker", "list").count("DISABLED") == len(NAMES)
    assert "moving house" in command("breaker", "show", "honest")
    assert command("breaker", "enable", "honest") == "honest: CLOSED\n"
    until(lambda: all_say(sites, "CLOSED", "honest"), "and of the end of one")


def test_what_all_hosts_serve_is_added_up_on_one_server(
    servers: list[RedisServer], sites: list[Site]
) -> None:
    """Requests through both hosts, and refusals: totals, slots and callers lie together."""

    def told() -> tuple[int, int, list[dict[str, object]]]:
        limit = next(limit for limit in seen()["limits"] if limit["name"] == "one")
        return limit["admitted"], limit["refused"], limit["top"]

    def seen() -> dict[str, Any]:
        document: dict[str, Any] = ask(sites[0], "/admin/overview").json()
        return document

    def is_served() -> bool:
        (honest,) = (service for service in seen()["services"] if service["name"] == "honest")
        return bool(honest["now"]["requests_per_s"])

    for number in range(4):
        ask(sites[number % 2], "/api/honest/one/x")
    until(lambda: told() == (1, 3, [{"caller": "all", "refused": 3}]), "all of it is told")
    until(is_served, "traffic is told")
    held = [servers[master_of(servers, "{traffic}")].url]
    assert [server.url for server in servers if server_has_totals(server)] == held


def server_has_totals(server: RedisServer) -> bool:
    """Whether the totals lie there."""
    with server.client() as client:
        return bool(client.keys("falcongate:1:{traffic}:totals"))
