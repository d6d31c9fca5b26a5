"""What callers are told of their limits."""

from __future__ import annotations

from falcongate.admission.limit_fields import name_of, render_limits, render_policies
from falcongate.state.store import Charge, Verdict, Window

FAST = Window("api", 10, 1)
SLOW = Window("api", 1_000, 3_600)
SHADOW = Window("new", 1, 60, counts_only=True)


def told(
    line: str, charges: list[Charge], verdicts: list[Verdict | None], *, has_trio: bool = False
) -> bytes:
    """The lines for these verdicts."""
    names = [name_of(charge.window) for charge in charges]
    return render_limits(line, names, charges, verdicts, has_trio=has_trio)


def test_each_window_is_told_by_a_name_of_its_own() -> None:
    line = render_policies([FAST, SLOW, SHADOW])
    assert line == 'RateLimit-Policy: "api-1s";q=10;w=1, "api-3600s";q=1000;w=3600\r\n'


def test_nothing_is_told_where_nothing_can_be_refused() -> None:
    assert render_policies([SHADOW]) == ""
    assert (
        told("", [Charge(SHADOW, "x")], [Verdict(fits=False, remaining=0, reset_s=3)], has_trio=True) == b""
    )


def test_what_is_left_and_when_there_is_more_rounded_up() -> None:
    charges = [Charge(FAST, "x"), Charge(SLOW, "x"), Charge(SHADOW, "x")]
    verdicts = [
        Verdict(fits=True, remaining=9, reset_s=0.4),
        Verdict(fits=True, remaining=3, reset_s=60.0),
        Verdict(fits=False, remaining=0, reset_s=9),
    ]
    lines = told("P: 1\r\n", charges, verdicts, has_trio=True)
    assert lines == (
        b'P: 1\r\nRateLimit: "api-1s";r=9;t=1, "api-3600s";r=3;t=60\r\n'
        b"X-RateLimit-Limit: 1000\r\nX-RateLimit-Remaining: 3\r\nX-RateLimit-Reset: 60\r\n"
    )


def test_a_limit_that_nobody_could_ask_is_not_told() -> None:
    assert told("P: 1\r\n", [Charge(FAST, "x")], [None], has_trio=True) == b"P: 1\r\n"


def test_what_never_fits_is_told_with_the_longest_time_that_means_something() -> None:
    lines = told(
        "", [Charge(FAST, "x")], [Verdict(fits=False, remaining=0, reset_s=float("inf"))], has_trio=False
    )
    assert lines == b'RateLimit: "api-1s";r=0;t=2\r\n'
