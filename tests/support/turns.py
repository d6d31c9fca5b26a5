"""Tests and what they test as greenlets of one process: letting others go on."""

from __future__ import annotations

from collections.abc import Callable

import gevent

_PATIENCE_S = 10


def until(happened: Callable[[], object]) -> None:
    """Let others go on until it has happened."""
    with gevent.Timeout(_PATIENCE_S):
        while not happened():
            gevent.sleep(0.001)
