"""Durations as people read them."""

from __future__ import annotations

from typing import Final

_SHORT: Final = [f"{tenths / 10:.1f}" for tenths in range(1_000)]


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds with one digit behind the point.

    PERF: to format a float takes longer than to find it here, four times where it is compiled, and each
    request tells five.
    """
    tenths = int(seconds * 10_000 + 0.5)
    return _SHORT[tenths] if 0 <= tenths < 1_000 else f"{seconds * 1_000:.1f}"
