"""Totals in one process: what the scripts of `redis_totals.py` are held to."""

from __future__ import annotations

import heapq
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from falcongate.state.in_process import InProcess, asked, told
from falcongate.state.keys import plain
from falcongate.state.totals import (
    KEPT_S,
    MAX_CALLERS,
    PERIOD_S,
    SLOT_S,
    Lately,
    Slot,
    totals_of,
    whole_slots,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class MemoryTotals(InProcess):
    """A `TotalsStore` in this process."""

    def __init__(self, *how: Any, **also: Any) -> None:
        super().__init__(*how, **also)
        self._totals: dict[str, int] = {}
        self._slots: dict[int, dict[str, list[int]]] = {}
        self._refused: dict[tuple[str, int], dict[str, int]] = {}

    @told
    def add_traffic(
        self,
        services: Mapping[str, Sequence[int]],
        *,
        limits: Mapping[str, Sequence[int]],
        callers: Mapping[str, Mapping[str, int]],
    ) -> None:
        """As `TotalsStore` says; what is too old is forgotten."""
        now_ms = self._clock()
        for name, number in totals_of(services, limits):
            if number:
                self._totals[name] = self._totals.get(name, 0) + number
        start_s = _start(now_ms, SLOT_S)
        if services:
            slot = self._slots.setdefault(start_s, {})
            for service, counts in services.items():
                slot[service] = _summed(slot.get(service, ()), counts)
        period_s = _start(now_ms, PERIOD_S)
        for limit, refused in callers.items():
            known = self._refused.setdefault((limit, period_s), {})
            for caller, number in refused.items():
                known[plain(caller)] = known.get(plain(caller), 0) + number
            self._refused[limit, period_s] = dict(_heaviest(known, MAX_CALLERS))
        self._slots = {at: kept for at, kept in self._slots.items() if at > start_s - KEPT_S}
        self._refused = {at: kept for at, kept in self._refused.items() if at[1] >= period_s - PERIOD_S}

    @asked
    def totals(self) -> Mapping[str, int]:
        """As `TotalsStore` says."""
        return dict(self._totals)

    @asked
    def traffic(self, seconds: int) -> Lately:
        """As `TotalsStore` says."""
        now_ms = self._clock()
        last_s = _start(now_ms, SLOT_S)
        first_s = last_s - whole_slots(seconds) + SLOT_S
        slots = [
            Slot(start_s, dict(services))
            for start_s, services in sorted(self._slots.items())
            if first_s <= start_s <= last_s
        ]
        return Lately(now_ms / 1000, slots)

    @asked
    def top_callers(self, limits: Sequence[str], count: int) -> Mapping[str, Sequence[tuple[str, int]]]:
        """As `TotalsStore` says."""
        period_s = _start(self._clock(), PERIOD_S)
        return {limit: self._top(limit, count, period_s) for limit in limits}

    def _top(self, limit: str, count: int, period_s: int) -> Sequence[tuple[str, int]]:
        refused: dict[str, int] = {}
        for at_s in (period_s - PERIOD_S, period_s):
            for caller, number in self._refused.get((limit, at_s), {}).items():
                refused[caller] = refused.get(caller, 0) + number
        return _heaviest(refused, count)


def _start(now_ms: int, length_s: int) -> int:
    return now_ms // 1000 // length_s * length_s


def _heaviest(refused: Mapping[str, int], count: int) -> list[tuple[str, int]]:
    """As Redis sorts: of equals, the one whose name is the later in the alphabet stays."""
    return heapq.nlargest(count, refused.items(), key=lambda of: (of[1], of[0].encode()))


def _summed(one: Sequence[int], other: Sequence[int]) -> list[int]:
    """Counts added up one by one; of releases that count differently the longer is kept."""
    return [left + right for left, right in zip_longest(one, other, fillvalue=0)]
