"""What a look at Redis means for the gateway, and what to do; pure."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, Final

from falcongate.findings import Finding, Level, ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from falcongate.state.redis_checkup import RedisLook, SentinelLook, ServerLook

LEAST_VERSION: Final = (6, 2)
"""`decisions_find.lua` goes on behind an entry of a stream, and such exclusive ranges came with 6.2."""
_ALMOST_FULL: Final = 0.8
_FULL: Final = 0.95
_CLOCK_WARNING_S: Final = 2.0
_CLOCK_PROBLEM_S: Final = 30.0
_SLOW_PART: Final = 0.5
_HOW_TO_LOOK: Final = "ask whoever runs it, or look on the provider's page"


def verdict_on(look: RedisLook, *, budget_ms: int) -> Iterator[Finding]:
    """A finding for each thing that matters, of each server."""
    for sentinel in look.sentinels:
        yield from _sentinel(sentinel)
    if look.sentinels and len(look.sentinels) < 3:
        yield warning(
            f"redis.url names {_many(len(look.sentinels), 'Sentinel')}: without any, no master is found",
            "name three, on hosts of their own",
        )
    if look.uncovered:
        yield problem(
            f"{look.uncovered} slots of the cluster are held by no server: what lies there counts as away",
            "see redis-cli --cluster check, and fix what it names",
        )
    for name, why in look.failed.items():
        yield problem(
            f"{name}: {why}; what lies there counts as away", "start it, or let a replica take over"
        )
    for server in look.servers:
        yield from _server(server, budget_ms)


def verdict_on_own(program: str | None, *, workers: int, hosts: str) -> Finding:
    """What it means that no Redis is configured; `hosts` are what a platform has several of, "" for none."""
    if program is None:
        remedy = "set REDIS_URL, install redis-server, or: pip install 'falcongate[embedded]'"
        found = "redis.url and REDIS_URL are not set, and there is no redis-server to start"
        if workers == 1 and not hosts:
            return ok(f"{found}; a single worker shares with nobody")
        return warning(f"{found}: each worker keeps its own limits and breakers", remedy)
    found = f"redis.url and REDIS_URL are not set: the gateway starts a Redis of its own ({program})"
    if hosts:
        return warning(f"{found}, and each of several {hosts} would count for itself", "set REDIS_URL")
    return ok(f"{found}, for the workers of this host alone")


def _server(server: ServerLook, budget_ms: int) -> Iterator[Finding]:
    name = server.name
    if server.info is None:
        yield warning(
            f"{name}: connected, and INFO may not be asked: version and memory are unknown",
            f"{_HOW_TO_LOOK}: Redis {_version(LEAST_VERSION)} or later, maxmemory-policy noeviction",
        )
    else:
        yield _release(name, server.info)
        yield from _role(name, server.info)
        yield _memory(name, server.info)
        yield _eviction(name, server.info)
    yield _latency(server, budget_ms)
    yield _clock(server)
    # A replica refuses all that writes.
    if server.refused is not None and (server.info or {}).get("role") != "slave":
        yield _rights(name, server.refused)


def _release(name: str, info: Mapping[str, Any]) -> Finding:
    # Valkey says which Redis it is like.
    text = str(info.get("redis_version", ""))
    kind = "Valkey" if "valkey_version" in info else "Redis"
    parts = text.split(".")
    if not all(part.isdecimal() for part in parts[:2]) or len(parts) < 2:
        return warning(
            f"{name}: says it is version {text!r}",
            f"make sure it does what Redis {_version(LEAST_VERSION)} does",
        )
    shown = str(info.get("valkey_version", text))
    if (int(parts[0]), int(parts[1])) < LEAST_VERSION:
        return problem(
            f"{name}: {kind} {shown} is too old: `falcongate why` and others of the scripts fail there",
            f"upgrade it to Redis {_version(LEAST_VERSION)} or later, or Valkey",
        )
    return ok(f"{name}: connected; {kind} {shown}, {_version(LEAST_VERSION)} is needed")


def _role(name: str, info: Mapping[str, Any]) -> Iterator[Finding]:
    if info.get("role") == "slave":
        yield problem(
            f"{name}: is a replica, which takes no writes",
            "give redis.url the address of the master, or of the Sentinels that know it",
        )


def _memory(name: str, info: Mapping[str, Any]) -> Finding:
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not most:
        return ok(f"{name}: {_mib(used)} used, without a maxmemory")
    share = used / most
    found = f"{name}: {_mib(used)} of {_mib(most)} used ({share:.0%})"
    remedy = "give it more memory, or to the gateway alone: when it is full, counters are lost or refused"
    if share >= _FULL:
        return problem(found, remedy)
    return warning(found, remedy) if share >= _ALMOST_FULL else ok(found)


def _eviction(name: str, info: Mapping[str, Any]) -> Finding:
    policy = str(info.get("maxmemory_policy", ""))
    if not policy:
        return warning(
            f"{name}: does not tell its maxmemory-policy", f"{_HOW_TO_LOOK}: it should be noeviction"
        )
    found = f"{name}: maxmemory-policy is {policy}"
    if policy == "noeviction":
        return ok(found)
    remedy = (
        "set it to noeviction (redis-cli CONFIG SET maxmemory-policy noeviction, and in redis.conf;"
        " on Heroku: heroku redis:maxmemory --policy noeviction)"
    )
    if policy.startswith("volatile"):
        return warning(
            f"{found}: when memory is full, limits begin anew and revoked tokens may be forgotten", remedy
        )
    return problem(
        f"{found}: when memory is full, API keys, orders to breakers and the audit may be dropped", remedy
    )


def _latency(server: ServerLook, budget_ms: int) -> Finding:
    middle, worst = median(server.pings_ms), max(server.pings_ms)
    found = (
        f"{server.name}: a PING takes {middle:.1f} ms, {worst:.1f} ms at the worst of {len(server.pings_ms)};"
        f" a request waits {budget_ms} ms at most (redis.budget_ms)"
    )
    if middle >= budget_ms:
        return problem(
            found,
            "move gateway and Redis closer together; until then each policy does without (on_store_failure)",
        )
    if worst >= budget_ms or middle >= budget_ms * _SLOW_PART:
        return warning(
            found, "look for slow commands (redis-cli --latency, SLOWLOG GET), or raise redis.budget_ms"
        )
    return ok(found)


def _clock(server: ServerLook) -> Finding:
    ahead_s = server.clock_ahead_s
    sure = max(abs(ahead_s) - server.clock_sure_s, 0.0)
    where = "ahead of" if ahead_s > 0 else "behind"
    found = f"{server.name}: its clock is {abs(ahead_s):.1f} s {where} this machine's"
    if sure < _CLOCK_WARNING_S:
        return ok(f"{server.name}: its clock and this machine's agree within {abs(ahead_s) + 0.1:.1f} s")
    means = "limits and breakers go by the clock of Redis, ends of tokens and certificates by this machine's"
    remedy = "find out which is wrong (date -u on both), and have it set by NTP"
    return Finding(Level.PROBLEM if sure >= _CLOCK_PROBLEM_S else Level.WARNING, f"{found}; {means}", remedy)


def _rights(name: str, refused: Mapping[str, str]) -> Finding:
    if not refused:
        return ok(f"{name}: every command that the gateway needs is allowed")
    command, said = next(iter(refused.items()))
    others = f" (and {', '.join(list(refused)[1:])})" if len(refused) > 1 else ""
    return problem(
        f"{name}: {command}{others} cannot be used: {said}",
        "let this user use scripts, publish and subscribe, on keys and channels that begin with falcongate:"
        " (ACL SETUSER ... ~falcongate:* &falcongate:* +@all -@admin -@dangerous +info)",
    )


def _sentinel(sentinel: SentinelLook) -> Iterator[Finding]:
    name = f"Sentinel {sentinel.name}"
    if sentinel.failed:
        yield warning(
            f"{name} is of no use: {sentinel.failed}",
            "start it, or correct its address and the name of the master in redis.url",
        )
    elif sentinel.quorum_error:
        yield problem(
            f"{name}: no failover would happen: {sentinel.quorum_error}",
            "start the Sentinels that are missing, or lower the quorum",
        )
    elif not sentinel.replicas:
        yield warning(
            f"{name}: the master has no replica that could take over", "start one (replicaof in redis.conf)"
        )
    else:
        yield ok(f"{name}: {_many(sentinel.replicas, 'replica')}, and enough Sentinels for a failover")


def _version(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _mib(size: int) -> str:
    return f"{size / 1_048_576:.1f} MiB"


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"
