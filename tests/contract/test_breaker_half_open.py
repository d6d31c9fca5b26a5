"""What every store promises of probes, and of the way back to closed."""

from dataclasses import replace

from tests.contract.breakers import RULES, ask, finish, half_open, report, see
from tests.contract.stores import Opened


def test_news_of_an_older_generation_is_dropped(opened: Opened) -> None:
    late = see(opened).generation
    report(opened, 3, 3)
    opened.state.command("hr", "reset", by="ops", why="repaired")

    after = report(opened, 3, 3, generation=late).breaker

    assert (after.state, after.total_calls) == ("CLOSED", 0)


def test_no_more_than_the_allowed_probes_are_out_at_once(opened: Opened) -> None:
    half_open(opened)

    assert [ask(opened, owner).granted for owner in "abcde"] == [True, True, True, False, False]


def test_exactly_as_many_probes_pass_as_can_be_needed(opened: Opened) -> None:
    half_open(opened)
    for owner in "abc":
        ask(opened, owner)
    finish(opened, "a", "SUCCESS")

    assert not ask(opened, "d").granted


def test_more_successes_than_probes_at_a_time_are_collected_one_after_the_other(opened: Opened) -> None:
    rules = replace(RULES, probes=1, successes=3)
    half_open(opened)
    states = []
    for owner in "abc":
        generation = opened.state.ask_probe("hr", rules, owner=owner).breaker.generation
        after = opened.state.finish_probe("hr", rules, owner=owner, generation=generation, outcome="SUCCESS")
        states.append(after.state)

    assert states == ["HALF_OPEN", "HALF_OPEN", "CLOSED"]


def test_successes_before_a_failure_do_not_count_afterwards(opened: Opened) -> None:
    half_open(opened)
    for owner, outcome in (("a", "SUCCESS"), ("b", "SUCCESS"), ("c", "FAILURE")):
        ask(opened, owner)
        again = finish(opened, owner, outcome)
    opened.clock.move(again.until_s - again.since_s)

    assert see(opened).successes == 0


def test_who_asks_twice_has_one_probe(opened: Opened) -> None:
    half_open(opened)

    assert [ask(opened, "a").granted for _ in range(5)] == [True] * 5
    assert ask(opened, "b").breaker.probes == 2


def test_no_probe_is_granted_unless_half_open(opened: Opened) -> None:
    assert not ask(opened, "a").granted
    report(opened, 3, 3)
    assert not ask(opened, "a").granted


def test_a_probe_of_a_killed_worker_is_given_back(opened: Opened) -> None:
    half_open(opened)
    for owner in "abc":
        ask(opened, owner)
    opened.clock.move(29.999)
    assert not ask(opened, "d").granted
    opened.clock.move(0.001)

    assert [ask(opened, owner).granted for owner in "defg"] == [True, True, True, False]


def test_a_probe_that_asks_again_holds_its_place_for_longer(opened: Opened) -> None:
    half_open(opened)
    for owner in "abc":
        ask(opened, owner)
    opened.clock.move(20)
    assert ask(opened, "a").granted
    opened.clock.move(20)

    assert [ask(opened, owner).granted for owner in "defg"] == [True, True, False, False]


def test_an_ignored_probe_gives_its_place_back_and_says_nothing(opened: Opened) -> None:
    half_open(opened)
    for owner in "abc":
        ask(opened, owner)
    after = finish(opened, "a", "IGNORED")

    assert (after.state, after.successes, after.probes) == ("HALF_OPEN", 0, 2)
    assert ask(opened, "d").granted


def test_a_failed_probe_opens_it_for_twice_as_long_up_to_the_most(opened: Opened) -> None:
    half_open(opened)
    lengths = []
    for _ in range(3):
        ask(opened, "a")
        again = finish(opened, "a", "FAILURE")
        lengths.append(again.until_s - again.since_s)
        opened.clock.move(again.until_s - again.since_s)

    assert lengths == [240, 300, 300]


def test_open_times_are_short_again_after_it_has_closed(opened: Opened) -> None:
    half_open(opened)
    ask(opened, "a")
    opened.clock.move(finish(opened, "a", "FAILURE").until_s - opened.clock() / 1000)
    for owner in "abc":
        ask(opened, owner)
        finish(opened, owner, "SUCCESS")
    again = report(opened, 3, 3).breaker

    assert (again.opened_times, again.until_s - again.since_s) == (1, 120)


def test_the_success_of_a_probe_counts_once(opened: Opened) -> None:
    half_open(opened)
    ask(opened, "a")

    assert [finish(opened, "a", "SUCCESS").successes for _ in range(4)] == [1, 1, 1, 1]


def test_a_success_that_comes_after_its_time_counts_for_nothing(opened: Opened) -> None:
    half_open(opened)
    ask(opened, "a")
    opened.clock.move(30)

    assert finish(opened, "a", "SUCCESS").successes == 0


def test_a_failure_counts_however_late(opened: Opened) -> None:
    half_open(opened)
    ask(opened, "a")
    opened.clock.move(31)

    assert finish(opened, "a", "FAILURE").state == "OPEN"


def test_the_result_of_an_older_generation_is_dropped(opened: Opened) -> None:
    half_open(opened)
    late = ask(opened, "a").breaker.generation
    ask(opened, "b")
    finish(opened, "b", "FAILURE")
    opened.clock.move(240)

    assert finish(opened, "a", "FAILURE", late).state == "HALF_OPEN"
