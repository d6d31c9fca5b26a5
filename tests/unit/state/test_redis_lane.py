"""A lane whose server is well: round trips, answers and redirections; the test speaks the server's part."""

from __future__ import annotations

import gevent

from falcongate.errors import StoreAway
from falcongate.state.redis_call import Call, Script
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
    several,
)
from tests.support.turns import until


def test_what_is_asked_in_one_turn_is_one_write(lane: Lane, node: SpokenNode) -> None:
    callers = asking(lane, *(echo(str(n)) for n in range(32)))

    heard = node.end().heard(32)
    node.end().say(*(number(n) for n in range(32)))

    assert [command[1] for command in heard] == [str(n) for n in range(32)]
    assert node.end().reads == 1
    assert answers(callers) == list(range(32))


def test_a_round_trip_is_told_once_for_all_who_shared_it(
    lane: Lane, node: SpokenNode, round_trips: list[float]
) -> None:
    callers = asking(lane, *(echo(str(n)) for n in range(8)))
    node.end().heard(8)
    gevent.sleep(0.01)
    assert round_trips == []

    node.end().say(*(number(n) for n in range(8)))
    assert answers(callers) == list(range(8))

    (seconds,) = round_trips
    assert 0.01 <= seconds < LANE_BUDGET_S


def test_what_is_asked_during_a_round_trip_goes_out_together_after_it(lane: Lane, node: SpokenNode) -> None:
    first = asking(lane, echo("first"))
    node.end().heard()
    rest = []
    for n in range(3):
        rest += asking(lane, echo(str(n)))
        gevent.sleep(0)
    assert node.end().is_quiet()

    node.end().say(number(7))
    reads = node.end().reads
    node.end().heard(3)
    node.end().say(number(1), number(2), number(3))

    assert node.end().reads == reads + 1
    assert answers(first + rest) == [7, 1, 2, 3]


def test_a_round_trip_that_takes_long_does_not_hold_up_the_next(lane: Lane, node: SpokenNode) -> None:
    first = asking(lane, echo("first"))
    node.end().heard()
    second = asking(lane, echo("second"))
    node.end().heard()

    node.end().say(number(1), number(2))

    assert answers(first + second) == [1, 2]


def test_answers_in_pieces_reach_who_asked(lane: Lane, node: SpokenNode) -> None:
    callers = asking(lane, echo("a"), echo("b"))
    node.end().heard(2)
    for byte in several(number(1), number(2)) + b"$5\r\nhello\r\n":
        node.end().say(bytes([byte]))
        gevent.sleep(0)

    assert answers(callers) == [[1, 2], "hello"]


def test_calls_of_a_script_that_joins_are_one_command(
    lane: Lane, node: SpokenNode, scripts: dict[str, Script]
) -> None:
    joined = scripts["joined"]
    callers = asking(lane, Call(joined, ["k1"], [1, "x"]), Call(joined, ["k2", "k3"], []))

    assert node.end().heard() == [
        ["EVALSHA", joined.sha, "3", "k1", "k2", "k3", "2", "1", "2", "1", "x", "2", "0"]
    ]
    node.end().say(several(number(1), several(number(2))))
    assert answers(callers) == [1, [2]]


def test_a_joined_answer_of_the_wrong_length_leaves_nobody_waiting(
    lane: Lane, node: SpokenNode, scripts: dict[str, Script]
) -> None:
    joined = scripts["joined"]
    callers = asking(lane, Call(joined, ["k1"], []), Call(joined, ["k2"], []))
    node.end().heard()
    node.end().say(several(number(1)))

    assert [type(answer) for answer in answers(callers)] == [StoreAway, StoreAway]
    assert not lane.is_degraded


def test_a_script_the_server_has_forgotten_is_sent_as_text_once(
    lane: Lane, node: SpokenNode, scripts: dict[str, Script]
) -> None:
    single = scripts["single"]
    callers = asking(lane, Call(single, ["k1"], []), Call(single, ["k2"], []))
    node.end().heard(2)
    node.end().say(error("NOSCRIPT No matching script."), error("NOSCRIPT No matching script."))

    (first, text, _, key), (second, sha, _, other_key) = node.end().heard(2)
    assert (first, text, second, sha) == ("EVAL", "return 'single'", "EVALSHA", single.sha)
    assert {key, other_key} == {"k1", "k2"}
    node.end().say(number(int(key[1])), number(int(other_key[1])))
    assert answers(callers) == [1, 2]


