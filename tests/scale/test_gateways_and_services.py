"""Gateways that are taken away and brought back, and some that do not reach a service which others reach."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from tests.scale.promises import (
    ALIVE_FOR_S,
    BEAT_S,
    LEASE_S,
    LIMIT,
    PLACES,
    PROBE_LEASE_S,
    PROBES,
    WINDOW_S,
    Record,
    fail,
    needs_networks,
)
from tests.support.many_hosts import GatewayOnHost, ManyHosts
from tests.support.processes import until
from tests.support.redis_on_hosts import WatchedRedis
from tests.support.steady_load import SteadyLoad
from tests.support.wire import WireError

pytestmark = needs_networks

KNOWN_WITHIN_S = 1.0
"""Milliseconds when nothing else runs on the machine."""


def try_asking(world: ManyHosts, gateway: GatewayOnHost, path: str) -> int:
    """The status, or 0 if there was none."""
    try:
        return world.ask(gateway, path).status
    except (OSError, WireError):
        return 0


def statuses(world: ManyHosts, gateway: GatewayOnHost, path: str, count: int = 10) -> set[int]:
    """What so many requests are answered, one after the other."""
    return {world.ask(gateway, path).status for _ in range(count)}


def works(world: ManyHosts, path: str) -> bool:
    """Whether every gateway answers with what the service says."""
    return all(statuses(world, gateway, path, 2) == {200} for gateway in world.gateways)


def await_refusal(world: ManyHosts, gateway: GatewayOnHost, path: str) -> None:
    """Ask for a service that is not reached until its breaker is open there."""
    told: list[int] = []
    until(lambda: told.append(world.ask(gateway, path).status) or told[-1] == 503, "it is open")
    assert set(told) <= {504, 503}


def transitions(watched: WatchedRedis, name: str) -> list[str]:
    """All that the breaker has been through, the oldest first."""
    with watched.master().client() as client:
        return [fields["state"] for _, fields in client.xrange(f"falcongate:1:breaker:{{{name}}}:history")]


def test_a_gateway_is_killed_with_all_that_it_holds(world: ManyHosts, record_property: Record) -> None:
    """It holds all places and all probes; the others get them back, and it is another when it is back."""
    *well, killed = world.gateways
    rooms, probed = world.services["rooms"], world.services["probed"]
    with (
        ThreadPoolExecutor(64) as callers,
        world.faults(),
        SteadyLoad(world, "limited", tenant="killed") as load,
    ):
        fail(world, "probed", killed)
        for service in (rooms, probed):
            service.forget()
            service.hold()
        for _ in range(PLACES):
            callers.submit(try_asking, world, killed, "/api/rooms/x")

        def all_out() -> bool:
            if probed.present < PROBES:
                callers.submit(try_asking, world, killed, "/api/probed/x")
            return probed.present == PROBES and rooms.present == PLACES

        until(all_out, "all places and probes are taken")
        assert [world.ask(well[0], f"/api/{name}/x").status for name in ("rooms", "probed")] == [503, 503]
        killed.kill()
        began = time.monotonic()
        rooms.let_go()
        until(lambda: world.ask(well[0], "/api/rooms/x").status == 200, "its places are free")
        record_property("places_s", places_s := time.monotonic() - began)
        until(lambda: all(world.knows(each, *well) for each in well), "it is missed")
        record_property("missed_s", missed_s := time.monotonic() - began)
        probed.let_go()
        until(lambda: world.ask(well[0], "/api/probed/x").status == 200, "its probes are free", within_s=20)
        record_property("probes_s", probes_s := time.monotonic() - began)
        began = time.monotonic()
        killed.start()
        world.await_health()
        record_property("back_s", time.monotonic() - began)
        back = time.monotonic()
        until(lambda: works(world, "/api/probed/x") and world.all_know("probed", "CLOSED"), "all is well")
        time.sleep(2 * WINDOW_S)  # whole windows with it
    assert probed.most <= PROBES
    assert rooms.most <= PLACES
    assert places_s < LEASE_S + 1
    assert missed_s < ALIVE_FOR_S + BEAT_S + 1
    assert probes_s < PROBE_LEASE_S + 2
    assert load.most_within(WINDOW_S) <= LIMIT
    assert {200, 429} == load.statuses(by=well[0].name) == load.statuses(since=back, by=killed.name)
    record_property("most", load.most_within(WINDOW_S))


def test_the_host_of_a_gateway_vanishes_and_comes_back(world: ManyHosts, record_property: Record) -> None:
    """Nobody reaches it and it reaches nobody, callers and services included; then it is what it was."""
    *well, gone = world.gateways
    with world.faults(), SteadyLoad(world, "limited", tenant="gone") as load:
        until(lambda: load.admitted() > LIMIT, "the limit is used up")
        began = time.monotonic()
        gone.host.cut()
        until(lambda: all(world.knows(each, *well) for each in well), "it is missed")
        record_property("missed_s", time.monotonic() - began)
        ended = time.monotonic()
        gone.host.heal()
        world.await_health()
        record_property("healed_s", time.monotonic() - ended)
        back = time.monotonic()
        time.sleep(2 * WINDOW_S)  # whole windows with it
    assert load.most_within(WINDOW_S) <= LIMIT
    assert load.statuses(since=back) == {200, 429}
    assert {200, 429} == load.statuses(by=well[0].name) == load.statuses(by=well[1].name)
    record_property("most", load.most_within(WINDOW_S))


def test_a_breaker_opens_once_for_all_and_closes_by_few_probes(
    world: ManyHosts, watched: WatchedRedis, record_property: Record
) -> None:
    """One gateway does not reach a service; by `quorum = 1`, the default, its word is enough."""
    cut_off, *well = world.gateways
    path, service = "/api/opened/x", world.services["opened"]
    begun = len(transitions(watched, "opened"))
    with ThreadPoolExecutor(64) as callers, world.faults():
        assert [statuses(world, each, path) for each in well] == [{200}] * 2
        cut_off.host.cut(world.network.hosts["services1"])
        await_refusal(world, cut_off, path)
        began = time.monotonic()
        until(lambda: all(world.breaker(each, "opened") != "CLOSED" for each in world.gateways), "all know")
        record_property("known_s", known_s := time.monotonic() - began)
        assert transitions(watched, "opened")[begun:] == ["OPEN"]
        world.network.heal()
        service.forget()
        service.hold()

        def are_out() -> bool:
            for gateway in world.gateways:
                callers.submit(world.ask, gateway, path)
            return service.present == PROBES

        until(are_out, "probes are out")
        assert [world.ask(each, path).status for each in world.gateways] == [503] * 3
        assert service.most == PROBES
        service.let_go()
        until(lambda: world.all_know("opened", "CLOSED"), "all know that it is closed")
        record_property("closed_s", time.monotonic() - began)
    assert known_s < KNOWN_WITHIN_S
    assert transitions(watched, "opened")[begun:] == ["OPEN", "HALF_OPEN", "CLOSED"]
    assert works(world, path)


def test_a_gateway_that_alone_sees_failures_opens_for_itself(
    world: ManyHosts, watched: WatchedRedis, record_property: Record
) -> None:
    """By `quorum = 2`, a second one that does not reach it opens the breaker for all."""
    first, second, third = world.gateways
    path, services = "/api/agreed/x", world.network.hosts["services1"]
    with world.faults():
        assert statuses(world, third, path) == {200}
        first.host.cut(services)
        await_refusal(world, first, path)
        assert statuses(world, third, path) == {200}
        assert [world.breaker(each, "agreed") for each in (second, third)] == ["CLOSED"] * 2
        assert transitions(watched, "agreed") == []
        second.host.cut(services)
        began = time.monotonic()
        await_refusal(world, second, path)
        until(lambda: world.breaker(third, "agreed") != "CLOSED", "and for all")
        record_property("agreed_s", time.monotonic() - began)
        assert transitions(watched, "agreed")[0] == "OPEN"
        world.network.heal()
        began = time.monotonic()
        until(lambda: works(world, path) and world.all_know("agreed", "CLOSED"), "all is well", within_s=30)
        record_property("healed_s", time.monotonic() - began)


def test_a_gateway_that_reaches_one_of_two_hosts_of_a_service_asks_that(
    world: ManyHosts, record_property: Record
) -> None:
    """Who was to go by a connection that stood is told that it took too long; all others are answered."""
    cut_off, well, _ = world.gateways
    here, there = world.services["pair@services1"], world.services["pair@services2"]
    path = "/api/pair/x"
    with world.faults():
        assert works(world, path)
        cut_off.host.cut(world.network.hosts["services1"])
        told, took = [], []
        for _ in range(20):
            sent = time.monotonic()
            told.append(world.ask(cut_off, path).status)
            took.append(time.monotonic() - sent)
        assert sorted(told) in ([200] * 20, [200] * 19 + [504])
        here.forget()
        there.forget()
        assert statuses(world, cut_off, path, 5) == {200}
        assert (here.served, there.served) == (0, 5)
        assert statuses(world, well, path, 20) == {200}
        assert here.served > 0
        assert world.all_know("pair", "CLOSED")
        record_property("longest_s", max(took))
    began = time.monotonic()
    here.forget()
    until(lambda: statuses(world, cut_off, path, 4) == {200} and here.served, "both are asked", within_s=30)
    record_property("healed_s", time.monotonic() - began)
