"""Why a breaker has changed, in a few words that are the same for all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from falcongate.admission.guard import Guard
from falcongate.admission.transition_reason import reason_of, transitions_of
from falcongate.config.breaker import BreakerSettings
from falcongate.state.memory_store import MemoryState
from falcongate.state.store import Breaker, BreakerRules, Counts, Outcome


def reported(rules: BreakerRules, **counts: int) -> Breaker:
    """A breaker that these calls were too much for."""
    return MemoryState().report("hr", rules, host="a", generation=0, counts=Counts(**counts)).breaker


@pytest.mark.parametrize(
    ("rules", "counts", "reason"),
    [
        (BreakerRules(), {"calls": 5, "failures": 5, "slow": 0}, "failures"),
        (
            BreakerRules(max_failures=0, failure_ratio=0.5),
            {"calls": 20, "failures": 10, "slow": 0},
            "ratio",
        ),
        (BreakerRules(max_failures=0, slow_ratio=0.5), {"calls": 20, "failures": 0, "slow": 15}, "slow"),
    ],
)
def test_what_opens_it_is_told_as_the_store_says_it(
    rules: BreakerRules, counts: dict[str, int], reason: str
) -> None:
    opened = reported(rules, **counts)
    assert opened.state == "OPEN"
    assert reason_of(opened) == reason


@pytest.mark.parametrize("outcome", ["SUCCESS", "FAILURE"])
def test_time_and_probes(outcome: Outcome) -> None:
    rules = BreakerRules(open_s=0.001, successes=1)
    state = MemoryState()
    state.report("hr", rules, host="a", generation=0, counts=Counts(5, 5, 0))
    waiting: Callable[[], Breaker] = lambda: state.snapshot(["hr"])["hr"]  # noqa: E731  # asked again and again
    half_open = next(breaker for breaker in iter(waiting, None) if breaker.state == "HALF_OPEN")
    assert reason_of(half_open) == "time"
    state.ask_probe("hr", rules, owner="me")
    ended = state.finish_probe("hr", rules, owner="me", generation=half_open.generation, outcome=outcome)
    assert ended.state == ("CLOSED" if outcome == "SUCCESS" else "OPEN")
    assert reason_of(ended) == "probe"


@pytest.mark.parametrize("order", ["open", "close", "disable", "reset"])
def test_an_operator_s_words_decide_nothing(order: str) -> None:
    state = MemoryState()
    state.report("hr", BreakerRules(), host="a", generation=0, counts=Counts(5, 5, 0))
    ordered = state.command("hr", order, by="jane", why="3 probes succeeded")  # type: ignore[arg-type]
    assert reason_of(ordered) == "operator"


def test_what_ends_an_order_is_an_operator_s_too() -> None:
    state = MemoryState()
    state.command("hr", "disable", by="jane", why="it is broken")
    assert reason_of(state.command("hr", "enable", by="jane", why="5 failures in 60 s")) == "operator"


def test_alone_is_a_reason_and_the_unknown_is_other() -> None:
    assert reason_of(Breaker("hr", "OPEN", by="a", why="only a sees failures")) == "alone"
    assert reason_of(Breaker("hr", "OPEN", by="a", why="something new")) == "other"
    assert reason_of(Breaker("hr", "HALF_OPEN", by="a", why="something new")) == "other"


def test_who_wants_to_hear_of_transitions_hears_of_each() -> None:
    heard: list[tuple[str, bool]] = []

    def tell(breaker: Breaker, is_alone: bool) -> None:  # noqa: FBT001  # as guards call it
        heard.append((breaker.state, is_alone))

    state = MemoryState()
    guard = Guard("hr", BreakerSettings(), state, host="gw-1", wake=lambda: None, tell=tell)
    ordered = state.command("hr", "open", by="jane", why="a test")
    guard.hear(ordered)
    guard.hear(ordered)
    guard.hear(state.command("hr", "reset", by="jane", why="it is over"))
    assert heard == [("FORCED_OPEN", False), ("CLOSED", False)]


def test_what_a_breaker_can_do_by_itself_follows_from_its_settings() -> None:
    every = BreakerSettings(failure_ratio=0.5, slow_call_s=1, slow_ratio=0.5, quorum=2)
    reasons = [reason for before, _, reason in transitions_of(every) if before == "CLOSED"]
    assert reasons == ["failures", "ratio", "slow", "alone"]
    assert next(transitions_of(BreakerSettings(max_failures=0))) == ("OPEN", "HALF_OPEN", "time")
