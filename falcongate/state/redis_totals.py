"""Totals in Redis: which keys, which script, and what its answer means."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import gevent

from falcongate.state.keys import REFUSED_CALLERS, TOTALS, TRAFFIC, plain
from falcongate.state.redis_call import Script
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

    from falcongate.state.redis_call import Line

_ADD: Final = Script("totals_add")
_READ: Final = Script("traffic_read")
_TOP: Final = Script("callers_top")
_FEW_SLOTS: Final = 10


class RedisTotals:
    """The `TotalsStore` of all workers and hosts. In a cluster, all of it lies on one server."""

    _line: Line

    def add_traffic(
        self,
        services: Mapping[str, Sequence[int]],
        *,
        limits: Mapping[str, Sequence[int]],
        callers: Mapping[str, Mapping[str, int]],
    ) -> None:
        """As `TotalsStore` says."""
        news = {
            "totals": {name: [number] for name, number in totals_of(services, limits) if number},
            "services": {service: list(counts) for service, counts in services.items()},
            "callers": {
                limit: {plain(caller): number for caller, number in refused.items()}
                for limit, refused in callers.items()
            },
        }
        self._line.tell(
            _ADD,
            [TOTALS, TRAFFIC, REFUSED_CALLERS],
            [SLOT_S, KEPT_S, PERIOD_S, MAX_CALLERS, json.dumps(news)],
        )

    def totals(self) -> Mapping[str, int]:
        """As `TotalsStore` says."""
        told = self._line.command("HGETALL", TOTALS)
        totals = {}
        for name, number in zip(told[::2], told[1::2], strict=True):
            # What nobody of ours has written there must not hide the rest.
            with suppress(ValueError):
                totals[name] = int(number)
        return totals

    def traffic(self, seconds: int) -> Lately:
        """As `TotalsStore` says."""
        now_ms, *told = self._line.call(_READ, [TRAFFIC], [SLOT_S, whole_slots(seconds)])
        slots = []
        for start_s, fields in told:
            if len(told) > _FEW_SLOTS:
                # PERF: a quarter of an hour of many services takes milliseconds to read; others go first.
                gevent.sleep(0)
            slots.append(Slot(start_s, dict(zip(fields[::2], map(_counts, fields[1::2]), strict=True))))
        return Lately(now_ms / 1000, slots)

    def top_callers(self, limits: Sequence[str], count: int) -> Mapping[str, Sequence[tuple[str, int]]]:
        """As `TotalsStore` says."""
        told: list[Any] = self._line.call(_TOP, [REFUSED_CALLERS], [PERIOD_S, count, *limits])
        return {
            limit: list(zip(top[::2], map(int, top[1::2]), strict=True))
            for limit, top in zip(limits, told, strict=True)
        }


def _counts(text: str) -> list[int]:
    return [int(number) for number in text.split()]
