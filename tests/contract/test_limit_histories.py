"""Random histories: the guarantee of a window, its promise, and that all stores answer alike."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from falcongate.state.store import Charge, Charged, Window
from tests.contract import stores
from tests.contract.stores import Opened
from tests.support.redis_servers import RedisServer

Open = Callable[[], AbstractContextManager[Opened]]

windows = st.builds(
    Window,
    policy=st.sampled_from(["p", "q"]),
    limit=st.integers(1, 12),
    length_s=st.sampled_from([60, 61.007, 100]),
    buckets=st.sampled_from([1, 2, 3, 10]),
    burst=st.none() | st.integers(1, 6),
    counts_only=st.booleans(),
)
# Around the ends of buckets and windows, where mistakes are.
pauses_s = st.sampled_from([0, 0, 0.001, 1, 5.999, 6, 29.999, 30, 59.999, 60, 60.001, 66]) | st.integers(
    0, 70_000
).map(lambda ms: ms / 1000)
arrivals = st.lists(st.tuples(pauses_s, st.integers(1, 4)), max_size=40)
quick = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def most_in_any(length_s: float, admitted: list[tuple[float, int]]) -> int:
    """The most that was admitted in any interval of a length; the worst begins with an admission."""
    return max(
        (sum(cost for at, cost in admitted if begin <= at < begin + length_s) for begin, _ in admitted),
        default=0,
    )


@quick
@given(window=windows, history=arrivals)
def test_no_window_of_any_phase_admits_more_than_the_limit(
    open_store: Open, window: Window, history: list[tuple[float, int]]
) -> None:
    admitted = []
    with open_store() as opened:
        for pause_s, cost in history:
            opened.clock.move(pause_s)
            verdict = opened.state.charge([Charge(window, "a", cost)]).verdicts[0]
            if verdict is not None and verdict.fits:
                admitted.append((opened.clock.now_ms / 1000, cost))

    assert most_in_any(window.length_s, admitted) <= window.limit


@quick
@given(window=windows, history=st.lists(st.tuples(pauses_s, st.integers(1, 4), pauses_s), max_size=30))
def test_not_even_a_clock_that_steps_back_admits_more_than_the_limit(
    window: Window, history: list[tuple[float, int, float]]
) -> None:
    admitted = []
    true_s = 0.0
    with stores.fake() as opened:
        for pause_s, cost, back_s in history:
            true_s += pause_s
            opened.clock.move(pause_s - back_s)
            verdict = opened.state.charge([Charge(window, "a", cost)]).verdicts[0]
            if verdict is not None and verdict.fits:
                admitted.append((true_s, cost))

    assert most_in_any(window.length_s, admitted) <= window.limit


@quick
@given(window=windows, history=arrivals)
def test_who_keeps_to_the_promised_share_is_never_refused(
    open_store: Open, window: Window, history: list[tuple[float, int]]
) -> None:
    """The share: no more than the limit in a window and one bucket, nor than the burst in one bucket."""
    asked: list[tuple[int, int]] = []
    burst = window.limit if window.burst is None else window.burst
    with open_store() as opened:
        for pause_s, cost in history:
            opened.clock.move(pause_s)
            now_ms = opened.clock.now_ms

            def lately(length_ms: int, now_ms: int = now_ms) -> int:
                return sum(past for at, past in asked if at > now_ms - length_ms)

            whole_ms = (window.buckets + 1) * window.width_ms
            if lately(whole_ms) + cost > window.limit or lately(window.width_ms) + cost > burst:
                continue
            asked.append((now_ms, cost))
            assert opened.state.charge([Charge(window, "a", cost)]).admitted


@quick
@given(window=windows, history=arrivals)
def test_who_comes_again_at_the_reset_is_admitted(
    open_store: Open, window: Window, history: list[tuple[float, int]]
) -> None:
    with open_store() as opened:
        for pause_s, cost in history:
            opened.clock.move(pause_s)
            verdict = opened.state.charge([Charge(window, "a", cost)]).verdicts[0]
            assert verdict is not None
            if not verdict.fits and verdict.reset_s < 1e9:
                assert verdict.reset_s > 0
                opened.clock.move(verdict.reset_s)
                again = opened.state.charge([Charge(window, "a", cost)]).verdicts[0]
                assert again is not None
                assert again.fits


requests = st.lists(
    st.builds(Charge, window=windows, caller=st.sampled_from(["a", "b", "}{ä"]), cost=st.integers(0, 4)),
    max_size=3,
    unique_by=lambda charge: (charge.caller, charge.window.policy),
)
events = [
    st.tuples(st.just("charge"), requests),
    st.tuples(st.just("move"), pauses_s),
    st.tuples(st.just("refund"), st.integers(0, 5)),
]
step_back = st.tuples(st.just("move"), pauses_s.map(lambda seconds: -seconds))


def replay(opened: Opened, history: list[tuple[str, object]]) -> list[Charged]:
    """What a store answers to a history."""
    answers: list[Charged] = []
    for kind, what in history:
        if kind == "charge":
            answers.append(opened.state.charge(what))
        elif kind == "move":
            opened.clock.move(what)
        elif answers:
            opened.state.refund(answers[max(0, len(answers) - 1 - what)].receipt)
    return answers


@quick
@given(history=st.lists(st.one_of(events), max_size=40))
def test_the_scripts_on_a_server_answer_as_the_model_does(
    redis_server: RedisServer, history: list[tuple[str, object]]
) -> None:
    with stores.memory() as model, stores.real(redis_server) as server:
        assert replay(model, history) == replay(server, history)


ONCE_EXPIRED = [
    ("charge", [Charge(Window("p", limit=1, length_s=60, buckets=1), "a", 1)]),
    ("move", 120),
    ("refund", 0),
    ("move", -0.001),
    ("charge", [Charge(Window("p", limit=1, length_s=60, buckets=1), "a", 0)]),
]


@quick
@given(history=st.lists(st.one_of(*events, step_back), max_size=40))
@example(history=ONCE_EXPIRED)
def test_the_scripts_answer_as_the_model_does_with_any_clock(history: list[tuple[str, object]]) -> None:
    with stores.memory() as model, stores.fake() as fake:
        assert replay(model, history) == replay(fake, history)
