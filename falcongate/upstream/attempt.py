"""One attempt at one target: a connection, the request out, the head of the answer in."""

from __future__ import annotations

import re
from time import monotonic
from typing import TYPE_CHECKING, Final

from falcongate.errors import ANSWER_TIMEOUT, BROKE_OFF, NOT_HTTP, AttemptFailure, FailureKind, Stage
from falcongate.telemetry.record import Tried
from falcongate.upstream.answer import MAX_ANSWER_HEAD_BYTES, AnswerHead, ServiceNonsense, parse_answer
from falcongate.upstream.caller_watch import look_after, wait_while_called
from falcongate.upstream.connection import open_connection
from falcongate.upstream.relay import Pace, SinkFailed
from falcongate.upstream.service_body import ServiceBody, TunnelBody
from falcongate.upstream.tls import why_ended
from falcongate.upstream.upload import Upload
from falcongate.wire.body import Body, BodyCutShort
from falcongate.wire.channel import RECEIVE_BYTES, Channel, TimedOut, time_left
from falcongate.wire.fields import Field

if TYPE_CHECKING:
    from falcongate.exchange import Exchange
    from falcongate.routing.table import Match
    from falcongate.upstream.connection import ServiceConnection
    from falcongate.upstream.pipes import Pipes
    from falcongate.upstream.targets import Target
    from falcongate.upstream.tunnels import Tunnels
    from falcongate.upstream.upload import NoUpload

_FOREVER_S: Final = float("inf")
_LOOK_EVERY_S: Final = 1.0  # how often a running upload is looked at for its end
_MAX_INTERIM_ANSWERS: Final = 16
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")


