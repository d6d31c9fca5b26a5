"""What `falcongate why` prints; where it asks is `tests/system/test_why.py`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from falcongate.cli import main
from falcongate.commands import why as command_why
from falcongate.config.settings import GatewaySettings
from falcongate.facts import Facts
from falcongate.routing.table import RouteTable
from falcongate.state.memory_store import MemoryState
from falcongate.state.store import Breaker
from falcongate.telemetry.decisions import render_decision
from falcongate.telemetry.record import Tried
from tests.unit.making import make_exchange
from tests.unit.telemetry.records import USUAL

ID = "an-id"
EVIL = "\x1b[2J\r\n\u202e"
LIMIT = {
    "policy": "api", "limit": 3, "window_s": 60.0, "burst": None, "is_shadow": False,
    "counted_for": "192.0.2.1", "cost": 1, "fits": True, "remaining": 2, "reset_s": 59.96,
}  # fmt: skip


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> MemoryState:
    """The shared state that the command asks."""
    made = MemoryState()

    def with_state(
        command: str, arguments: object, run: Callable[[MemoryState, GatewaySettings], int]
    ) -> int:
        del arguments
        assert command == "why"
        return run(made, GatewaySettings())

    monkeypatch.setattr(command_why, "with_state", with_state)
    return made


def keep(state: MemoryState, request_id: str = ID, **changes: Any) -> None:  # noqa: ANN401  # of a decision
    """Keep a decision that has all members, but for these changes."""
    facts = Facts(RouteTable(GatewaySettings()), host="gw-1").of(make_exchange())
    told = json.loads(render_decision(USUAL._replace(request_id=request_id), facts, left_out=0))
    state.keep_decisions([(request_id, json.dumps({**told, **changes}))], most=100, are_wrong=True)


def why(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    """What the command prints."""
    assert main(["why", *words]) == status
    return capsys.readouterr().out


def row(out: str, word: str) -> str:
    """What stands behind a word."""
    lines = [line for line in out.splitlines() if line.startswith(f"{word} ")]
    assert len(lines) == 1, out
    return lines[0].removeprefix(word).strip()


def test_each_verdict_of_a_limit_has_its_words(
    state: MemoryState, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = [
        LIMIT,
        {**LIMIT, "policy": "free", "reset_s": 0},
        {**LIMIT, "policy": "over", "fits": False, "remaining": 0, "reset_s": 7.25, "burst": 2},
        {**LIMIT, "policy": "never", "fits": False, "reset_s": None, "cost": 9, "is_shadow": True},
        {**LIMIT, "policy": "unasked", "fits": None, "remaining": None, "reset_s": None},
    ]
    keep(state, limits=limits, counted_by="this worker")
    out = why(capsys, ID)
    for line in (
        "api: 3 in 60 s; 1 for 192.0.2.1: fits, 2 left, more in 60.0 s",
        "free: 3 in 60 s; 1 for 192.0.2.1: fits, 2 left",
        "over: 3 in 60 s, at most 2 at once; 1 for 192.0.2.1: too much, 0 left, again in 7.2 s",
        "never: 3 in 60 s; 9 for 192.0.2.1: never fits, 2 left; only watched",
        "unasked: 3 in 60 s; 1 for 192.0.2.1: not asked",
        "counted by this worker alone, as the shared state was away",
    ):
        assert line in [each.removeprefix("limit").strip() for each in out.splitlines()]


def test_a_breaker_tells_since_when_and_why(state: MemoryState, capsys: pytest.CaptureFixture[str]) -> None:
    exchange = make_exchange()
    exchange.breaker = Breaker(
        "hr", "OPEN", 7, since_s=1e9, until_s=1e9 + 30, by="gw-2", why="5 failures", calls=9, failures=5
    )
    exchange.is_probe = True
    exchange.shut_targets = ("http://b",)
    keep(state, breaker=Facts(RouteTable(GatewaySettings()), host="gw-1").of(exchange)["breaker"])
    out = why(capsys, ID)
    told = "hr was OPEN: 9 calls, 5 failed, 0 slow in its window; this was a probe"
    assert row(out, "breaker") == told
    assert ", by gw-2: 5 failures (change 7)" in out
    assert "not to be tried: http://b" in out


def test_who_answered_and_what_was_wrong_are_told(
    state: MemoryState, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(state, "left", status=499, answered_by="nobody", reason="the caller left: closed", caller="")
    out = why(capsys, "left")
    assert row(out, "answered") == "499 by nobody: the caller had left"
    assert row(out, "reason") == "the caller left: closed"
    assert row(out, "from") == "unix"
    keep(state, "refused", would_refuse=["watched"], refused_by=["a", "b"], left_out=7, identity="token:jane")
    out = why(capsys, "refused")
    assert row(out, "would refuse") == "watched"
    assert row(out, "refused by") == "a, b"
    assert row(out, "left out") == "7 of this kind just before, by the same worker"
    assert row(out, "from") == "192.0.2.1, token:jane"


def test_a_decision_that_was_cut_is_told_as_far_as_it_goes(
    state: MemoryState, capsys: pytest.CaptureFixture[str]
) -> None:
    text = render_decision(USUAL, {"attempts": ["x" * 9_000]}, left_out=0)
    state.keep_decisions([(ID, text)], most=10, are_wrong=True)
    assert row(why(capsys, ID), "cut") == "there was more to say than is kept"


def test_nothing_that_others_have_chosen_moves_the_cursor_of_an_operator(
    state: MemoryState, capsys: pytest.CaptureFixture[str]
) -> None:
    exchange = make_exchange()
    tried = Tried(f"http://{EVIL}")
    tried.end(f"failure{EVIL}", f"reason{EVIL}")
    exchange.tried = [tried]
    attempts = Facts(RouteTable(GatewaySettings()), host="gw-1").of(exchange)["attempts"]
    names = ("method", "path", "reason", "detail", "problem", "caller", "identity", "host", "answered_by")
    texts = dict.fromkeys(names, EVIL)
    keep(
        state,
        **texts,
        attempts=attempts,
        limits=[{**LIMIT, "counted_for": EVIL}],
        counted_by="memory",
        would_refuse=[EVIL],
    )
    for out in (why(capsys, ID), why(capsys)):
        assert out.replace("\n", "").isprintable()
        assert "\r" not in out


def test_without_an_id_the_last_are_listed(state: MemoryState, capsys: pytest.CaptureFixture[str]) -> None:
    assert why(capsys) == "No decision is kept.\n"
    for number in range(30):
        keep(state, f"id-{number}", problem="saturated" if number % 2 else "")
    lines = why(capsys).splitlines()
    assert [line.split()[1] for line in lines[1:]] == [f"id-{number}" for number in range(29, 9, -1)]
    assert lines[1].endswith("200     service  saturated")
    assert lines[2].endswith("200     service  -")
    assert len(why(capsys, "--last", "3").splitlines()) == 4
    assert [told["request_id"] for told in json.loads(why(capsys, "--json", "--last", "2"))] == [
        "id-29",
        "id-28",
    ]


def test_an_id_that_nobody_knows_says_what_it_may_be(
    state: MemoryState, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(state.decisions(1, are_wrong=True)) == []
    assert main(["why", f"nobody{EVIL}"]) == 1
    err = capsys.readouterr().err
    assert "nothing is known of a request nobody" in err
    assert "1.0% are kept (decisions.ratio), of all others the last 5000 of a day (decisions.keep)" in err
    assert "\x1b" not in err


@pytest.mark.parametrize("last", ["0", "-1", "x", "10001", "1.5"])
def test_a_count_is_a_count(capsys: pytest.CaptureFixture[str], last: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["why", "--last", last])
    assert ended.value.code == 2
    assert "must be a number from 1 to 10000" in capsys.readouterr().err


def test_the_trace_is_named_where_there_is_one(
    state: MemoryState, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(state, trace_id="4bf92f3577b34da6a3ce929d0e0e4736")
    assert row(why(capsys, ID), "trace") == "4bf92f3577b34da6a3ce929d0e0e4736"
    keep(state, trace_id="")
    assert "trace" not in why(capsys, ID)


def test_a_worker_that_has_all_places_itself_is_not_said_to_be_cut_off(
    state: MemoryState, capsys: pytest.CaptureFixture[str]
) -> None:
    room = {"policy": "it", "limit": 1, "taken": 1, "fits": False, "counted_by": "own places"}
    keep(state, at_once=[room])
    said = row(why(capsys, ID), "at once")
    assert said == "it: 1 of 1 taken, counted by this worker: its own places are all that there are: full"
