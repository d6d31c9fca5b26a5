"""Why requests were answered as they were: texts that all workers leave for those who ask later."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_T = TypeVar("_T")

MAX_OF_ONE: Final = 20
"""So many decisions of one request id are found at most: callers choose ids, and may use one again."""

LIFE_S: Final = 86_400
"""They are kept for so long after the last."""


class Decision(NamedTuple):
    """What was decided on one request, as JSON, and when it was noted, in seconds of the store's clock."""

    at_s: float
    request_id: str
    text: str


class DecisionLog(Protocol):
    """The part of the shared state that remembers decisions; see `SharedState`."""

    def keep_decisions(self, decisions: Sequence[tuple[str, str]], *, most: int) -> None:
        """Remember these, each a request id and a text, and of all no more than about the `most` last."""
        ...

    def decisions(self, count: int) -> Sequence[Decision]:
        """The last decisions, at most `count`, the newest first."""
        ...

    def find_decisions(self, request_id: str) -> Sequence[Decision]:
        """Those on requests of this id, the newest first, `MAX_OF_ONE` at most.

        Looks through all that are kept, bit by bit, so that nobody else waits for long.
        """
        ...


class MemoryDecisions:
    """The decisions of a `MemoryState`, in this process."""

    _clock: Callable[[], int]

    def __init__(self) -> None:
        self._kept: deque[Decision] = deque()
        self._last_ms = 0

    def keep_decisions(self, decisions: Sequence[tuple[str, str]], *, most: int) -> None:
        """As `DecisionLog` says."""

        def keep() -> None:
            self._forget()
            self._last_ms = self._clock()
            self._kept.extendleft(Decision(self._last_ms / 1000, *decision) for decision in decisions)
            while len(self._kept) > most:
                self._kept.pop()

        self._ask(keep)

    def decisions(self, count: int) -> Sequence[Decision]:
        """As `DecisionLog` says."""
        return self._ask(lambda: self._forget()[:count])

    def find_decisions(self, request_id: str) -> Sequence[Decision]:
        """As `DecisionLog` says."""

        def find() -> Sequence[Decision]:
            return [decision for decision in self._forget() if decision.request_id == request_id]

        return self._ask(find)[:MAX_OF_ONE]

    def _ask(self, work: Callable[[], _T]) -> _T:
        """What the store makes of a question: it may be told to fail."""
        raise NotImplementedError

    def _forget(self) -> tuple[Decision, ...]:
        """What is left of them, the newest first."""
        if self._clock() >= self._last_ms + LIFE_S * 1000:
            self._kept.clear()
        return tuple(self._kept)
