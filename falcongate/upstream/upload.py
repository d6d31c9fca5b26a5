"""The caller's body on its way to the service.

What is cut short is never sent on as if it were whole: the connection to the service is closed
before the last byte or chunk.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import gevent

from falcongate.errors import CallerLeft
from falcongate.refusals import BodyTooLarge, CallerTimedOut, MalformedRequest, UnsupportedCoding
from falcongate.upstream.relay import BodyOverLimit, Pace, Relay, SinkFailed, SourceFailed, wait_for_room
from falcongate.wire.body import BodyCutShort
from falcongate.wire.framing import LAST_CHUNK, FramingError, chunk_of, parse_content_length

if TYPE_CHECKING:
    from falcongate.exchange import Exchange
    from falcongate.upstream.pipes import Pipes
    from falcongate.wire.body import Body
    from falcongate.wire.channel import Channel

# A WSGI read waits until it has all that it was asked for.
_WSGI_READ_BYTES = 1_024


class Upload:
    """A request body. `framing` is the field that announces it to the service.

    What has not come with the head is sent by a greenlet of its own, so that a service may answer
    before it has read everything. `is_replayable` says that all bytes sent so far are still at
    hand, `is_done` that everything was sent, `failure` what went wrong on the way.
    """

    __slots__ = (
        "_body",
        "_exchange",
        "_first",
        "_greenlet",
        "_input",
        "_max_bytes",
        "ended_at",
        "failure",
        "framing",
        "is_chunked",
        "is_done",
        "is_replayable",
    )

    def __init__(self, exchange: Exchange, max_body_bytes: int) -> None:
        environ = exchange.environ
        self._exchange = exchange
        self._first = b""
        self._greenlet: gevent.Greenlet[..., None] | None = None
        self._max_bytes = max_body_bytes
        self._input = environ["wsgi.input"]
        self._body: Body | None = getattr(self._input, "body", None)
        self.failure: BaseException | None = None
        self.is_replayable = True
        self.is_done = False
        self.ended_at: float | None = None
        self.is_chunked = "HTTP_TRANSFER_ENCODING" in environ
        if self.is_chunked:
            if environ["HTTP_TRANSFER_ENCODING"].lower() != "chunked":
                raise UnsupportedCoding("The transfer coding is not chunked.")
            self.framing = b"Transfer-Encoding: chunked\r\n"
        else:
            length = _parsed_length(environ["CONTENT_LENGTH"])
            if length > max_body_bytes:
                raise BodyTooLarge
            self.is_done = length == 0
            self.framing = b"Content-Length: %d\r\n" % length
        self._take_buffered()

    def _take_buffered(self) -> None:
        body = self._body
        if body is None:
            return
        try:
            self._first = body.take_buffered()
        except BodyCutShort as error:
            raise MalformedRequest(f"The body is malformed: {error}.") from None
        if len(self._first) > self._max_bytes:
            raise BodyTooLarge
        self._exchange.received_bytes = len(self._first)
        self.is_done = body.is_complete

    def first_bytes(self) -> bytes:
        """What goes out in one write with the head."""
        first = self._first
        if not self.is_chunked:
            return first
        return (chunk_of(first) if first else b"") + (LAST_CHUNK if self.is_done else b"")

    def start(self, channel: Channel, pace: Pace, pipes: Pipes) -> None:
        """Begin to send what has not come yet. Does not wait."""
        self.is_replayable = False
        self._greenlet = gevent.spawn(self._run, channel, pace, pipes)

    def stop(self) -> None:
        """Send no more; the channels are free for others then. Harmless if repeated."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None:
            greenlet.kill()

    def _run(self, channel: Channel, pace: Pace, pipes: Pipes) -> None:
        try:
            self._send_rest(channel, pace, pipes)
            self.is_done = True
        except SinkFailed as failure:
            # A service may answer, then take no more; that answer is worth having.
            self.failure = failure if failure.timed_out else None
        except Exception as error:  # noqa: BLE001  # whoever waits for the answer raises it again
            self.failure = error
        self.ended_at = monotonic()
        if self.failure is not None:
            # The service must see that it has not everything, and who waits for it must wake up.
            channel.abandon()

    def _send_rest(self, channel: Channel, pace: Pace, pipes: Pipes) -> None:
        if self._body is None:
            self._send_from_wsgi(channel, pace)
            return
        self._input.begin()
        relay = Relay(
            self._body,
            channel,
            is_chunked=self.is_chunked,
            pace=pace,
            pipes=pipes,
            max_bytes=self._max_bytes - len(self._first),
            is_upload=True,
        )
        try:
            relay.run(b"")
        except SourceFailed as failure:
            if failure.timed_out:
                raise CallerTimedOut from None
            if isinstance(failure.__cause__, BodyCutShort) and self.is_chunked:
                raise MalformedRequest(f"The body is malformed: {failure}.") from None
            raise CallerLeft(str(failure)) from failure
        except BodyOverLimit:
            raise BodyTooLarge from None
        finally:
            self._exchange.received_bytes += relay.moved_bytes

    def _send_from_wsgi(self, channel: Channel, pace: Pace) -> None:
        """The same for servers that give us nothing but `read`."""
        moved = 0
        while piece := self._read(pace.source_idle_s):
            moved += len(piece)
            if moved > self._max_bytes:
                raise BodyTooLarge
            self._send(channel, chunk_of(piece) if self.is_chunked else piece, pace)
            self._exchange.received_bytes = moved
        # gunicorn answers a body that was cut short with fewer bytes and no word about it.
        if not self.is_chunked and self.framing != b"Content-Length: %d\r\n" % moved:
            raise CallerLeft("the body was cut short")
        if self.is_chunked:
            self._send(channel, LAST_CHUNK, pace)

    def _read(self, idle_s: float) -> bytes:
        try:
            with gevent.Timeout(idle_s, CallerTimedOut):
                data: bytes = self._input.read(_WSGI_READ_BYTES)
        except CallerTimedOut:
            raise
        except OSError as error:
            raise CallerLeft(str(error)) from error
        except Exception as error:
            # gunicorn's own exceptions for malformed chunks; this room does not know the server.
            if type(error).__module__.startswith("gunicorn."):
                raise MalformedRequest from error
            raise
        return data

    def _send(self, channel: Channel, data: bytes, pace: Pace) -> None:
        try:
            sent = channel.send_now(data)
            rest = memoryview(data)[sent:]
            while rest:
                wait_for_room(channel, pace, uploader=self._exchange.caller_channel)
                sent = channel.send_now(rest)
                rest = rest[sent:]
        except OSError as error:
            raise SinkFailed(str(error)) from error
        except SourceFailed as failure:
            raise CallerLeft(str(failure)) from failure


class NoUpload:
    """What stands for the body of a request that has none."""

    framing = b""
    failure = None
    ended_at = None
    is_done = True
    is_replayable = True

    def first_bytes(self) -> bytes:
        """Nothing."""
        return b""

    def stop(self) -> None:
        """Nothing to stop."""


_NO_UPLOAD = NoUpload()


def open_upload(exchange: Exchange, max_body_bytes: int) -> Upload | NoUpload:
    """The body of this request on its way. Raises BodyTooLarge and MalformedRequest."""
    environ = exchange.environ
    if environ.get("CONTENT_LENGTH") or "HTTP_TRANSFER_ENCODING" in environ:
        return Upload(exchange, max_body_bytes)
    return _NO_UPLOAD


def _parsed_length(text: str) -> int:
    try:
        return parse_content_length(text.encode("latin-1"))
    except FramingError:
        raise MalformedRequest("The Content-Length is malformed.") from None
