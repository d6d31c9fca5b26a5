"""Places of requests in flight, with the shared state there and away."""

from __future__ import annotations

import pytest

from falcongate.admission.concurrency import Rooms
from falcongate.config.settings import GatewaySettings
from falcongate.exchange import Exchange
from falcongate.outages import LimitsUnknown
from falcongate.refusals import ServiceFull, TooManyAtOnce
from falcongate.state.in_process import Fault
from falcongate.state.memory_store import MemoryState
from tests.support.turns import until
from tests.unit.making import make_exchange, make_match, make_route


class World:
    """Rooms over a state whose clock stands still until it is moved."""

    def __init__(self, concurrency: dict[str, object], *, parts: int = 1) -> None:
        self.now_ms = 1_000_000
        self.state = MemoryState(lambda: self.now_ms)
        self.asked = 0
        ask = self.state.lease

        def lease(key: str, *, limit: int, owner: str, ttl_s: float) -> object:
            self.asked += 1
            return ask(key, limit=limit, owner=owner, ttl_s=ttl_s)

        self.state.lease = lease  # type: ignore[method-assign,assignment]
        self._parts = parts
        self._settings = GatewaySettings.model_validate({"concurrency": concurrency})
        self.rooms = self.on_host("gw-1:17-3fa9c2")

    def on_host(self, name: str) -> Rooms:
        """The rooms of a worker of that host."""
        return Rooms(self._settings, self.state, host=name, parts=lambda: self._parts)

    def enter(self, peer: str = "192.0.2.1", service: str = "hr", *, rooms: Rooms | None = None) -> Exchange:
        """One request; raises what it is refused with."""
        exchange = make_exchange(peer=peer, path=f"/api/{service}/x")
        exchange.route_match = make_match(make_route(service))
        (rooms or self.rooms).enter(exchange)
        return exchange


def leave(exchange: Exchange) -> None:
    assert exchange.places is not None
    exchange.places.end()


def test_without_a_limit_nothing_is_taken() -> None:
    assert World({}).enter().places is None


def test_each_service_has_its_places_and_gets_them_back() -> None:
    world = World({"it": {"limit": 2}})
    first = world.enter()
    world.enter()
    with pytest.raises(ServiceFull) as refused:
        world.enter()
    assert refused.value.retry_after_s == 1
    world.enter(service="lms")
    leave(first)
    leave(first)
    world.enter()
    with pytest.raises(ServiceFull):
        world.enter()


def test_a_caller_who_has_too_many_is_told_so() -> None:
    world = World({"each": {"limit": 1, "key": "caller_address"}})
    world.enter()
    with pytest.raises(TooManyAtOnce) as refused:
        world.enter()
    assert type(refused.value) is TooManyAtOnce
    assert refused.value.members == {"violated-policies": ("each",)}
    world.enter(peer="192.0.2.2")


def test_who_is_refused_in_one_room_keeps_no_place_in_another() -> None:
    world = World({"wide": {"limit": 2}, "narrow": {"limit": 1, "key": "caller_address"}})
    first = world.enter()
    for _ in range(5):
        with pytest.raises(TooManyAtOnce):
            world.enter()
    world.enter(peer="192.0.2.2")
    leave(first)
    world.enter()


def test_what_each_limit_said_can_be_told_afterwards() -> None:
    world = World({"it": {"limit": 1}, "all": {"limit": 5, "key": "global"}})
    assert world.enter().rooms == (("it", 1, 1, True, "all hosts"), ("all", 5, 1, True, "all hosts"))
    exchange = make_exchange()
    exchange.route_match = make_match(make_route("hr"))
    for rooms, by in ((world.rooms, "own places"), (world.on_host("gw-2"), "all hosts")):
        exchange.rooms = ()
        with pytest.raises(ServiceFull):
            rooms.enter(exchange)
        assert exchange.rooms == (("it", 1, 1, False, by),)

    world.state.fault = Fault.AWAY
    assert world.enter(service="lms", rooms=world.on_host("gw-3")).rooms == (
        ("it", 1, 1, True, "this worker"),
        ("all", 5, 1, True, "this worker"),
    )


