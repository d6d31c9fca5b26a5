"""Whether the caller is still there while nothing is being sent to it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from gevent import getcurrent

from falcongate.errors import CallerLeft
from falcongate.wire.channel import RECEIVE_BYTES

if TYPE_CHECKING:
    from falcongate.wire.channel import Channel

_MAX_READ_AHEAD_BYTES: Final = 65_536


class _CallerStirred(Exception):
    """The caller sent something or closed while its answer was waited for."""


class CallerWatch:
    """Notices that the caller leaves while nothing is being sent to it.

    What it sends meanwhile is its next request; it is read ahead up to a bound and kept.
    """

    __slots__ = ("_channel",)

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def wait(self, service: Channel, timeout_s: float) -> None:
        """Wait until `service` can be read. Raises TimedOut and CallerLeft."""
        caller = self._channel
        if not caller.has_early:
            caller.watch()
        while True:
            if caller.has_early:
                self._look()
            # PERF: the caller's watcher runs anyway; this costs nothing unless it fires.
            caller.on_early = partial(getcurrent().throw, _CallerStirred)
            try:
                service.wait_readable(timeout_s)
            except _CallerStirred:
                continue
            finally:
                caller.on_early = None
            return

    def _look(self) -> None:
        caller = self._channel
        try:
            data = caller.receive_now(RECEIVE_BYTES)
        except OSError as error:
            raise CallerLeft(str(error)) from error
        if data == b"":
            raise CallerLeft("it closed its connection")
        if data:
            caller.buffer += data
        caller.has_early = False
        if len(caller.buffer) <= _MAX_READ_AHEAD_BYTES:
            caller.watch()
