"""From settings to authenticated connections: one server, Sentinel's master or a cluster's nodes.

redis-py connects, speaks TLS, logs in, asks Sentinel and reads a cluster's map of slots. What is
said on a connection afterwards is the business of `redis_lane.py` and `subscriber.py`.
"""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import gevent
import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.connection import ConnectionPool, SSLConnection, parse_url
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import RedisClusterException
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from falcongate.errors import StoreAway
from falcongate.wire.certificates import why_refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falcongate.config.redis import RedisSettings

# Wall-clock for all of a connection: Sentinels that do not answer, TLS, the login. Nobody waits for it.
_CONNECT_S: Final = 2.0
_STEP_S: Final = 0.5
_SENTINEL: Final = "+sentinel"
_SENTINEL_PORT: Final = 26_379
_TLS_OPTIONS: Final = "ssl_"
HOW_TO_TRUST: Final = (
    "name its authority in redis.ca_file, or set REDIS_INSECURE_SKIP_VERIFY=true (redis.insecure_skip_verify)"
    " where the platform's own are self-signed, as Heroku's"
)
"""What to do when a server's certificate is refused."""


@contextmanager
def _answered() -> Iterator[None]:
    """Whatever redis-py runs into becomes StoreAway, in a time that is bounded."""
    try:
        with gevent.Timeout(_CONNECT_S, TimeoutError(f"no connection within {_CONNECT_S:.0f} s")):
            yield
    except (redis.RedisError, RedisClusterException, OSError) as error:
        raise StoreAway(_why(error)) from error


def _why(error: Exception) -> str:
    if reason := why_refused(error):
        return f"its certificate is refused: {reason}; {HOW_TO_TRUST}"
    return str(error) or type(error).__name__


class Node:
    """A server that can be connected to.

    `name` is for the log and holds no secret; `pool` is redis-py's, which knows how to connect.
    """

    __slots__ = ("name", "pool")

    def __init__(self, name: str, pool: ConnectionPool) -> None:
        self.name = name
        self.pool = pool

    def connect(self) -> Any:
        """A connected and authenticated redis-py connection of its own.

        Waits two seconds at most; raises StoreAway. With Sentinel, it is asked each time.
        """
        # The pool's own `get_connection` would keep count of connections that are never given back.
        connection = self.pool.connection_class(**self.pool.connection_kwargs)
        with _answered():
            connection.connect()
        return connection


def one_server(settings: RedisSettings) -> Node:
    """The server of the settings, or the master that Sentinel names."""
    url = _url_of(settings)
    scheme, _, rest = url.partition("://")
    if scheme.endswith(_SENTINEL):
        return _sentinel_node(settings, scheme.removesuffix(_SENTINEL), rest)
    return Node(_shown(url), ConnectionPool.from_url(url, **_options(settings)))


def sentinels_of(node: Node) -> Iterator[tuple[redis.Redis, str]]:
    """Clients for the Sentinels that are asked for a node, and by which name; none where it needs none."""
    if isinstance(node.pool, SentinelConnectionPool):
        for client in node.pool.sentinel_manager.sentinels:
            yield client, node.pool.service_name


def is_tls(settings: RedisSettings) -> bool:
    """Whether TLS is spoken with the servers of the settings."""
    return _url_of(settings).startswith("rediss")


def where_is(settings: RedisSettings) -> str:
    """The server of the settings by a name that holds no secret."""
    return _shown(_url_of(settings)) if settings.cluster else one_server(settings).name


class ClusterServers:
    """The masters of a cluster and which of them holds which slot."""

    def __init__(self, settings: RedisSettings) -> None:
        self._url = _url_of(settings)
        self._options = _options(settings)
        self._cluster: Any = None
        self._names: dict[int, str] = {}
        self.nodes: dict[str, Node] = {}
        """The masters by address, as of the last `load`."""

    def load(self) -> None:
        """Read the map of slots. Waits two seconds at most; raises StoreAway."""
        # redis-py forgets the addresses of the URL for those it has found, and all of these may be gone.
        cluster, self._cluster = self._cluster, None
        with _answered():
            if cluster is None:
                cluster = RedisCluster.from_url(self._url, require_full_coverage=False, **self._options)
            else:
                cluster.nodes_manager.initialize()
        self._cluster = cluster
        self._names = {slot: nodes[0].name for slot, nodes in cluster.nodes_manager.slots_cache.items()}
        found = {node.name: node for node in cluster.get_primaries()}
        self.nodes = {name: self.nodes.get(name) or _node(found[name]) for name in found}

    def uncovered(self) -> int:
        """How many slots no server holds, as of the last `load`."""
        return REDIS_CLUSTER_HASH_SLOTS - len(self._names)

    def any_node(self) -> Node:
        """One of the masters, for what is the same everywhere; raises StoreAway if none is known."""
        if not self.nodes:
            raise StoreAway("no server of the cluster is known")
        return random.choice(tuple(self.nodes.values()))  # noqa: S311  # to spread the load

    def name_of(self, slot: int) -> str:
        """The address of the master that holds a slot; "" when none is known."""
        return self._names.get(slot, "")


def slot_of(key: str) -> int:
    """The slot of a key, by its hash tag if it has one."""
    slot: int = key_slot(key.encode())
    return slot


def _node(found: Any) -> Node:
    return Node(found.name, found.redis_connection.connection_pool)


def _url_of(settings: RedisSettings) -> str:
    if settings.url is None:
        raise ValueError("redis.url is not set")
    return settings.url.get_secret_value()


def _options(settings: RedisSettings) -> dict[str, Any]:
    options: dict[str, Any] = {
        # redis-py's own ten retries and five seconds would hide an outage for a minute, and repeat
        # what may have happened already.
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": _STEP_S,
        "socket_connect_timeout": _STEP_S,
        # The older protocol has no messages that come unasked between the answers.
        "protocol": 2,
    }
    if is_tls(settings):
        options["ssl_ca_certs"] = settings.ca_file
        if settings.insecure_skip_verify:
            options |= {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    return options


def _sentinel_node(settings: RedisSettings, scheme: str, rest: str) -> Node:
    """The master of `[user:password@]host:port,host:port/service[/db][?options]`."""
    parts = urlsplit(f"{scheme}://{rest}")
    login, at, hosts = parts.netloc.rpartition("@")
    service, _, database = parts.path.strip("/").partition("/")
    master = parse_url(f"{scheme}://{login}{at}master/{database}?{parts.query}")  # type: ignore[no-untyped-call]
    del master["host"]
    is_tls = master.pop("connection_class", None) is SSLConnection
    master = _options(settings) | master | {"ssl": is_tls}
    watchers = {name: value for name, value in master.items() if name.startswith((_TLS_OPTIONS, "socket_"))}
    watchers |= {"ssl": is_tls, "retry": master["retry"], "protocol": 2}
    if settings.sentinel_password is not None:
        watchers["password"] = settings.sentinel_password.get_secret_value()
    addresses = [_address(host) for host in hosts.split(",")]
    sentinel = Sentinel(addresses, sentinel_kwargs=watchers)  # type: ignore[no-untyped-call]
    pool = SentinelConnectionPool(service, sentinel, **master)  # type: ignore[no-untyped-call]
    return Node(f"{service} of Sentinel", pool)


def _address(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    return parts.hostname or "", parts.port or _SENTINEL_PORT


def _shown(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    return f"{parts.hostname}:{parts.port or 6379}"
