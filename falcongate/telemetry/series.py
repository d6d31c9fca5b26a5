"""Rates and latencies of services over the last minutes, slot by slot, from what was counted."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import gevent

from falcongate.telemetry.traffic import BOUNDS_S, COUNTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    _Slots = Mapping[int, Mapping[str, Sequence[int]]]

_BOUNDS_MS: Final = tuple(pairwise((0.0, *[bound_s * 1000 for bound_s in BOUNDS_S])))
_NOTHING: Final = (0,) * COUNTS
_SLOTS_OF_NOW: Final = 3


class Point(NamedTuple):
    """How a service did for a while. The latencies are None where no request ended."""

    requests_per_s: float
    errors_per_s: float
    p50_ms: float | None
    p99_ms: float | None


def point_of(counts: Sequence[int], seconds: float) -> Point:
    """What the `COUNTS` numbers of so many seconds say."""
    requests, errors, *durations = counts
    return Point(
        round(requests / seconds, 2),
        round(errors / seconds, 2),
        quantile_ms(durations, 0.5),
        quantile_ms(durations, 0.99),
    )


def quantile_ms(durations: Sequence[int], share: float) -> float | None:
    """How long this share of requests took at most, evenly spread between two bounds; None of no requests.

    What is above all bounds is told as the last of them.
    """
    total = sum(durations)
    if not total:
        return None
    left = total * share
    for (low_ms, high_ms), count in zip(_BOUNDS_MS, durations, strict=False):
        if count and left <= count:
            return round(low_ms + (high_ms - low_ms) * left / count, 2)
        left -= count
    return _BOUNDS_MS[-1][1]


class Series:
    """The last `length` slots of `step_s` seconds of these services that are over, and how it goes now.

    `wanted_s` tells how far back the next slots must reach, after so many seconds since the last were told.
    """

    def __init__(self, services: Iterable[str], *, step_s: int, length: int) -> None:
        self._step_s = step_s
        self._length = length
        self._points: dict[str, deque[Point]] = {name: deque(maxlen=length) for name in services}
        self._ends_s = 0
        self._now: dict[str, Point] = {}
        self._shown: dict[str, dict[str, Any]] = {}

    def wanted_s(self, elapsed_s: float) -> int:
        """Seconds before now of which slots are needed."""
        whole_s = self._length * self._step_s
        return min(int(elapsed_s) + (_SLOTS_OF_NOW + 1) * self._step_s, whole_s) if self._ends_s else whole_s

    def add(self, now_s: float, slots: _Slots) -> None:
        """Take what was told at `now_s`. Lets others go on in between, and may be ended there."""
        begun_s = int(now_s) // self._step_s * self._step_s
        first_s = begun_s - self._length * self._step_s
        if not first_s <= self._ends_s <= begun_s:
            # The first, after a long pause, or of a clock that was set back.
            self._ends_s = first_s
        for start_s in range(self._ends_s, begun_s, self._step_s):
            told = slots.get(start_s, {})
            points = {name: point_of(told.get(name, _NOTHING), self._step_s) for name in self._points}
            for name, point in points.items():
                self._points[name].append(point)
            self._ends_s = start_s + self._step_s
            self._shown.clear()
            gevent.sleep(0)
        # The slot of now has only begun: alone it would say nothing for its first seconds.
        recent_s = begun_s - (_SLOTS_OF_NOW - 1) * self._step_s
        recent = [told for start_s, told in slots.items() if start_s >= recent_s]
        self._now = {
            name: point_of(_sum([told.get(name, _NOTHING) for told in recent]), now_s - recent_s)
            for name in self._points
        }

    def now(self, service: str) -> dict[str, Any]:
        """How a service does, over the last ten to fifteen seconds."""
        return self._now[service]._asdict()

    def shown(self, service: str) -> dict[str, Any]:
        """Each number of a service as a list, the oldest first, from `from_s` in steps of `step_s`.

        The same object until a slot is over.
        """
        shown = self._shown.get(service)
        if shown is None:
            points = self._points[service]
            shown = self._shown[service] = {
                "step_s": self._step_s,
                "from_s": self._ends_s - len(points) * self._step_s,
                **dict.fromkeys(Point._fields, ()),
                **dict(zip(Point._fields, zip(*points, strict=True), strict=False)),
            }
        return shown


def _sum(many: Sequence[Sequence[int]]) -> Sequence[int]:
    return [sum(numbers) for numbers in zip(_NOTHING, *many, strict=False)]
