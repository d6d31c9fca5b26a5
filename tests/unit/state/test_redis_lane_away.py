"""A lane whose server is silent, refuses or is gone; the test speaks the server's part."""

from __future__ import annotations

from time import monotonic

import gevent
import pytest
from gevent.event import Event

from falcongate.errors import StoreAway
from falcongate.state.redis_lane import Lane
from tests.support.spoken import (
    LANE_BUDGET_S,
    OK,
    SpokenNode,
    answers,
    asking,
    echo,
    error,
    number,
)
from tests.support.turns import until


def test_a_caller_that_has_given_up_by_itself_is_not_woken_later(lane: Lane, node: SpokenNode) -> None:
    has_given_up = Event()

    def give_up() -> bool:
        with gevent.Timeout(0.01, False):
            lane.ask(echo("a"))
        has_given_up.set()
        return Event().wait(0.1)

    caller = gevent.spawn(give_up)
    node.end().heard()
    assert has_given_up.wait(5)
    node.end().say(number(1))

    assert caller.get(timeout=5) is False


def test_silence_is_waited_for_no_longer_than_the_budget(lane: Lane) -> None:
    began = monotonic()
    callers = asking(lane, echo("a"), echo("b"))

    assert [type(answer) for answer in answers(callers)] == [StoreAway, StoreAway]
    assert monotonic() - began < 10 * LANE_BUDGET_S


def test_a_late_answer_never_reaches_a_later_question(lane: Lane, node: SpokenNode) -> None:
    late = asking(lane, echo("late"))
    first_end = node.end()
    first_end.heard()
    assert type(answers(late)[0]) is StoreAway
    until(lambda: len(node.ends) == 2)

    later = asking(lane, echo("later"))
    node.end().heard()
    with pytest.raises(BrokenPipeError):
        first_end.say(number(1))
    node.end().say(number(2))

    assert answers(later) == [2]


def test_after_a_few_silences_nobody_waits_until_it_is_back(
    lane: Lane, node: SpokenNode, changes: list[bool]
) -> None:
    while not lane.is_degraded:
        answers(asking(lane, echo("x")))
    assert changes == [True]
    assert len(node.ends) <= 4

    began = monotonic()
    with pytest.raises(StoreAway):
        lane.ask(echo("y"))
    assert monotonic() - began < LANE_BUDGET_S / 2

    probe = node.next_end().heard()[0]
    assert (probe[0], probe[-1]) == ("EVAL", "probe")
    node.end().say(OK)
    until(lambda: not lane.is_degraded)
    back = asking(lane, echo("z"))
    node.end().heard()
    node.end().say(number(1))
    assert answers(back) == [1]
    assert changes == [True, False]


def test_a_probe_without_an_answer_is_followed_by_another(lane: Lane, node: SpokenNode) -> None:
    lane.presence.go_away("as the test likes")
    node.next_end().heard()
    node.next_end().heard()
    node.end().say(OK)

    until(lambda: not lane.is_degraded)


@pytest.mark.parametrize(
    "text",
    [
        "OOM command not allowed when used memory > 'maxmemory'.",
        "READONLY You can't write against a read only replica.",
        "LOADING Redis is loading the dataset in memory",
        "ERR Error running script (call to f_0): @user_script:1: -OOM command not allowed",
        "CLUSTERDOWN The cluster is down",
        "NOPERM this user has no permissions",
    ],
)
def test_a_server_that_says_that_it_cannot_is_away_at_once(lane: Lane, node: SpokenNode, text: str) -> None:
    callers = asking(lane, echo("a"), echo("b"))
    node.end().heard(2)
    node.end().say(error(text), number(1))

    assert [type(answer) for answer in answers(callers)] == [StoreAway, StoreAway]
    assert lane.is_degraded


@pytest.mark.parametrize("text", ["ERR wrong number of arguments", "WRONGTYPE Operation", "BUSYGROUP exists"])
def test_a_mistake_in_a_question_is_not_the_servers(lane: Lane, node: SpokenNode, text: str) -> None:
    callers = asking(lane, echo("a"), echo("b"))
    node.end().heard(2)
    node.end().say(error(text), number(1))

    first, second = answers(callers)
    assert text in str(first)
    assert second == 1
    assert not lane.is_degraded


def test_a_mistake_is_logged_once_not_by_each_request(
    lane: Lane, node: SpokenNode, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        callers = asking(lane, echo("a"))
        node.end().heard()
        node.end().say(error("ERR wrong"))
        answers(callers)

    assert [record.getMessage() for record in caplog.records] == [
        "Redis at spoken.test:6379, a command: ERR wrong"
    ]


def test_a_lost_connection_fails_what_was_sent_and_not_what_waits(lane: Lane, node: SpokenNode) -> None:
    sent = asking(lane, echo("sent"))
    node.end().heard()
    waiting = asking(lane, echo("waiting"))
    gevent.sleep(0)
    node.end().close()

    assert type(answers(sent)[0]) is StoreAway
    until(lambda: len(node.ends) == 2)
    node.end().heard()
    node.end().say(number(1))
    assert answers(waiting) == [1]


def test_a_connection_that_cannot_be_made_is_reason_enough(lane: Lane, node: SpokenNode) -> None:
    node.refusal = StoreAway("refused")
    node.end().close()
    until(lambda: lane.is_degraded)

    node.refusal = None
    node.next_end().heard()
    node.end().say(OK)
    until(lambda: not lane.is_degraded)


def test_nonsense_ends_the_connection(lane: Lane, node: SpokenNode) -> None:
    callers = asking(lane, echo("a"))
    node.end().heard()
    node.end().say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    assert type(answers(callers)[0]) is StoreAway
    until(lambda: len(node.ends) == 2)


def test_what_is_told_to_nobody_is_counted(lane: Lane, node: SpokenNode) -> None:
    lane.tell(echo("lost with the connection"))
    node.end().heard()
    lane.presence.go_away("as the test likes")
    lane.tell(echo("never sent"))

    assert lane.dropped == 2


def test_a_server_that_ends_every_connection_at_once_is_away(lane: Lane, node: SpokenNode) -> None:
    def is_away_after_another_end() -> bool:
        node.end().close()
        return lane.is_degraded

    until(is_away_after_another_end)

    assert len(node.ends) <= 4


def test_a_connection_that_comes_too_late_is_not_used(lane: Lane, node: SpokenNode) -> None:
    node.door.clear()
    node.end().close()
    gevent.idle()
    lane.presence.go_away("as the test likes")
    late_door, node.door = node.door, Event()
    node.door.set()
    probed = node.next_end()
    probed.heard()
    probed.say(OK)
    until(lambda: not lane.is_degraded)
    late_door.set()
    gevent.idle()

    callers = asking(lane, echo("a"))
    probed.heard()
    probed.say(number(1))
    assert answers(callers) == [1]


def test_a_worker_that_was_busy_does_not_blame_the_server(lane: Lane, node: SpokenNode) -> None:
    callers = asking(lane, echo("a"))
    node.end().heard()
    node.end().say(number(1))
    busy_until = monotonic() + 2 * LANE_BUDGET_S
    while monotonic() < busy_until:
        pass

    assert answers(callers) == [1]


def test_after_the_end_nobody_waits(lane: Lane, node: SpokenNode) -> None:
    callers = asking(lane, echo("a"))
    node.end().heard()
    lane.close()

    assert type(answers(callers)[0]) is StoreAway
    with pytest.raises(StoreAway):
        lane.ask(echo("b"))
