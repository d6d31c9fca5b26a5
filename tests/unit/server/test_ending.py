"""By when a worker that was told to stop must be through with what."""

import pytest

from falcongate.server import ending
from falcongate.server.ending import Ending

GRACE_S = 20.0


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(ending, "monotonic", clock)
    return clock


def test_who_is_told_nothing_neither_listens_longer_nor_is_over(clock: Clock) -> None:
    end = Ending(GRACE_S)
    clock.now += 1e6
    assert (end.is_listening, end.is_over, end.is_retired) == (False, False, False)


def test_listens_for_a_moment_then_finishes_within_the_grace(clock: Clock) -> None:
    end = Ending(GRACE_S)
    end.stop(3)
    clock.now += 2.9
    assert end.is_listening
    clock.now += 0.2
    assert not end.is_listening
    assert not end.is_over
    clock.now = 1_000 + GRACE_S - end.cut_s
    assert end.is_over
    assert end.cut_s == 1


def test_listens_at_most_half_of_a_short_grace(clock: Clock) -> None:
    end = Ending(2)
    end.stop(30)
    clock.now += 1.1
    assert not end.is_listening
    assert not end.is_over
    assert end.cut_s == 0.5


def test_the_same_word_again_changes_nothing(clock: Clock) -> None:
    end = Ending(GRACE_S)
    end.stop(3)
    clock.now += 2
    end.stop(3)
    assert end.is_listening
    clock.now += 2
    assert not end.is_listening
    assert end.left_s == GRACE_S - 1 - 4


def test_another_word_ends_at_once(clock: Clock) -> None:
    end = Ending(GRACE_S)
    end.stop(3)
    end.stop_at_once()
    assert end.is_over
    assert not end.is_listening
    assert end.left_s == 0
    clock.now += 1


def test_who_ends_by_itself_is_over_after_the_grace_and_the_first_word_changes_nothing(clock: Clock) -> None:
    end = Ending(GRACE_S)
    end.begin()
    clock.now += 5
    assert end.left_s == GRACE_S - 1 - 5
    end.stop(0)
    assert not end.is_over
    assert end.left_s == GRACE_S - 1 - 5


def test_who_has_retired_and_is_told_to_stop_is_retired_no_more(clock: Clock) -> None:
    end = Ending(GRACE_S)
    end.retire()
    clock.now += 1e5
    assert end.is_retired
    end.stop(0)
    assert not end.is_retired
    assert end.left_s == GRACE_S - 1


def test_who_was_told_to_stop_does_not_retire(clock: Clock) -> None:
    end = Ending(GRACE_S)
    end.stop(0)
    end.retire()
    assert not end.is_retired
    clock.now += GRACE_S
    assert end.is_over
