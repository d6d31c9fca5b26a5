"""What is remembered of callers is bounded."""

from __future__ import annotations

from falcongate.admission.recent import Recent


def test_it_remembers_the_last_and_never_more_than_twice_as_many() -> None:
    recent: Recent[int, int] = Recent(10)
    for number in range(1_000):
        recent[number] = -number
        assert all(recent.get(last) == -last for last in range(max(0, number - 9), number + 1))
        assert len(recent) <= 20
    assert recent.get(0) is None


def test_what_was_noted_last_counts() -> None:
    recent: Recent[str, int] = Recent(1)
    recent["a"] = 1
    recent["b"] = 2
    recent["a"] = 3
    assert recent.get("a") == 3
    assert recent.pop("a") == 3
    assert recent.pop("a") is None
    assert recent.pop("b") == 2
