"""What every store promises of totals, of traffic, and of callers who were refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from falcongate.errors import StoreAway
from falcongate.state.in_process import Fault
from falcongate.state.keys import plain
from falcongate.state.memory_store import MemoryState
from falcongate.state.totals import KEPT_S, MAX_CALLERS, PERIOD_S, SLOT_S
from tests.contract import stores
from tests.contract.stores import START_MS, Opened

START_S = START_MS // 1000
NAMES = st.sampled_from(["hr", "lms", "api"])


def add(
    opened: Opened,
    services: Mapping[str, Sequence[int]] | None = None,
    *,
    limits: Mapping[str, Sequence[int]] | None = None,
    callers: Mapping[str, Mapping[str, int]] | None = None,
) -> None:
    opened.state.add_traffic(services or {}, limits=limits or {}, callers=callers or {})


def refuse(opened: Opened, **callers: int) -> None:
    add(opened, callers={"api": callers})


def top(opened: Opened, count: int = 10) -> list[tuple[str, int]]:
    return [*opened.state.top_callers(["api"], count)["api"]]


def test_totals_are_of_all_that_was_told(opened: Opened) -> None:
    assert opened.state.totals() == {}
    add(opened, {"hr": [3, 1, 3], "lms": [1, 0, 1]}, limits={"api": [2, 0, 1], "sign-in": [0, 4, 0]})
    opened.clock.move(86_400)
    add(opened, {"hr": [2, 0, 2]}, limits={"api": [10_000_000_000_000, 1, 0]})

    assert opened.state.totals() == {
        "requests:hr": 5,
        "errors:hr": 1,
        "requests:lms": 1,
        "limit:api:admitted": 10_000_000_000_002,
        "limit:api:refused": 1,
        "limit:api:would_refuse": 1,
        "limit:sign-in:refused": 4,
    }


def test_traffic_lies_in_slots(opened: Opened) -> None:
    opened.clock.move(1.25)
    add(opened, {"hr": [3, 1, 2, 1]})
    opened.clock.move(3.5)
    add(opened, {"hr": [1, 0, 0, 1], "lms": [1, 0, 1, 0]})
    opened.clock.move(0.25)
    add(opened, {"lms": [2, 2, 0, 0]})
    lately = opened.state.traffic(10)

    assert lately.now_s == START_S + 5
    assert [(slot.start_s, dict(slot.services)) for slot in lately.slots] == [
        (START_S, {"hr": [4, 1, 2, 2], "lms": [1, 0, 1, 0]}),
        (START_S + 5, {"lms": [2, 2, 0, 0]}),
    ]


def test_only_as_much_is_told_as_is_asked_for(opened: Opened) -> None:
    for _ in range(4):
        add(opened, {"hr": [1, 0, 1]})
        opened.clock.move(SLOT_S)
    opened.clock.move(-SLOT_S)

    counts = {seconds: len(opened.state.traffic(seconds).slots) for seconds in (1, 5, 6, 10, 15, 900, 5_000)}
    assert counts == {1: 1, 5: 1, 6: 2, 10: 2, 15: 3, 900: 4, 5_000: 4}


def test_what_is_old_is_told_no_more(opened: Opened) -> None:
    add(opened, {"hr": [1, 0, 1]})
    opened.clock.move(KEPT_S - 0.001)
    add(opened)
    assert [slot.start_s for slot in opened.state.traffic(KEPT_S).slots] == [START_S]
    opened.clock.move(0.001)
    add(opened)

    assert opened.state.traffic(10 * KEPT_S).slots == []


def test_releases_that_count_differently_go_on_together(opened: Opened) -> None:
    add(opened, {"hr": [1, 0, 1, 2, 3]})
    add(opened, {"hr": [1, 1, 1]})
    add(opened, {"hr": [1, 0, 1, 1, 1, 1]})

    assert [dict(slot.services) for slot in opened.state.traffic(5).slots] == [{"hr": [3, 1, 3, 3, 4, 1]}]


def test_a_clock_that_steps_back_begins_where_it_is(opened: Opened) -> None:
    add(opened, {"hr": [1, 0, 1]})
    opened.clock.move(-60)
    add(opened, {"hr": [2, 0, 2]})

    assert [(slot.start_s, dict(slot.services)) for slot in opened.state.traffic(60).slots] == [
        (START_S - 60, {"hr": [2, 0, 2]})
    ]


def test_callers_who_were_refused_most_come_first(opened: Opened) -> None:
    assert opened.state.top_callers(["api", "none"], 5) == {"api": [], "none": []}
    refuse(opened, few=1, many=5)
    refuse(opened, many=1, some=3)
    add(opened, callers={"none": {"other": 9}})

    assert top(opened) == [("many", 6), ("some", 3), ("few", 1)]
    assert top(opened, 2) == [("many", 6), ("some", 3)]
    assert opened.state.top_callers([], 5) == {}


def test_callers_are_told_for_two_periods(opened: Opened) -> None:
    refuse(opened, first=5)
    opened.clock.move(PERIOD_S)
    refuse(opened, first=1, second=2)
    assert top(opened) == [("first", 6), ("second", 2)]
    opened.clock.move(PERIOD_S)
    refuse(opened, third=1)
    assert top(opened) == [("second", 2), ("third", 1), ("first", 1)]
    opened.clock.move(2 * PERIOD_S)

    assert top(opened) == []


def test_of_many_callers_the_heaviest_are_kept(opened: Opened) -> None:
    add(opened, callers={"api": {f"c{number:03}": number + 1 for number in range(MAX_CALLERS + 50)}})
    kept = top(opened, 2 * MAX_CALLERS)

    assert len(kept) == MAX_CALLERS
    assert (kept[0], kept[-1]) == (("c149", 150), ("c050", 51))


def test_a_caller_is_any_text(opened: Opened) -> None:
    names = {"": 5, "{x}\r\n": 4, "über": 3, "x" * 500: 2, "2001:db8::/64": 1}
    add(opened, callers={"api": names})

    assert top(opened) == [(plain(name), number) for name, number in names.items()]


def test_what_is_told_while_the_store_is_away_is_lost_and_nobody_is_stopped() -> None:
    state = MemoryState(lambda: START_MS)
    state.fault = Fault.AWAY
    state.add_traffic({"hr": [1, 0, 1]}, limits={}, callers={})
    for ask in (state.totals, lambda: state.traffic(5), lambda: state.top_callers(["api"], 1)):
        with pytest.raises(StoreAway):
            ask()
    state.fault = None

    assert state.totals() == {}


STEPS = st.lists(
    st.tuples(
        st.floats(0, 200),
        st.dictionaries(NAMES, st.lists(st.integers(0, 9), min_size=2, max_size=5), max_size=2),
        st.dictionaries(NAMES, st.tuples(*[st.integers(0, 9)] * 3), max_size=2),
        st.dictionaries(
            NAMES, st.dictionaries(st.sampled_from("abcde"), st.integers(1, 9), max_size=3), max_size=2
        ),
    ),
    max_size=12,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_every_store_tells_what_the_one_in_the_process_does(
    open_store: Callable[[], AbstractContextManager[Opened]],
    steps: Sequence[
        tuple[float, dict[str, list[int]], dict[str, tuple[int, ...]], dict[str, dict[str, int]]]
    ],
) -> None:
    requests: Counter[str] = Counter()
    with stores.memory() as model, open_store() as opened:
        for pause_s, services, limits, callers in steps:
            for each in (model, opened):
                each.clock.move(pause_s)
                add(each, services, limits=limits, callers=callers)
            requests.update({f"requests:{name}": counts[0] for name, counts in services.items()})
            for ask in (
                lambda state: state.totals(),
                lambda state: state.traffic(900),
                lambda state: state.traffic(12),
                lambda state: state.top_callers(["hr", "lms", "api"], 3),
            ):
                assert ask(opened.state) == ask(model.state)
        told = opened.state.totals()
        assert {name: told.get(name, 0) for name in requests} == requests
