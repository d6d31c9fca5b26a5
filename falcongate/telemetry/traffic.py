"""Adds up what is told of requests, and hands on once a second what has come together.

Nothing here knows who adds it to what other workers have seen.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, NamedTuple

import gevent

from falcongate.telemetry.record import is_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from falcongate.telemetry.record import Record

    _Charged = tuple[tuple[str, str], ...]

BOUNDS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Durations are counted by these: up to and with each, and one count more for what is above them all."""

COUNTS: Final = 2 + len(BOUNDS_S) + 1
"""So many numbers are told of a service: requests, errors, and how many took how long."""

_HAND_ON_AFTER_S: Final = 1.0
_MAX_CALLERS: Final = 1_000
_MAX_TOLD: Final = 20
_SWITCHED: Final = 101


class Seen(NamedTuple):
    """What came together. By service `COUNTS` numbers; by limit how often it let pass, refused, would have.

    `callers` are those who were refused most, or would have been, by limit, and how often.
    """

    services: Mapping[str, Sequence[int]]
    limits: Mapping[str, Sequence[int]]
    callers: Mapping[str, Mapping[str, int]]


class Traffic:
    """A taker of the Journal. `send` must not wait; of many callers it is told the heaviest of each limit.

    Services and limits are those of the configuration, so nothing here grows with what callers choose but
    their own names, and of these it keeps a thousand.
    """

    __slots__ = ("_callers", "_is_scheduled", "_limits", "_send", "_services")

    def __init__(self, send: Callable[[Seen], None]) -> None:
        self._send = send
        self._services: dict[str, list[int]] = {}
        self._limits: dict[str, list[int]] = {}
        self._callers: dict[str, dict[str, int]] = {}
        self._is_scheduled = False

    def take(self, records: Iterable[Record]) -> None:
        """Count requests that have ended. Does not wait."""
        services = self._services
        # PERF: callers come again, and what their limits say is mostly the same.
        asked: dict[tuple[_Charged, tuple[str, ...], tuple[str, ...]], int] = {}
        for record in records:
            if record.service:
                counts = services.get(record.service)
                if counts is None:
                    counts = services[record.service] = [0] * COUNTS
                counts[0] += 1
                if is_error(record):
                    counts[1] += 1
                # How long a WebSocket lasts is its users' business.
                if record.status != _SWITCHED:
                    counts[2 + bisect_left(BOUNDS_S, record.duration_s)] += 1
            if record.charged:
                said = (record.charged, record.refused_by, record.would_refuse)
                asked[said] = asked.get(said, 0) + 1
        for (charged, refused_by, would_refuse), count in asked.items():
            self._take_charged(charged, refused_by, would_refuse, count=count)
        if not self._is_scheduled and (services or self._limits):
            self._is_scheduled = True
            gevent.spawn_later(_HAND_ON_AFTER_S, self._hand_on)

    def _take_charged(
        self, charged: _Charged, refused_by: Sequence[str], would_refuse: Sequence[str], *, count: int
    ) -> None:
        """Count what limits said. Where one refused, the others were charged nothing and said nothing."""
        limits = self._limits
        callers = dict(charged)
        refusing = [name for name in refused_by if name in callers]
        for name in refusing:
            _counts_of(limits, name)[1] += count
            self._note_caller(name, callers[name], count)
        if refusing:
            return
        for name, caller in charged:
            if name in would_refuse:
                _counts_of(limits, name)[2] += count
                self._note_caller(name, caller, count)
            else:
                _counts_of(limits, name)[0] += count

    def _note_caller(self, limit: str, caller: str, count: int) -> None:
        callers = self._callers.setdefault(limit, {})
        callers[caller] = callers.get(caller, 0) + count
        if len(callers) > _MAX_CALLERS:
            self._callers[limit] = _heaviest(callers, _MAX_CALLERS // 2)

    def _hand_on(self) -> None:
        self._is_scheduled = False
        callers = {limit: _heaviest(refused, _MAX_TOLD) for limit, refused in self._callers.items()}
        seen = Seen(self._services, self._limits, callers)
        self._services, self._limits, self._callers = {}, {}, {}
        self._send(seen)


def _counts_of(limits: dict[str, list[int]], name: str) -> list[int]:
    counts = limits.get(name)
    if counts is None:
        counts = limits[name] = [0, 0, 0]
    return counts


def _heaviest(refused: Mapping[str, int], count: int) -> dict[str, int]:
    return dict(heapq.nlargest(count, refused.items(), key=lambda of: of[1]))
