"""Gateways on hosts of their own, some of which do not reach Redis, or badly; callers ask all the time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from tests.scale.promises import (
    ALIVE_FOR_S,
    BEAT_S,
    LEASE_S,
    LIMIT,
    PART,
    PLACES,
    WINDOW_S,
    Record,
    assert_nobody_waits,
    fail,
    needs_networks,
    record_waits,
    redis_of,
)
from tests.support.many_hosts import ManyHosts
from tests.support.processes import until
from tests.support.redis_on_hosts import WatchedRedis
from tests.support.steady_load import SteadyLoad

pytestmark = needs_networks


def test_three_gateways_keep_one_limit_and_know_each_other(world: ManyHosts, record_property: Record) -> None:
    with SteadyLoad(world, "limited", tenant="well") as load:
        time.sleep(4 * WINDOW_S)  # the window fills again and again
    assert load.statuses() == {200, 429}
    assert load.most_within(WINDOW_S) <= LIMIT
    assert load.admitted() >= 3 * LIMIT
    for gateway in world.gateways:
        said = world.health(gateway)
        assert [host["workers"] for host in said["hosts"]] == [1, 1, 1]
        own = said["version"], said["configuration"]
        assert {(host["version"], host["configuration"]) for host in said["hosts"]} == {own}
    record_property("most", load.most_within(WINDOW_S))
    record_property("longest_ms", load.longest_s() * 1000)


def test_gateways_cut_off_from_each_other_do_not_notice(world: ManyHosts, record_property: Record) -> None:
    """They have nothing to say to each other."""
    with world.faults(), SteadyLoad(world, "limited", tenant="peers") as load:
        for gateway in world.gateways:
            gateway.host.cut(*(other.host for other in world.gateways if other is not gateway))
        deadline = time.monotonic() + ALIVE_FOR_S + BEAT_S
        while time.monotonic() < deadline:
            assert all(world.knows(gateway, *world.gateways) for gateway in world.gateways)
            time.sleep(0.2)
    assert load.statuses() == {200, 429}
    assert load.most_within(WINDOW_S) <= LIMIT
    record_property("most", load.most_within(WINDOW_S))
    record_property("longest_ms", load.longest_s() * 1000)


def test_a_gateway_cut_off_from_redis_gives_out_its_part_and_nobody_waits(
    world: ManyHosts, watched: WatchedRedis, record_property: Record
) -> None:
    """All packets between one gateway and the hosts of Redis vanish, and later they do not."""
    *well, cut_off = world.gateways
    with (
        world.faults(),
        SteadyLoad(world, "limited", tenant="cut") as load,
        SteadyLoad(world, "limited") as others,
    ):
        until(lambda: load.admitted() > LIMIT, "the limit is used up")
        began = time.monotonic()
        cut_off.host.cut(*watched.hosts)
        until(lambda: redis_of(world, cut_off) == "unreachable", "it says so")
        record_property("told_s", time.monotonic() - began)
        assert world.health(cut_off)["status"] == "degraded"
        until(lambda: all(world.knows(gateway, *well) for gateway in well), "the others miss it")
        record_property("missed_s", missed_s := time.monotonic() - began)
        fail(world, "kept", well[0])
        until(lambda: world.breaker(well[1], "kept") == "OPEN", "the other one knows")
        assert world.breaker(cut_off, "kept") == "CLOSED"
        ended = time.monotonic()
        world.network.heal()
        world.await_health()
        healed = time.monotonic()
        record_property("healed_s", healed - ended)
        until(lambda: world.breaker(cut_off, "kept") == "OPEN", "it is told", within_s=8)
        record_property("breaker_s", time.monotonic() - ended)
        time.sleep(3 * WINDOW_S)  # whole windows with it again
    world.reset("kept")
    assert missed_s < ALIVE_FOR_S + BEAT_S + 1
    assert load.statuses() == {200, 429}
    assert others.statuses() == {200}
    assert max(load.most_within(WINDOW_S, by=gateway.name) for gateway in well) <= LIMIT
    assert load.most_within(WINDOW_S) <= LIMIT + PART
    alone = load.most_within(WINDOW_S, since=began + 0.1, until=ended, by=cut_off.name)
    assert 0 < alone <= PART
    assert load.most_within(WINDOW_S, since=healed + WINDOW_S) <= LIMIT
    assert_nobody_waits(others, since=began, until=ended)
    record_property("most", load.most_within(WINDOW_S))
    record_property("most_alone", alone)
    record_waits(record_property, others, since=began, until=ended, by=cut_off.name)


def test_places_of_a_gateway_cut_off_from_redis_come_back_to_the_others(
    world: ManyHosts, watched: WatchedRedis, record_property: Record
) -> None:
    """It holds all; the others may take them when their time ends, and it goes on with its requests."""
    well, _, cut_off = world.gateways
    rooms = world.services["rooms"]
    with ThreadPoolExecutor(64) as callers, world.faults():
        rooms.hold()
        held = [callers.submit(world.ask, cut_off, "/api/rooms/x") for _ in range(PLACES)]
        until(lambda: rooms.present == PLACES, "all places are taken")
        assert world.ask(well, "/api/rooms/x").status == 503
        began = time.monotonic()
        cut_off.host.cut(*watched.hosts)
        until(lambda: redis_of(world, cut_off) == "unreachable", "it has noticed")
        assert world.ask(cut_off, "/api/rooms/x").status == 503

        def is_free() -> bool:
            callers.submit(world.ask, well, "/api/rooms/x")
            return rooms.present > PLACES

        until(is_free, "a place is free", within_s=LEASE_S + 5)
        record_property("free_s", free_s := time.monotonic() - began)
        assert free_s < LEASE_S + 1
        rooms.let_go()
        assert {request.result().status for request in held} == {200}
    until(lambda: watched.places("rooms:rooms") == 0, "all places are given back")
    with ThreadPoolExecutor(3 * PLACES) as callers, world.faults():
        rooms.hold()
        rooms.forget()
        again = [callers.submit(world.ask, gateway, "/api/rooms/x") for gateway in world.gateways * PLACES]
        until(lambda: sum(each.done() for each in again) == len(again) - PLACES, "the rest is refused")
        until(lambda: rooms.present == PLACES, "all places are taken")
        assert rooms.most == PLACES


def test_packets_between_a_gateway_and_redis_are_lost(
    world: ManyHosts, watched: WatchedRedis, record_property: Record
) -> None:
    """Two of five, by chance: it is sometimes connected and sometimes not."""
    lossy = world.gateways[-1]
    with (
        world.faults(),
        SteadyLoad(world, "limited", tenant="lossy") as load,
        SteadyLoad(world, "limited") as others,
    ):
        until(lambda: load.admitted() > LIMIT, "the limit is used up")
        told = len(lossy.process.stderr())
        began = time.monotonic()
        lossy.host.lose(40, *watched.hosts)
        until(lambda: "is away" in lossy.process.stderr()[told:], "it has done without", within_s=30)
        time.sleep(4 * WINDOW_S)  # for as much to happen by chance as may
        ended = time.monotonic()
        world.network.heal()
        world.await_health()
        record_property("healed_s", time.monotonic() - ended)
    assert load.most_within(WINDOW_S) <= LIMIT + PART
    assert others.statuses() == {200}
    assert_nobody_waits(others, since=began, until=ended)
    record_property("most", load.most_within(WINDOW_S))
    record_waits(record_property, others, since=began, until=ended, by=lossy.name)


def test_packets_between_a_gateway_and_redis_take_long(
    world: ManyHosts, watched: WatchedRedis, record_property: Record
) -> None:
    """15 ms each way: it asks as before. Then 600 ms: no answer would come in time, so it does not wait."""
    far = world.gateways[-1]
    with (
        world.faults(),
        SteadyLoad(world, "limited", tenant="far") as load,
        SteadyLoad(world, "limited") as others,
    ):
        far.host.delay(0.015, *watched.hosts)
        began = time.monotonic()
        time.sleep(3 * WINDOW_S)  # the window fills again and again
        assert world.knows(far, *world.gateways)
        ended = time.monotonic()
        world.network.heal()
        asked = others.requests(since=began, until=ended, by=far.name)
        assert median(request.took_s for request in asked) > 0.03
        assert load.most_within(WINDOW_S, until=ended) <= LIMIT
        record_property("most", load.most_within(WINDOW_S, until=ended))
        record_waits(record_property, others, since=began, until=ended, by=far.name)

        far.host.delay(0.6, *watched.hosts)
        began = time.monotonic()
        until(lambda: redis_of(world, far) == "unreachable", "it does without")
        time.sleep(2 * WINDOW_S)  # whole windows without it
        ended = time.monotonic()
    assert load.most_within(WINDOW_S) <= LIMIT + PART
    assert_nobody_waits(others, since=began, until=ended)
    record_property("most_far", load.most_within(WINDOW_S, since=began))
    record_waits(record_property, others, since=began, until=ended, by=far.name)
