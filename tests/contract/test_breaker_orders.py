"""What every store promises of what operators say, and of what is told and kept of each transition."""

import pytest

from falcongate.state.store import Breaker
from tests.contract.breakers import ask, finish, report, see
from tests.contract.stores import Opened


@pytest.mark.parametrize(
    ("order", "state"), [("open", "FORCED_OPEN"), ("close", "FORCED_CLOSED"), ("disable", "DISABLED")]
)
def test_an_order_holds_for_its_time_and_then_ends(opened: Opened, order: str, state: str) -> None:
    ordered = opened.state.command("hr", order, by="jane", why="a test", for_s=900)
    assert (ordered.state, ordered.by, ordered.why) == (state, "jane", "a test")
    report(opened, 50, 50)
    opened.clock.move(899.999)
    assert see(opened).state == state
    opened.clock.move(0.001)

    assert (see(opened).state, see(opened).by, see(opened).before) == ("CLOSED", "time", state)


def test_an_order_without_a_time_holds_until_it_is_taken_back(opened: Opened) -> None:
    opened.state.command("hr", "disable", by="jane", why="")
    opened.clock.move(10_000_000)
    assert see(opened).state == "DISABLED"

    assert opened.state.command("hr", "enable", by="jane", why="").state == "CLOSED"


def test_enable_ends_nothing_that_no_operator_began(opened: Opened) -> None:
    report(opened, 3, 3)

    assert opened.state.command("hr", "enable", by="jane", why="").state == "OPEN"


def test_reset_closes_it_and_forgets_all_counts(opened: Opened) -> None:
    report(opened, 3, 3)
    after = opened.state.command("hr", "reset", by="jane", why="")

    assert (after.state, after.failures, after.total_calls, after.last_failure_s) == ("CLOSED", 0, 0, 0)
    report(opened, 2, 2)
    assert see(opened).state == "CLOSED"


def test_the_history_tells_every_transition_the_newest_first(opened: Opened) -> None:
    report(opened, 5, 3, slow=1)
    opened.clock.move(120)
    ask(opened, "a")
    finish(opened, "a", "FAILURE")
    opened.state.command("hr", "reset", by="jane doe", why="all is { well }")
    told = [(line.before, line.state, line.by, line.why) for line in opened.state.history("hr", 10)]

    assert told == [
        ("OPEN", "CLOSED", "jane doe", "all is { well }"),
        ("HALF_OPEN", "OPEN", "a", "a probe failed"),
        ("OPEN", "HALF_OPEN", "time", "OPEN has ended"),
        ("CLOSED", "OPEN", "gw-1", "3 failures in 60 s"),
    ]
    first = opened.state.history("hr", 10)[-1]
    assert (first.calls, first.failures, first.slow, first.at_s) == (5, 3, 1, opened.clock() / 1000 - 120)
    assert len(opened.state.history("hr", 2)) == 2
    assert len(opened.state.history("lms", 2)) == 0


def test_the_history_does_not_grow_for_ever(opened: Opened) -> None:
    for _ in range(250):
        opened.state.command("hr", "reset", by="a", why="")

    assert len(opened.state.history("hr", 1000)) == 200


def test_generations_grow_even_if_all_was_lost(opened: Opened) -> None:
    first = opened.state.command("hr", "disable", by="a", why="").generation
    second = opened.state.command("hr", "enable", by="a", why="").generation

    assert second == first + 1
    assert first >= opened.clock() // 1000


def test_each_transition_is_told_to_who_listens(opened: Opened) -> None:
    heard: list[Breaker] = []
    gaps: list[None] = []
    opened.state.subscribe(heard.append, lambda: gaps.append(None))
    opening = report(opened, 3, 3).breaker
    closing = opened.state.command("hr", "reset", by="jane", why="über")
    if opened.line is not None:
        opened.line.listen()

    assert heard == [opening, closing]
    assert len(gaps) == 1
