"""What every store promises of breakers: what opens them."""

from dataclasses import replace

from falcongate.state.store import Breaker, BreakerRules
from tests.contract.breakers import RATIO, RULES, ask, finish, report, see
from tests.contract.stores import Opened


def test_a_breaker_of_which_nobody_has_told_is_closed(opened: Opened) -> None:
    assert see(opened) == Breaker("hr", now_s=opened.clock() / 1000)


def test_closed_open_half_open_closed(opened: Opened) -> None:
    report(opened, 5, 2)
    assert see(opened).state == "CLOSED"
    assert report(opened, 1, 1).breaker.state == "OPEN"
    opened.clock.move(119.999)
    assert see(opened).state == "OPEN"
    opened.clock.move(0.001)
    assert see(opened).state == "HALF_OPEN"
    for owner in "abc":
        assert ask(opened, owner).granted
    assert [finish(opened, owner, "SUCCESS").state for owner in "abc"] == ["HALF_OPEN", "HALF_OPEN", "CLOSED"]
    closed = see(opened)
    assert (closed.before, closed.since_s, closed.failures) == ("HALF_OPEN", opened.clock() / 1000, 0)


def test_failures_of_all_hosts_count_together(opened: Opened) -> None:
    report(opened, 1, 1, host="gw-1")
    report(opened, 1, 1, host="gw-2")

    assert report(opened, 1, 1, host="gw-3").breaker.state == "OPEN"


def test_failures_of_one_host_count_together(opened: Opened) -> None:
    assert [report(opened, 2, 1).breaker.failures for _ in range(2)] == [1, 2]
    assert report(opened, 2, 1).breaker.state == "OPEN"


def test_failures_are_forgotten_when_the_window_has_passed_them(opened: Opened) -> None:
    report(opened, 2, 2)
    opened.clock.move(66)
    after = report(opened, 2, 2).breaker

    assert (after.state, after.failures, after.total_failures) == ("CLOSED", 2, 4)


def test_a_share_of_failures_needs_enough_calls_to_mean_something(opened: Opened) -> None:
    assert report(opened, 9, 9, rules=RATIO).breaker.state == "CLOSED"

    opened_by = report(opened, 9, 0, rules=RATIO).breaker

    assert (opened_by.state, opened_by.why) == ("OPEN", "9 of 18 calls failed in 60 s")


def test_a_share_of_slow_calls_opens_it(opened: Opened) -> None:
    assert report(opened, 10, slow=7, rules=RATIO).breaker.state == "CLOSED"

    opened_by = report(opened, 5, slow=5, rules=RATIO).breaker

    assert (opened_by.state, opened_by.why) == ("OPEN", "12 of 15 calls were slow in 60 s")


def test_a_share_that_is_met_exactly_opens_it(opened: Opened) -> None:
    rules = replace(RATIO, failure_ratio=0.1)

    assert report(opened, 30, 3, rules=rules).breaker.state == "OPEN"


def test_a_rule_of_zero_is_off(opened: Opened) -> None:
    rules = BreakerRules(max_failures=0, min_calls=0)

    assert report(opened, 1000, 1000, slow=1000, rules=rules).breaker.state == "CLOSED"


def test_a_host_that_alone_sees_failures_learns_that_it_is_alone(opened: Opened) -> None:
    rules = replace(RULES, quorum=2)
    alone = report(opened, 5, 5, rules=rules, host="gw-1")
    other = report(opened, 5, 2, rules=rules, host="gw-2")

    assert (alone.breaker.state, alone.is_alone) == ("CLOSED", True)
    assert (other.breaker.state, other.is_alone) == ("CLOSED", False)
    assert report(opened, 1, 1, rules=rules, host="gw-2") == (see(opened), False)
    assert see(opened).state == "OPEN"


def test_breakers_do_not_share_anything(opened: Opened) -> None:
    report(opened, 3, 3)

    assert opened.state.snapshot(["hr", "lms"])["lms"].state == "CLOSED"
    assert opened.state.snapshot([]) == {}


def test_failures_after_the_clock_has_stepped_back_still_open_it(opened: Opened) -> None:
    report(opened, 2, 2)
    opened.clock.move(-3600)
    report(opened, 2, 2)

    assert report(opened, 1, 1).breaker.state == "OPEN"


def test_failures_of_before_a_step_back_are_forgotten(opened: Opened) -> None:
    report(opened, 2, 2)
    opened.clock.move(-3600)

    assert report(opened, 2, 2).breaker.failures == 2
