"""How the doctor goes about it: all checks at the same time, each with an end, and none hides another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from time import monotonic

import pytest

from falcongate.cli import main
from falcongate.commands import doctor
from falcongate.commands.doctor import Check, run_checks
from falcongate.findings import Finding, Level, ok


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Ends whatever hangs, after the test."""
    event = threading.Event()
    yield event
    event.set()


def hanging(release: threading.Event) -> Callable[[], list[Finding]]:
    """A check that does not come back."""

    def run() -> list[Finding]:
        release.wait(60)
        return []

    return run


def test_what_hangs_is_told_and_holds_up_nothing(release: threading.Event) -> None:
    checks = [Check("a", f"slow {number}", 0.3, hanging(release)) for number in range(50)]
    checks.append(Check("a", "quick", 5, lambda: [ok("fine")]))
    seen: list[str] = []
    began = monotonic()
    found = dict(run_checks(checks, seen.extend))
    # More than may run at once, so two rounds.
    assert monotonic() - began < 5
    assert len(found) == 51
    assert found[checks[-1]] == [ok("fine")]
    assert {one.level for check in checks[:-1] for one in found[check]} == {Level.PROBLEM}
    assert "slow 0: no answer within 0.3 s" in found[checks[0]][0].found
    assert "slow 0" in seen


def test_a_check_that_breaks_hides_nothing() -> None:
    def broken() -> list[Finding]:
        raise ZeroDivisionError("a defect")

    checks = [Check("a", "broken", 5, broken), Check("b", "whole", 5, lambda: [ok("fine")])]
    found = dict(run_checks(checks, lambda _: None))
    assert found[checks[1]] == [ok("fine")]
    (finding,) = found[checks[0]]
    assert (finding.level, "ZeroDivisionError" in finding.found) == (Level.PROBLEM, True)


def test_sections_come_in_order_however_checks_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    last_is_done = threading.Event()

    def first() -> Iterator[Finding]:
        assert last_is_done.wait(5)
        yield Finding(Level.WARNING, "late", "wait for it")

    def last() -> Iterator[Finding]:
        yield ok("early")
        last_is_done.set()

    checks = [Check("Configuration", "first", 5, first), Check("Services", "last", 5, last)]
    monkeypatch.setattr(doctor, "_checks", lambda *_: checks)
    monkeypatch.delenv("FALCONGATE_CONFIG", raising=False)
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert out.index("Configuration") < out.index("late") < out.index("Services") < out.index("early")
    assert "  warning  late.\n           To do: wait for it.\n" in out
    assert out.endswith("0 problems, 1 warning.\n")


def test_what_a_server_says_at_length_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    doctor._print_section("Redis", [ok("x" * 5_000_000), ok("short.")])  # noqa: SLF001  # no server need say it
    long, short = capsys.readouterr().out.splitlines()[1:3]
    assert len(long) < 1_100
    assert long.endswith("x...")
    assert short.endswith(" short.")
