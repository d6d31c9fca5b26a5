"""A transition of a breaker counts once for a host, however many workers hear of it."""

from __future__ import annotations

import fcntl
from itertools import count
from pathlib import Path

import gevent
import pytest
from gevent import Greenlet
from prometheus_client import REGISTRY

from falcongate.telemetry import transitions
from falcongate.telemetry.metric_files import DIRECTORY_VARIABLE
from falcongate.telemetry.transitions import Transition, TransitionTally

_numbers = count()
at_work: list[Greenlet[..., None]] = []
"""What the workers of a test do in the background."""


@pytest.fixture
def opened() -> Transition:
    return Transition(f"breaker-{next(_numbers)}", "CLOSED", "OPEN", "failures", 7)


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[TransitionTally]:
    """Those of one host."""
    monkeypatch.setattr(transitions, "copy_of_environment", lambda: {DIRECTORY_VARIABLE: str(tmp_path)})
    monkeypatch.setattr(transitions.gevent, "spawn", lambda *what: at_work.append(Greenlet.spawn(*what)))
    at_work.clear()
    return [TransitionTally() for _ in range(3)]


def counted(transition: Transition) -> float:
    labels = dict(zip(("service", "from", "to", "reason"), transition[:4], strict=True))
    return REGISTRY.get_sample_value("falcongate_breaker_transitions_total", labels) or 0


def tell(workers: list[TransitionTally], transition: Transition) -> None:
    for worker in workers:
        worker.note(transition, is_own=False)
    gevent.joinall(at_work, timeout=5, raise_error=True)


def test_one_that_all_hear_of_counts_once(workers: list[TransitionTally], opened: Transition) -> None:
    tell(workers, opened)
    assert counted(opened) == 1
    tell(workers, opened._replace(generation=8))
    assert counted(opened) == 2


def test_one_that_a_worker_hears_of_late_has_been_counted(
    workers: list[TransitionTally], opened: Transition
) -> None:
    tell(workers[:1], opened)
    tell(workers[:1], opened._replace(generation=8))
    tell(workers[1:], opened)
    assert counted(opened) == 2


def test_those_of_other_breakers_count_for_themselves(
    workers: list[TransitionTally], opened: Transition
) -> None:
    other = opened._replace(service=f"breaker-{next(_numbers)}")
    tell(workers, opened)
    tell(workers, other)
    assert (counted(opened), counted(other)) == (1, 1)


def test_a_worker_s_own_count_each(workers: list[TransitionTally], opened: Transition) -> None:
    for worker in workers:
        worker.note(opened, is_own=True)
    assert counted(opened) == 3


def test_alone_in_its_process_a_worker_counts_all(
    monkeypatch: pytest.MonkeyPatch, opened: Transition
) -> None:
    monkeypatch.setattr(transitions, "copy_of_environment", dict)
    TransitionTally().note(opened, is_own=False)
    assert counted(opened) == 1


@pytest.mark.parametrize("text", ["{cut sho", "[]", "\x00"])
def test_a_worker_that_was_killed_while_it_wrote_costs_no_later_count(
    workers: list[TransitionTally], opened: Transition, tmp_path: Path, text: str
) -> None:
    (tmp_path / "transitions.json").write_text(text)
    tell(workers, opened)
    assert counted(opened) == 1


def test_a_worker_that_is_stopped_in_the_middle_stops_nobody(
    workers: list[TransitionTally], opened: Transition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transitions, "_TRIES", 3)
    with (tmp_path / "transitions.json").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        tell(workers, opened)
    assert counted(opened) == 0
    tell(workers, opened)
    assert counted(opened) == 1


def test_a_directory_that_is_gone_is_said_and_breaks_nothing(
    workers: list[TransitionTally], opened: Transition, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.rmdir()
    tell(workers, opened)
    assert counted(opened) == 0
    assert f"a transition of breaker {opened.service} could not be counted" in caplog.text
