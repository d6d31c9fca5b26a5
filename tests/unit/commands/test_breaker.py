"""What `falcongate breaker` prints; where it asks is `tests/system/test_breaker_operations.py`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from falcongate.cli import main
from falcongate.commands import breaker
from falcongate.config.settings import GatewaySettings
from falcongate.state.memory_store import MemoryState

SETTINGS = GatewaySettings.model_validate({"services": {"hr": {"url": "http://127.0.0.1:1"}}})
EVIL = "\x1b[2J\u202efine"


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch) -> MemoryState:
    """The shared state that the command asks; its one breaker was opened with a reason that is no text."""
    made = MemoryState()
    made.command("hr", "open", by="jane", why=EVIL)

    def with_state(_: str, __: object, run: Callable[[MemoryState, GatewaySettings], int]) -> int:
        return run(made, SETTINGS)

    monkeypatch.setattr(breaker, "with_state", with_state)
    return made


@pytest.mark.parametrize("words", [["list"], ["show", "hr"]])
def test_a_reason_moves_nobodys_cursor(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["breaker", *words]) == 0
    out = capsys.readouterr().out
    assert r"\x1b[2J\u202efine" in out
    assert not {"\x1b", "\u202e"} & set(out)
