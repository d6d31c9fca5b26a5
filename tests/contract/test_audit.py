"""What every store promises of the changes that it remembers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from falcongate.state import audit, redis_audit
from falcongate.state.audit import Change, Noted
from tests.contract.stores import START_MS, Opened

CHANGE = Change("jane@gw-1", "command line", "breaker disable", "hr", "moving house")


def test_changes_are_told_the_newest_first(opened: Opened) -> None:
    assert list(opened.state.changes(10)) == []
    opened.state.note_change(CHANGE)
    opened.clock.move(1.5)
    opened.state.note_change(CHANGE._replace(what="breaker enable", why=""))

    assert list(opened.state.changes(10)) == [
        Noted(START_MS / 1000 + 1.5, CHANGE._replace(what="breaker enable", why="")),
        Noted(START_MS / 1000, CHANGE),
    ]
    assert [noted.change.what for noted in opened.state.changes(1)] == ["breaker enable"]


def test_a_change_is_any_text(opened: Opened) -> None:
    for text in ("", "two\nlines", "über {x}", "x" * 5_000):
        opened.state.note_change(Change(text, text, text, text, text))
        assert opened.state.changes(1)[0].change == (text, text, text, text, text)


def test_only_the_last_are_kept(
    monkeypatch: pytest.MonkeyPatch, open_store: Callable[[], AbstractContextManager[Opened]]
) -> None:
    for module in (audit, redis_audit):
        monkeypatch.setattr(module, "MAX_CHANGES", 20)
    with open_store() as opened:
        for number in range(25):
            opened.state.note_change(CHANGE._replace(on=str(number)))
        kept = opened.state.changes(100)

    assert len(kept) == 20
    assert [kept[0].change.on, kept[-1].change.on] == ["24", "5"]
