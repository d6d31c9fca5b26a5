"""Why requests were answered as they were: texts that all workers leave for those who ask later."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from falcongate.state.in_process import InProcess, asked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_OF_ONE: Final = 20
"""So many decisions of one request id are found at most: callers choose ids, and may use one again."""

LIFE_S: Final = 86_400
"""They are kept for so long after the last."""


class Decision(NamedTuple):
    """What was decided on one request, as JSON, and when it was noted, in seconds of the store's clock."""

    at_s: float
    request_id: str
    text: str


def newest_first(decisions: Iterable[Decision]) -> list[Decision]:
    """Those of both kinds in one order."""
    return sorted(decisions, key=lambda decision: decision.at_s, reverse=True)


def last_decisions(log: DecisionLog, count: int) -> Sequence[Decision]:
    """The last of both kinds, at most `count`, the newest first."""
    both = (*log.decisions(count, are_wrong=True), *log.decisions(count, are_wrong=False))
    return newest_first(both)[:count]


class DecisionLog(Protocol):
    """The part of the shared state that remembers decisions; see `SharedState`."""

    def keep_decisions(self, decisions: Sequence[tuple[str, str]], *, most: int, are_wrong: bool) -> None:
        """Remember these, each a request id and a text, and of all no more than about the `most` last.

        What went wrong is kept apart from what was in order, so that neither pushes the other out.
        """
        ...

    def decisions(self, count: int, *, are_wrong: bool) -> Sequence[Decision]:
        """The last on requests that went wrong, or on others, at most `count`, the newest first."""
        ...

    def find_decisions(self, request_id: str) -> Sequence[Decision]:
        """Those on requests of this id, the newest first, `MAX_OF_ONE` at most.

        Looks through all that are kept, bit by bit, so that nobody else waits for long.
        """
        ...


class MemoryDecisions(InProcess):
    """A `DecisionLog` in this process."""

    def __init__(self, *how: Any, **also: Any) -> None:
        super().__init__(*how, **also)
        self._kept: dict[bool, deque[Decision]] = {True: deque(), False: deque()}
        self._last_ms = {True: 0, False: 0}

    @asked
    def keep_decisions(self, decisions: Sequence[tuple[str, str]], *, most: int, are_wrong: bool) -> None:
        """As `DecisionLog` says."""
        self._left(are_wrong=are_wrong)
        now_ms = self._last_ms[are_wrong] = self._clock()
        kept = self._kept[are_wrong]
        kept.extendleft(Decision(now_ms / 1000, *decision) for decision in decisions)
        while len(kept) > most:
            kept.pop()

    @asked
    def decisions(self, count: int, *, are_wrong: bool) -> Sequence[Decision]:
        """As `DecisionLog` says."""
        return self._left(are_wrong=are_wrong)[:count]

    @asked
    def find_decisions(self, request_id: str) -> Sequence[Decision]:
        """As `DecisionLog` says."""
        kept = (*self._left(are_wrong=True), *self._left(are_wrong=False))
        return newest_first([one for one in kept if one.request_id == request_id])[:MAX_OF_ONE]

    def _left(self, *, are_wrong: bool) -> tuple[Decision, ...]:
        """What is left of them, the newest first."""
        if self._clock() >= self._last_ms[are_wrong] + LIFE_S * 1000:
            self._kept[are_wrong].clear()
        return tuple(self._kept[are_wrong])
