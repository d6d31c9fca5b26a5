"""Gathers what is told of requests and hands it on in batches, so that no request waits for it."""

from __future__ import annotations

import atexit
import logging
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import gevent
from gevent import get_hub
from gevent.event import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from falcongate.telemetry.record import Record

_log = logging.getLogger("falcongate")

# PERF: time enough for a batch when there is little to do, and so few at once that nobody else is delayed by
# 2 ms when there is much.
_HAND_ON_AFTER_S: Final = 0.1
_ENOUGH: Final = 128
_MAX_PENDING: Final = 10_000


_T = TypeVar("_T")


class Journal(Generic[_T]):
    """Tells all `takers` of every request, a tenth of a second later at most.

    What is noted is kept as it is until then; `record_of` makes a Record of it, told by how many
    seconds wall time is ahead of monotonic time. Takers must not wait, and neither must `choose`, which is
    shown what has ended beside its Records and may keep more of it.

    PERF: between two requests, counting and formatting cost 16 us, as everything they touch has to
    be brought into the cache; in one go for many requests it is 4.
    """

    __slots__ = ("_begun", "_choose", "_enough", "_pending", "_record_of", "_takers", "_teller")

    def __init__(
        self,
        record_of: Callable[[_T, float], Record],
        takers: Sequence[Callable[[list[Record]], None]],
        choose: Callable[[Sequence[_T], Sequence[Record]], None] | None = None,
    ) -> None:
        self._record_of = record_of
        self._takers = tuple(takers)
        self._choose = choose
        self._pending: list[_T] = []
        self._begun = Event()
        self._enough = Event()
        self._teller: gevent.Greenlet[..., None] | None = None
        atexit.register(self.hand_on)

    def note(self, ended: _T) -> None:
        """Take what has ended. Does not wait."""
        self._pending.append(ended)
        count = len(self._pending)
        if count == 1:
            self._begun.set()
            if self._teller is None:
                self._teller = gevent.spawn(self._tell)
        elif count == _ENOUGH:
            self._enough.set()
        elif count >= _MAX_PENDING:
            self.hand_on()

    def _tell(self) -> None:
        # PERF: one greenlet for all batches; to make one for each costs 2 % of a small GET.
        while True:
            self._begun.wait()
            self._enough.wait(_HAND_ON_AFTER_S)
            self.hand_on()

    def hand_on(self) -> None:
        """Tell what has been gathered. Does not wait, and raises nothing."""
        self._begun.clear()
        self._enough.clear()
        if not self._pending:
            return
        gathered, self._pending = self._pending, []
        loop = get_hub().loop
        loop.update_now()  # it is as old as this turn of the loop
        wall_clock_s = loop.now() - monotonic()
        pending, records = self._records_of(gathered, wall_clock_s)
        for take in self._takers:
            with _told(len(records)):
                take(records)
        if self._choose is not None:
            with _told(len(records)):
                self._choose(pending, records)

    def _records_of(self, gathered: list[_T], wall_clock_s: float) -> tuple[list[_T], list[Record]]:
        """What of it can be told, and the Records of that."""
        try:
            return gathered, [self._record_of(ended, wall_clock_s) for ended in gathered]
        except Exception:  # noqa: BLE001  # whatever it is, it is one of them; now each is on its own
            told: list[_T] = []
            records: list[Record] = []
        for ended in gathered:
            with _told(1):
                records.append(self._record_of(ended, wall_clock_s))
                told.append(ended)
        return told, records


@contextmanager
def _told(count: int) -> Iterator[None]:
    """What cannot be made of one request must keep nobody from the others, nor from what comes next."""
    try:
        yield
    except OSError as error:
        # The directory that workers share their numbers in is gone; requests are served all the same.
        _log.error("%s requests could not be told: %s", count, error)
    except Exception:  # noqa: BLE001  # whatever it is
        _log.exception("%s requests could not be told", count)
