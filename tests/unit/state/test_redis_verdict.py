"""What a look at Redis means, rule by rule; that scripts need nothing which is not tried."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from falcongate.findings import Finding, Level
from falcongate.state.redis_call import SCRIPTS
from falcongate.state.redis_checkup import COMMANDS, RedisLook, SentinelLook, ServerLook
from falcongate.state.redis_verdict import verdict_on, verdict_on_own

INFO = {
    "redis_version": "7.0.15",
    "role": "master",
    "used_memory": 10,
    "maxmemory": 100,
    "maxmemory_policy": "noeviction",
}
GOOD = ServerLook("redis:6379", INFO, (0.5,) * 30, 0.01, 0.001, {})
USED = re.compile(r"redis\.p?call\('(\w+)'")


def all_findings(look: RedisLook) -> list[Finding]:
    """The verdict on a look."""
    return list(verdict_on(look, budget_ms=50))


def bad(server: ServerLook) -> list[Finding]:
    """What is wrong with one server."""
    return [one for one in all_findings(RedisLook((server,))) if one.level != Level.OK]


def with_info(**info: object) -> ServerLook:
    """The good server, but for what INFO says."""
    return replace(GOOD, info=INFO | info)


def test_a_good_server() -> None:
    assert not bad(GOOD)
    assert "connected; Redis 7.0.15, 6.2 is needed" in all_findings(RedisLook((GOOD,)))[0].found


@pytest.mark.parametrize(
    ("info", "level"),
    [
        ({"redis_version": "6.2.0"}, None),
        ({"redis_version": "6.0.20"}, Level.PROBLEM),
        ({"redis_version": "5.0.14"}, Level.PROBLEM),
        ({"redis_version": "255.255.255"}, None),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, None),
        ({"redis_version": "unstable"}, Level.WARNING),
        ({"redis_version": ""}, Level.WARNING),
    ],
)
def test_versions(info: dict[str, str], level: Level | None) -> None:
    assert [finding.level for finding in bad(with_info(**info))] == ([level] if level else [])


@pytest.mark.parametrize(
    ("policy", "level"),
    [
        ("noeviction", None),
        ("volatile-ttl", Level.WARNING),
        ("volatile-lru", Level.WARNING),
        ("allkeys-lru", Level.PROBLEM),
        ("allkeys-random", Level.PROBLEM),
        ("", Level.WARNING),
    ],
)
def test_what_is_dropped_when_memory_is_full(policy: str, level: Level | None) -> None:
    found = bad(with_info(maxmemory_policy=policy))
    assert [finding.level for finding in found] == ([level] if level else [])
    assert all("noeviction" in finding.remedy for finding in found)


@pytest.mark.parametrize(
    ("used", "most", "level"),
    [
        (79, 100, None),
        (80, 100, Level.WARNING),
        (95, 100, Level.PROBLEM),
        (120, 100, Level.PROBLEM),
        (1, 0, None),
    ],
)
def test_memory(used: int, most: int, level: Level | None) -> None:
    found = bad(with_info(used_memory=used, maxmemory=most))
    assert [finding.level for finding in found] == ([level] if level else [])


@pytest.mark.parametrize(
    ("pings_ms", "level"),
    [
        ((1.0, 49.0, 1.0), None),
        ((1.0, 50.0, 1.0), Level.WARNING),
        ((25.0, 25.0), Level.WARNING),
        ((50.0, 50.0), Level.PROBLEM),
    ],
)
def test_latency_against_the_budget(pings_ms: tuple[float, ...], level: Level | None) -> None:
    found = bad(replace(GOOD, pings_ms=pings_ms))
    assert [finding.level for finding in found] == ([level] if level else [])


@pytest.mark.parametrize(
    ("ahead_s", "sure_s", "level", "where"),
    [
        (1.9, 0.0, None, ""),
        (-2.0, 0.001, None, ""),
        (2.1, 0.01, Level.WARNING, "ahead of"),
        (-3.0, 0.5, Level.WARNING, "behind"),
        (-30.5, 0.5, Level.PROBLEM, "behind"),
    ],
)
def test_clocks(ahead_s: float, sure_s: float, level: Level | None, where: str) -> None:
    found = bad(replace(GOOD, clock_ahead_s=ahead_s, clock_sure_s=sure_s))
    assert [finding.level for finding in found] == ([level] if level else [])
    assert all(where in finding.found for finding in found)


def test_a_provider_that_tells_nothing() -> None:
    (finding,) = bad(replace(GOOD, info=None))
    assert finding.level == Level.WARNING
    assert "unknown" in finding.found
    assert "6.2" in finding.remedy


def test_a_replica_is_told_once() -> None:
    replica = replace(with_info(role="slave"), refused={"HSET": "READONLY"})
    (finding,) = bad(replica)
    assert "is a replica" in finding.found


def test_what_is_not_allowed_is_named_with_what_the_server_says() -> None:
    (finding,) = bad(replace(GOOD, refused={"EVAL": "NOPERM no", "SUBSCRIBE": "NOPERM neither"}))
    assert "EVAL (and SUBSCRIBE) cannot be used: NOPERM no" in finding.found
    assert "ACL SETUSER" in finding.remedy
    assert not bad(replace(GOOD, refused=None))


@pytest.mark.parametrize(
    ("sentinel", "level"),
    [
        (SentinelLook("s:1", "", 1), Level.OK),
        (SentinelLook("s:1", "", 0), Level.WARNING),
        (SentinelLook("s:1", "no route"), Level.WARNING),
        (SentinelLook("s:1", "", 1, "NOQUORUM"), Level.PROBLEM),
    ],
)
def test_sentinels(sentinel: SentinelLook, level: Level) -> None:
    found = all_findings(RedisLook((GOOD,), (sentinel,) * 3))
    assert [finding.level for finding in found[:3]] == [level] * 3
    assert not any("names" in finding.found for finding in found)


def test_one_sentinel_is_few() -> None:
    found = all_findings(RedisLook((GOOD,), (SentinelLook("s:1", "", 1),)))
    assert "redis.url names 1 Sentinel:" in found[1].found


def test_a_cluster_with_holes() -> None:
    found = all_findings(RedisLook((GOOD,), failed={"b:1": "refused"}, uncovered=3))
    assert [finding.level for finding in found[:2]] == [Level.PROBLEM] * 2
    assert "3 slots" in found[0].found
    assert "b:1: refused" in found[1].found


@pytest.mark.parametrize(
    ("program", "workers", "hosts", "level"),
    [
        ("/bin/redis-server", 2, "", Level.OK),
        ("/bin/redis-server", 2, "dynos", Level.WARNING),
        (None, 1, "", Level.OK),
        (None, 2, "", Level.WARNING),
        (None, 1, "dynos", Level.WARNING),
    ],
)
def test_no_redis_is_configured(program: str | None, workers: int, hosts: str, level: Level) -> None:
    assert verdict_on_own(program, workers=workers, hosts=hosts).level == level


def test_all_that_scripts_use_is_tried() -> None:
    scripts = [path for path in SCRIPTS.glob("*.lua") if path.stem != "checkup"]
    used = {name for path in scripts for name in USED.findall(path.read_text("utf-8"))}
    assert len(used) > 20
    assert used <= {command.split()[0] for command in COMMANDS}
