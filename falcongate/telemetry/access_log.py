"""One line per request on standard output, written without making a request wait.

What stands in them is `log_line.py`, for programs, or `console.py`, to be read on a terminal.
"""

from __future__ import annotations

import atexit
import os
import random
import select
from time import monotonic
from typing import TYPE_CHECKING, Final

import gevent
from gevent import get_hub, monkey

from falcongate.telemetry.console import ConsoleLines
from falcongate.telemetry.log_line import render_line
from falcongate.telemetry.metrics import LOG_DROPPED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from falcongate.config.telemetry import LogSettings
    from falcongate.telemetry.record import Record

_STDOUT: Final = 1
_MAX_PENDING_BYTES: Final = 8_388_608
_PAUSE_S: Final = 0.05
_LAST_WAIT_MS: Final = 1_000
# What a pipe that is ready takes for sure without making the writer wait (pipe(7), PIPE_BUF).
_SURE_BYTES: Final = 4_096


class AccessLog:
    """Writes lines from a thread, as the reader may be slow.

    Lines that the reader does not keep up with are dropped; a line says how many, and so does a metric.
    `shares` tells of which statuses not all requests get a line, `draw` a number from 0 to 1.
    """

    __slots__ = (
        "_draw",
        "_dropped",
        "_is_writing",
        "_lines",
        "_next_write",
        "_pending_bytes",
        "_render",
        "_render_dropped",
        "_shares",
    )

    def __init__(
        self,
        render: Callable[[Record], str],
        *,
        render_dropped: Callable[[int], str],
        shares: Mapping[int, float],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._render = render
        self._render_dropped = render_dropped
        self._shares = shares
        self._draw = draw
        self._lines: list[str] = []
        self._pending_bytes = 0
        self._dropped = 0
        self._is_writing = False
        self._next_write = 0.0
        atexit.register(self._write_rest)

    def write(self, records: list[Record]) -> None:
        """Add the lines of these requests. Does not wait."""
        if self._shares:
            records = [record for record in records if self._is_due(record.status)]
        render = self._render
        dropped = 0
        for record in records:
            line = render(record)
            self._pending_bytes += len(line)
            if self._pending_bytes > _MAX_PENDING_BYTES:
                self._pending_bytes -= len(line)
                dropped += 1
            else:
                self._lines.append(line)
        if dropped:
            self._dropped += dropped
            LOG_DROPPED.inc(dropped)
        if not self._is_writing:
            self._is_writing = True
            gevent.spawn(self._write)

    def _is_due(self, status: int) -> bool:
        share = self._shares.get(status)
        return share is None or self._draw() < share

    def _write(self) -> None:
        # PERF: each time costs a greenlet, a thread's turn and a call of the kernel, so it is for many lines.
        try:
            while self._lines:
                gevent.sleep(self._next_write - monotonic())
                self._next_write = monotonic() + _PAUSE_S
                count = len(self._lines)
                left = get_hub().threadpool.apply(_write_all, (self._take_pending(),))
                # The line that says how many were dropped is none that is missed.
                LOG_DROPPED.inc(min(left.count(b"\n"), count))
        finally:
            self._is_writing = False

    def _take_pending(self) -> bytes:
        lines, self._lines = self._lines, []
        self._pending_bytes = 0
        if self._dropped:
            lines.append(self._render_dropped(self._dropped))
            self._dropped = 0
        return "".join(lines).encode("ascii")

    def _write_rest(self) -> None:
        """At the end of the process, which a reader that has stopped must not hold up."""
        if not self._lines:
            return
        data = self._take_pending()
        poll = monkey.get_original("select", "poll")()
        poll.register(_STDOUT, select.POLLOUT)
        at = 0
        while at < len(data) and poll.poll(_LAST_WAIT_MS):
            piece = data[at : at + _SURE_BYTES]
            left = _write_all(piece, _LAST_WAIT_MS)
            at += len(piece) - len(left)
            if left:
                break
        LOG_DROPPED.inc(data.count(b"\n", at))


def access_log_of(settings: LogSettings, *, is_plain: bool) -> AccessLog:
    """The log as it was asked for. On a terminal it has colours, unless it `is_plain`."""
    is_terminal = os.isatty(_STDOUT)
    shares = shares_of(settings.sample)
    if settings.format == "console" or (settings.format == "auto" and is_terminal):
        lines = ConsoleLines(has_colours=is_terminal and not is_plain)
        return AccessLog(lines.render, render_dropped=lines.render_dropped, shares=shares)
    return AccessLog(render_line, render_dropped=render_dropped, shares=shares)


def shares_of(sample: Mapping[str, float]) -> dict[int, float]:
    """Statuses of which not all requests get a line; a single one goes before its class."""
    shares: dict[int, float] = {}
    for statuses, share in sorted(sample.items(), key=lambda entry: not entry[0].endswith("xx")):
        first = int(statuses.replace("x", "0"))
        count = 100 if statuses.endswith("xx") else 1
        shares.update(dict.fromkeys(range(first, first + count), share))
    return {status: share for status, share in shares.items() if share < 1}


def render_dropped(count: int) -> str:
    """The JSON that says how many lines are missing."""
    return f'{{"dropped_lines":{count}}}\n'


def _write_all(data: bytes, wait_ms: int | None = None) -> bytes:
    """What could not be written. Nobody may read the log any more, and no better place says so.

    Waits for a reader that is slow, without end or so long each time, even where the descriptor does not
    wait: whoever shares it with us may have said so.
    """
    view = memoryview(data)
    while view:
        try:
            written = os.write(_STDOUT, view)
            view = view[written:]
        except BlockingIOError:
            poll = monkey.get_original("select", "poll")()
            poll.register(_STDOUT, select.POLLOUT)
            if not poll.poll(wait_ms):
                break
        except OSError:
            break
    return bytes(view)
