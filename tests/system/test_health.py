"""What the gateway says of itself."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.callers import Caller
from tests.support.processes import GatewayProcess, until
from tests.support.redis_servers import SERVER, RedisServer, ended
from tests.support.upstreams import refusing_port
from tests.support.world import Plan, Visit, running


def test_health_is_a_document_of_what_the_gateway_knows(world: Visit) -> None:
    answer = world.get("/health/")
    assert answer.status == 200
    assert (answer.get("Content-Type") or "").startswith("application/json")
    document = answer.body.json()
    assert document["status"] in ("healthy", "degraded")
    assert document["service"]
    assert document["version"]
    stamp = document["timestamp"]
    if isinstance(stamp, str):
        assert datetime.fromisoformat(stamp).tzinfo is not None
    assert {"redis", "honest", "messaging"} <= set(document["dependencies"])
    assert "circuit_breaker" in document
    for secret in (b"127.0.0.1", b"redis://"):
        assert secret not in answer.content


def test_everybody_else_is_told_the_status_and_no_more(world: Visit) -> None:
    document = world.get("/health/", [("Via", "1.1 somebody")]).json()
    assert document.keys() == {"status"}
    assert document["status"] in ("healthy", "degraded")


@pytest.mark.parametrize("path", ["/health/live/", "/health/ready/"])
def test_schedulers_get_an_answer_of_their_own(world: Visit, path: str) -> None:
    assert world.get(path).status == 200


def test_health_does_not_ask_the_services(world: Visit) -> None:
    """Every scripted service listens but never accepts: asking one of them would take its deadline."""
    begun = len(world.honest.begun)
    started = time.monotonic()
    assert world.get("/health/").status == 200
    assert time.monotonic() - started < 2
    assert len(world.honest.begun) == begun


@pytest.mark.parametrize("path", ["/health/", "/health/live", "/metrics/"])
def test_head_is_answered_without_a_body(world: Visit, path: str) -> None:
    with world.caller() as caller:
        assert caller.exchange("HEAD", path).status == 200
        assert caller.get("/health/live").status == 200


@pytest.mark.parametrize("path", ["/health/", "/health/ready", "/metrics"])
def test_what_can_only_be_read_refuses_other_methods(world: Visit, path: str) -> None:
    answer = world.exchange("POST", path, body=b"x")
    assert answer.status == 405
    assert "GET" in (answer.get("Allow") or "")
    assert answer.json()["type"] == "/problems/method-not-allowed"


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Visit]:
    """A gateway whose Redis and one of whose services refuse connections."""
    with refusing_port() as redis, refusing_port() as service:
        settings = {
            "redis": {"url": f"redis://:s3cr3t@127.0.0.1:{redis}/0"},
            "services": {"gone": {"url": f"http://127.0.0.1:{service}"}},
        }
        with running(Plan("broken", settings, 0), tmp_path) as site:
            visit = Visit(site)
            yield visit
            visit.leave()


def test_what_is_away_makes_it_degraded_and_stops_nobody(broken: Visit) -> None:
    assert broken.get("/api/gone/x").status == 502
    document = until(lambda: _degraded(broken), "it is degraded")
    assert document["dependencies"]["gone"] == "unreachable"
    assert document["dependencies"]["redis"] == "unreachable"
    assert broken.get("/health/ready").status == 200
    assert broken.get("/api/honest/x").status == 200
    assert "s3cr3t" not in broken.gateway.stderr() + broken.gateway.stdout()


def _degraded(world: Visit) -> dict[str, Any] | None:
    answer = world.get("/health/")
    assert answer.status == 200
    document: dict[str, Any] = answer.body.json()
    states = document["dependencies"]
    away = [name for name in ("gone", "redis") if states[name] == "unreachable"]
    return document if document["status"] == "degraded" and len(away) == 2 else None


@pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")
def test_gateways_on_one_redis_know_of_each_other(tmp_path: Path) -> None:
    """Two gateways as two hosts would be; one is killed, and after a while the other knows."""
    for name in ("redis", "first", "second"):
        (tmp_path / name).mkdir()
    server = RedisServer(tmp_path / "redis")
    with ended(server), contextlib.ExitStack() as stack:
        plan = Plan("pair", {"redis": {"url": server.url}}, 0)
        first, second = (
            stack.enter_context(running(plan, tmp_path / name)).gateway for name in ("first", "second")
        )
        until(lambda: len(_hosts(first)) == 2 and _hosts(first) == _hosts(second), "both know both")
        assert _workers(first) == {first.pid: 1, second.pid: 1}
        second.allow_deaths()
        second.signal(signal.SIGTTIN)
        until(lambda: _workers(first) == {first.pid: 1, second.pid: 2}, "one more is told of")
        second.signal(signal.SIGTTOU)
        # The one that is left began when there were two.
        until(lambda: _workers(first) == {first.pid: 1, second.pid: 1}, "and one less")
        second.kill()
        until(lambda: _workers(first) == {first.pid: 1}, "it is missed")


def _workers(gateway: GatewayProcess) -> dict[int, int]:
    """How many workers each host has that a gateway knows of, by the number of its master."""
    return {_master_in(host["name"]): host["workers"] for host in _hosts(gateway)}


def _master_in(name: str) -> int:
    return int(name.rpartition(":")[2].partition("-")[0])


def _hosts(gateway: GatewayProcess) -> list[dict[str, Any]]:
    with Caller(gateway.address) as caller:
        document: dict[str, Any] = caller.get("/health/").body.json()
    assert document["dependencies"]["redis"] == "connected"
    said = {(host["version"], host["configuration"]) for host in document["hosts"]}
    assert (document["version"], document["configuration"]) in said
    hosts: list[dict[str, Any]] = document["hosts"]
    return hosts
