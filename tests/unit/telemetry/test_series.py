"""Rates and latencies from counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.telemetry.series import Point, Series, point_of, quantile_ms
from falcongate.telemetry.traffic import BOUNDS_S, COUNTS

BEGUN_S = 1_700_000_000


def counts(requests: int, errors: int = 0, at: int = 4) -> list[int]:
    """Of so many requests, all of which took as long."""
    made = [requests, errors, *[0] * (COUNTS - 2)]
    made[2 + at] = requests
    return made


def series(*services: str, length: int = 4) -> Series:
    return Series(services or ("hr",), step_s=5, length=length)


def slots(
    *told: Mapping[str, Sequence[int]], from_s: int = BEGUN_S
) -> dict[int, Mapping[str, Sequence[int]]]:
    return {from_s + at * 5: services for at, services in enumerate(told)}


@pytest.mark.parametrize(
    ("durations", "share", "ms"),
    [
        ([0, 0, 0], 0.5, None),
        ([10], 0.5, 0.5),
        ([10], 0.99, 0.99),
        ([5, 5], 0.5, 1.0),
        ([0, 100], 0.5, 1.5),
        ([1, 0, 0, 1], 0.99, 9.9),
        ([*[0] * len(BOUNDS_S), 7], 0.5, 10_000.0),
        ([99, *[0] * (len(BOUNDS_S) - 1), 1], 0.99, 1.0),
        ([98, *[0] * (len(BOUNDS_S) - 1), 2], 0.99, 10_000.0),
        ([4, 4, 4, 4, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 77, 77], 0.99, 10_000.0),
    ],
)
def test_latencies_lie_between_their_bounds(durations: list[int], share: float, ms: float | None) -> None:
    assert quantile_ms(durations, share) == ms


@given(st.lists(st.floats(0.0001, 9.99), min_size=1, max_size=60), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_latency_is_off_by_one_bucket_at_most(durations_s: list[float], share: float) -> None:
    buckets = [0] * (len(BOUNDS_S) + 1)
    for duration_s in durations_s:
        buckets[next(at for at, bound_s in enumerate(BOUNDS_S) if duration_s <= bound_s)] += 1
    true_s = sorted(durations_s)[math.ceil(len(durations_s) * share) - 1]
    told_s = (quantile_ms(buckets, share) or 0) / 1000
    at = next(at for at, bound_s in enumerate(BOUNDS_S) if true_s <= bound_s)

    assert (BOUNDS_S[at - 1] if at else 0) <= told_s + 1e-5
    assert told_s <= BOUNDS_S[at] + 1e-5


def test_rates_are_by_the_second() -> None:
    busy, idle = point_of(counts(100, 5), 5), point_of(counts(0), 5)

    assert (busy.requests_per_s, busy.errors_per_s, busy.p50_ms, busy.p99_ms) == (20.0, 1.0, 15.0, 19.9)
    assert idle == Point(0.0, 0.0, None, None)


def test_slots_that_are_over_are_shown_oldest_first() -> None:
    shown = series("hr", "lms")
    shown.add(BEGUN_S + 11, slots({"hr": counts(5)}, {"hr": counts(10, 5)}, {"hr": counts(500)}))

    assert shown.shown("hr") == {
        "step_s": 5,
        "from_s": BEGUN_S - 10,
        "requests_per_s": (0.0, 0.0, 1.0, 2.0),
        "errors_per_s": (0.0, 0.0, 0.0, 1.0),
        "p50_ms": (None, None, 15.0, 15.0),
        "p99_ms": (None, None, 19.9, 19.9),
    }
    assert shown.shown("lms")["requests_per_s"] == (0.0,) * 4


def test_what_was_shown_moves_on_slot_by_slot() -> None:
    shown = series()
    shown.add(BEGUN_S + 5, slots({"hr": counts(5)}))
    for second in range(6, 30):
        shown.add(BEGUN_S + second, slots(*[{"hr": counts(5 * at)} for at in range(1, 7)]))
        assert shown.shown("hr")["from_s"] == BEGUN_S + second // 5 * 5 - 20

    assert shown.shown("hr")["requests_per_s"] == (2.0, 3.0, 4.0, 5.0)


@pytest.mark.parametrize("seconds", [3_600, -3_600, -7])
def test_after_a_long_pause_and_a_clock_set_back_it_begins_anew(seconds: int) -> None:
    shown = series()
    shown.add(BEGUN_S + 15, slots({"hr": counts(5)}, {"hr": counts(5)}, {"hr": counts(5)}))
    now_s = BEGUN_S + 15 + seconds
    begun_s = now_s // 5 * 5
    shown.add(now_s, slots({"hr": counts(50)}, from_s=begun_s - 5))

    assert shown.shown("hr")["from_s"] == begun_s - 20
    assert shown.shown("hr")["requests_per_s"] == (0.0, 0.0, 0.0, 10.0)


def test_now_is_the_slot_that_has_begun_and_the_two_before() -> None:
    shown = series("hr", "lms")
    told = [{"hr": counts(1_000)}, {"hr": counts(60, 12)}, {"hr": counts(50)}, {"hr": counts(10)}]
    shown.add(BEGUN_S + 17, slots(*told))

    assert shown.now("hr") == {"requests_per_s": 10.0, "errors_per_s": 1.0, "p50_ms": 15.0, "p99_ms": 19.9}
    assert shown.now("lms") == {"requests_per_s": 0.0, "errors_per_s": 0.0, "p50_ms": None, "p99_ms": None}


def test_all_is_wanted_at_first_and_then_what_may_be_new() -> None:
    shown = series(length=180)
    assert shown.wanted_s(0) == 900
    shown.add(BEGUN_S, {})

    assert [shown.wanted_s(elapsed_s) for elapsed_s in (0.0, 1.0, 30.5, 5_000.0)] == [20, 21, 50, 900]


def test_whoever_is_ended_while_it_is_added_leaves_nothing_half_done() -> None:
    shown = series("hr", "lms", length=10)
    told = slots(*[{"hr": counts(5)}] * 10)
    for turns in range(1, 8):
        adding = gevent.spawn(shown.add, BEGUN_S + 50, told)
        for _ in range(turns):
            gevent.sleep(0)
        adding.kill()
    shown.add(BEGUN_S + 50, told)

    assert shown.shown("hr")["requests_per_s"] == (1.0,) * 10
