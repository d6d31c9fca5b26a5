"""One JSON line per request on standard output, written without making a request wait."""

from __future__ import annotations

import atexit
import json
import os
import select
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from time import gmtime, strftime
from typing import TYPE_CHECKING, Final

import gevent
from gevent import get_hub, monkey

if TYPE_CHECKING:
    from falcongate.telemetry.record import Record

_STDOUT: Final = 1
_MAX_PENDING_BYTES: Final = 8_388_608
_LAST_WAIT_MS: Final = 1_000
# What a pipe that is ready takes for sure without making the writer wait (pipe(7), PIPE_BUF).
_SURE_BYTES: Final = 4_096


class AccessLog:
    """Writes lines from a thread, as the reader may be slow.

    Lines that the reader does not keep up with are dropped; a line says how many.
    """

    __slots__ = ("_dropped", "_is_writing", "_lines", "_pending_bytes")

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._pending_bytes = 0
        self._dropped = 0
        self._is_writing = False
        atexit.register(self._write_rest)

    def write(self, records: list[Record]) -> None:
        """Add the lines of these requests. Does not wait."""
        for record in records:
            line = render_line(record)
            self._pending_bytes += len(line)
            if self._pending_bytes > _MAX_PENDING_BYTES:
                self._pending_bytes -= len(line)
                self._dropped += 1
            else:
                self._lines.append(line)
        if not self._is_writing:
            self._is_writing = True
            gevent.spawn(self._write)

    def _write(self) -> None:
        try:
            while self._lines:
                data = self._take_pending()
                get_hub().threadpool.apply(_write_all, (data,))
        finally:
            self._is_writing = False

    def _take_pending(self) -> bytes:
        lines, self._lines = self._lines, []
        self._pending_bytes = 0
        if self._dropped:
            lines.append(f'{{"dropped_lines":{self._dropped}}}\n')
            self._dropped = 0
        return "".join(lines).encode("latin-1")

    def _write_rest(self) -> None:
        """At the end of the process, which a reader that has stopped must not hold up."""
        if not self._lines:
            return
        data = self._take_pending()
        poll = monkey.get_original("select", "poll")()
        poll.register(_STDOUT, select.POLLOUT)
        for at in range(0, len(data), _SURE_BYTES):
            if not poll.poll(_LAST_WAIT_MS):
                return
            _write_all(data[at : at + _SURE_BYTES])


def render_line(record: Record) -> str:
    """The JSON of one request, with its line break.

    PERF: a third of what json.dumps takes; only what others have chosen can need quoting.
    """
    quoted = encode_basestring_ascii
    failed = ""
    if record.problem or record.reason:
        failed = f',"problem":"{record.problem}","reason":{quoted(record.reason)}'
    limited = ""
    if record.refused_by:
        limited = f',"refused_by":{json.dumps(record.refused_by)}'
    if record.would_refuse:
        limited += f',"would_refuse":{json.dumps(record.would_refuse)}'
    traced = f'"trace_id":"{record.trace_id}",' if record.trace_id else ""
    second = int(record.ended)
    target = record.tried[-1].target if record.tried else ""
    return (
        f'{{"time":"{_moment(second)}.{int((record.ended - second) * 1000):03d}Z",'
        f'"request_id":"{record.request_id}",{traced}"method":"{record.method}",'
        f'"path":{quoted(record.path)},"service":"{record.service}","status":{record.status}{failed}{limited},'
        f'"duration_ms":{record.duration_s * 1000:.1f},"service_ms":{record.service_s * 1000:.1f},'
        f'"received_bytes":{record.received_bytes},"sent_bytes":{record.sent_bytes},'
        f'"caller":{quoted(record.caller)},"target":{quoted(target)},'
        f'"attempts":{len(record.tried)}}}\n'
    )


@lru_cache(maxsize=4)
def _moment(second: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))


def _write_all(data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(_STDOUT, view) :]
    except OSError:
        pass  # nobody reads the log any more, and there is no better place to say so
