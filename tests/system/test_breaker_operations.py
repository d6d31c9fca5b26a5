"""How operators see and steer circuit breakers, by HTTP and by command; and that nobody else does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.callers import Answer
from tests.support.fixtures import redis_server
from tests.support.hosts import ask, health, hosts, plan_on
from tests.support.processes import ROOT, environment, until
from tests.support.redis_servers import SERVER, RedisServer, ended
from tests.support.world import Site

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")

TOKEN = "a-token-that-is-long-enough"  # noqa: S105  # of this test alone
MEMBERS = {
    "state", "failure_count", "total_requests", "failed_requests", "success_rate", "last_failure_time",
    "half_open_attempts",
}  # fmt: skip

server = redis_server("module")


@pytest.fixture(scope="module")
def sites(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Site]]:
    plan = plan_on(server.url, environ={"FALCONGATE_ADMIN_TOKEN": TOKEN})
    with hosts(tmp_path_factory.mktemp("hosts"), plan, plan) as sites:
        yield sites


@pytest.fixture(autouse=True)
def all_closed(sites: list[Site]) -> Iterator[None]:
    yield
    for name in ("honest", "s0"):
        assert order(sites[0], "reset", name).status == 200


def order(site: Site, what: str, name: str = "honest", body: bytes | None = None, **fields: str) -> Answer:
    """Give an order; `fields` are header fields, with `_` for `-`."""
    return ask(
        site, f"/circuit-breaker/{what}/{name}", named(fields), method="POST", body=body, host=host_in(fields)
    )


def named(fields: dict[str, str]) -> list[tuple[str, str]]:
    """Header fields from words."""
    return [(name.replace("_", "-"), value) for name, value in fields.items() if name != "Host"]


def host_in(fields: dict[str, str]) -> str:
    """What they say of the host; else this machine."""
    return fields.get("Host", "localhost:8000")


def all_answer(sites: list[Site], status: int) -> bool:
    """Whether several requests through each host are answered like this."""
    return all(ask(site).status == status for site in sites * 6)


def command(server: RedisServer, *words: str) -> subprocess.CompletedProcess[str]:
    """`falcongate breaker` with these words."""
    services = json.dumps(dict.fromkeys(("honest", "s0"), "http://127.0.0.1:1"))
    return subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "falcongate", "breaker", *words],
        cwd=ROOT,
        env=environment() | {"REDIS_URL": server.url, "MICROSERVICE_URLS": services},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_status_of_all_breakers(sites: list[Site], slash: str) -> None:
    document = ask(sites[0], f"/circuit-breaker/status{slash}").json()
    assert document.keys() >= {"timestamp", "services"}
    services = document["services"]
    assert isinstance(services, dict)
    assert services.keys() == {"honest", "s0", "s1", "s2", "s3"}
    assert services["honest"].keys() >= MEMBERS
    assert services["honest"]["state"] == "CLOSED"
    assert ask(sites[0], f"/circuit-breaker/status/honest{slash}").json()["service"] == "honest"
    assert (
        ask(sites[0], f"/circuit-breaker/status/nobody{slash}").json()["type"] == "/problems/no-such-breaker"
    )


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_service_is_taken_out_of_traffic_and_put_back_everywhere(sites: list[Site], slash: str) -> None:
    assert order(sites[0], "disable", f"honest{slash}").json()["state"] == "DISABLED"
    until(lambda: all_answer(sites, 503), "no worker lets it pass")
    refused = ask(sites[1])
    assert refused.json()["type"] == "/problems/service-disabled"
    assert refused.get("Retry-After") == "60"
    assert refused.get("Proxy-Status") == "falcongate; error=destination_unavailable"
    assert health(sites[1])["circuit_breaker"]["honest"] == "DISABLED"
    assert order(sites[1], "enable", f"honest{slash}").status == 200
    until(lambda: all_answer(sites, 200), "all let it pass again")


def test_orders_end_by_themselves_and_say_who_and_why(sites: list[Site]) -> None:
    body = json.dumps({"for": "1s", "reason": "a short pause"}).encode()
    answer = order(sites[0], "open", body=body).json()
    assert (answer["state"], answer["is_forced"], answer["why"]) == ("OPEN", True, "a short pause")
    until(lambda: all_answer(sites, 503), "no worker lets it pass")
    assert int(ask(sites[0]).get("Retry-After") or 0) == 1
    until(lambda: all_answer(sites, 200), "it has ended by itself")
    history = ask(sites[1], "/circuit-breaker/status/honest/").json()["history"]
    assert isinstance(history, list)
    assert [line["why"] for line in history[:2]] == ["FORCED_OPEN has ended", "a short pause"]
    assert history[1]["by"] == "operator@127.0.0.1"


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b'{"for": "soon"}', b'{"for": 15}', b'{"for": "99d"}', b'{"reason": 7}',
        b'{"reason": "' + b"x" * 201 + b'"}', b'{"reason": "two\\nlines"}', b'{"until": "1h"}',
    ],
)  # fmt: skip
def test_an_order_that_is_not_understood_changes_nothing(sites: list[Site], body: bytes) -> None:
    answer = order(sites[0], "disable", body=body)
    assert answer.status == 400
    assert '"for": "15m"' in str(answer.json()["suggestion"])
    assert ask(sites[0]).status == 200


def test_an_order_is_for_a_service_that_there_is(sites: list[Site]) -> None:
    assert order(sites[0], "reset", "nobody").json()["type"] == "/problems/no-such-breaker"
    assert order(sites[0], "explode").status == 404
    assert order(sites[0], "enable", body=b'{"for": "1h"}').status == 400
    assert ask(sites[0], "/circuit-breaker/reset/honest/").status == 405


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"X_Forwarded_For": "127.0.0.1"}, 401),
        ({"Forwarded": "for=127.0.0.1"}, 401),
        ({"Via": "1.1 a"}, 401),
        ({"X_Real_IP": "127.0.0.1"}, 401),
        ({"Origin": "http://localhost:5173"}, 401),
        ({"Origin": "null"}, 401),
        ({"Sec_Fetch_Site": "cross-site"}, 401),
        ({"Sec_Fetch_Site": "same-site"}, 401),
        ({"Host": "rebound.example"}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Basic YTpi"}, 200),
        ({"Authorization": "Bearer "}, 200),
        ({"Sec_Fetch_Site": "none"}, 200),
        ({"X_Forwarded_For": "192.0.2.1", "Authorization": f"Bearer {TOKEN}"}, 200),
        ({"Origin": "https://ops.example", "Authorization": f"bearer {TOKEN}"}, 200),
    ],
)
def test_only_who_sits_here_or_has_the_token_gives_orders(
    sites: list[Site], fields: dict[str, str], status: int
) -> None:
    answer = order(sites[0], "reset", **fields)
    assert answer.status == status
    if status == 401:
        assert (answer.get("WWW-Authenticate") or "").startswith('Bearer realm="falcongate"')
        assert answer.json()["type"] == "/problems/unauthorized"
    for path in ("/circuit-breaker/status/honest/", "/circuit-breaker/status/", "/metrics"):
        assert ask(sites[0], path, named(fields), host=host_in(fields)).status == status


def test_the_token_is_in_no_log(sites: list[Site]) -> None:
    order(sites[0], "reset", Authorization=f"Bearer {TOKEN}")
    order(sites[0], "reset", Authorization=f"Bearer {TOKEN}x")
    assert TOKEN not in sites[0].gateway.stdout() + sites[0].gateway.stderr()


def test_a_short_token_is_a_mistake_that_is_named() -> None:
    done = subprocess.run(  # our own command
        [sys.executable, "-m", "falcongate", "check"],
        cwd=ROOT,
        env=environment() | {"FALCONGATE_ADMIN_TOKEN": "short"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 2
    assert "environment: FALCONGATE_ADMIN_TOKEN: must be at least 16 characters" in done.stderr
    assert "short" not in done.stderr


def test_commands_act_on_all_gateways(server: RedisServer, sites: list[Site]) -> None:
    listed = command(server, "list")
    assert listed.returncode == 0
    assert "honest" in listed.stdout
    ordered = command(server, "disable", "honest", "--for", "15m", "--reason", "moving house")
    assert ordered.stdout.startswith("honest: DISABLED until 2")
    until(lambda: all_answer(sites, 503), "no worker lets it pass")
    assert 800 < int(ask(sites[0]).get("Retry-After") or 0) <= 900
    shown = command(server, "show", "honest").stdout
    assert "moving house" in shown
    assert "CLOSED DISABLED" in " ".join(shown.split())
    assert command(server, "enable", "honest").stdout == "honest: CLOSED\n"
    until(lambda: all_answer(sites, 200), "all let it pass again")
    told = json.loads(command(server, "show", "honest", "--json").stdout)
    assert [line["state"] for line in told["history"][:2]] == ["CLOSED", "DISABLED"]
    assert "@" in told["history"][0]["by"]


def test_commands_say_what_is_wrong(server: RedisServer) -> None:
    unknown = command(server, "show", "honst")
    assert unknown.returncode == 2
    assert "did you mean honest?" in unknown.stderr
    endless = command(server, "open", "honest", "--for", "ever")
    assert endless.returncode == 2
    assert "like 90s, 15m, 2h or 7d" in endless.stderr


def test_without_redis_the_status_is_what_a_worker_knows_and_orders_are_refused(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis")
    with ended(server), hosts(tmp_path, plan_on(server.url)) as (site,):
        server.kill()
        document = until(
            lambda: (told := ask(site, "/circuit-breaker/status/").json()) and not told["is_shared"] and told,
            "it is missed",
        )
        assert document["services"]["honest"]["state"] == "CLOSED"
        refused = order(site, "disable")
        assert refused.status == 503
        assert refused.json()["type"] == "/problems/state-unavailable"
        assert refused.get("Retry-After") == "1"
        gone = command(server, "list")
        assert gone.returncode == 1
        assert "Redis did not answer" in gone.stderr
