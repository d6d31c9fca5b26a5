"""Whether the caller is still there while nothing is being sent to it."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from falcongate.errors import CallerLeft
from falcongate.wire.channel import RECEIVE_BYTES, time_left

if TYPE_CHECKING:
    from falcongate.wire.channel import Channel

_MAX_READ_AHEAD_BYTES: Final = 65_536


def wait_while_called(caller: Channel, service: Channel, timeout_s: float) -> None:
    """Wait until `service` can be read, or `caller` leaves. Raises TimedOut and CallerLeft.

    What the caller sends meanwhile is its next request; it is read ahead up to a bound and kept.
    """
    if not caller.has_early:
        caller.watch()
    # However often the caller stirs, the service's time runs on.
    deadline = monotonic() + timeout_s
    while True:
        if caller.has_early:
            look_after(caller)
        # PERF: the caller's watcher runs anyway; this costs nothing unless it fires.
        caller.on_early = service.interrupt
        try:
            if service.wait_readable(timeout_s):
                return
        finally:
            caller.on_early = None
        timeout_s = time_left(timeout_s, deadline)


def look_after(caller: Channel) -> None:
    """Take in what a caller that stirred has sent. Raises CallerLeft if it closed. Does not wait."""
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
