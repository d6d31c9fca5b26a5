"""Random histories of breakers and places: what always holds, and that all stores answer alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from falcongate.state.store import Breaker, BreakerRules, Counts, SharedState
from tests.contract import stores
from tests.contract.stores import Opened
from tests.support.redis_servers import RedisServer

NAMES = ("hr", "lms@10.0.0.7:8004")
rules = st.builds(
    BreakerRules,
    max_failures=st.integers(0, 12),
    failure_ratio=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    slow_ratio=st.sampled_from([0.0, 0.3]),
    min_calls=st.integers(1, 5),
    window_s=st.sampled_from([10.0, 60.0, 61.5]),
    quorum=st.integers(1, 3),
    open_s=st.sampled_from([1.0, 30.0]),
    max_open_s=st.sampled_from([30.0, 100.0]),
    probes=st.integers(1, 3),
    successes=st.integers(1, 4),
    probe_lease_s=st.sampled_from([0.5, 10.0]),
)
names = st.sampled_from((*NAMES, "hr", "hr"))
owners = st.sampled_from(["a", "b", "c"])
ages = st.sampled_from([0, 0, 0, 0, 1])
times_s = st.sampled_from([0.001, 0.5, 1.0, 5.999, 10.0, 30.0, 60.0])

reports = st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)).map(
    lambda counts: (max(counts), min(counts), sorted(counts)[1])
)
steps = st.one_of(
    st.tuples(st.just("report"), names, owners, ages, reports),
    st.tuples(st.just("ask"), names, owners, ages, st.none()),
    st.tuples(
        st.just("finish"), names, owners, ages, st.sampled_from(["SUCCESS", "SUCCESS", "FAILURE", "IGNORED"])
    ),
    st.tuples(
        st.just("command"),
        names,
        owners,
        st.sampled_from([0.0, 20.0]),
        st.sampled_from(["open", "close", "disable", "enable", "reset"]),
    ),
)
histories = st.lists(st.one_of(steps, steps, times_s), min_size=10, max_size=40)
Step = tuple[str, str, str, Any, Any]


def take(state: SharedState, rules: BreakerRules, step: Step, generations: list[int]) -> object:
    """Ask one question; `generations` are those that were seen, and one may be over."""
    kind, name, owner, number, what = step
    if kind == "ask":
        return state.ask_probe(name, rules, owner=owner)
    if kind == "command":
        return state.command(name, what, by=owner, why="because", for_s=number)
    generation = generations[max(0, len(generations) - 1 - number)]
    if kind == "finish":
        return state.finish_probe(name, rules, owner=owner, generation=generation, outcome=what)
    calls, failures, slow = what
    return state.report(name, rules, host=owner, generation=generation, counts=Counts(calls, failures, slow))


def replay(opened: Opened, rules: BreakerRules, history: list[Step | float]) -> list[Any]:
    """What a store answers to a history, tells of it and has written down."""
    answers: list[Any] = []
    heard: list[Breaker] = []
    generations: dict[str, list[int]] = {name: [0] for name in NAMES}
    opened.state.subscribe(heard.append, lambda: None)
    for step in history:
        if isinstance(step, float):
            opened.clock.move(step)
            continue
        answers.append(take(opened.state, rules, step, generations[step[1]]))
        now = opened.state.snapshot(NAMES)
        answers.append(now)
        for name, breaker in now.items():
            if breaker.generation != generations[name][-1]:
                generations[name].append(breaker.generation)
    if opened.line is not None:
        opened.line.listen()
    return [answers, heard, *(opened.state.history(name, 100) for name in NAMES)]


@settings(max_examples=150)
@given(rules=rules, history=histories)
def test_the_scripts_of_the_breaker_answer_as_the_model_does(
    rules: BreakerRules, history: list[Step | float]
) -> None:
    with stores.memory() as model, stores.fake() as fake:
        assert replay(model, rules, history) == replay(fake, rules, history)


@settings(max_examples=60)
@given(rules=rules, history=histories)
def test_on_a_server_too(redis_server: RedisServer, rules: BreakerRules, history: list[Step | float]) -> None:
    with stores.memory() as model, stores.real(redis_server) as server:
        assert replay(model, rules, history) == replay(server, rules, history)


@settings(max_examples=300)
@given(
    rules=rules.map(lambda rules: replace(rules, max_failures=1, quorum=1, open_s=1.0)),
    history=st.lists(
        st.tuples(
            st.sampled_from(["ask", "ask", "SUCCESS", "FAILURE", "IGNORED"]),
            owners,
            st.sampled_from([0.0, 0.0, 0.3, 1.0]),
        ),
        max_size=60,
    ),
)
def test_never_are_more_probes_out_than_allowed(
    rules: BreakerRules, history: list[tuple[str, str, float]]
) -> None:
    with stores.memory() as opened:
        state = opened.state
        state.report("hr", rules, host="gw", generation=0, counts=Counts(1, 1, 0))
        opened.clock.move(1)
        out: dict[str, float] = {}
        for kind, owner, pause_s in history:
            opened.clock.move(pause_s)
            now_s = opened.clock() / 1000
            before = state.snapshot(["hr"])["hr"]
            out = {who: ends for who, ends in out.items() if ends > now_s}
            if kind == "ask" and state.ask_probe("hr", rules, owner=owner).granted:
                assert before.state == "HALF_OPEN"
                out.setdefault(owner, round(now_s + rules.probe_lease_s, 3))
            elif kind != "ask":
                generation = before.generation
                after = state.finish_probe("hr", rules, owner=owner, generation=generation, outcome=kind)
                out = {} if after.generation != generation else out
                out.pop(owner, None)
            assert len(out) <= rules.probes


places = st.one_of(
    st.tuples(st.just("lease"), owners, st.integers(0, 3)),
    st.tuples(st.just("renew"), owners, st.just(0)),
    st.tuples(st.just("release"), owners, st.just(0)),
    st.tuples(st.just("move"), st.just(""), st.sampled_from([0.001, 4.0, 9.999, 10.0])),
)


def replay_places(opened: Opened, history: list[tuple[str, str, Any]]) -> list[Any]:
    """What a store answers to a history of places."""
    answers: list[Any] = []
    for kind, owner, number in history:
        if kind == "lease":
            answers.append(opened.state.lease("hr", limit=number, owner=owner, ttl_s=10))
        elif kind == "renew":
            opened.state.renew("hr", owners=[owner, "nobody"], ttl_s=10)
        elif kind == "release":
            opened.state.release("hr", owner=owner)
        else:
            opened.clock.move(number)
    return answers


@settings(max_examples=100)
@given(history=st.lists(places, max_size=40))
def test_places_are_given_by_the_scripts_as_by_the_model(history: list[tuple[str, str, Any]]) -> None:
    with stores.memory() as model, stores.fake() as fake:
        assert replay_places(model, history) == replay_places(fake, history)
