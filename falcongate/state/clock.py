"""The unit of the store's time, and what time it is in one process."""

from __future__ import annotations

import math
from time import monotonic_ns


def whole_ms(seconds: float) -> int:
    """Milliseconds, the store's unit, rounded up."""
    return math.ceil(seconds * 1000)


def steady_ms() -> int:
    """Milliseconds that nobody can set back."""
    return monotonic_ns() // 1_000_000
