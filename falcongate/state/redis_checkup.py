"""A look at the Redis of a configuration, as a new worker would find it.

Here it is asked; what the answers mean is told by `redis_verdict.py`. Nothing of what the gateway keeps
there is read or changed. For processes of their own, such as commands: waits on plain sockets.
"""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import redis

from falcongate.errors import StoreAway
from falcongate.findings import problem
from falcongate.state.keys import WRITE_TEST
from falcongate.state.redis_call import Script
from falcongate.state.redis_client import (
    HOW_TO_TRUST,
    ClusterServers,
    Node,
    is_tls,
    one_server,
    sentinels_of,
    slot_of,
    where_is,
)
from falcongate.wire.certificates import is_no_tls, why_refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from falcongate.config.redis import RedisSettings
    from falcongate.findings import Finding

_PINGS: Final = 30
_PINGS_FOR_S: Final = 2.0
_SCRIPT: Final = Script("checkup")
_NO_SCRIPT: Final = "0" * 40
COMMANDS: Final = (
    "TIME", "PUBLISH K -", "EXISTS K", "TTL K", "PTTL K",
    "HSET K f 1", "HGET K f", "HGETALL K", "HMGET K f", "HEXISTS K f", "HINCRBY K f 1",
    "EXPIRE K 60", "PEXPIRE K 60000", "PERSIST K", "HDEL K f", "DEL K",
    "ZADD K 1 m", "ZCARD K", "ZINCRBY K 1 m", "ZSCORE K m", "ZRANGEBYSCORE K 0 9", "ZREVRANGE K 0 0",
    "ZREMRANGEBYSCORE K 8 9", "ZREMRANGEBYRANK K 8 9", "ZREM K m", "DEL K",
    "XADD K MAXLEN ~ 1 * f v", "XREVRANGE K + - COUNT 1",
)  # fmt: skip
"""What scripts do, as `scripts/checkup.lua` tries it: all that they need, once."""


@dataclass(frozen=True, slots=True)
class ServerLook:
    """What one server has shown.

    `info` is what INFO says, None if that may not be asked. `pings_ms` are round trips. `clock_ahead_s` is
    how far its clock is before this machine's, give or take `clock_sure_s`. `refused` are commands that
    were not done, with what was said, None if that was not tried.
    """

    name: str
    info: Mapping[str, Any] | None
    pings_ms: Sequence[float]
    clock_ahead_s: float
    clock_sure_s: float
    refused: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class SentinelLook:
    """What one Sentinel says of the master it was asked for; `failed` why it says nothing, else ""."""

    name: str
    failed: str
    replicas: int = 0
    quorum_error: str = ""


@dataclass(frozen=True, slots=True)
class RedisLook:
    """Everything that was seen.

    Of a cluster, `failed` are servers that say nothing, with why; `uncovered` is how many slots nobody holds.
    """

    servers: Sequence[ServerLook]
    sentinels: Sequence[SentinelLook] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    uncovered: int = 0


def look_at_redis(settings: RedisSettings) -> RedisLook:
    """Ask the servers of the settings. Waits some seconds at most; raises StoreAway."""
    if settings.cluster:
        return _look_at_cluster(settings)
    node = one_server(settings)
    sentinels = tuple(_look_at_sentinel(client, service) for client, service in sentinels_of(node))
    try:
        return RedisLook((_look_at(node, tries=True),), sentinels)
    except StoreAway as error:
        if sentinels and all(sentinel.failed for sentinel in sentinels):
            failed = "; ".join(f"{sentinel.name}: {sentinel.failed}" for sentinel in sentinels)
            raise StoreAway(f"no Sentinel answers: {failed}") from error
        raise


