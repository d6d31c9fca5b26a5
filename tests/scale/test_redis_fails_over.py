"""The master of three Redis servers is taken away, and Sentinel makes another; callers ask all the time."""

from __future__ import annotations

import time
from functools import partial

from tests.scale.promises import (
    LIMIT,
    PART,
    WINDOW_S,
    Record,
    ask_of_all,
    assert_nobody_waits,
    fail,
    needs_networks,
    record_waits,
)
from tests.support.many_hosts import ManyHosts
from tests.support.processes import until
from tests.support.redis_on_hosts import RedisOnHost, WatchedRedis
from tests.support.steady_load import SteadyLoad

pytestmark = needs_networks


def written(server: RedisOnHost) -> int:
    """How many scripts a server has run for gateways to the end; what it is told by its master is none."""
    with server.client() as client:
        told = client.info("commandstats")
    commands = [told.get(f"cmdstat_{name}", {}) for name in ("eval", "evalsha")]
    return sum(command.get("calls", 0) - command.get("failed_calls", 0) for command in commands)


def test_the_host_of_the_master_vanishes_and_comes_back(
    world: ManyHosts, watched: WatchedRedis, record_property: Record
) -> None:
    """Nobody reaches it, which it does not know; when it is back, it still takes itself for the master."""
    until(watched.is_whole, "the replicas follow", within_s=30)
    stale = watched.master()
    with (
        world.faults(),
        SteadyLoad(world, "limited", tenant="over") as load,
        SteadyLoad(world, "limited") as others,
    ):
        before = ask_of_all(world, "known", 12)
        fail(world, "kept", world.gateways[0])
        until(lambda: world.all_know("kept", "OPEN"), "all know that it is open")
        until(lambda: load.admitted() > LIMIT, "the limit is used up")
        replicas = [server for server in watched.servers if server is not stale]
        until(
            lambda: all(each.charged("known") == before for each in replicas), "the replicas have heard of it"
        )
        began = time.monotonic()
        stale.host.cut()
        ran = written(stale)
        until(lambda: not all(world.knows(each, *world.gateways) for each in world.gateways), "it is noticed")
        world.await_health()
        record_property("moved_s", time.monotonic() - began)
        assert watched.master(watched.sentinels[watched.servers.index(replicas[0])]) is not stale
        assert world.all_know("kept", "OPEN")
        assert load.most_within(WINDOW_S, since=began) <= 2 * LIMIT
        moved = time.monotonic()
        time.sleep(3 * WINDOW_S)  # whole windows with the new one
        stale.host.heal()
        until(watched.is_whole, "the old master follows the new one", within_s=30)
        record_property("back_s", time.monotonic() - moved - 3 * WINDOW_S)
        ended = time.monotonic()
    assert written(stale) == ran
    assert load.statuses() == {200, 429}
    assert others.statuses() == {200}
    assert load.most_within(WINDOW_S) <= 2 * LIMIT
    assert load.most_within(WINDOW_S, since=moved + WINDOW_S) <= LIMIT
    assert_nobody_waits(others, since=began, until=ended)
    record_property("most", load.most_within(WINDOW_S))
    record_waits(record_property, others, since=began, until=moved)
    world.reset("kept")
    until(lambda: world.all_know("kept", "CLOSED"), "all know that it is closed")
    assert ask_of_all(world, "known", 2 * LIMIT) == LIMIT - before


def test_a_gateway_is_left_alone_with_the_master(
    world: ManyHosts, watched: WatchedRedis, record_property: Record
) -> None:
    """Both are cut off from all others. Theirs is the smaller half, so it takes no writes after 2 s."""
    until(watched.is_whole, "the replicas follow", within_s=30)
    stale = watched.master()
    left, *others = world.gateways
    with world.faults(), SteadyLoad(world, "limited", tenant="split") as load:
        until(lambda: load.admitted() > LIMIT, "the limit is used up")
        rest = [server.host for server in watched.servers if server is not stale]
        began = time.monotonic()
        for host in (stale.host, left.host):
            host.cut(*rest, *(gateway.host for gateway in others))
        until(
            lambda: world.health(left)["dependencies"]["redis"] == "unreachable",
            "it takes nothing",
            within_s=15,
        )
        record_property("refused_s", time.monotonic() - began)
        for gateway in others:
            until(partial(world.knows, gateway, *others), "they go on", within_s=30)
        record_property("moved_s", time.monotonic() - began)
        parted = time.monotonic()
        time.sleep(3 * WINDOW_S)  # whole windows apart
        healed = time.monotonic()
    ended = time.monotonic()
    until(watched.is_whole, "the old master follows the new one", within_s=30)
    assert load.statuses() == {200, 429}
    # The old master, the new one, and in between each gateway its part.
    assert load.most_within(WINDOW_S) <= 3 * LIMIT
    assert load.most_within(WINDOW_S, since=parted + WINDOW_S, until=healed) <= LIMIT + PART
    assert load.most_within(WINDOW_S, since=parted, until=healed, by=left.name) <= PART
    record_property("most", load.most_within(WINDOW_S))
    record_property("most_apart", load.most_within(WINDOW_S, since=parted, until=healed))
    record_property("healed_s", ended - healed)
