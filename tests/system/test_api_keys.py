"""API keys from their making to their end, on two hosts with two workers each; and what is noted of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.callers import Answer
from tests.support.fixtures import redis_server
from tests.support.hosts import ask, hosts, plan_on
from tests.support.processes import ROOT, environment, until
from tests.support.redis_servers import SERVER, RedisServer, ended
from tests.support.world import Site, echoed

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")

ACCESS = {
    "keys": {"identity": "required", "accept": ["api_key"], "paths": ["/api/honest/**", "/api/s0/**"]},
    "inside": {"allow": ["10.0.0.0/8"], "paths": ["/api/s1/inside/**"]},
    "outside": {"deny": ["127.0.0.0/8"], "paths": ["/api/s1/outside/**"]},
    "watched": {"allow": ["10.0.0.0/8"], "paths": ["/api/honest/**"], "mode": "shadow"},
}

server = redis_server("module")


@pytest.fixture(scope="module")
def sites(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Site]]:
    plan = plan_on(server.url, access=ACCESS, server={"trusted_proxies": ["127.0.0.2"]})
    with hosts(tmp_path_factory.mktemp("hosts"), plan, plan) as sites:
        yield sites


def command(server: RedisServer, *words: str) -> subprocess.CompletedProcess[str]:
    """`falcongate` with these words."""
    services = json.dumps(dict.fromkeys(("honest", "s0"), "http://127.0.0.1:1"))
    return subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "falcongate", *words],
        cwd=ROOT,
        env=environment() | {"REDIS_URL": server.url, "MICROSERVICE_URLS": services},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def keys(server: RedisServer, *words: str) -> dict[str, Any]:
    """What `falcongate keys` says to programs."""
    done = command(server, "keys", *words, "--json")
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def with_key(site: Site, text: str, path: str = "/api/honest/x") -> Answer:
    """One request with this key."""
    return ask(site, path, [("X-API-Key", text)])


def all_answer(sites: list[Site], text: str, status: int) -> bool:
    """Whether many requests with it are answered so, asked for at once so that no worker answers all."""
    with ThreadPoolExecutor(8) as pool:
        return all(answer.status == status for answer in pool.map(lambda s: with_key(s, text), sites * 12))


def test_who_has_a_key_passes_on_all_hosts_and_who_has_none_does_not(
    server: RedisServer, sites: list[Site]
) -> None:
    made = keys(server, "create", "billing")
    assert all_answer(sites, made["key"], 200)
    for site in sites:
        assert ask(site, "/api/honest/x", [("Authorization", f"Bearer {made['key']}")]).status == 200
        refused = ask(site)
        assert (refused.status, refused.json()["type"]) == (401, "/problems/unauthorized")
        assert refused.get("WWW-Authenticate") == 'Bearer realm="falcongate"'


def test_a_wrong_secret_a_wrong_id_and_a_revoked_key_are_answered_alike(
    server: RedisServer, sites: list[Site]
) -> None:
    made, gone = keys(server, "create", "billing"), keys(server, "create", "gone")
    keys(server, "revoke", gone["id"])
    until(lambda: all_answer(sites, gone["key"], 401), "all know that it is revoked")
    secret = made["key"].rpartition("_")[2]
    wrong = [
        gone["key"],
        f"fg_{made['id']}_{secret[::-1]}",
        f"fg_0123456789ab_{secret}",
        "fg_",
        made["key"] * 2,
    ]
    answers = [with_key(sites[0], text) for text in wrong]

    assert {answer.status for answer in answers} == {401}
    assert {answer.get("WWW-Authenticate") for answer in answers} == {
        'Bearer realm="falcongate", error="invalid_token", error_description="the key is not valid"'
    }
    assert len({str(answer.json()["detail"]) for answer in answers}) == 1


def test_a_key_is_not_for_services(server: RedisServer, sites: list[Site]) -> None:
    text = keys(server, "create", "billing")["key"]
    for name, value in (("X-API-Key", text), ("Authorization", f"Bearer {text}")):
        arrived = echoed(ask(sites[0], "/api/honest/echo", [(name, value), ("X-Other", "stays")]))
        assert arrived.all(name) == []
        assert arrived.get("X-Other") == "stays"
    beside = [("Authorization", f"Bearer {text}"), ("X-API-Key", "of-the-service")]
    assert echoed(ask(sites[0], "/api/honest/echo", beside)).get("X-API-Key") == "of-the-service"


def test_the_limits_of_a_key_hold_over_all_hosts(server: RedisServer, sites: list[Site]) -> None:
    text = keys(server, "create", "billing", "--rate", "10/h", "1000/d")["key"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda site: with_key(site, text), sites * 10))
    passed = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 429]

    assert (len(passed), len(refused)) == (10, 10)
    assert passed[0].get("RateLimit-Policy") == '"key-3600s";q=10;w=3600, "key-86400s";q=1000;w=86400'
    assert refused[0].json()["violated-policies"] == ["key"]
    assert with_key(sites[0], keys(server, "create", "other")["key"]).get("RateLimit") is None


def test_a_key_for_some_services_is_for_no_others(server: RedisServer, sites: list[Site]) -> None:
    text = keys(server, "create", "billing", "--service", "s0", "--for", "90d")["key"]
    refused = with_key(sites[0], text)

    assert (refused.status, refused.json()["type"]) == (403, "/problems/not-permitted")


def test_after_a_rotation_both_secrets_are_good_until_the_grace_is_over(
    server: RedisServer, sites: list[Site]
) -> None:
    first = keys(server, "create", "billing")
    assert all_answer(sites, first["key"], 200)
    second = keys(server, "rotate", first["id"], "--grace", "8s")
    assert second["key"] != first["key"]
    assert second["id"] == first["id"]
    assert with_key(sites[0], first["key"]).status == 200
    assert all_answer(sites, second["key"], 200)
    until(lambda: all_answer(sites, first["key"], 401), "the grace is over on all", within_s=30)
    assert all_answer(sites, second["key"], 200)
    third = keys(server, "rotate", first["id"], "--grace", "0")
    until(lambda: all_answer(sites, second["key"], 401), "without grace the secret before is gone")
    assert all_answer(sites, third["key"], 200)


def test_a_revoked_key_is_refused_by_all_workers_of_all_hosts(server: RedisServer, sites: list[Site]) -> None:
    made = keys(server, "create", "billing")
    assert all_answer(sites, made["key"], 200)
    assert keys(server, "revoke", made["id"], "--reason", "lost")["state"] == "revoked"
    until(lambda: all_answer(sites, made["key"], 401), "all refuse it")
    assert keys(server, "show", made["id"])["why"] == "lost"


def test_a_key_ends_by_itself(server: RedisServer, sites: list[Site]) -> None:
    made = keys(server, "create", "short", "--for", "8s")
    assert with_key(sites[0], made["key"]).status == 200
    until(lambda: all_answer(sites, made["key"], 401), "it has ended on all", within_s=30)
    assert "the key has expired" in str(with_key(sites[0], made["key"]).get("WWW-Authenticate"))
    assert keys(server, "show", made["id"])["state"] == "ended"


def test_no_key_and_no_digest_is_in_a_log_or_shown_twice(server: RedisServer, sites: list[Site]) -> None:
    done = command(server, "keys", "create", "said once")
    text = done.stdout.split("\n")[0]
    assert "only time that the key is shown" in done.stdout
    secret = text.rpartition("_")[2]
    with_key(sites[0], text)
    ask(sites[0], "/api/honest/x", [("Authorization", f"Bearer {text}x")])
    shown = command(server, "keys", "list").stdout + command(server, "keys", "list", "--json").stdout
    assert "said once" in shown
    assert secret not in shown
    assert secret not in sites[0].gateway.stdout() + sites[0].gateway.stderr()
    with server.client() as client:
        lying = " ".join(value for key in client.keys("falcongate:1:key:*") for value in client.hvals(key))
        assert secret not in lying
        assert secret not in str(client.xrange("falcongate:1:audit"))


def test_commands_say_what_is_wrong(server: RedisServer) -> None:
    whole = f"fg_0123456789ab_{'x' * 43}"
    for words, status, said in (
        (["create", "a", "--service", "honst"], 2, "did you mean honest?"),
        (["create", "a", "--rate", "often"], 2, "must be a number and a time like 200/m"),
        (["create", "a", "--rate", "60/m", "1/60s"], 2, "two of these look at the same time"),
        (["create", "a", "--for", "ever"], 2, "like 90s, 15m, 2h or 7d, of 3650 days at most"),
        (["create", "two\nlines"], 2, "must be one line"),
        (["revoke", whole], 2, "give its id alone"),
        (["show", "nobody"], 2, "must be the id of a key"),
        (["show", "0123456789ab"], 1, "there is no key 0123456789ab"),
        (["rotate", "0123456789ab"], 1, "no key 0123456789ab that could be rotated"),
        (["revoke", "0123456789ab"], 1, "there is no key 0123456789ab"),
    ):
        done = command(server, "keys", *words)
        assert (done.returncode, done.stdout) == (status, ""), words
        assert said in " ".join(done.stderr.split()), done.stderr
        assert "x" * 43 not in done.stderr


def test_every_change_is_in_the_audit_with_who_from_where_and_why(
    server: RedisServer, sites: list[Site]
) -> None:
    made = keys(server, "create", "watched over")
    keys(server, "rotate", made["id"])
    keys(server, "revoke", made["id"], "--reason", "left the house")
    command(server, "breaker", "disable", "s0", "--reason", "moving")
    body = json.dumps({"reason": "moved"}).encode()
    assert ask(sites[1], "/circuit-breaker/enable/s0", method="POST", body=body).status == 200
    noted = json.loads(command(server, "audit", "--last", "5", "--json").stdout)

    assert [(each["did"], each["on"], each["why"], each["from"]) for each in noted] == [
        ("breaker enable", "s0", "moved", "127.0.0.1"),
        ("breaker disable", "s0", "moving", "command line"),
        ("key revoke", f"{made['id']} watched over", "left the house", "command line"),
        ("key rotate", f"{made['id']} watched over", "", "command line"),
        ("key create", f"{made['id']} watched over", "", "command line"),
    ]
    assert noted[0]["who"] == "operator@127.0.0.1"
    assert "@" in noted[1]["who"]
    assert noted[0]["at_s"] > noted[1]["at_s"] > 1_700_000_000
    told = command(server, "audit", "--last", "2").stdout.splitlines()
    assert [line.split()[0] for line in told[:1]] == ["WHEN"]
    assert len(told) == 3


def test_lists_of_addresses_hold_for_who_really_comes_from_there(sites: list[Site]) -> None:
    site = sites[0]
    for path in ("/api/s1/inside/x", "/api/s1/outside/x"):
        refused = ask(site, path, [("X-Forwarded-For", "10.0.0.1")])
        assert (refused.status, refused.json()["type"]) == (403, "/problems/address-not-allowed")


def test_a_rule_in_shadow_mode_is_in_the_log_and_refuses_nothing(
    server: RedisServer, sites: list[Site]
) -> None:
    text = keys(server, "create", "billing")["key"]
    answer = with_key(sites[0], text, "/api/honest/seen-by-the-watcher")
    assert answer.status == 200
    line = until(
        lambda: [line for line in sites[0].gateway.stdout().splitlines() if "seen-by-the-watcher" in line],
        "it is in the log",
    )[0]
    assert json.loads(line)["would_refuse"] == ["watched"]


def test_without_redis_known_keys_go_on_and_of_others_nobody_says_that_they_are_wrong(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis")
    with ended(server), hosts(tmp_path, plan_on(server.url, access=ACCESS)) as sites:
        made = keys(server, "create", "billing")
        assert all_answer(sites, made["key"], 200)
        server.kill()
        wrong = f"fg_0123456789ab_{'x' * 43}"
        refused = until(
            lambda: (answer := with_key(sites[0], wrong)).status == 503 and answer, "nobody can be asked"
        )
        assert refused.json()["type"] == "/problems/credentials-unknown"
        assert refused.get("Retry-After") == "1"
        assert all_answer(sites, made["key"], 200)
        assert with_key(sites[0], "fg_nonsense").status == 401
        server.start()
        until(lambda: with_key(sites[0], wrong).status == 401, "it can be asked again")
        until(lambda: all_answer(sites, made["key"], 401), "a Redis that has forgotten all knows no key")
