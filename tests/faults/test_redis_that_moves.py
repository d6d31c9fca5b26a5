"""What was one server becomes another, while callers ask all the time: Sentinel and Cluster.

What holds in `test_redis_that_fails.py` holds here too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.line_process import LineProcess
from tests.support.processes import until
from tests.support.redis_servers import (
    SERVER,
    cluster,
    watched_pair,
)

pytestmark = pytest.mark.skipif(SERVER is None, reason="there is no redis-server to break")


def test_failover_by_sentinel(tmp_path: Path, worker_of: Callable[..., LineProcess]) -> None:
    """The master is killed under load; Sentinel makes its replica the master."""
    with watched_pair(tmp_path) as (master, replica, url):
        worker = worker_of(url=url)

        master.kill()
        worker.await_degraded()
        worker.check()
        until(lambda: not worker.seen()["is_degraded"], "the new master is found", within_s=40)
        worker.await_health()
        worker.check()
        with replica.client() as client:
            assert client.exists("key:0")


def test_one_master_of_a_cluster(tmp_path: Path, worker_of: Callable[..., LineProcess]) -> None:
    """One of three masters stalls: the keys of the others are answered all the time."""
    with cluster(tmp_path / "cluster") as servers:
        worker = worker_of(url=servers[0].url, cluster=True)

        servers[1].stall()
        worker.await_degraded()
        answers = worker.seen()["answers"]
        until(lambda: worker.seen()["answers"] > answers + 50, "others are answered")
        worker.check()

        servers[1].go_on()
        worker.await_health()
        worker.check()


def test_a_slot_of_a_cluster_that_moves(tmp_path: Path, worker_of: Callable[..., LineProcess]) -> None:
    """A slot is taken over by another master, key by key, under load."""
    with cluster(tmp_path / "cluster") as servers, contextlib.ExitStack() as stack:
        # Nobody is to be lost on the way; the pauses of a busy machine are another matter.
        worker = worker_of(url=servers[0].url, cluster=True, budget_ms=2_000)
        clients = [stack.enter_context(server.client()) for server in servers]
        slot = clients[0].execute_command("CLUSTER", "KEYSLOT", "key:0")
        owner = next(
            client for client in clients if client.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot)
        )
        new = next(client for client in clients if client is not owner)
        ids = {client: client.execute_command("CLUSTER", "MYID") for client in (owner, new)}

        new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[owner])
        owner.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[new])
        port = new.connection_pool.connection_kwargs["port"]
        owner.execute_command("MIGRATE", "127.0.0.1", port, "key:0", 0, 5000)
        answers = worker.seen()["answers"]
        until(lambda: worker.seen()["answers"] > answers + 100, "callers are answered")
        for client in (new, owner):
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[new])
        answers = worker.seen()["answers"]
        until(lambda: worker.seen()["answers"] > answers + 100, "callers are answered")

        assert worker.seen()["away"] == 0, worker.seen()["reasons"]
        worker.check()
        assert new.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot) == 1
