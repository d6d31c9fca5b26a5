"""One breaker in one worker: what it asks, what it counts, and what it does when nobody answers."""

from __future__ import annotations

import gevent
import pytest

from falcongate.admission import guard as guard_module
from falcongate.admission import known_breaker
from falcongate.admission.guard import Guard
from falcongate.admission.limits import Limits
from falcongate.admission.probe import ProbeInFlight
from falcongate.config.breaker import BreakerSettings
from falcongate.config.settings import GatewaySettings
from falcongate.errors import Stage
from falcongate.exchange import Exchange
from falcongate.refusals import CircuitOpen, ServiceDisabled
from falcongate.state.in_process import Fault
from falcongate.state.memory_store import MemoryState
from tests.unit.making import make_exchange, make_match, make_route


class World:
    """Guards of several workers over one state, and a clock for all of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1_000.0
        for module in (guard_module, known_breaker):
            monkeypatch.setattr(module, "monotonic", lambda: self.now_s)
        monkeypatch.setattr(guard_module, "MemoryState", lambda: MemoryState(self._clock))
        self.state = MemoryState(self._clock)
        self.woken = 0

    def _clock(self) -> int:
        return int(self.now_s * 1000)

    def guard(self, host: str = "gw-1", **settings: object) -> Guard:
        """One worker's breaker `hr`, told all transitions."""
        rules = BreakerSettings.model_validate({"max_failures": 2, "open_s": 10, "ramp_s": 0, **settings})

        def wake() -> None:
            self.woken += 1

        made = Guard("hr", rules, self.state, host=host, wake=wake)
        self.state.subscribe(made.hear, lambda: None)
        return made


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def begin(guard: Guard) -> Exchange:
    """A request that is let pass; raises what it is refused with."""
    exchange = make_exchange()
    if not guard.is_clear:
        guard.admit(exchange)
    exchange.guard_mark = guard.mark
    return exchange


def end(guard: Guard, exchange: Exchange, *, fails: bool) -> None:
    """It ends, and what was counted is told."""
    exchange.failed_at = Stage.CONNECT if fails else None
    exchange.service_head = None if fails else _Ok()
    guard.end(exchange)
    gevent.sleep(0)
    if guard.has_news:
        guard.report()


class _Ok:
    status = 200
    begun = None
    reason = "OK"
    fields: list[object] = []  # noqa: RUF012


def fail(guard: Guard, times: int) -> None:
    for _ in range(times):
        end(guard, begin(guard), fails=True)


def test_failures_open_it_for_all_workers(world: World) -> None:
    one, other = world.guard("gw-1"), world.guard("gw-2")
    fail(one, 1)
    assert other.is_clear
    fail(other, 1)
    assert world.woken == 2
    for guard in (one, other):
        assert guard.breaker.state == "OPEN"
        with pytest.raises(CircuitOpen) as refused:
            begin(guard)
        assert refused.value.retry_after_s == 10


def test_successes_and_what_says_nothing_do_not_open_it(world: World) -> None:
    guard = world.guard()
    for _ in range(20):
        end(guard, begin(guard), fails=False)
        guard.end(begin(guard))
    assert guard.is_clear
    assert world.woken == 0


def test_slow_answers_open_it_where_they_are_counted(world: World) -> None:
    guard = world.guard(slow_call_s=2, slow_ratio=0.5, min_calls=4)
    for number in range(4):
        exchange = begin(guard)
        exchange.service_s = 3.0 if number % 2 else 0.1
        end(guard, exchange, fails=False)
    assert guard.breaker.state == "OPEN"
    assert "slow" in guard.breaker.why


def test_what_was_let_pass_before_a_transition_counts_for_nothing_after_it(world: World) -> None:
    guard = world.guard(max_failures=1)
    late = [begin(guard) for _ in range(3)]
    fail(guard, 1)
    before = guard.breaker
    for exchange in late:
        end(guard, exchange, fails=True)
    assert guard.breaker == before
    assert not guard.has_news


def test_no_more_probes_pass_than_there_are_places_and_their_successes_close_it(world: World) -> None:
    one, other = world.guard("gw-1", probes=2, successes=2), world.guard("gw-2", probes=2, successes=2)
    fail(one, 2)
    world.now_s += 10
    probes = [begin(one), begin(other)]
    assert all(probe.probe and probe.is_probe for probe in probes)
    for guard in (one, other):
        with pytest.raises(CircuitOpen) as refused:
            begin(guard)
        assert refused.value.retry_after_s == 1
    end(one, probes[0], fails=False)
    assert other.breaker.state == "HALF_OPEN"
    end(other, probes[1], fails=False)
    assert one.is_clear
    assert other.is_clear


def test_a_probe_that_fails_opens_it_for_longer(world: World) -> None:
    guard = world.guard()
    fail(guard, 2)
    world.now_s += 10
    end(guard, begin(guard), fails=True)
    with pytest.raises(CircuitOpen) as refused:
        begin(guard)
    assert refused.value.retry_after_s == 20


def test_a_probe_that_says_nothing_gives_its_place_back(world: World) -> None:
    guard = world.guard(probes=1)
    fail(guard, 2)
    world.now_s += 10
    left = begin(guard)
    guard.end(left)
    gevent.sleep(0)
    assert begin(guard).probe is not None


