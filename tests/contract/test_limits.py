"""What every store promises of limits."""

import math

import pytest

from falcongate.state.store import Charge, Window
from tests.contract.stores import Opened, fake

TEN = Window("ten", limit=10, length_s=60)
THREE = Window("three", limit=3, length_s=60)


def test_up_to_the_limit_pass_and_then_none(opened: Opened) -> None:
    answers = [opened.state.charge([Charge(THREE, "a")]) for _ in range(5)]

    assert [answer.admitted for answer in answers] == [True, True, True, False, False]
    assert [answer.verdicts[0].remaining for answer in answers] == [2, 1, 0, 0, 0]


def test_callers_do_not_share_a_window(opened: Opened) -> None:
    opened.state.charge([Charge(THREE, "a", 3)])

    assert opened.state.charge([Charge(THREE, "b", 3)]).admitted


def test_what_was_admitted_counts_until_the_window_has_passed_it_whole(opened: Opened) -> None:
    opened.clock.move(5.999)
    opened.state.charge([Charge(THREE, "a", 3)])
    opened.clock.move(60)

    assert not opened.state.charge([Charge(THREE, "a")]).admitted

    opened.clock.move(0.001)

    assert opened.state.charge([Charge(THREE, "a", 3)]).admitted


def test_a_refusal_tells_when_exactly_the_cost_will_fit(opened: Opened) -> None:
    opened.state.charge([Charge(TEN, "a", 4)])
    opened.clock.move(20)
    opened.state.charge([Charge(TEN, "a", 6)])
    small, large = (opened.state.charge([Charge(TEN, "a", cost)]).verdicts[0] for cost in (4, 5))

    opened.clock.move(small.reset_s - 0.001)
    assert not opened.state.charge([Charge(TEN, "a", 4)]).admitted
    opened.clock.move(0.001)
    assert opened.state.charge([Charge(TEN, "a", 4)]).admitted
    assert large.reset_s == small.reset_s + 18  # the bucket that began at 18 s holds the other six


def test_what_is_admitted_learns_when_more_than_what_remains_can_pass(opened: Opened) -> None:
    opened.state.charge([Charge(TEN, "a", 4)])
    opened.clock.move(20)

    assert opened.state.charge([Charge(TEN, "a", 2)]).verdicts[0] == (True, 4, 46.0)


def test_a_cost_above_the_limit_is_told_to_fit_never(opened: Opened) -> None:
    refused = opened.state.charge([Charge(THREE, "a", 4)])

    assert refused.verdicts == ((False, 3, math.inf),)


def test_a_request_is_charged_all_its_windows_or_none(opened: Opened) -> None:
    opened.state.charge([Charge(THREE, "a", 3)])
    refused = opened.state.charge([Charge(TEN, "a"), Charge(THREE, "a")])

    assert not refused.admitted
    assert [verdict.fits for verdict in refused.verdicts] == [True, False]
    assert refused.receipt.entries == ()
    assert opened.state.charge([Charge(TEN, "a", 10)]).admitted


def test_a_refused_request_costs_nothing(opened: Opened) -> None:
    opened.state.charge([Charge(THREE, "a", 2)])
    for _ in range(10):
        opened.state.charge([Charge(THREE, "a", 2)])

    assert opened.state.charge([Charge(THREE, "a")]).admitted


def test_a_cost_of_nothing_asks_what_remains(opened: Opened) -> None:
    opened.state.charge([Charge(THREE, "a", 2)])
    asked = [opened.state.charge([Charge(THREE, "a", 0)]) for _ in range(2)]

    assert [answer.verdicts for answer in asked] == [((True, 1, 66.0),)] * 2
    assert [answer.receipt.entries for answer in asked] == [(), ()]


def test_a_window_that_only_counts_tells_and_refuses_nothing(opened: Opened) -> None:
    shadow = Window("shadow", limit=1, length_s=60, counts_only=True)
    answers = [opened.state.charge([Charge(shadow, "a"), Charge(THREE, "a")]) for _ in range(4)]

    assert [answer.admitted for answer in answers] == [True, True, True, False]
    assert [answer.verdicts[0].fits for answer in answers] == [True, False, False, False]


def test_a_refund_gives_back_what_was_charged(opened: Opened) -> None:
    charged = opened.state.charge([Charge(THREE, "a", 3), Charge(TEN, "b", 10)])
    opened.state.refund(charged.receipt)

    assert opened.state.charge([Charge(THREE, "a", 3), Charge(TEN, "b", 10)]).admitted


