"""One caller's connection: requests in, WSGI called, answers out, until one side has enough.

What a request means and what is answered to it is the application's; sizes, framing, deadlines
and the decision to keep the connection are ours.
"""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import gevent

from falcongate.errors import CallerLeft
from falcongate.refusals import CallerTimedOut, Refusal
from falcongate.server.answer import render_early_hints, render_head, start_of
from falcongate.server.caller_body import NO_INPUT, CallerBody
from falcongate.server.http1 import RequestHead, check_unfinished, parse_head, salvage_head
from falcongate.wire.body import Body, BodyCutShort
from falcongate.wire.channel import RECEIVE_BYTES, TimedOut, time_left
from falcongate.wire.fields import FieldBlock, Start
from falcongate.wire.framing import LAST_CHUNK, chunk_of
from falcongate.wire.turns import await_turn, give_way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from falcongate.config.settings import ServerSettings
    from falcongate.server.answer import AnswerHead
    from falcongate.wire.channel import Channel

_FIRST_REQUEST_S: Final = 1.0
_MAX_EMPTY_LINES: Final = 8
_MAX_KEPT_BLOCK_BYTES: Final = 4_096
_LINGER_S: Final = 2.0
_LINGER_BYTES: Final = 4_194_304
_NO_REQUEST: Final = RequestHead("GET", "/", is_http11=True, block=FieldBlock(b"\r\n\r\n", [], {}))
_NO_START: Final = Start("500 Internal Server Error", b"", has_length=False, has_date=False)


