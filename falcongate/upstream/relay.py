"""A body from one channel into another, without being held: back-pressure and cuts both ways.

Nothing here reads more than it can pass on. Large bodies of known length are moved by the
kernel. Who is to blame for an end before time is said by the exception; what follows from it is
decided by the caller of this room.
"""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from falcongate.upstream.caller_watch import wait_while_called
from falcongate.upstream.pipes import PIPE_BYTES
from falcongate.wire.body import BodyCutShort
from falcongate.wire.channel import TimedOut, time_left
from falcongate.wire.framing import LAST_CHUNK, chunk_of
from falcongate.wire.turns import Turn

if TYPE_CHECKING:
    from falcongate.upstream.pipes import Pipes
    from falcongate.wire.body import Body
    from falcongate.wire.channel import Channel

# PERF: below this a pipe costs more than it saves; above, splice halves the CPU per byte.
_SPLICE_FROM_BYTES: Final = 131_072
# How often a sender is looked at while its bytes are not taken.
_LOOK_EVERY_S: Final = 1.0
_SPLICE_FLAGS: Final = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK


class SourceFailed(Exception):
    """The side that sends the body stopped or broke off before its end."""

    def __init__(self, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.timed_out = timed_out


class SinkFailed(Exception):
    """The side that the body is for takes no more of it."""

    def __init__(self, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.timed_out = timed_out


class BodyOverLimit(Exception):
    """The body turned out larger than it may be."""


class Pace(NamedTuple):
    """How long a relay may take: pauses of each side in seconds, the end in monotonic seconds."""

    source_idle_s: float
    sink_idle_s: float
    deadline: float


def wait_for_room(
    sink: Channel, pace: Pace, *, uploader: Channel | None = None, missing: int | None = None
) -> None:
    """Wait until `sink` takes more.

    Raises SinkFailed, and SourceFailed if the `uploader` has gone meanwhile before its `missing`
    bytes came: those of it that nobody takes would hide that. An answer's sender may go: what it
    has sent is worth having.
    """
    patience_s = pace.sink_idle_s
    while patience_s > 0:
        look_s = min(_LOOK_EVERY_S, patience_s)
        try:
            sink.wait_writable(time_left(look_s, pace.deadline))
        except TimedOut:
            patience_s -= look_s
        else:
            return
        if monotonic() >= pace.deadline:
            break
        if uploader is not None and uploader.is_cut_short(missing):
            raise SourceFailed("it closed its connection")
    raise SinkFailed("it took nothing for too long", timed_out=True)


class Relay:
    """One body on its way from `source` to `sink`.

    `caller` is the caller's channel, if its leaving is to be noticed while the source is waited for.
    """

    __slots__ = (
        "_caller",
        "_is_chunked",
        "_is_upload",
        "_max_bytes",
        "_pace",
        "_pipes",
        "_sink",
        "_source",
        "_turn",
        "moved_bytes",
    )

    def __init__(
        self,
        source: Body,
        sink: Channel,
        *,
        is_chunked: bool,
        pace: Pace,
        pipes: Pipes,
        caller: Channel | None = None,
        max_bytes: int | None = None,
        is_upload: bool = False,
    ) -> None:
        self._source = source
        self._sink = sink
        self._is_chunked = is_chunked
        self._pace = pace
        self._pipes = pipes
        self._caller = caller
        self._max_bytes = max_bytes
        self._is_upload = is_upload
        self._turn = Turn()
        self.moved_bytes = 0

    def run(self, first: bytes) -> None:
        """Send `first` as it is, then the body.

        Raises SourceFailed, SinkFailed, BodyOverLimit and CallerLeft.
        """
        source, pending = self._source, first
        while not source.is_complete:
            self._mind_time()
            pipe = self._pipes.take() if self._can_splice() else None
            if pipe is not None:
                self._splice(pipe, pending)
            else:
                piece = self._receive_now(pending)
                if piece:
                    pending += chunk_of(piece) if self._is_chunked else piece
                if source.is_complete:
                    break
                self._send(pending)
                if piece is None:
                    self._wait_for_source()
            pending = b""
        if self._is_chunked:
            pending += LAST_CHUNK
        self._send(pending)

    def _can_splice(self) -> bool:
        source = self._source
        return (
            not self._is_chunked
            and source.remaining is not None
            and source.remaining >= _SPLICE_FROM_BYTES
            and not source.channel.buffer
            and source.channel.spliceable
            and self._sink.spliceable
        )

    def _receive_now(self, pending: bytes) -> bytes | None:
        try:
            piece = self._source.receive_now()
        except (BodyCutShort, OSError) as error:
            # What came before the cut is the other side's, the head above all.
            self._send(pending)
            raise SourceFailed(str(error)) from error
        if piece:
            self._count(len(piece))
        return piece

    def _count(self, moved: int) -> None:
        self.moved_bytes += moved
        if self._max_bytes is not None and self.moved_bytes > self._max_bytes:
            raise BodyOverLimit

    def _mind_time(self) -> None:
        """For when both sides are always ready, so that nothing is ever waited for."""
        self._turn.end_if_long()
        if monotonic() > self._pace.deadline:
            raise SourceFailed("it took too long in all", timed_out=True)

    def _wait_for_source(self) -> None:
        source = self._source.channel
        try:
            timeout_s = time_left(self._pace.source_idle_s, self._pace.deadline)
            if self._caller is not None:
                wait_while_called(self._caller, source, timeout_s)
            else:
                source.wait_readable(timeout_s)
        except TimedOut:
            raise SourceFailed("it paused for too long", timed_out=True) from None

    def _wait_for_sink(self) -> None:
        uploader = self._source.channel if self._is_upload else None
        wait_for_room(self._sink, self._pace, uploader=uploader, missing=self._source.remaining)

    def _send(self, data: bytes) -> None:
        """Send all of it, which may be nothing."""
        try:
            rest = memoryview(data)
            while rest:
                sent = self._sink.send_now(rest)
                rest = rest[sent:]
                if rest:
                    self._wait_for_sink()
        except OSError as error:
            raise SinkFailed(str(error)) from error

    def _splice(self, ends: tuple[int, int], pending: bytes) -> None:
        """Send `pending`, then move what remains of the source through a pipe."""
        source = self._source
        in_pipe = 0
        try:
            self._send(pending)
            while source.remaining:
                self._mind_time()
                in_pipe = self._fill_pipe(ends[1], source.remaining)
                if not in_pipe:
                    self._wait_for_source()
                    continue
                self._count(in_pipe)
                while in_pipe:
                    emptied = self._empty_pipe(ends[0], in_pipe)
                    in_pipe -= emptied
                    if not emptied:
                        self._wait_for_sink()
        finally:
            self._pipes.give(ends, is_empty=not in_pipe)

    def _fill_pipe(self, pipe: int, remaining: int) -> int:
        channel = self._source.channel
        try:
            moved = os.splice(channel.fileno(), pipe, min(remaining, PIPE_BYTES), flags=_SPLICE_FLAGS)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise SourceFailed(str(error)) from error
        try:
            self._source.count_moved(moved)
        except BodyCutShort as error:
            raise SourceFailed(str(error)) from error
        return moved

    def _empty_pipe(self, pipe: int, in_pipe: int) -> int:
        try:
            return os.splice(pipe, self._sink.fileno(), in_pipe, flags=_SPLICE_FLAGS)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise SinkFailed(str(error)) from error