def test_a_service_that_is_back_gets_a_growing_share(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = world.guard(probes=1, successes=1, ramp_s=10)
    fail(guard, 2)
    world.now_s += 10
    end(guard, begin(guard), fails=False)
    monkeypatch.setattr(known_breaker.random, "random", lambda: 0.5)
    with pytest.raises(CircuitOpen):
        begin(guard)
    world.now_s += 5
    begin(guard)
    assert not guard.is_clear
    world.now_s += 5
    begin(guard)
    assert guard.is_clear


def test_an_order_holds_until_it_ends(world: World) -> None:
    guard = world.guard()
    world.state.command("hr", "disable", by="me", why="moved", for_s=60)
    with pytest.raises(ServiceDisabled) as refused:
        begin(guard)
    assert refused.value.retry_after_s == 60
    world.state.command("hr", "close", by="me", why="no", for_s=0)
    begin(guard)
    world.state.command("hr", "disable", by="me", why="moved", for_s=0)
    with pytest.raises(ServiceDisabled) as refused:
        begin(guard)
    assert refused.value.retry_after_s == 60


def test_without_the_shared_state_each_worker_goes_on_from_what_it_knew(world: World) -> None:
    one, other = world.guard("gw-1"), world.guard("gw-2")
    world.state.fault = Fault.AWAY
    fail(one, 2)
    assert one.is_alone
    assert one.breaker.state == "OPEN"
    assert other.is_clear
    world.now_s += 10
    probe = begin(one)
    assert probe.probe is not None
    world.state.fault = None
    one.hear(world.state.snapshot(["hr"])["hr"])
    assert not one.is_alone
    assert one.is_clear


def test_who_has_waited_for_a_probe_in_vain_waits_for_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Limits come next, and other breakers before them."""
    one, other = world.guard("gw-1"), world.guard("gw-2")
    fail(one, 2)
    world.now_s += 10
    world.state.fault = Fault.AWAY
    exchange = begin(one)
    assert exchange.probe is not None
    assert exchange.waited_in_vain
    assert not other.is_alone
    with pytest.raises(CircuitOpen):
        other.admit(exchange)
    assert not other.is_alone, "it was not asked for"

    asked: list[object] = []
    monkeypatch.setattr(world.state, "charge", asked.append)
    settings = GatewaySettings.model_validate({"limits": {"api": {"rate": "9/m"}}})
    exchange.route_match = make_match(make_route())
    Limits(settings, world.state, parts=lambda: 1).admit(exchange)
    assert asked == []


def test_who_asks_in_vain_no_more_has_waited_for_nothing(world: World) -> None:
    guard = world.guard()
    world.state.fault = Fault.AWAY
    fail(guard, 2)
    world.now_s += 10
    exchange = begin(guard)
    assert exchange.probe is not None
    assert not exchange.waited_in_vain


def test_the_place_of_a_probe_is_taken_in_the_name_of_its_host(world: World) -> None:
    guards = [world.guard(host, probes=2) for host in ("gw-1:17-3fa9c2", "gw-1:17-b01dfa")]
    fail(guards[0], 2)
    world.now_s += 10
    owners = [probe.owner for probe in map(_probe_of, guards)]
    assert [owner.rsplit(":", 2)[0] for owner in owners] == ["gw-1:17-3fa9c2", "gw-1:17-b01dfa"]


def _probe_of(guard: Guard) -> ProbeInFlight:
    probe = begin(guard).probe
    assert isinstance(probe, ProbeInFlight)
    return probe


def test_what_was_open_stays_open_without_the_shared_state(world: World) -> None:
    guard = world.guard()
    fail(guard, 2)
    world.now_s += 4
    world.state.fault = Fault.AWAY
    with pytest.raises(CircuitOpen) as refused:
        begin(guard)
    assert refused.value.retry_after_s == 6
    world.now_s += 6
    for _ in range(3):
        end(guard, begin(guard), fails=False)
    assert guard.is_clear
    assert guard.is_alone


def test_news_that_are_older_than_what_is_known_are_void(world: World) -> None:
    guard = world.guard(max_failures=1)
    before = world.state.snapshot(["hr"])["hr"]
    world.now_s += 1
    fail(guard, 1)
    guard.hear(before)
    assert guard.breaker.state == "OPEN"


def test_a_state_that_has_lost_its_memory_is_believed(world: World) -> None:
    guard = world.guard(max_failures=1)
    fail(guard, 1)
    world.now_s += 1
    guard.hear(MemoryState(lambda: int(world.now_s * 1000)).snapshot(["hr"])["hr"])
    assert guard.is_clear


def test_who_alone_sees_failures_opens_for_itself(world: World) -> None:
    one, other = world.guard("gw-1", quorum=2), world.guard("gw-2", quorum=2)
    fail(one, 2)
    assert one.breaker.state == "OPEN"
    assert one.breaker.why == "only gw-1 sees failures"
    assert other.is_clear
    world.now_s += 1
    one.hear(world.state.snapshot(["hr"])["hr"])
    assert not one.is_clear, "that all others see none is no news"
