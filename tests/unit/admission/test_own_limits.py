"""Limits that an API key brings along."""

from __future__ import annotations

import pytest

from falcongate.admission.limits import Limits
from falcongate.admission.policies import OwnLimits, limits_of
from falcongate.config.settings import GatewaySettings
from falcongate.exchange import Caller, Exchange
from falcongate.refusals import LimitReached
from falcongate.state.in_process import Fault
from falcongate.state.memory_store import MemoryState
from tests.unit.making import make_exchange, make_match, make_route

KEY = Caller("api_key", "0123456789ab", rates=("3/m", "5/d"))
OTHER = KEY._replace(name="ba9876543210")


class World:
    """Limits over a state whose clock stands still until it is moved."""

    def __init__(self, **limits: object) -> None:
        self.now_ms = 1_699_999_980_000
        self.state = MemoryState(lambda: self.now_ms)
        settings = GatewaySettings.model_validate({"limits": limits})
        self.limits = Limits(settings, self.state, parts=lambda: 1)

    def ask(self, caller: Caller | None = KEY) -> Exchange:
        """One request; raises what it is refused with."""
        exchange = make_exchange(path="/api/hr/x")
        exchange.route_match = make_match(make_route("hr"))
        exchange.caller = caller
        self.limits.admit(exchange)
        return exchange

    def passed(self, count: int, caller: Caller | None = KEY) -> int:
        """How many of so many pass."""
        passed = 0
        for _ in range(count):
            try:
                self.ask(caller)
                passed += 1
            except LimitReached:
                pass
        return passed


def test_a_key_is_held_to_its_own_limits_where_there_are_no_others() -> None:
    world = World()

    assert world.passed(5) == 3
    assert world.passed(5, None) == 5


def test_each_key_is_counted_for_itself() -> None:
    world = World()

    assert (world.passed(5), world.passed(5, OTHER)) == (3, 3)


def test_fields_tell_of_them_under_the_name_key() -> None:
    lines = World().ask().limit_lines.decode().split("\r\n")

    assert lines[0] == 'RateLimit-Policy: "key-60s";q=3;w=60, "key-86400s";q=5;w=86400'
    assert lines[1].startswith('RateLimit: "key-60s";r=2;t=')


def test_all_are_charged_or_none() -> None:
    world = World(strict={"rate": "2/m", "key": "global"})
    assert world.passed(4) == 2
    with pytest.raises(LimitReached) as refused:
        world.ask()
    assert refused.value.policies == ("strict",)
    world.now_ms += 120_000
    world.limits = Limits(GatewaySettings(), world.state, parts=lambda: 1)

    # Of the five for a day two are gone, so that what was refused was not counted.
    assert world.passed(5) == 3


def test_who_is_over_is_refused_from_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.passed(4)
    monkeypatch.setattr(world.state, "charge", None)
    with pytest.raises(LimitReached) as refused:
        world.ask()

    assert refused.value.policies == ("key",)


def test_without_the_shared_state_they_hold_for_each_worker() -> None:
    world = World()
    world.state.fault = Fault.AWAY

    assert world.passed(5) == 3


def test_what_applies_is_made_once_for_all_who_have_the_same() -> None:
    applied = limits_of(GatewaySettings()).for_request(make_exchange())
    own = OwnLimits()

    assert own.beside(applied, KEY.rates) is own.beside(applied, OTHER.rates)
    assert own.beside(applied, ("1/s",)) is not own.beside(applied, KEY.rates)


def test_a_limit_by_key_counts_those_with_a_key_by_its_id() -> None:
    world = World(it={"rate": "2/m", "key": "api_key"})
    without = Caller("api_key", "0123456789ab")

    assert (world.passed(3, without), world.passed(3, without._replace(name="b"))) == (2, 2)
