"""What limits let pass, with the shared state there and away."""

from __future__ import annotations

import pytest

from falcongate.admission.limits import NOTHING, Limits
from falcongate.config.settings import GatewaySettings
from falcongate.outages import LimitsUnknown
from falcongate.refusals import LimitReached
from falcongate.state.in_process import Fault
from falcongate.state.memory_store import MemoryState
from falcongate.state.store import Receipt
from tests.unit.making import make_exchange, make_match, make_route


class World:
    """Limits over a state whose clock stands still until it is moved."""

    def __init__(self, limits: dict[str, object], *, parts: int = 1, **settings: object) -> None:
        self.now_ms = 1_699_999_980_000
        self.state = MemoryState(lambda: self.now_ms)
        self.asked = 0
        ask = self.state.charge

        def charge(*arguments: object) -> object:
            self.asked += 1
            return ask(*arguments)  # type: ignore[arg-type]

        self.state.charge = charge  # type: ignore[method-assign,assignment]
        made = GatewaySettings.model_validate({"limits": limits, **settings})
        self.limits = Limits(made, self.state, parts=lambda: parts)
        self.exchange = make_exchange()
        self.passed_s = 0.0
        self.waited_in_vain = False

    def ask(
        self, peer: str = "192.0.2.1", service: str = "hr", *, method: str = "GET", tenant: str = ""
    ) -> Receipt:
        """One request, `passed_s` after now; raises what it is refused with."""
        self.exchange = make_exchange(*([f"X-Tenant: {tenant}"] if tenant else []), peer=peer, method=method)
        self.exchange.started += self.passed_s
        self.exchange.waited_in_vain = self.waited_in_vain
        self.exchange.route_match = make_match(make_route(service))
        self.exchange.path = f"/api/{service}/x"
        return self.limits.admit(self.exchange)

    def admitted(self, count: int, peer: str = "192.0.2.1") -> int:
        """How many of so many requests pass."""
        passed = 0
        for _ in range(count):
            try:
                self.ask(peer)
                passed += 1
            except LimitReached:
                pass
        return passed


def test_without_limits_nothing_is_asked() -> None:
    world = World({})
    assert world.ask() is NOTHING
    assert world.asked == 0
    assert world.exchange.limit_lines == b""


def test_no_more_than_the_limit_pass_and_callers_are_counted_apart() -> None:
    world = World({"api": {"rate": "3/m"}})
    assert world.admitted(5) == 3
    assert world.admitted(5, "192.0.2.2") == 3


def test_a_refusal_says_which_limits_and_when() -> None:
    world = World({"api": {"rate": "1/m"}, "wide": {"rate": "100/m"}})
    world.ask()
    with pytest.raises(LimitReached) as refused:
        world.ask()
    assert refused.value.policies == ("api",)
    assert refused.value.members == {"violated-policies": ("api",)}
    assert refused.value.retry_after_s == 66
    assert world.exchange.refused_by == ("api",)
    assert b'"api-60s";r=0;t=66, "wide-60s";r=99' in world.exchange.limit_lines


def told(world: World) -> list[str]:
    """What the fields of the last answer say of what is left."""
    lines = world.exchange.limit_lines.decode().split("\r\n")
    return [part for line in lines if line.startswith("RateLimit: ") for part in line[11:].split(", ")]


def reset_of(world: World) -> int:
    """The only `t` of the last answer."""
    (field,) = told(world)
    return int(field.partition(";t=")[2])


def test_who_is_known_to_be_over_is_refused_without_asking() -> None:
    world = World({"api": {"rate": "1/m"}})
    world.admitted(2)
    asked = world.asked
    assert world.admitted(50) == 0
    assert world.asked == asked
    assert world.exchange.refused_by == ("api",)
    assert told(world) == ['"api-60s";r=0;t=66']
    assert world.admitted(1, "192.0.2.2") == 1


def test_who_is_refused_from_memory_is_told_how_time_passes() -> None:
    world = World({"api": {"rate": "1/m"}})
    world.admitted(2)
    for passed_s, left_s in ((0, 66), (6, 60), (30, 36), (65.5, 1)):
        world.passed_s = passed_s
        with pytest.raises(LimitReached) as refused:
            world.ask()
        assert left_s <= reset_of(world) <= left_s + 1, "of the clock's time some passes here"
        assert reset_of(world) <= (refused.value.retry_after_s or 0)
    asked = world.asked
    world.passed_s = 67
    world.now_ms += 67_000
    world.ask()
    assert world.asked == asked + 1


def test_who_is_refused_from_memory_is_told_the_policies_of_this_request_and_no_others() -> None:
    """One limit is used up; a request of another method has a limit beside it that knows nothing of it."""
    limits = {
        "each": {"rate": "1/m"},
        "reading": {"rate": "50/m", "methods": ["GET"]},
        "writing": {"rate": "9/h", "methods": ["POST"]},
    }
    world = World(limits)
    world.ask()
    with pytest.raises(LimitReached):
        world.ask()
    assert [field.partition(";")[0] for field in told(world)] == ['"each-60s"', '"reading-60s"']
    asked = world.asked
    with pytest.raises(LimitReached) as refused:
        world.ask(method="POST")
    assert world.asked == asked
    assert refused.value.policies == ("each",)
    assert told(world) == ['"each-60s";r=0;t=66']
    policies = world.exchange.limit_lines.decode().split("\r\n")[0]
    assert policies == 'RateLimit-Policy: "each-60s";q=1;w=60, "writing-3600s";q=9;w=3600'


