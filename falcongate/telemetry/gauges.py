"""Gauges that are looked at again and again, and seldom change."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Gauge


class Shown:
    """PERF: comparing with what was shown before is a tenth of setting a gauge."""

    __slots__ = ("_before",)

    def __init__(self) -> None:
        self._before: dict[tuple[str, tuple[str, ...]], float] = {}

    def show(self, gauge: Gauge, *labels: str, value: float) -> None:
        """Set the gauge if it has another value now. Does not wait."""
        key = gauge._name, labels
        if self._before.get(key) != value:
            self._before[key] = value
            gauge.labels(*labels).set(value)
