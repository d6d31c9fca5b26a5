"""Redis on hosts of their own, watched by Sentinels or as a Cluster."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry

from tests.support.network import Host, Network
from tests.support.processes import until
from tests.support.redis_servers import RedisServer, SentinelServer, ended

REDIS_PORT, SENTINEL_PORT = 6379, 26379
_SLOTS = 16_384
_CLUSTERED = {
    "cluster_enabled": "yes",
    "cluster_config_file": "nodes.conf",
    "cluster_node_timeout": "1000",
    "cluster_require_full_coverage": "no",
    "repl_diskless_sync_delay": "0",
}
_REPLICATION = {
    "min_replicas_to_write": "1",
    "min_replicas_max_lag": "2",
    "repl_ping_replica_period": "1",
    "repl_timeout": "3",
    "repl_diskless_sync_delay": "0",
}


class _OnHost(RedisServer):
    """A server on a host of the network. The test looks into it by a Unix socket, whatever is cut."""

    def __init__(self, host: Host, directory: Path, *, port: int, **options: Any) -> None:  # noqa: ANN401
        self.host = host
        self._socket = str(directory / "socket")
        bind = f"{host.address} 127.0.0.1"
        super().__init__(
            directory, port=port, bind=bind, protected_mode="no", unixsocket=self._socket, **options
        )

    @property
    def address(self) -> tuple[str, int]:
        return self.host.address, self.port

    def start(self) -> None:
        with self.host.inside():
            super().start()

    def client(self, **options: Any) -> redis.Redis:  # noqa: ANN401  # redis-py's own options
        return redis.Redis(
            unix_socket_path=self._socket,
            socket_timeout=5,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
            **options,
        )


class RedisOnHost(_OnHost):
    """A Redis server on a host."""

    def charged(self, tenant: str) -> int:
        """What it says that this caller was charged."""
        with self.client() as client:
            with contextlib.suppress(redis.ResponseError):
                client.readonly()  # a cluster's replica would send us away
            keys = client.keys(f"falcongate:1:limit:{{header:X-Tenant:{tenant}}}:*")
            return sum(int(count) for key in keys for count in client.hvals(key))


class SentinelOnHost(_OnHost, SentinelServer):
    """A Sentinel on a host."""


class WatchedRedis(NamedTuple):
    """A master and its replicas, and the Sentinel beside each."""

    servers: list[RedisOnHost]
    sentinels: list[SentinelOnHost]

    @property
    def url(self) -> str:
        """How gateways are told of it."""
        watchers = ",".join("{}:{}".format(*sentinel.address) for sentinel in self.sentinels)
        return f"redis+sentinel://{watchers}/shared"

    def master(self, sentinel: SentinelOnHost | None = None) -> RedisOnHost:
        """The master, as this Sentinel or the first knows it."""
        with (sentinel or self.sentinels[0]).client() as client:
            ip, _ = client.sentinel_get_master_addr_by_name("shared")
        return next(server for server in self.servers if server.host.address == ip)

    @property
    def hosts(self) -> list[Host]:
        """Where they run."""
        return [server.host for server in self.servers]

    def places(self, key: str) -> int:
        """How many places of a concurrency limit are taken, as the master knows."""
        with self.master().client() as client:
            return int(client.zcard(f"falcongate:1:lease:{{{key}}}"))

    def is_whole(self) -> bool:
        """Whether all Sentinels agree on the master and both replicas follow it."""
        masters = {self.master(sentinel).host.name for sentinel in self.sentinels}
        with self.master().client() as client:
            told: Any = client.info("replication")
        return len(masters) == 1 and told["role"] == "master" and told.get("min_slaves_good_slaves") == 2


@contextlib.contextmanager
def redis_with_sentinels(network: Network, directory: Path) -> Iterator[WatchedRedis]:
    """A master and two replicas on `redis1` to `redis3`, each with a Sentinel beside it; killed at the end.

    A master whose replicas have been silent for 2 s takes no writes.
    """
    with contextlib.ExitStack() as stack:
        hosts = [network.host(f"redis{number}") for number in (1, 2, 3)]
        servers: list[RedisOnHost] = []
        for host in hosts:
            follows = {"replicaof": f"{hosts[0].address} {REDIS_PORT}"} if servers else {}
            servers.append(
                RedisOnHost(host, directory / host.name, port=REDIS_PORT, **_REPLICATION, **follows)
            )
            stack.enter_context(ended(servers[-1]))
        with servers[0].client() as client:
            until(lambda: client.info("replication")["min_slaves_good_slaves"] == 2, "both replicas follow")
        sentinels = []
        for host in hosts:
            place = directory / f"{host.name}-sentinel"
            sentinels.append(
                SentinelOnHost(host, place, port=SENTINEL_PORT, master=servers[0], votes=2, down_ms=1_000)
            )
            stack.enter_context(ended(sentinels[-1]))
            _look_often(sentinels[-1])
        until(lambda: all(map(_knows_all, sentinels)), "the Sentinels know all", within_s=30)
        yield WatchedRedis(servers, sentinels)


class RedisCluster(NamedTuple):
    """Three masters, and a replica of the first."""

    masters: list[RedisOnHost]
    replica: RedisOnHost

    def master_of(self, key: str) -> int:
        """Which of the masters held a key at first."""
        return int(key_slot(key.encode())) * len(self.masters) // _SLOTS

    def tenant_of(self, number: int, name: str) -> str:
        """A caller whose limits lie on that master, called like this."""
        names = (f"{name}-{attempt}" for attempt in itertools.count())
        return next(each for each in names if self.master_of(f"{{header:X-Tenant:{each}}}") == number)

    def is_whole(self) -> bool:
        """Whether all slots are served, and all servers know of all."""
        return all(_is_whole(server, 4) for server in (*self.masters, self.replica))


@contextlib.contextmanager
def redis_cluster(network: Network, directory: Path) -> Iterator[RedisCluster]:
    """A new cluster on `redis1` to `redis4`, the last of which follows the first; killed at the end."""
    with contextlib.ExitStack() as stack:
        servers = []
        for number in range(1, 5):
            host = network.host(f"redis{number}")
            servers.append(RedisOnHost(host, directory / host.name, port=REDIS_PORT, **_CLUSTERED))
            stack.enter_context(ended(servers[-1]))
        first = servers[0]
        clients = [stack.enter_context(server.client()) for server in servers]
        for number, client in enumerate(clients[:3]):
            client.execute_command(
                "CLUSTER", "ADDSLOTSRANGE", number * _SLOTS // 3, (number + 1) * _SLOTS // 3 - 1
            )
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for client in clients[1:]:
            client.execute_command("CLUSTER", "MEET", *first.address)
        until(lambda: all(_is_whole(server, 4) for server in servers), "they have met")
        clients[3].execute_command("CLUSTER", "REPLICATE", clients[0].execute_command("CLUSTER", "MYID"))
        until(lambda: clients[3].info("replication").get("master_link_status") == "up", "the replica follows")
        yield RedisCluster(servers[:3], servers[3])


def _is_whole(server: RedisOnHost, size: int) -> bool:
    with server.client() as client:
        told, nodes = (str(client.execute_command("CLUSTER", what)) for what in ("INFO", "NODES"))
    return "cluster_state:ok" in told and f"cluster_known_nodes:{size}" in told and "fail" not in nodes


def _look_often(sentinel: SentinelOnHost) -> None:
    """Let it ask servers what they are each second, not each ten, and believe it after two, not eight."""
    periods = ("INFO-PERIOD", "1000", "PUBLISH-PERIOD", "500")
    with sentinel.client() as client, contextlib.suppress(redis.ResponseError):  # before Redis 7 it cannot
        client.execute_command("SENTINEL", "DEBUG", *periods)


def _knows_all(sentinel: SentinelOnHost) -> bool:
    with sentinel.client() as client:
        told: Any = client.sentinel_master("shared")
    return bool(told["num-other-sentinels"] == 2 and told["num-slaves"] == 2)