class Attempt:
    """What is the same for every target that one request is tried at.

    `accept` is what a service must answer to a WebSocket's handshake, b"" for other requests.
    """

    __slots__ = (
        "_accept",
        "_body_idle_timeout_s",
        "_deadline",
        "_exchange",
        "_fields",
        "_match",
        "_pipes",
        "_request_line",
        "_service",
        "_tried",
        "_tunnels",
        "_upload",
    )

    def __init__(
        self,
        exchange: Exchange,
        match: Match,
        upload: Upload | NoUpload,
        *,
        request_line: bytes,
        fields: bytes,
        body_idle_timeout_s: float,
        pipes: Pipes,
        accept: bytes,
        tunnels: Tunnels,
    ) -> None:
        self._accept = accept
        self._tunnels = tunnels
        self._exchange = exchange
        self._match = match
        self._upload = upload
        self._request_line = request_line
        self._fields = fields
        self._body_idle_timeout_s = body_idle_timeout_s
        self._pipes = pipes
        self._service = match.route.settings
        self._deadline = exchange.started + self._service.total_timeout_s

    def at(self, target: Target, *, needs_fresh_connection: bool) -> ServiceBody | TunnelBody:
        """Try `target`. Raises AttemptFailure, a Refusal, or CallerLeft; then nothing is held."""
        exchange = self._exchange
        tried = self._tried = Tried(target.url)
        exchange.tried.append(tried)
        target.in_flight += 1
        connection: ServiceConnection | None = None
        try:
            if target.pool.is_used_up():
                connection = target.pool.take(self._service.pool_wait_s)
                self._look_after_caller()
            else:
                connection = target.pool.take(0)
            if needs_fresh_connection or self._accept:
                connection.close()
            channel = connection.channel
            tried.is_reused = channel is not None
            if channel is None:
                channel = open_connection(
                    connection, min(self._service.connect_timeout_s, self._seconds_left())
                )
                self._look_after_caller()
            tried.connected = monotonic()
            self._send(channel, target)
            head = self._await_answer(channel, connection.last_head)
            tried.answered, tried.status = monotonic(), head.status
            tried.sent = self._upload.ended_at or tried.sent
            exchange.service_s = tried.answered - tried.sent
            target.is_reachable = True
            connection.last_head = head if head.data else None
            if head.status == 101:
                tried.end()
                service = target.pool.part_with(connection)
                return TunnelBody(exchange, service, target=target, tunnels=self._tunnels)
            return self._take_answer(head, channel, target, connection)
        except BaseException as error:
            tried.fail(error)
            self._upload.stop()
            target.in_flight -= 1
            if connection is not None:
                connection.close()
                target.pool.give(connection)
            raise

    def _look_after_caller(self) -> None:
        """Spare the service if the caller left while something was waited for. Raises CallerLeft."""
        caller = self._exchange.caller_channel
        if caller is not None and self._upload.is_done and not caller.is_quiet():
            look_after(caller)

    def _send(self, channel: Channel, target: Target) -> None:
        """Send the head and what is there of the body; the rest of it follows by itself."""
        upload, service = self._upload, self._service
        host = target.host_field
        if service.preserve_host and self._exchange.host:
            host = self._exchange.host.encode("latin-1")
        trace = self._exchange.trace
        traced = b"" if trace is None else trace.lines_for(self._tried)
        data = b"".join((self._request_line, host, b"\r\n", traced, self._fields, upload.first_bytes()))
        try:
            sent = channel.send_now(data)
        except OSError as error:
            # Not one byte was taken: the connection had ended before.
            reason, kind = why_ended(error, channel)
            raise self._failure(kind, Stage.SEND_HEAD, reason, may_have_acted=False) from error
        if sent < len(data):
            try:
                channel.send_all(data[sent:], service.idle_timeout_s, self._deadline)
            except TimedOut:
                raise self._failure(ANSWER_TIMEOUT, Stage.SEND_HEAD, "it took nothing") from None
            except OSError:
                pass  # A service may answer, then close without reading on; that is worth having.
        if not upload.is_done and isinstance(upload, Upload):
            pace = Pace(self._body_idle_timeout_s, service.idle_timeout_s, self._deadline)
            upload.start(channel, pace, self._pipes)
        self._tried.sent = monotonic()

    def _await_answer(self, channel: Channel, previous: AnswerHead | None) -> AnswerHead:
        """The final head, with interim ones passed on or dropped before it (RFC 9110, 15.2)."""
        for _ in range(_MAX_INTERIM_ANSWERS):
            head = self._receive_head(channel, previous)
            if head.status >= 200:
                return head
            if head.status == 101 and self._accept:
                self._check_upgrade(head)
                return head
            if head.status == 101:
                break
            if head.status == 103:
                self._pass_hints(head)
        raise self._failure(NOT_HTTP, Stage.AWAIT_HEAD, "too many interim answers, or 101 unasked")

    def _check_upgrade(self, head: AnswerHead) -> None:
        """SECURITY: what only looks like an agreement would let each side read the other's bytes anew."""
        if not head.agrees_to_websocket(self._accept):
            raise self._failure(NOT_HTTP, Stage.AWAIT_HEAD, "a 101 that does not agree to the handshake")
        head.fields += [Field(b"Connection: Upgrade"), Field(b"Upgrade: websocket")]
        self._exchange.service_head = head

    def _receive_head(self, channel: Channel, previous: AnswerHead | None) -> AnswerHead:
        while (end := channel.buffer.find(b"\r\n\r\n") + 4) < 4:
            if channel.buffer:
                self._refuse_nonsense(channel.buffer)
            try:
                self._wait(channel)
                data = channel.receive_now(RECEIVE_BYTES)
            except TimedOut:
                raise self._failure(ANSWER_TIMEOUT, Stage.AWAIT_HEAD, "no answer in time") from None
            except OSError as error:
                raise self._broke_off(channel, *why_ended(error, channel)) from error
            if data == b"":
                raise self._broke_off(channel, "closed without an answer", BROKE_OFF)
            channel.buffer += data or b""
        data, channel.buffer = channel.buffer[:end], channel.buffer[end:]
        if end > MAX_ANSWER_HEAD_BYTES:
            raise self._failure(NOT_HTTP, Stage.AWAIT_HEAD, "the head is too long")
        try:
            return parse_answer(data, previous)
        except ServiceNonsense as error:
            raise self._failure(NOT_HTTP, Stage.AWAIT_HEAD, str(error)) from error

    def _wait(self, channel: Channel) -> None:
        """Wait until something of the answer can be read, or for a moment while the body is sent.

        Raises TimedOut and CallerLeft. The service's time runs once it has the whole request.
        """
        upload = self._upload
        if not upload.is_done and upload.ended_at is None:
            try:
                channel.wait_readable(time_left(_LOOK_EVERY_S, self._deadline))
            except TimedOut:
                if monotonic() >= self._deadline:
                    raise
            return
        since = upload.ended_at or self._tried.sent
        timeout_s = min(since + self._match.timeout_s, self._deadline) - monotonic()
        if timeout_s <= 0:
            raise TimedOut
        caller = self._exchange.caller_channel
        if caller is not None and upload.is_done:
            wait_while_called(caller, channel, timeout_s)
        else:
            channel.wait_readable(timeout_s)

    def _refuse_nonsense(self, data: bytes) -> None:
        """Do not wait for the rest of what can no longer become a head."""
        if len(data) > MAX_ANSWER_HEAD_BYTES:
            raise self._failure(NOT_HTTP, Stage.AWAIT_HEAD, "the head is too long")
        if not data.startswith(b"HTTP/1."[: len(data)]) or _BARE_LF.search(data):
            raise self._failure(NOT_HTTP, Stage.AWAIT_HEAD, "the answer is not HTTP/1")

    def _take_answer(
        self, head: AnswerHead, channel: Channel, target: Target, connection: ServiceConnection
    ) -> ServiceBody:
        exchange = self._exchange
        is_bodiless = exchange.method == "HEAD" or head.status in (204, 304)
        if head.status == 204 and head.length is not None:
            # RFC 9110, 8.6: a 204 has no length; passed on, some readers would wait for it.
            head.fields = [field for field in head.fields if field.name != b"content-length"]
        exchange.service_head = head
        body = Body(
            channel,
            length=0 if is_bodiless else head.length,
            is_chunked=head.is_chunked and not is_bodiless,
        )
        try:
            return ServiceBody(
                exchange,
                body,
                target=target,
                connection=connection,
                may_stay=head.may_stay and not body.is_until_close,
                upload=self._upload,
                idle_timeout_s=self._service.idle_timeout_s,
                deadline=self._deadline,
                pipes=self._pipes,
            )
        except BodyCutShort as error:
            raise self._failure(NOT_HTTP, Stage.RELAY_BODY, str(error)) from error

    def _pass_hints(self, head: AnswerHead) -> None:
        send_early_hints = self._exchange.environ.get("wsgi.early_hints")
        links = [("Link", field.text) for field in head.fields if field.name == b"link"]
        # The rest of its fields is for the final answer to say, and for us to replace there.
        if links and send_early_hints is not None:
            send_early_hints(links)

    def _broke_off(self, channel: Channel, reason: str, kind: FailureKind) -> BaseException:
        """What the end of the connection means: perhaps it was our own upload that failed."""
        failure = self._upload.failure
        if isinstance(failure, SinkFailed):
            return self._failure(ANSWER_TIMEOUT, Stage.SEND_BODY, str(failure))
        if failure is not None:
            return failure
        return self._failure(kind, Stage.AWAIT_HEAD, reason, is_stale=not channel.buffer)

    def _failure(
        self,
        kind: FailureKind,
        stage: Stage,
        reason: str,
        *,
        may_have_acted: bool = True,
        is_stale: bool = False,
    ) -> AttemptFailure:
        return AttemptFailure(
            kind,
            stage=stage,
            may_have_acted=may_have_acted,
            is_stale=is_stale and self._tried.is_reused,
            reason=reason,
        )

    def _seconds_left(self) -> float:
        try:
            return time_left(_FOREVER_S, self._deadline)
        except TimedOut:
            raise self._failure(ANSWER_TIMEOUT, Stage.CONNECT, "no time left", may_have_acted=False) from None
