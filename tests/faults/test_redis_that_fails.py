"""Redis stalls, ends, forgets, refuses or is slow, while callers ask all the time.

In each case nobody waits much longer than the budget, who is not answered gets StoreAway, no answer
reaches another's question, and all is well again without anybody's doing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Authority
from tests.support.line_process import LineProcess
from tests.support.processes import until
from tests.support.redis_servers import (
    SERVER,
    RedisServer,
    ended,
    free_port,
)
from tests.support.slow_wire import SlowWire

pytestmark = pytest.mark.skipif(SERVER is None, reason="there is no redis-server to break")


@pytest.fixture
def worker(server: RedisServer, worker_of: Callable[..., LineProcess]) -> LineProcess:
    return worker_of(url=server.url)


def test_stopped_in_the_middle(server: RedisServer, worker: LineProcess) -> None:
    """SIGSTOP, and much later SIGCONT."""
    server.stall()
    worker.await_degraded()
    assert worker.seen()["away"]
    worker.check()

    server.go_on()
    worker.await_health()
    worker.check()


def test_killed_and_started_empty(server: RedisServer, worker: LineProcess) -> None:
    """SIGKILL; the new server knows no key and no script."""
    server.kill()
    worker.await_degraded()
    worker.check()

    server.start()
    worker.await_health()
    worker.check()
    assert worker.seen()["changes"][-1] is False


def test_script_cache_flushed(server: RedisServer, worker: LineProcess) -> None:
    """SCRIPT FLUSH under load: nobody notices."""
    with server.client() as client:
        for _ in range(5):
            client.script_flush()
            answers = worker.seen()["answers"]
            until(lambda: worker.seen()["answers"] > answers + 20, "callers are answered")  # noqa: B023
    assert worker.seen()["away"] == 0, worker.seen()["reasons"]
    worker.check()


def test_became_a_read_only_replica(server: RedisServer, worker: LineProcess, tmp_path: Path) -> None:
    """REPLICAOF another server, and back."""
    other = RedisServer(tmp_path / "other")
    with ended(other), server.client() as client:
        client.replicaof("127.0.0.1", str(other.port))
        worker.await_degraded()
        assert any("READONLY" in reason for reason in worker.seen()["reasons"])
        worker.check()

        client.replicaof("NO", "ONE")
        worker.await_health()
    worker.check()


def test_out_of_memory(server: RedisServer, worker: LineProcess) -> None:
    """The memory cap is reached, and raised."""
    with server.client() as client:
        client.config_set("maxmemory", "1")
        worker.await_degraded()
        assert any("OOM" in reason for reason in worker.seen()["reasons"])
        worker.check()

        client.config_set("maxmemory", "0")
        worker.await_health()
    worker.check()


def test_slow(server: RedisServer, worker_of: Callable[..., LineProcess]) -> None:
    """Each answer takes 200 ms on its way, later none again."""
    with SlowWire(server.port) as wire:
        worker = worker_of(url=f"redis://127.0.0.1:{wire.port}")
        wire.delay_s = 0.2
        worker.await_degraded()
        worker.check()

        wire.delay_s = 0.0
        worker.await_health()
        worker.check()


def test_a_subscription_comes_back_and_says_so(server: RedisServer, worker: LineProcess) -> None:
    """Killed and started anew: what is published afterwards arrives, and the gap was told of."""
    with server.client() as client:
        until(lambda: client.publish("news", "before"), "there is a subscriber")
    until(lambda: "before" in worker.seen()["messages"], "the message has arrived")
    begun = worker.seen()["subscribed"]

    server.kill()
    server.start()
    until(lambda: worker.seen()["subscribed"] > begun, "the subscription is back")
    with server.client() as client:
        assert client.publish("news", "after")
    until(lambda: "after" in worker.seen()["messages"], "the message has arrived")


def test_a_subscription_leaves_a_server_that_is_silent(server: RedisServer, worker: LineProcess) -> None:
    """SIGSTOP: no connection ends, and still the gap is noticed."""
    until(lambda: worker.seen()["subscribed"] == 1, "the subscription stands")
    server.stall()
    until(lambda: "subscription to news is interrupted" in worker.log(), "the silence is noticed")
    server.go_on()
    until(lambda: worker.seen()["subscribed"] > 1, "the subscription is back")


@pytest.mark.parametrize("trust", ["ca_file", "insecure_skip_verify", ""])
def test_certificates(tmp_path: Path, trust: str) -> None:
    """An authority of the operator's own: trusted, not looked at, or unknown, and then not spoken to."""
    authority = Authority("ca", tmp_path)
    pair = str(authority.issue("localhost"))
    server = RedisServer(
        tmp_path / "redis",
        tls_port=str(tls_port := free_port()),
        tls_cert_file=pair,
        tls_key_file=pair,
        tls_ca_cert_file=str(authority.file),
        tls_auth_clients="no",
    )
    choices: dict[str, dict[str, Any]] = {
        "ca_file": {"ca_file": str(authority.file)},
        "insecure_skip_verify": {"insecure_skip_verify": True},
    }
    settings = choices.get(trust, {})
    with ended(server):
        worker = LineProcess(tmp_path / "worker", {"url": f"rediss://localhost:{tls_port}"} | settings)
        try:
            if trust:
                until(lambda: worker.seen()["answers"], "the first connection is made")
                worker.await_health()
            else:
                worker.await_degraded()
                assert worker.seen()["answers"] == 0
                reasons = worker.seen()["reasons"]
                assert any("its certificate is refused" in reason for reason in reasons)
                assert any("REDIS_INSECURE_SKIP_VERIFY" in reason for reason in reasons)
            worker.check()
        finally:
            worker.end()
