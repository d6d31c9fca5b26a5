"""A WebSocket that ends in the gateway itself, for what its operators watch.

gevent-websocket speaks it. What its version 0.10 lets pass or gets wrong is put right here and nowhere
else: frames without a mask (RFC 6455, 5.1), messages without a limit, two greenlets that write at once,
Close frames without their code.
"""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.queue import Empty, Full, Queue
from geventwebsocket.exceptions import FrameTooLargeException, ProtocolError, WebSocketError
from geventwebsocket.websocket import Header, WebSocket

from falcongate.wire.channel import RECEIVE_BYTES, TimedOut
from falcongate.wire.websocket import (
    GOING_AWAY,
    INTERNAL_ERROR,
    PING,
    POLICY,
    TOO_BIG,
    TRY_LATER,
    close_frame,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from falcongate.wire.channel import Channel

_MAX_MESSAGE_BYTES: Final = 4_096
_MAX_WAITING: Final = 64
_PING_EVERY_S: Final = 20.0
_SILENCE_S: Final = 60.0
_BAD_DATA: Final = 1007
_BAD_FRAME: Final = 1002
_CONTROL: Final = 0x08
_log = logging.getLogger("falcongate")


class OwnWebSocket:
    """The body of a 101: what is sent with `send`, until one side has enough.

    `watch` is called in a greenlet of its own once it is open, and sends what there is to see until it
    returns with the code of the end, or is killed. Only the greenlet of the connection writes.
    """

    keeps_channel = False

    def __init__(self, watch: Callable[[OwnWebSocket], int]) -> None:
        self._watch = watch
        self._waiting: Queue[bytes] = Queue(_MAX_WAITING)

    def send(self, text: str) -> None:
        """Send a message. Does not wait; whoever takes too little is told to come again."""
        data = text.encode()
        self._put(bytes(Header.encode_header(True, WebSocket.OPCODE_TEXT, b"", len(data), 0)) + data)  # noqa: FBT003  # theirs

    def relay_to(self, channel: Channel, head: bytes, *, is_chunked: bool, send_timeout_s: float) -> None:
        """Send `head`, then be the WebSocket until it ends. Waits for as long as it lasts."""
        del is_chunked
        channel.send_all(head, send_timeout_s)
        helpers: list[Any] = [gevent.spawn(self._run), gevent.spawn(self._hear, channel)]
        try:
            self._write(channel, send_timeout_s)
        finally:
            gevent.killall(helpers)

    def __iter__(self) -> Iterator[bytes]:
        """For servers that know nothing better: there is nothing to be sent."""
        return iter(())

    def close(self) -> None:
        """Nothing is held."""

    def _write(self, channel: Channel, send_timeout_s: float) -> None:
        while True:
            try:
                frame = self._waiting.get(timeout=_PING_EVERY_S)
            except Empty:
                frame = PING
            channel.send_all(frame, send_timeout_s)
            if frame[0] & 0x0F == WebSocket.OPCODE_CLOSE:
                return

    def _run(self) -> None:
        code = INTERNAL_ERROR
        try:
            code = self._watch(self)
        except Exception:  # noqa: BLE001  # whoever watches is told, and the log
            _log.exception("What a WebSocket of the gateway itself shows met a defect")
        self.end(code)

    def _hear(self, channel: Channel) -> None:
        """Answer pings, and end it when the other side does, or says what it must not."""
        heard = _Heard(channel, self._put)
        code = GOING_AWAY
        try:
            while heard.receive_one():
                # There is nothing to be told here, but somebody may try.
                pass
        except FrameTooLargeException:
            code = TOO_BIG
        except UnicodeError:
            code = _BAD_DATA
        except ProtocolError:
            code = _BAD_FRAME
        except (WebSocketError, OSError, TimedOut):
            code = POLICY
        self.end(code)

    def end(self, code: int) -> None:
        """Let a Close frame with this code be the last. Does not wait."""
        self._put(close_frame(code, is_masked=False))

    def _put(self, frame: bytes) -> None:
        try:
            self._waiting.put_nowait(bytes(frame))
        except Full:
            # The last that is sent is the first that follows.
            while not self._waiting.empty():
                self._waiting.get_nowait()
            self._waiting.put_nowait(close_frame(TRY_LATER, is_masked=False))


class _Heard(WebSocket):  # type: ignore[misc]  # it has no types
    """What comes from the other side, read by gevent-websocket within our limits."""

    def __init__(self, channel: Channel, put: Callable[[bytes], None]) -> None:
        super().__init__({}, _Stream(channel, put), None)
        self._message_bytes = 0

    def __del__(self) -> None:
        """Theirs would write a Close frame, whenever that is."""

    def receive_one(self) -> bool:
        """One message; False when the other side has closed it. Raises what `read_message` does."""
        return self.read_message() is not None

    def read_frame(self) -> tuple[Any, bytes]:
        """As theirs, and no frame that has no mask, is too long, or has bits that mean nothing."""
        header = Header.decode_header(self.stream)
        if header.flags or not header.mask:
            raise ProtocolError
        if header.opcode < _CONTROL:
            self._message_bytes += header.length
            if self._message_bytes > _MAX_MESSAGE_BYTES:
                raise FrameTooLargeException
            if header.fin:
                self._message_bytes = 0
        payload = header.unmask_payload(self.raw_read(header.length)) if header.length else b""
        return header, bytes(payload)

    def handle_close(self, header: Any, payload: bytes) -> None:
        """Theirs refuses codes that are in use by now; the answer is ours to give."""


class _Stream:
    """The file that gevent-websocket reads from, and writes pongs to."""

    def __init__(self, channel: Channel, put: Callable[[bytes], None]) -> None:
        self._channel = channel
        self.write = put

    def read(self, size: int) -> bytes:
        """So many bytes. Raises OSError at the end, TimedOut after a minute without any."""
        channel = self._channel
        deadline = monotonic() + _SILENCE_S
        while len(channel.buffer) < size:
            data = channel.receive(RECEIVE_BYTES, max(deadline - monotonic(), 0.001))
            if not data:
                raise OSError("the other side has gone")
            channel.buffer += data
        read, channel.buffer = channel.buffer[:size], channel.buffer[size:]
        return read
