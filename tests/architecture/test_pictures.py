"""The pictures are those that are drawn, and what they show is what happens."""

from __future__ import annotations

import pytest

from falcongate.state.memory_store import MemoryState
from falcongate.state.store import Charge, Window
from scripts import pictures


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_a_picture_is_the_one_that_is_drawn(name: str) -> None:
    drawn = (pictures.FOLDER / name).read_text("utf-8")

    assert drawn == pictures.PICTURES[name](), "run python -m scripts.pictures"


def test_a_window_counts_as_it_is_drawn() -> None:
    now_ms = 0
    state = MemoryState(lambda: now_ms)
    window = Window("drawn", limit=pictures.LIMIT, length_s=pictures.LENGTH_S, buckets=pictures.BUCKETS)
    for number, cost in enumerate(pictures.CHARGED):
        now_ms = number * window.width_ms
        assert state.charge([Charge(window, "caller", cost)]).admitted
    now_ms = round(pictures.NOW_S * 1000)

    left = pictures.LIMIT - pictures.used()
    assert state.charge([Charge(window, "caller", 0)]).verdicts[0].remaining == left
    assert not state.charge([Charge(window, "caller", left + 1)]).admitted
    assert state.charge([Charge(window, "caller", left)]).admitted
