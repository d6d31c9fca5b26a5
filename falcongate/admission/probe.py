"""A request that tries whether a service works again: its place, kept while it lasts, and its result."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING, Final

import gevent

if TYPE_CHECKING:
    from falcongate.admission.guard import Guard
    from falcongate.exchange import Exchange
    from falcongate.state.store import Outcome

_LOOK_EVERY_S: Final = 5.0
_numbers = count(1)


class ProbeInFlight:
    """One probe of `guard`. `owner` is its name in the shared state, `generation` that of the breaker."""

    __slots__ = ("_guard", "_looker", "_outcome", "generation", "owner")

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._looker: gevent.Greenlet[..., None] | None = None
        self._outcome: Outcome | None = None
        self.owner = f"{guard.host}:{os.getpid()}:{next(_numbers)}"
        self.generation = 0

    def begin(self, exchange: Exchange, generation: int) -> None:
        """It has its place, which is kept from now on. Does not wait."""
        self.generation = generation
        exchange.is_probe = True
        self._looker = gevent.spawn(self._look_after, exchange)

    def end(self, exchange: Exchange) -> None:
        """Tell how the exchange went, and give the place back. Harmless if repeated; does not wait."""
        exchange.probe = None
        if self._looker is not None:
            self._looker.kill(block=False)
            self._looker = None
        self._tell(self._guard.outcome_of(exchange))

    def _look_after(self, exchange: Exchange) -> None:
        while self._outcome is None:
            gevent.sleep(_LOOK_EVERY_S)
            if self._guard.outcome_of(exchange) == "SUCCESS":
                # A stream may last for hours; that it has begun is answer enough.
                self._tell("SUCCESS")
            else:
                self._guard.hold(self)

    def _tell(self, outcome: Outcome) -> None:
        if self._outcome is None:
            self._outcome = outcome
            gevent.spawn(self._guard.finish, self, outcome)
