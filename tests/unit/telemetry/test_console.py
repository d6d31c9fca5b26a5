"""The line of a request on a terminal: readable, and nothing in it that a terminal would obey."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.telemetry import console
from falcongate.telemetry.console import ConsoleLines, printable
from falcongate.telemetry.record import Record, Tried
from tests.unit.telemetry.records import USUAL

ANYTHING = st.text(max_size=20) | st.text("\x1b[]0m;\a\b\r\n\t\x7f\x9b\x9d\u202e\ud800\\", max_size=10)
OURS = re.compile(r"\x1b\[(?:0|2|3[1236])m")


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same hour everywhere."""
    monkeypatch.setattr(console, "_moment", lambda _: "22:13:20")


def line(record: Record, *, has_colours: bool = False) -> str:
    """What is written of it."""
    return ConsoleLines(has_colours=has_colours).render(record)


def test_a_line_says_what_happened() -> None:
    assert line(USUAL) == (
        "22:13:20.250 200 GET /api/hr/x -> hr http://hr:8000 12.3 ms 17 bytes 192.0.2.1 an-id\n"
    )
    known = USUAL._replace(identity="token:jane", tried=(Tried("http://a"), Tried("http://b")))
    assert "-> hr http://b (2 attempts) 12.3 ms" in line(known)
    assert "192.0.2.1 token:jane an-id" in line(known)


def test_a_line_says_what_went_wrong() -> None:
    refused = USUAL._replace(status=429, problem="limit-reached", refused_by=("api", "daily"), tried=())
    assert line(refused).startswith(
        "22:13:20.250 429 GET /api/hr/x -> hr limit-reached by api, daily 12.3 ms"
    )
    failed = USUAL._replace(status=502, problem="service-broke-off", reason="await_head: reset")
    assert " service-broke-off (await_head: reset) " in line(failed)
    assert " (would be refused by api) " in line(USUAL._replace(would_refuse=("api",)))
    nowhere = USUAL._replace(status=404, problem="no-route", service="", tried=(), caller="")
    assert line(nowhere) == "22:13:20.250 404 GET /api/hr/x no-route 12.3 ms 17 bytes unix an-id\n"


@pytest.mark.parametrize(
    ("status", "colour"), [(101, ""), (204, "32"), (304, "36"), (404, "33"), (503, "31"), (999, "")]
)
def test_the_colour_of_a_status_is_that_of_its_class(status: int, colour: str) -> None:
    said = line(USUAL._replace(status=status), has_colours=True)
    expected = f"\x1b[{colour}m{status}\x1b[0m" if colour else f" {status} "
    assert expected in said


def test_a_worker_that_ended_first_leaves_no_status() -> None:
    assert line(USUAL._replace(status=0)).startswith("22:13:20.250 - GET")


@given(method=ANYTHING, path=ANYTHING, reason=ANYTHING, caller=ANYTHING, target=ANYTHING, identity=ANYTHING)
def test_nothing_that_others_have_chosen_moves_a_cursor(
    *, method: str, path: str, reason: str, caller: str, target: str, identity: str
) -> None:
    record = USUAL._replace(
        method=method, path=path, reason=reason, caller=caller, tried=(Tried(target),), identity=identity
    )
    for has_colours in (False, True):
        said = line(record, has_colours=has_colours)
        plain = OURS.sub("", said)
        assert plain.isascii()
        assert plain[:-1].isprintable()
        assert said.endswith("\n")
        assert (said != plain) == has_colours


@given(ANYTHING, ANYTHING)
def test_texts_that_differ_are_told_apart(one: str, other: str) -> None:
    assert (printable(one) == printable(other)) == (one == other)


def test_missing_lines_are_told() -> None:
    assert ConsoleLines(has_colours=False).render_dropped(7) == (
        "-- 7 lines dropped: nobody read them fast enough\n"
    )
