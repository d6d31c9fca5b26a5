"""The name of a request: the caller's if it is sound, else one that nobody else has."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.middleware.request_id import RequestIds

SOUND = "abcxyzABCXYZ0189+/=-"


@given(st.text(SOUND, min_size=20, max_size=200))
def test_a_sound_id_is_kept(offered: str) -> None:
    assert RequestIds().for_request(offered) == offered


@given(st.text(SOUND, max_size=19) | st.text(SOUND, min_size=201, max_size=210))
def test_an_id_that_is_too_short_or_too_long_is_replaced(offered: str) -> None:
    assert RequestIds().for_request(offered) != offered


@given(
    st.text(SOUND, min_size=20, max_size=100),
    st.integers(0, 100),
    st.sampled_from(["\n", "\r\n", " ", "\0", '"', "_", ".", ",", "\u00e9", "\u0661", "<"]),
)
def test_an_id_with_another_character_anywhere_is_replaced(text: str, at: int, other: str) -> None:
    offered = text[:at] + other + text[at:]
    made = RequestIds().for_request(offered)
    assert made != offered
    assert other not in made


def test_what_we_make_is_sound_and_never_the_same() -> None:
    makers = [RequestIds() for _ in range(20)]
    made = [maker.for_request(None) for _ in range(100) for maker in makers]
    assert len(set(made)) == len(made)
    assert all(RequestIds().for_request(each) == each for each in made)


def test_a_forked_worker_does_not_go_on_with_its_parents_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    in_child: list[Callable[[], None]] = []

    def register(*, after_in_child: Callable[[], None]) -> None:
        in_child.append(after_in_child)

    monkeypatch.setattr(os, "register_at_fork", register)
    maker = RequestIds()
    before = maker.for_request(None)
    (forked,) = in_child
    forked()
    after = maker.for_request(None)
    assert len(after) == len(before)
    assert after[:20] != before[:20]
