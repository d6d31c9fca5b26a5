"""A message body that is arriving on a channel, whichever side it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from falcongate.wire.channel import RECEIVE_BYTES
from falcongate.wire.framing import ChunkedDecoder, FramingError

if TYPE_CHECKING:
    from falcongate.wire.channel import Channel

_LARGE_RECEIVE_BYTES = 262_144


class BodyCutShort(Exception):
    """The peer ended the connection, or the framing broke, before the body was whole."""


class Body:
    """What remains of one body: a known length, chunks, or all until the connection ends.

    `remaining` is in bytes and None where it is not known. Bytes behind the body stay in the
    channel's buffer.
    """

    __slots__ = ("_decoder", "channel", "is_complete", "is_until_close", "remaining")

    def __init__(self, channel: Channel, *, length: int | None, is_chunked: bool = False) -> None:
        self.channel = channel
        self.remaining = length
        self.is_until_close = length is None and not is_chunked
        self._decoder = ChunkedDecoder() if is_chunked else None
        self.is_complete = length == 0

    def take_buffered(self) -> bytes:
        """The body's bytes that have been received already; b"" if there are none.

        Raises BodyCutShort for malformed chunks. Does not wait.
        """
        channel = self.channel
        buffered = channel.buffer
        if not buffered or self.is_complete:
            return b""
        if self._decoder is not None:
            return self._take_chunks(self._decoder, buffered)
        if self.remaining is None:
            channel.buffer = b""
            return buffered
        taken = buffered[: self.remaining]
        channel.buffer = buffered[len(taken) :]
        self._count(len(taken))
        return taken

    def receive_now(self) -> bytes | None:
        """Some bytes of the body; None if none are there yet. b"" only when the body is complete.

        Raises BodyCutShort. Does not wait.
        """
        while not self.is_complete:
            taken = self.take_buffered()
            if taken or self.is_complete:
                return taken
            if not self._fill():
                return None
        return b""

    def count_moved(self, moved: int) -> None:
        """Note bytes that were moved past Python; zero is the end of the stream."""
        if not moved:
            self._end()
        self._count(moved)

    def _fill(self) -> bool:
        # A body of known length never reads into the next message, so large reads are safe there.
        remaining = self.remaining
        limit = RECEIVE_BYTES if remaining is None else min(remaining, _LARGE_RECEIVE_BYTES)
        data = self.channel.receive_now(limit)
        if data is None:
            return False
        if not data:
            self._end()
        self.channel.buffer += data
        return True

    def _take_chunks(self, decoder: ChunkedDecoder, buffered: bytes) -> bytes:
        try:
            pieces, used = decoder.decode(buffered)
        except FramingError as error:
            raise BodyCutShort(str(error)) from error
        self.channel.buffer = buffered[used:]
        self.is_complete = decoder.is_complete
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _count(self, moved: int) -> None:
        if self.remaining is not None:
            self.remaining -= moved
            self.is_complete = not self.remaining

    def _end(self) -> None:
        if not self.is_until_close:
            missing = "an unknown number of" if self.remaining is None else self.remaining
            raise BodyCutShort(f"{missing} bytes are missing")
        self.is_complete = True
