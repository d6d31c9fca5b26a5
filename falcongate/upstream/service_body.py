"""The body of a service's answer, on its way to the caller, and the end of the attempt with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from falcongate.errors import CallerLeft, ResponseTruncated, Stage
from falcongate.upstream.caller_watch import wait_while_called
from falcongate.upstream.relay import Pace, Relay, SinkFailed, SourceFailed
from falcongate.wire.body import BodyCutShort
from falcongate.wire.channel import TimedOut, time_left
from falcongate.wire.framing import LAST_CHUNK, chunk_of
from falcongate.wire.turns import Turn, await_turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falcongate.exchange import Exchange
    from falcongate.upstream.connection import ServiceConnection
    from falcongate.upstream.pipes import Pipes
    from falcongate.upstream.targets import Target
    from falcongate.upstream.tunnels import Tunnels
    from falcongate.upstream.upload import NoUpload, Upload
    from falcongate.wire.body import Body
    from falcongate.wire.channel import Channel


class TunnelBody:
    """What follows a 101: no body, but a tunnel between the two channels."""

    keeps_channel = True

    def __init__(self, exchange: Exchange, service: Channel, *, target: Target, tunnels: Tunnels) -> None:
        self._exchange = exchange
        self._service: Channel | None = service
        self._target = target
        self._tunnels = tunnels

    def relay_to(self, channel: Channel, head: bytes, *, is_chunked: bool, send_timeout_s: float) -> None:
        """Send `head`, and relay from then on without anybody waiting. Raises CallerLeft."""
        del is_chunked
        try:
            channel.send_all(head, send_timeout_s)
        except (TimedOut, OSError) as error:
            self._exchange.failure_reason = "the caller did not get the end of the handshake"
            raise CallerLeft(str(error)) from error
        service, self._service = self._service, None
        if service is not None:
            self._tunnels.begin(self._exchange, channel, service, self._target)

    def __iter__(self) -> Iterator[bytes]:
        """For servers that know nothing better: there is nothing to be sent."""
        return iter(())

    def close(self) -> None:
        """End what has not become a tunnel; harmless if repeated."""
        service, self._service = self._service, None
        if service is not None:
            service.close()
            self._target.in_flight -= 1


class ServiceBody:
    """Gives its connection back when it is complete or closed, whichever comes first.

    Must be closed, like any WSGI iterable. Raises BodyCutShort when it is made if what arrived with
    the head is malformed already.
    """

    __slots__ = (
        "_body",
        "_connection",
        "_data",
        "_deadline",
        "_exchange",
        "_idle_timeout_s",
        "_may_stay",
        "_pipes",
        "_target",
        "_upload",
    )

    keeps_channel = False

    def __init__(
        self,
        exchange: Exchange,
        body: Body,
        *,
        target: Target,
        connection: ServiceConnection,
        may_stay: bool,
        upload: Upload | NoUpload,
        idle_timeout_s: float,
        deadline: float,
        pipes: Pipes,
    ) -> None:
        self._exchange = exchange
        self._body = body
        self._target = target
        self._connection: ServiceConnection | None = connection
        self._may_stay = may_stay
        self._upload = upload
        self._idle_timeout_s = idle_timeout_s
        self._deadline = deadline
        self._pipes = pipes
        self._data = body.take_buffered()
        if body.is_complete:
            # Others may use the connection while a slow caller still takes these bytes.
            self._release()

    def relay_to(self, channel: Channel, head: bytes, *, is_chunked: bool, send_timeout_s: float) -> None:
        """Send `head` and the body. Raises ResponseTruncated, or CallerLeft if nobody takes it."""
        data, exchange = self._data, self._exchange
        first = head
        if data:
            exchange.sent_bytes += len(data)
            first += chunk_of(data) if is_chunked else data
        try:
            if self._body.is_complete:
                if is_chunked:
                    first += LAST_CHUNK
                await_turn()
                channel.send_all(first, send_timeout_s, self._deadline)
            else:
                self._relay_rest(channel, first, is_chunked=is_chunked, send_timeout_s=send_timeout_s)
        except ResponseTruncated:
            raise
        except CallerLeft as error:
            exchange.failure_reason = f"the caller did not get all: {error}"
            raise
        except (TimedOut, OSError, SinkFailed) as error:
            reason = str(error) or "it took nothing for too long"
            exchange.failure_reason = f"the caller did not get all: {reason}"
            raise CallerLeft(reason) from error

    def _relay_rest(self, channel: Channel, first: bytes, *, is_chunked: bool, send_timeout_s: float) -> None:
        relay = Relay(
            self._body,
            channel,
            is_chunked=is_chunked,
            pace=Pace(self._idle_timeout_s, send_timeout_s, self._deadline),
            pipes=self._pipes,
            # While it still sends its body, that is what is read from it.
            caller=channel if self._upload.is_done else None,
        )
        try:
            relay.run(first)
        except SourceFailed as failure:
            raise self._truncated(str(failure)) from failure
        finally:
            self._exchange.sent_bytes += relay.moved_bytes
        self._release()

    def peek(self, size: int) -> bytes:
        """The first `size` bytes or more, all if there are not so many. Waits for them.

        They are sent as if nobody had looked. Raises ResponseTruncated.
        """
        for piece in self._rest():
            self._data += piece
            if len(self._data) >= size:
                break
        return self._data

    def __iter__(self) -> Iterator[bytes]:
        """The body piece by piece, for servers that know nothing better."""
        self._exchange.sent_bytes += len(self._data)
        # Even nothing: servers send the head with the first piece, and the next may take its time.
        yield self._data
        for piece in self._rest():
            self._exchange.sent_bytes += len(piece)
            yield piece

    def _rest(self) -> Iterator[bytes]:
        """What has not been received yet."""
        body = self._body
        caller = self._exchange.caller_channel if self._upload.is_done else None
        turn = Turn()
        while not body.is_complete:
            turn.end_if_long()
            try:
                # Before every piece: sides that are always ready must not outrun the deadline.
                timeout_s = time_left(self._idle_timeout_s, self._deadline)
                piece = body.receive_now()
                if piece is None:
                    if caller is None:
                        body.channel.wait_readable(timeout_s)
                    else:
                        wait_while_called(caller, body.channel, timeout_s)
                    continue
            except CallerLeft as error:
                self._exchange.failure_reason = f"the caller did not get all: {error}"
                raise ResponseTruncated(self._exchange.service) from error
            except (BodyCutShort, OSError, TimedOut) as error:
                raise self._truncated(str(error)) from error
            if piece:
                yield piece
        self._release()

    def close(self) -> None:
        """End the attempt. A connection whose body was not read to its end is closed."""
        self._may_stay = self._may_stay and self._body.is_complete
        self._release()

    def _truncated(self, reason: str) -> ResponseTruncated:
        self._exchange.failed_at = Stage.RELAY_BODY
        self._exchange.tried[-1].end("answer-cut-short", reason)
        self._exchange.failure_reason = f"the service's body was cut short: {reason}"
        return ResponseTruncated(self._exchange.service)

    def _release(self) -> None:
        connection = self._connection
        if connection is None:
            return
        self._connection = None
        self._exchange.tried[-1].end()
        self._target.in_flight -= 1
        self._upload.stop()
        # Bytes behind the body were asked for by nobody; they must not become the next answer.
        if not self._may_stay or not self._upload.is_done or self._body.channel.buffer:
            connection.close()
        self._target.pool.give(connection)
