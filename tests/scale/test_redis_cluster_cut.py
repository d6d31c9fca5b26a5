"""A Redis Cluster of three masters, one with a replica, that gateways share; callers ask all the time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.scale.promises import (
    BUDGET_S,
    LIMIT,
    PART,
    SERVICES,
    SETTINGS,
    WINDOW_S,
    Record,
    ask_of_all,
    assert_nobody_waits,
    needs_networks,
    record_waits,
    redis_of,
)
from tests.support.many_hosts import ManyHosts, many_hosts
from tests.support.network import Network
from tests.support.processes import until
from tests.support.redis_on_hosts import RedisCluster, redis_cluster
from tests.support.steady_load import SteadyLoad

pytestmark = needs_networks

HOSTS = "falcongate:1:hosts"


@pytest.fixture(scope="module")
def cluster(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with redis_cluster(network, tmp_path_factory.mktemp("redis")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def world(
    network: Network, cluster: RedisCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ManyHosts]:
    with many_hosts(
        network,
        tmp_path_factory.mktemp("gateways"),
        redis_settings={"url": cluster.masters[0].url, "cluster": True, "budget_ms": round(BUDGET_S * 1000)},
        services=SERVICES,
        settings=SETTINGS,
    ) as world:
        yield world


@contextlib.contextmanager
def one_caller_on_each(world: ManyHosts, cluster: RedisCluster, name: str) -> Iterator[list[SteadyLoad]]:
    """Callers whose limits lie on the first, second and third master, who ask all the time."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(SteadyLoad(world, "limited", tenant=cluster.tenant_of(number, name)))
            for number in range(3)
        ]


def test_a_master_with_a_replica_vanishes_and_comes_back(
    world: ManyHosts, cluster: RedisCluster, record_property: Record
) -> None:
    """Its replica takes over what it has heard of; the keys of the others are counted all the time."""
    known = cluster.tenant_of(0, "known")
    before = ask_of_all(world, known, 12)
    until(lambda: cluster.replica.charged(known) == before, "the replica has heard of it")
    with world.faults(), one_caller_on_each(world, cluster, "replaced") as loads:
        until(lambda: all(load.admitted() > LIMIT for load in loads), "the limits are used up")
        began = time.monotonic()
        cluster.masters[0].host.cut()
        until(lambda: any(redis_of(world, each) != "connected" for each in world.gateways), "it is noticed")
        world.await_health()
        record_property("moved_s", time.monotonic() - began)
        moved = time.monotonic()
        time.sleep(3 * WINDOW_S)  # whole windows with the new one
        ended = time.monotonic()
    until(cluster.is_whole, "it is back", within_s=30)
    assert ask_of_all(world, known, 2 * LIMIT) == LIMIT - before
    for load in loads:
        assert_nobody_waits(load, since=0.0, until=ended)
    assert [load.most_within(WINDOW_S) <= LIMIT for load in loads[1:]] == [True, True]
    assert loads[0].most_within(WINDOW_S) <= 2 * LIMIT
    assert loads[0].most_within(WINDOW_S, since=moved + WINDOW_S) <= LIMIT
    record_property("most", loads[0].most_within(WINDOW_S))
    record_waits(record_property, loads[0], since=began, until=moved)


@pytest.mark.parametrize("number", [1, 2])
def test_a_master_without_a_replica_vanishes_and_comes_back(
    world: ManyHosts, cluster: RedisCluster, record_property: Record, number: int
) -> None:
    """What lay there each gateway does by itself; the keys of the others are counted all the time."""
    with world.faults(), one_caller_on_each(world, cluster, f"lost-{number}") as loads:
        until(lambda: all(load.admitted() > LIMIT for load in loads), "the limits are used up")
        began = time.monotonic()
        cluster.masters[number].host.cut()
        until(lambda: all(redis_of(world, each) != "connected" for each in world.gateways), "all say so")
        record_property("told_s", time.monotonic() - began)
        has_hosts = cluster.master_of(HOSTS) == number
        said = [world.health(gateway) for gateway in world.gateways]
        assert {each["status"] for each in said} == {"degraded"}
        assert {each["dependencies"]["redis"] for each in said} == {
            "unreachable" if has_hosts else "partly connected"
        }
        settled = time.monotonic()
        time.sleep(3 * WINDOW_S)  # whole windows without it
        ended = time.monotonic()
    record_property("healed_s", time.monotonic() - ended)
    until(cluster.is_whole, "it is back", within_s=30)
    for load in loads:
        assert_nobody_waits(load, since=0.0, until=ended)
    lost = loads.pop(number)
    assert [load.most_within(WINDOW_S) <= LIMIT for load in loads] == [True, True]
    assert lost.most_within(WINDOW_S) <= 2 * LIMIT
    assert 0 < lost.most_within(WINDOW_S, since=settled + WINDOW_S, until=ended) <= LIMIT
    for gateway in world.gateways:
        assert lost.most_within(WINDOW_S, since=settled, until=ended, by=gateway.name) <= PART
    record_property("most", lost.most_within(WINDOW_S))
    record_waits(record_property, lost, since=began, until=ended)


def test_a_gateway_does_not_reach_one_of_the_masters(
    world: ManyHosts, cluster: RedisCluster, record_property: Record
) -> None:
    """It gives out its part of what lies there, and is degraded; all else is as before."""
    *_, cut_off = world.gateways
    with world.faults(), one_caller_on_each(world, cluster, "unreached") as loads:
        until(lambda: all(load.admitted() > LIMIT for load in loads), "the limits are used up")
        began = time.monotonic()
        cut_off.host.cut(cluster.masters[2].host)
        until(lambda: redis_of(world, cut_off) != "connected", "it says so")
        record_property("told_s", time.monotonic() - began)
        time.sleep(3 * WINDOW_S)  # whole windows without it
        assert [redis_of(world, each) for each in world.gateways[:2]] == ["connected"] * 2
        ended = time.monotonic()
    record_property("healed_s", time.monotonic() - ended)
    for load in loads:
        assert_nobody_waits(load, since=0.0, until=ended)
    assert [load.most_within(WINDOW_S) <= LIMIT for load in loads[:2]] == [True, True]
    assert loads[2].most_within(WINDOW_S) <= LIMIT + PART
    assert 0 < loads[2].most_within(WINDOW_S, since=began + 0.1, until=ended, by=cut_off.name) <= PART
    record_property("most", loads[2].most_within(WINDOW_S))