def why_away(settings: RedisSettings, error: StoreAway) -> Finding:
    """What it means that the servers could not be asked."""
    name, cause = where_is(settings), error.__cause__
    if reason := why_refused(error):
        return problem(f"{name}: its certificate is refused: {reason}", HOW_TO_TRUST)
    if is_no_tls(error):
        return problem(
            f"{name}: no TLS is spoken there", "write redis:// instead of rediss://, or its other port"
        )
    found = f"{name}: {error}"
    if isinstance(cause, redis.AuthenticationError):
        remedy = "correct user and password in REDIS_URL or redis.url, like redis://user:password@host"
    elif isinstance(cause, redis.TimeoutError | TimeoutError):
        # Redis waits for the end of what it takes for a line.
        tls = ", and whether it speaks TLS on this port, as rediss:// says" if is_tls(settings) else ""
        remedy = f"see whether it is stalled or overloaded, whether a firewall drops packets to it{tls}"
    elif "Sentinel" in name:
        remedy = "start the Sentinels, or correct their addresses and the name of the master in redis.url"
    else:
        remedy = "start it, or correct REDIS_URL or redis.url; with rediss:// if it speaks TLS on this port"
    return problem(found, remedy)


def _look_at_cluster(settings: RedisSettings) -> RedisLook:
    servers = ClusterServers(settings)
    servers.load()
    holder = servers.name_of(slot_of(WRITE_TEST))
    looks, failed = [], {}
    for name, node in sorted(servers.nodes.items()):
        try:
            looks.append(_look_at(node, tries=name == holder))
        except StoreAway as error:
            failed[name] = str(error)
    return RedisLook(looks, failed=failed, uncovered=servers.uncovered())


def _look_at(node: Node, *, tries: bool) -> ServerLook:
    # So that what is wrong with a connection is said as a worker's log would say it.
    node.connect().disconnect()
    client: Any = redis.Redis(connection_pool=node.pool)
    try:
        pings_ms = _pings_ms(client)
        info: Mapping[str, Any] | None = None
        with suppress(redis.ResponseError):
            info = client.info()
        ahead_s, sure_s = _clock(client)
        return ServerLook(node.name, info, pings_ms, ahead_s, sure_s, _refused(client) if tries else None)
    except (redis.RedisError, OSError) as error:
        raise StoreAway(str(error) or type(error).__name__) from error
    finally:
        client.close()
        node.pool.disconnect()


def _pings_ms(client: Any) -> list[float]:
    took: list[float] = []
    end = monotonic() + _PINGS_FOR_S
    while len(took) < _PINGS and (not took or monotonic() < end):
        asked = monotonic()
        client.ping()
        took.append((monotonic() - asked) * 1_000)
    return took


def _clock(client: Any) -> tuple[float, float]:
    asked, here = monotonic(), dt.datetime.now(dt.UTC).timestamp()
    seconds, micros = client.time()
    half = (monotonic() - asked) / 2
    return seconds + micros / 1e6 - (here + half), half


def _refused(client: Any) -> dict[str, str]:
    """Commands that may not be used, or do not work, and what the server says."""
    refused: dict[str, str] = {}

    def attempt(name: str, *words: str | int | bytes) -> Any:
        try:
            return client.execute_command(name, *words)
        except redis.exceptions.NoScriptError:
            return None
        except redis.ResponseError as error:
            refused[name] = str(error)
            return None

    # Workers send the hash first.
    attempt("EVALSHA", _NO_SCRIPT, 0)
    said = attempt("EVAL", _SCRIPT.text, 1, WRITE_TEST, *COMMANDS) or ()
    words = [word.decode("utf-8", "replace") for word in said]
    refused.update(zip(words[::2], words[1::2], strict=True))
    try:
        with client.pubsub() as subscription:
            subscription.subscribe(WRITE_TEST)
            subscription.get_message(timeout=1.0)
    except redis.ResponseError as error:
        refused["SUBSCRIBE"] = str(error)
    return refused


def _look_at_sentinel(client: Any, service: str) -> SentinelLook:
    place = client.connection_pool.connection_kwargs
    name = f"{place['host']}:{place['port']}"
    try:
        told: Any = client.execute_command("SENTINEL MASTER", service)
        quorum_error = ""
        try:
            client.execute_command("SENTINEL CKQUORUM", service)
        except redis.ResponseError as error:
            quorum_error = str(error)
    except (redis.RedisError, OSError) as error:
        return SentinelLook(name, str(error) or type(error).__name__)
    return SentinelLook(name, "", int(told["num-slaves"]), quorum_error)