def test_a_refund_of_what_has_left_the_window_changes_nothing(opened: Opened) -> None:
    charged = opened.state.charge([Charge(THREE, "a", 3)])
    opened.clock.move(70)
    opened.state.charge([Charge(THREE, "a", 3)])
    opened.state.refund(charged.receipt)

    assert not opened.state.charge([Charge(THREE, "a")]).admitted


def test_no_more_is_given_back_than_a_bucket_holds(opened: Opened) -> None:
    charged = opened.state.charge([Charge(THREE, "a", 2)])
    opened.state.refund(charged.receipt)
    opened.state.refund(charged.receipt)

    assert opened.state.charge([Charge(THREE, "a", 3)]).admitted
    assert not opened.state.charge([Charge(THREE, "a")]).admitted


def test_a_burst_bounds_each_bucket(opened: Opened) -> None:
    window = Window("burst", limit=10, length_s=60, burst=4)
    opened.clock.move(4)
    assert opened.state.charge([Charge(window, "a", 3)]).verdicts[0] == (True, 1, 2.0)
    refused = opened.state.charge([Charge(window, "a", 2)])

    assert refused.verdicts[0] == (False, 1, 2.0)

    opened.clock.move(2)

    assert opened.state.charge([Charge(window, "a", 4)]).admitted


def test_a_clock_that_steps_back_admits_nothing_too_early(opened: Opened) -> None:
    opened.state.charge([Charge(THREE, "a", 2)])
    opened.clock.move(-30)
    opened.state.charge([Charge(THREE, "a", 1)])
    opened.clock.move(61)

    assert not opened.state.charge([Charge(THREE, "a", 2)]).admitted

    opened.clock.move(36)

    assert opened.state.charge([Charge(THREE, "a", 3)]).admitted


def test_what_is_charged_after_a_step_back_counts_for_a_whole_window() -> None:
    with fake() as opened:
        opened.state.charge([Charge(THREE, "a")])
        opened.clock.move(-30)
        opened.state.charge([Charge(THREE, "a")])
        opened.clock.move(20)
        opened.state.charge([Charge(THREE, "a")])
        opened.clock.move(46.5)

        assert not opened.state.charge([Charge(THREE, "a", 3)]).admitted


def test_what_is_charged_when_the_clock_has_caught_up_counts_for_a_whole_window() -> None:
    with fake() as opened:
        opened.state.charge([Charge(THREE, "a")])
        opened.clock.move(-59.999)
        opened.state.charge([Charge(THREE, "a")])
        opened.clock.move(59.999)
        opened.state.charge([Charge(THREE, "a")])
        opened.clock.move(6.002)

        assert not opened.state.charge([Charge(THREE, "a")]).admitted


def test_a_caller_may_be_called_anything(opened: Opened) -> None:
    names = ["", " ", "}", "{a}", "a", "a}b", "a b", "ä", "%20", "\x00\n", "x" * 5000, "x" * 5001, "\udcff"]

    for name in names:
        assert opened.state.charge([Charge(THREE, name, 3)]).admitted, name
    for name in names:
        assert not opened.state.charge([Charge(THREE, name)]).admitted, name


def test_no_charge_at_all_is_admitted(opened: Opened) -> None:
    assert opened.state.charge([]) == (True, (), ((),))


def test_after_a_long_step_back_a_full_window_is_free_again_within_its_own_length() -> None:
    with fake() as opened:
        opened.state.charge([Charge(THREE, "a", 3)])
        opened.clock.move(-3600)
        refused = opened.state.charge([Charge(THREE, "a")])
        opened.clock.move(refused.verdicts[0].reset_s + 0.001)

        assert refused.verdicts[0].reset_s <= 66
        assert opened.state.charge([Charge(THREE, "a")]).admitted


@pytest.mark.parametrize(
    "settings",
    [
        {"limit": -1},
        {"length_s": 0},
        {"length_s": math.nan},
        {"length_s": math.inf},
        {"buckets": 0},
        {"burst": -1},
    ],
)
def test_a_window_that_cannot_be_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="no such window"):
        Window(**{"policy": "p", "limit": 1, "length_s": 1, **settings})  # type: ignore[arg-type]