def test_a_shadow_lets_all_pass_and_tells() -> None:
    world = World({"it": {"limit": 1, "mode": "shadow"}})
    world.enter()
    exchange = world.enter()
    assert exchange.would_refuse == ("it",)
    leave(exchange)


def test_places_of_the_dead_end() -> None:
    world = World({"it": {"limit": 1, "lease_s": 5}})
    world.enter()
    world.now_ms += 5_001
    world.enter(rooms=world.on_host("gw-2:1-5ac0de"))


@pytest.mark.parametrize(("limit", "parts", "passing"), [(4, 2, 2), (4, 3, 1), (2, 8, 1)])
def test_without_the_shared_state_each_worker_has_its_part(limit: int, parts: int, passing: int) -> None:
    world = World({"it": {"limit": limit}}, parts=parts)
    world.state.fault = Fault.AWAY
    held = [world.enter() for _ in range(passing)]
    with pytest.raises(ServiceFull):
        world.enter()
    leave(held[0])
    world.enter()


def test_what_was_taken_before_counts_in_the_part() -> None:
    world = World({"it": {"limit": 2}}, parts=2)
    before = world.enter()
    world.state.fault = Fault.AWAY
    with pytest.raises(ServiceFull):
        world.enter()
    leave(before)
    world.enter()


def test_without_the_shared_state_an_open_limit_lets_all_pass_and_a_closed_one_none() -> None:
    world = World({"it": {"limit": 1, "on_store_failure": "open"}})
    world.state.fault = Fault.AWAY
    for _ in range(3):
        world.enter()
    world = World({"it": {"limit": 1, "on_store_failure": "closed"}})
    world.state.fault = Fault.AWAY
    exchange = make_exchange()
    exchange.route_match = make_match(make_route("hr"))
    with pytest.raises(LimitsUnknown):
        world.rooms.enter(exchange)
    assert exchange.refused_by == ("it",)
    assert exchange.rooms == (("it", 1, 0, False, "this worker"),)


def test_what_was_taken_without_the_shared_state_counts_for_all_once_it_is_back() -> None:
    world = World({"it": {"limit": 2, "lease_s": 1}}, parts=1)
    world.state.fault = Fault.AWAY
    held = [world.enter(), world.enter()]
    world.state.fault = None
    with pytest.raises(ServiceFull):
        world.enter()
    other = world.on_host("gw-2:1-5ac0de")
    until(lambda: world.asked >= 4)  # for both anew, when places are looked after
    with pytest.raises(ServiceFull):
        world.enter(rooms=other)
    leave(held[0])

    world.enter(rooms=other)


def test_workers_of_one_number_on_two_hosts_take_places_of_their_own() -> None:
    world = World({"it": {"limit": 2}})
    other = world.on_host("gw-1:17-b01dfa")
    here = world.enter()
    world.enter(rooms=other)
    for rooms in (world.rooms, other):
        with pytest.raises(ServiceFull):
            world.enter(rooms=rooms)
    leave(here)
    world.enter(rooms=other)
    with pytest.raises(ServiceFull):
        world.enter()


def test_who_has_waited_for_one_place_in_vain_does_not_wait_for_another() -> None:
    world = World({"it": {"limit": 4}, "each": {"limit": 4, "key": "caller_address"}})
    world.enter()
    assert world.asked == 2
    world.state.fault = Fault.SLOW
    exchange = world.enter()
    assert world.asked == 3
    assert exchange.waited_in_vain
    world.state.fault = None
    assert not world.enter().waited_in_vain
    assert world.asked == 5


def test_who_has_waited_for_limits_in_vain_does_not_wait_for_places() -> None:
    world = World({"it": {"limit": 1}})
    exchange = make_exchange(path="/api/hr/x")
    exchange.route_match = make_match(make_route("hr"))
    exchange.waited_in_vain = True
    world.rooms.enter(exchange)
    assert world.asked == 0
    world.state.fault = Fault.AWAY
    with pytest.raises(ServiceFull):
        world.enter()
