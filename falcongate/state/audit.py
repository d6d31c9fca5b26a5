"""What was changed by whom: a list that all hosts write, for those who have to answer for it."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from falcongate.errors import StoreAway
from falcongate.state.in_process import InProcess, asked

if TYPE_CHECKING:
    from collections.abc import Sequence

_log = logging.getLogger("falcongate")

MAX_CHANGES: Final = 10_000
"""So many of the last changes are kept."""


class Change(NamedTuple):
    """One change: who made it, from where, what was done, on what, and why as far as that was said."""

    who: str
    where: str
    what: str
    on: str
    why: str = ""


class Noted(NamedTuple):
    """A change, and when it was noted, in seconds of the store's clock."""

    at_s: float
    change: Change


class AuditLog(Protocol):
    """The part of the shared state that remembers changes; see `SharedState`."""

    def note_change(self, change: Change) -> None:
        """Remember it. Where a change is made, `audit` calls this."""
        ...

    def changes(self, count: int) -> Sequence[Noted]:
        """The last changes, at most `count`, the newest first."""
        ...


class MemoryAudit(InProcess):
    """An `AuditLog` in this process."""

    def __init__(self, *how: Any, **also: Any) -> None:
        super().__init__(*how, **also)
        self._noted: deque[Noted] = deque(maxlen=MAX_CHANGES)

    @asked
    def note_change(self, change: Change) -> None:
        """As `AuditLog` says."""
        self._noted.appendleft(Noted(self._clock() / 1000, change))

    @asked
    def changes(self, count: int) -> Sequence[Noted]:
        """As `AuditLog` says."""
        return tuple(self._noted)[:count]


def audit(log: AuditLog, change: Change) -> None:
    """Note a change that has been made. Waits at most for the store's answer, and raises nothing.

    What cannot be noted is logged as a warning, whole: the change stands, and somebody must learn of it.
    """
    try:
        log.note_change(change)
    except StoreAway as error:
        # As Python writes it, on one line: reasons are anybody's text.
        _log.warning("A change is missing from the audit stream (%s): %r", error, change)