def test_of_several_windows_only_those_are_told_that_are_known_to_be_used_up() -> None:
    world = World({"api": {"rate": ["1/m", "2/h"]}, "tenant": {"rate": "1/h", "key": "header:X-Tenant"}})
    world.ask(tenant="a")
    for _ in range(2):
        with pytest.raises(LimitReached) as refused:
            world.ask(tenant="a")
        assert refused.value.policies == ("api", "tenant")
        assert refused.value.retry_after_s == 3_900
    assert told(world) == ['"api-60s";r=0;t=66', '"tenant-3600s";r=0;t=3900']
    with pytest.raises(LimitReached) as refused:
        world.ask(tenant="b")
    assert refused.value.policies == ("api",)
    assert refused.value.retry_after_s == 66
    assert told(world) == ['"api-60s";r=0;t=66']


def test_what_came_to_nothing_is_given_back() -> None:
    world = World({"api": {"rate": "2/m"}})
    for _ in range(10):
        world.limits.refund(world.ask())
    assert world.admitted(5) == 2


def test_a_refund_that_nobody_hears_is_no_error() -> None:
    world = World({"api": {"rate": "2/m"}})
    receipt = world.ask()
    world.state.fault = Fault.AWAY
    world.limits.refund(receipt)


def test_shadow_counts_and_tells_and_refuses_nothing() -> None:
    world = World({"new": {"rate": "1/m", "mode": "shadow"}, "api": {"rate": "4/m"}})
    told = []
    for _ in range(4):
        world.ask()
        told.append(world.exchange.would_refuse)
        assert world.exchange.refused_by == ()
    assert told == [(), ("new",), ("new",), ("new",)]
    assert b"new" not in world.exchange.limit_lines
    with pytest.raises(LimitReached):
        world.ask()


def test_who_has_waited_for_a_probe_in_vain_does_not_wait_for_limits() -> None:
    world = World({"api": {"rate": "100/m"}}, parts=50)
    world.waited_in_vain = True
    assert world.admitted(3) == 2
    assert world.asked == 0
    world.waited_in_vain = False
    world.state.fault = Fault.SLOW
    world.ask("192.0.2.2")
    assert world.asked == 1
    assert world.exchange.waited_in_vain


def test_what_others_would_have_refused_is_told_as_well() -> None:
    world = World({"new": {"rate": "1/m", "mode": "shadow"}})
    world.ask()
    world.exchange = make_exchange(peer="192.0.2.1", path="/api/hr/x")
    world.exchange.route_match = make_match(make_route("hr"))
    world.exchange.would_refuse = ("access",)
    world.limits.admit(world.exchange)

    assert world.exchange.would_refuse == ("access", "new")


class TestWithoutTheSharedState:
    """What each policy was told to do then."""

    def test_share_gives_each_its_part(self) -> None:
        world = World({"api": {"rate": "100/m"}}, parts=4)
        world.state.fault = Fault.AWAY
        assert world.admitted(50) == 25
        assert b'"api-60s";q=100;w=60' in world.exchange.limit_lines

    def test_share_begins_with_what_the_shared_state_had_left(self) -> None:
        world = World({"api": {"rate": "100/m"}}, parts=4)
        assert world.admitted(80) == 80
        world.state.fault = Fault.AWAY
        assert world.admitted(50) == 5

    def test_who_had_nothing_left_has_nothing_now(self) -> None:
        world = World({"api": {"rate": "10/m"}})
        assert world.admitted(10) == 10
        world.state.fault = Fault.AWAY
        assert world.admitted(10) == 0

    @pytest.mark.parametrize("fault", list(Fault))
    def test_somebody_passes_however_small_the_part(self, fault: Fault) -> None:
        world = World({"api": {"rate": "10/m", "cost": 5}}, parts=64)
        world.state.fault = fault
        assert world.admitted(10) == 1

    def test_several_windows_hold_all_at_once(self) -> None:
        world = World({"api": {"rate": ["10/s", "4/h"]}})
        world.state.fault = Fault.AWAY
        assert world.admitted(20) == 4

    def test_open_lets_all_pass(self) -> None:
        world = World({"api": {"rate": "1/m", "on_store_failure": "open"}})
        world.state.fault = Fault.AWAY
        assert world.admitted(20) == 20

    def test_closed_lets_nobody_pass(self) -> None:
        world = World({"api": {"rate": "9/m", "on_store_failure": "closed"}, "b": {"rate": "9/m"}})
        world.state.fault = Fault.AWAY
        exchange = make_exchange()
        exchange.route_match = make_match(make_route("hr"))
        with pytest.raises(LimitsUnknown) as refused:
            world.limits.admit(exchange)
        assert refused.value.retry_after_s == 1
        assert exchange.refused_by == ("api",)
        world.state.fault = None
        assert world.admitted(20) == 9

    def test_what_only_watches_never_refuses(self) -> None:
        world = World({"api": {"rate": "1/m", "on_store_failure": "closed", "mode": "shadow"}})
        world.state.fault = Fault.AWAY
        assert world.admitted(20) == 20

    def test_it_goes_on_with_the_shared_state_when_that_is_back(self) -> None:
        world = World({"api": {"rate": "10/m"}})
        assert world.admitted(4) == 4
        world.state.fault = Fault.AWAY
        world.admitted(2)
        world.state.fault = None
        assert world.admitted(20) == 6
