"""How long questions to the shared state take, gathered between two looks."""

from __future__ import annotations

from typing import Final

from falcongate.telemetry.metrics import REDIS_BUCKETS_S, ROUND_TRIPS
from falcongate.telemetry.tally import observe_all

_MAX_PENDING: Final = 10_000


class RoundTrips:
    """PERF: there are thousands a second, and counting each at once would cost 2 us."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending: list[float] = []

    def note(self, seconds: float) -> None:
        """One has come back. Does not wait."""
        self._pending.append(seconds)
        if len(self._pending) >= _MAX_PENDING:
            self.hand_on()

    def hand_on(self) -> None:
        """Count what was noted. Does not wait."""
        pending, self._pending = self._pending, []
        if pending:
            observe_all(ROUND_TRIPS, REDIS_BUCKETS_S, pending)
