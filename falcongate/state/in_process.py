"""What all that is kept in one process has in common: its time, and how it can be made to fail.

What is kept is in `memory_*.py` and beside the questions in `sessions.py`, `tokens.py` and their like.
"""

from __future__ import annotations

from enum import Enum
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import gevent

from falcongate.errors import StoreAway
from falcongate.state.clock import steady_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    _Store = TypeVar("_Store", bound="InProcess")

_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")


class Fault(Enum):
    """How a store fails: nothing happens; it happens too late; it happens and the answer is lost."""

    AWAY = "away"
    SLOW = "slow"
    LOST_REPLY = "lost reply"


class InProcess:
    """A part of a store in this process. `clock` tells its time in whole milliseconds; tests move it.

    While `fault` is set every question raises StoreAway: SLOW after having waited for `budget_s`.
    """

    def __init__(
        self, clock: Callable[[], int] = steady_ms, *, fault: Fault | None = None, budget_s: float = 0.05
    ) -> None:
        self.fault = fault
        self._clock = clock
        self.budget_s = budget_s


def asked(
    work: Callable[Concatenate[_Store, _Asked], _Answer],
) -> Callable[Concatenate[_Store, _Asked], _Answer]:
    """A question whose answer is waited for."""

    @wraps(work)
    def ask(store: _Store, /, *asking: _Asked.args, **said: _Asked.kwargs) -> _Answer:
        if store.fault is None:
            return work(store, *asking, **said)
        if store.fault is not Fault.AWAY:
            work(store, *asking, **said)
        if store.fault is Fault.SLOW:
            gevent.sleep(store.budget_s)
        raise StoreAway(f"the store in the process is told to be: {store.fault.value}")

    return ask


def told(work: Callable[Concatenate[_Store, _Asked], None]) -> Callable[Concatenate[_Store, _Asked], None]:
    """What nobody waits for: it happens, however slow the store, or is lost."""

    @wraps(work)
    def tell(store: _Store, /, *asking: _Asked.args, **said: _Asked.kwargs) -> None:
        if store.fault is not Fault.AWAY:
            work(store, *asking, **said)

    return tell
