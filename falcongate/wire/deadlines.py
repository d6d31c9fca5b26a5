"""Ends the waits that last too long, of all channels of one event loop.

PERF: a timer for each wait costs 3 us; one look at all of them ten times a second costs nothing
that can be seen, and makes a timeout late by a tenth of a second at most.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from gevent.hub import Hub

_LOOK_EVERY_S: Final = 0.1


class _Deadlines:
    """Looks after the waits of one hub. `waiting` has each waiting greenlet's end, monotonic seconds."""

    def __init__(self, hub: Hub) -> None:
        self.waiting: dict[Any, float] = {}
        # Without a reference it does not keep a loop running that has nothing else to do.
        self._timer = hub.loop.timer(_LOOK_EVERY_S, _LOOK_EVERY_S, ref=False)
        self._timer.start(self._look)

    def _look(self) -> None:
        now = monotonic()
        late = [greenlet for greenlet, end in self.waiting.items() if end < now]
        for greenlet in late:
            # Each switch lets others run, who may have ended the next one's wait.
            if self.waiting.get(greenlet, now) < now:
                greenlet.switch(None)


_deadlines: WeakKeyDictionary[Hub, _Deadlines] = WeakKeyDictionary()


def waiting_on(hub: Hub) -> dict[Any, float]:
    """Greenlets that wait in `hub`, each with its end in monotonic seconds; then it gets None."""
    deadlines = _deadlines.get(hub)
    if deadlines is None:
        deadlines = _deadlines[hub] = _Deadlines(hub)
    return deadlines.waiting
