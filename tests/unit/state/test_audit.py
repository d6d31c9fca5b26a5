"""What becomes of a change that cannot be noted."""

from __future__ import annotations

import logging

import pytest

from falcongate.state.audit import Change, audit
from falcongate.state.in_process import Fault
from falcongate.state.memory_store import MemoryState

CHANGE = Change("jane@gw-1", "command line", "breaker disable", "hr", "two\nlines")


def test_a_change_is_noted_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    state = MemoryState()
    audit(state, CHANGE)

    assert [noted.change for noted in state.changes(10)] == [CHANGE]
    assert caplog.records == []


@pytest.mark.parametrize("fault", list(Fault))
def test_what_cannot_be_noted_is_told_whole_on_one_line(
    caplog: pytest.LogCaptureFixture, fault: Fault
) -> None:
    with caplog.at_level(logging.WARNING):
        audit(MemoryState(fault=fault), CHANGE)
    (record,) = caplog.records
    message = record.getMessage()

    assert record.levelname == "WARNING"
    assert "\n" not in message
    for part in ("jane@gw-1", "command line", "breaker disable", "'hr'", "two\\nlines"):
        assert part in message