class Connection:
    """Serves the requests of one caller, one after the other, in one greenlet.

    `base_environ` holds what is the same for every request on this connection. `may_stay` is
    asked before each answer whether the connection may be kept.
    """

    __slots__ = (
        "_app",
        "_base_environ",
        "_block",
        "_block_environ",
        "_body",
        "_head",
        "_is_ending",
        "_is_given_away",
        "_is_idle",
        "_is_new",
        "_keep_alive",
        "_may_stay",
        "_start",
        "channel",
        "settings",
    )

    def __init__(
        self,
        channel: Channel,
        app: Callable[..., Iterable[bytes]],
        *,
        base_environ: dict[str, Any],
        settings: ServerSettings,
        may_stay: Callable[[], bool],
    ) -> None:
        self.channel = channel
        self.settings = settings
        self._app = app
        self._base_environ = base_environ | {
            "wsgi.early_hints": self._send_early_hints,
            "falcongate.channel": channel,
            "falcongate.start": self._begin,
        }
        self._may_stay = may_stay
        self._is_idle = self._is_ending = self._is_given_away = False
        self._is_new = self._keep_alive = True
        self._head = _NO_REQUEST
        self._body: Body | None = None
        self._block: FieldBlock | None = None
        self._block_environ: dict[str, Any] = {}
        self._start = _NO_START

    def serve(self) -> None:
        """Serve until either side ends the connection. Raises nothing that a caller can cause."""
        try:
            while self._keep_alive:
                self._serve_one()
                if self.channel.buffer:
                    # A caller whose next request is always here already would keep all others out.
                    give_way()
        except (OSError, TimedOut, CallerLeft):
            pass  # the caller is gone, or takes nothing
        finally:
            if not self._is_given_away:
                self.channel.close()
            # These hold our methods; a cycle would keep the buffers of every caller who left.
            self._base_environ = self._block_environ = {}

    def end_when_idle(self) -> None:
        """Make the connection end: an idle one at once, others after the request in flight.

        One that is new is given a moment, as its first request may be on the way.
        """
        self._is_ending = True
        if self._is_new:
            gevent.spawn_later(_FIRST_REQUEST_S, self._end_if_idle)
        else:
            self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self._is_idle:
            self.channel.end_receiving()

    def _serve_one(self) -> None:
        data = b""
        try:
            data = self._receive_head()
            if not data:
                self._keep_alive = False
                return
            head = parse_head(data, self.settings, self._head.block)
        except Refusal as refusal:
            self._refuse(refusal, salvage_head(data or self.channel.buffer))
            return
        self._is_new = False
        self._head = head
        self._keep_alive = head.keep_alive
        if head.content_length or head.is_chunked:
            wsgi_input = self._take_up_body(head)
        else:
            self._body = wsgi_input = None
        self._answer(self._environ(head, wsgi_input or NO_INPUT))

    def _take_up_body(self, head: RequestHead) -> CallerBody:
        self._body = Body(self.channel, length=head.content_length, is_chunked=head.is_chunked)
        expect = head.block.environ.get("HTTP_EXPECT", "")
        return CallerBody(
            self._body,
            self.settings.body_idle_timeout_s,
            awaits_continue=head.is_http11 and expect.lower() == "100-continue",
        )

    def _receive_head(self) -> bytes:
        """The next request's head, b"" if there is none."""
        channel, settings = self.channel, self.settings
        data = channel.buffer
        # An empty line or two before a request is forgiven (RFC 9112, 2.2), and not waited behind.
        for _ in range(_MAX_EMPTY_LINES):
            if data.startswith(b"\r\n"):
                data = data[2:]
            elif data in (b"", b"\r"):
                more = self._await_request()
                if not more:
                    return b""
                data += more
            else:
                break
        deadline = 0.0
        while (end := data.find(b"\r\n\r\n")) < 0:
            channel.buffer = data
            check_unfinished(data, settings)
            deadline = deadline or monotonic() + settings.head_timeout_s
            try:
                more = channel.receive(RECEIVE_BYTES, time_left(settings.head_timeout_s, deadline))
            except TimedOut:
                raise CallerTimedOut from None
            if not more:
                return b""
            data += more
        channel.buffer = data[end + 4 :]
        return data[: end + 4]

    def _await_request(self) -> bytes:
        self._is_idle = True
        if len(self._head.block.data) > _MAX_KEPT_BLOCK_BYTES:
            self._forget_block()
        try:
            if self._is_ending and not self._is_new:
                self.channel.end_receiving()
            self.channel.wait_readable(self.settings.keepalive_timeout_s)
            return self.channel.receive(RECEIVE_BYTES, self.settings.keepalive_timeout_s)
        finally:
            self._is_idle = False

    def _forget_block(self) -> None:
        """Keep nothing large of a request while the next one is waited for."""
        self._head = _NO_REQUEST
        self._block = None
        self._block_environ = {}

    def _environ(self, head: RequestHead, wsgi_input: Any) -> dict[str, Any]:
        block = head.block
        if block is not self._block:
            # PERF: what repeats from request to request is put together once.
            self._block = block
            self._block_environ = self._base_environ | block.environ
            self._block_environ["falcongate.fields"] = block
        environ = self._block_environ.copy()
        path, _, query = head.target.partition("?")
        environ["REQUEST_METHOD"] = head.method
        environ["RAW_URI"] = head.target
        environ["PATH_INFO"] = unquote(path, "latin-1") if "%" in path else path
        environ["QUERY_STRING"] = query
        environ["SERVER_PROTOCOL"] = "HTTP/1.1" if head.is_http11 else "HTTP/1.0"
        environ["wsgi.input"] = wsgi_input
        return environ

    def _refuse(self, refusal: Refusal, head: RequestHead) -> None:
        """Let the application word the refusal of a request that never became one."""
        self._head = head
        self._body = None
        self._keep_alive = False
        environ = self._environ(head, NO_INPUT)
        environ["falcongate.refusal"] = refusal
        self._answer(environ)

    def _answer(self, environ: dict[str, Any]) -> None:
        iterable = self._app(environ, self._start_response)
        self._keep_alive = self._keep_alive and "falcongate.close" not in environ
        try:
            self._send(iterable)
        except BaseException:
            # Without a length or chunks, an orderly end would make half an answer look whole.
            self.channel.reset()
            raise
        finally:
            if close := getattr(iterable, "close", None):
                close()
        if not self._keep_alive and not self._is_given_away:
            self._linger()

    def _start_response(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
        del exc_info  # nothing is sent before the body is asked for, so the last call counts
        self._start = start_of(status, headers)

    def _begin(self, start: Start) -> None:
        """`start_response` for an application that has its headers as lines already."""
        self._start = start

    def _send(self, iterable: Iterable[bytes]) -> None:
        head = self._finish_head()
        timeout_s = self.settings.send_timeout_s
        if relay_to := getattr(iterable, "relay_to", None):
            relay_to(self.channel, head.data, is_chunked=head.is_chunked, send_timeout_s=timeout_s)
            self._is_given_away = iterable.keeps_channel  # type: ignore[attr-defined]  # see RelayedBody
            return
        await_turn()
        data = head.data
        for piece in iterable:
            if piece:
                data += chunk_of(piece) if head.is_chunked else piece
                self.channel.send_all(data, timeout_s)
                data = b""
        if head.is_chunked:
            data += LAST_CHUNK
        if data:
            self.channel.send_all(data, timeout_s)

    def _finish_head(self) -> AnswerHead:
        body = self._body
        if body is not None and not body.is_complete:
            # What came along with the head is thrown away; more than that is not waited for.
            with suppress(BodyCutShort):
                body.take_buffered()
        head = render_head(
            self._start,
            method=self._head.method,
            is_http11=self._head.is_http11,
            keep_alive=self._may_stay() and self._keep_alive and (body is None or body.is_complete),
        )
        self._keep_alive = head.keep_alive
        return head

    def _send_early_hints(self, headers: list[tuple[str, str]]) -> None:
        if not self._head.is_http11:
            return
        try:
            self.channel.send_all(render_early_hints(headers), self.settings.send_timeout_s)
        except (OSError, TimedOut) as error:
            raise CallerLeft(str(error)) from error

    def _linger(self) -> None:
        """Let the caller read our answer before what we have not read resets all (RFC 9112, 9.6)."""
        channel = self.channel
        channel.end_for_good()
        deadline = monotonic() + _LINGER_S
        left = _LINGER_BYTES
        while left > 0 and (data := channel.receive(RECEIVE_BYTES, time_left(_LINGER_S, deadline))):
            left -= len(data)
