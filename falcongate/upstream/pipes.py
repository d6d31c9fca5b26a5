"""Pipes for splicing: what the kernel moves bodies through."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import Final

PIPE_BYTES: Final = 1_048_576
_MAX_IDLE_PIPES: Final = 16


class Pipes:
    """Pipes for splicing, kept for reuse while they are empty."""

    __slots__ = ("_idle",)

    def __init__(self) -> None:
        self._idle: list[tuple[int, int]] = []

    def take(self) -> tuple[int, int] | None:
        """The reading and the writing end of an empty pipe; None if the process may open no more files."""
        if self._idle:
            return self._idle.pop()
        try:
            ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        # Where the system's share of pipe memory is used up, the default size works, only slower.
        with suppress(PermissionError):
            fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        return ends

    def give(self, ends: tuple[int, int], *, is_empty: bool) -> None:
        """Give a pipe back; one with bytes left in it is closed."""
        if is_empty and len(self._idle) < _MAX_IDLE_PIPES:
            self._idle.append(ends)
        else:
            os.close(ends[0])
            os.close(ends[1])