def test_a_caller_that_is_ended_takes_no_answer_with_it(lane: Lane, node: SpokenNode) -> None:
    ended, other = asking(lane, echo("ended"), echo("other"))
    node.end().heard(2)
    ended.kill()
    node.end().say(number(1), number(2))

    assert answers([other]) == [2]


def test_a_call_for_another_server_of_the_cluster_is_sent_there(
    lane: Lane, node: SpokenNode, redirected: list[tuple[Call, str, str]]
) -> None:
    callers = asking(lane, echo("a"), echo("b"))
    node.end().heard(2)
    node.end().say(error("MOVED 1234 10.0.0.7:6379"), error("ASK 1234 10.0.0.8:6379"))
    until(lambda: len(redirected) == 2)

    assert [where for _, *where in redirected] == [["MOVED", "10.0.0.7:6379"], ["ASK", "10.0.0.8:6379"]]
    for call, *_ in redirected:
        gevent.get_hub().loop.run_callback(call.answer, "elsewhere")
    assert answers(callers) == ["elsewhere"] * 2


def test_a_call_for_a_server_that_nobody_knows_leaves_nobody_waiting(lane: Lane, node: SpokenNode) -> None:
    callers = asking(lane, echo("a"))
    node.end().heard()
    node.end().say(error("MOVED 1234 unknown:1"))

    assert type(answers(callers)[0]) is StoreAway


def test_two_servers_that_each_name_the_other_do_not_play_for_ever(
    lane: Lane, node: SpokenNode, redirected: list[tuple[Call, str, str]]
) -> None:
    old = echo("a")
    old.asked -= LANE_BUDGET_S
    lane.tell(old)
    node.end().heard()
    node.end().say(error("MOVED 1234 10.0.0.7:6379"))
    until(lambda: lane.dropped)

    assert not redirected


def test_a_call_that_was_asked_to_come_says_so(lane: Lane, node: SpokenNode) -> None:
    call = echo("a")
    call.is_redirected = True
    callers = asking(lane, call, echo("b"))

    assert [command[0] for command in node.end().heard(3)] == ["ASKING", "ECHO", "ECHO"]
    node.end().say(OK, number(1), number(2))
    assert answers(callers) == [1, 2]


def test_what_is_told_is_sent_and_its_answer_is_nobodys(
    lane: Lane, node: SpokenNode, scripts: dict[str, Script]
) -> None:
    lane.tell(Call(scripts["single"], ["k"], ["news"]))
    callers = asking(lane, echo("a"))
    assert [command[0] for command in node.end().heard(2)] == ["EVALSHA", "ECHO"]
    node.end().say(number(1), number(2))

    assert answers(callers) == [2]
    assert lane.dropped == 0


def test_a_server_that_reads_slowly_gets_all_of_it(lane: Lane, node: SpokenNode) -> None:
    large = "x" * 400_000
    callers = asking(lane, *(echo(large) for _ in range(3)))
    gevent.idle()
    heard = node.end().heard(3)
    node.end().say(number(1), number(2), number(3))

    assert all(command == ["ECHO", large] for command in heard)
    assert answers(callers) == [1, 2, 3]


def test_what_is_asked_while_something_large_is_sent_comes_after_it(lane: Lane, node: SpokenNode) -> None:
    large = "x" * 2_000_000
    lane.tell(echo(large))
    gevent.idle()  # sent, as far as there is room
    lane.tell(echo("small"))
    gevent.sleep(3 * LANE_BUDGET_S / 10)  # a tick sends what waits

    assert node.end().heard(2) == [["ECHO", large], ["ECHO", "small"]]


def test_what_is_told_is_kept_in_bounds(lane: Lane, node: SpokenNode) -> None:
    node.door.clear()
    node.end().close()
    gevent.idle()
    for _ in range(10_003):
        lane.tell(echo("a"))

    assert lane.dropped == 3
    node.door.set()
