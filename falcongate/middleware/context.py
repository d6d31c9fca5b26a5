"""Opens the exchange of every request and closes it exactly once.

The end hangs on `close()` of the body, because Falcon's own hooks run before the body is sent.
What the request means is not decided here; what it must not be is.
"""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from falcongate.errors import CALLER_LEFT_STATUS
from falcongate.exchange import EXCHANGE, Exchange
from falcongate.middleware.response_headers import as_wsgi
from falcongate.refusals import AmbiguousPath, MalformedRequest, MethodNotAllowed, Refusal
from falcongate.routing.path import normal_form, origin_form
from falcongate.wire.fields import FieldBlock
from falcongate.wire.host import is_host
from falcongate.wire.peeked_channel import PeekedChannel
from falcongate.wire.tls_channel import client_certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import falcon

    from falcongate.exchange import RelayedBody
    from falcongate.middleware.caller_address import TrustedProxies
    from falcongate.middleware.request_id import RequestIds
    from falcongate.middleware.response_headers import ResponseHeaders
    from falcongate.telemetry.trace import Tracer

_T = TypeVar("_T", str, bytes)
_MAX_REMEMBERED: Final = 4_096
_MAX_REMEMBERED_LENGTH: Final = 256
# PERF: a number is found six times as fast as a byte string is.
_HASH: Final = ord("#")
_NEVER_FORWARDED: Final = frozenset(("CONNECT", "TRACE"))
_ALLOW: Final = (("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),)


class Context:
    """The WSGI application around Falcon's. `report` is called once with every finished exchange.

    Without a `tracer` nothing is traced.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        *,
        request_ids: RequestIds,
        proxies: TrustedProxies,
        headers: ResponseHeaders,
        report: Callable[[Exchange], None],
        tracer: Tracer | None = None,
    ) -> None:
        self._app = app
        self._tracer = tracer
        self._request_ids = request_ids
        self._proxies = proxies
        self._headers = headers
        self._report = report
        self._sound_hosts: dict[str, str] = {}
        self._sound_paths: dict[bytes, str] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        """Answer one request."""
        exchange = self._open(environ)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            if exchange.service_head is not None:
                begun = self._headers.of_service(exchange)
            else:
                begun = self._headers.of_gateway(exchange, status, headers)
            # Who has left sees nothing of the answer that stands for that.
            if exchange.status != CALLER_LEFT_STATUS:
                exchange.begun = monotonic()
            if not exchange.status:
                exchange.status = int(begun.status[:3])
            # Our own server takes the lines as they are.
            begin = environ.get("falcongate.start")
            if begin is not None:
                begin(begun)
            else:
                start_response(begun.status, as_wsgi(begun), exc_info)

        try:
            body: Any = self._app(environ, start)
        except BaseException:
            # The worker ends before its requests do; whoever looks for this one must find it.
            exchange.failure_reason = "cut off when the worker ended"
            _Answer(exchange, (), self._report).close()
            raise
        if hasattr(body, "relay_to"):
            return _RelayedAnswer(exchange, body, self._report)
        return _Answer(exchange, body, self._report)

    def _open(self, environ: dict[str, Any]) -> Exchange:
        request_id = self._request_ids.for_request(environ.get("HTTP_X_REQUEST_ID"))
        exchange = Exchange(environ, request_id, monotonic())
        environ[EXCHANGE] = exchange
        if exchange.caller_channel is None and "gunicorn.socket" in environ:
            exchange.caller_channel = PeekedChannel(environ["gunicorn.socket"])
            environ["falcongate.client_certificate"] = client_certificate(environ["gunicorn.socket"])
        if exchange.refusal is None:
            try:
                self._understand(exchange)
            except Refusal as refusal:
                exchange.refusal = refusal
        if self._tracer is not None:
            exchange.trace = self._tracer.trace_of(environ, is_trusted=exchange.is_from_trusted_proxy)
        return exchange

    def _understand(self, exchange: Exchange) -> None:
        """Host, address and path: one meaning each, or a refusal."""
        environ = exchange.environ
        host = environ.get("HTTP_HOST", "")
        if host not in self._sound_hosts:
            self._check_host(host, environ["SERVER_PROTOCOL"])
        exchange.host = host
        self._proxies.identify(exchange)
        if exchange.method in _NEVER_FORWARDED:
            refusal = MethodNotAllowed(f"{exchange.method} is not allowed.", headers=_ALLOW)
            # What follows a CONNECT is perhaps no HTTP at all.
            refusal.closes = True
            raise refusal
        target = environ["RAW_URI"].encode("latin-1")
        if _HASH in target:
            raise AmbiguousPath("The request target has a fragment.")
        if not target.startswith(b"/"):
            target = origin_form(target, host.encode("latin-1"))
        exchange.target = target
        raw_path = target.partition(b"?")[0]
        path = self._sound_paths.get(raw_path)
        if path is None:
            path = normal_form(raw_path)
            _remember(self._sound_paths, raw_path, path)
        exchange.path = path

    def _check_host(self, host: str, protocol: str) -> None:
        if not host:
            if protocol != "HTTP/1.0":
                raise MalformedRequest("The Host header is missing.")
            return
        if not is_host(host):
            raise MalformedRequest("The Host header is not a host and port.")
        _remember(self._sound_hosts, host, host)


def _remember(known: dict[_T, str], key: _T, value: str) -> None:
    """PERF: hosts and paths repeat; bounded in number and length, as callers choose them."""
    if len(key) > _MAX_REMEMBERED_LENGTH:
        return
    if len(known) >= _MAX_REMEMBERED:
        known.clear()
    known[key] = value


# What is told of an exchange is told later; its request need not be kept for that.
_OVER: Final[dict[str, Any]] = {}
_NO_FIELDS: Final = FieldBlock(b"", [], {})


class _Answer:
    """An iterable body with the end of its exchange attached."""

    __slots__ = ("_body", "_exchange", "_report")

    def __init__(self, exchange: Exchange, body: Any, report: Callable[[Exchange], None]) -> None:
        self._body = body
        self._exchange = exchange
        self._report: Callable[[Exchange], None] | None = report
        if isinstance(body, list):
            exchange.sent_bytes = sum(map(len, body))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """End the exchange; harmless if repeated."""
        report, self._report = self._report, None
        if report is None:
            return
        exchange = self._exchange
        # PERF: an exchange and what it holds hold it in turn; untied, they need no garbage collector.
        exchange.environ.pop(EXCHANGE, None)
        if exchange.refusal is not None:
            # The frames of its way lead back to it, and to all that the caller has sent.
            exchange.refusal.with_traceback(None)
            exchange.refusal = None
        on_close, exchange.on_close = exchange.on_close, None
        if on_close is not None:
            on_close()
        if isinstance(exchange.caller_channel, PeekedChannel):
            exchange.caller_channel.close()
        exchange.environ = _OVER
        if exchange.tunnel is not None and not exchange.tunnel.is_over:
            # It goes on without a request; what is told of it is told at its end.
            exchange.block = _NO_FIELDS
            exchange.caller_channel = None
            exchange.on_tunnel_proven = partial(_judge, exchange)
            exchange.on_tunnel_end = partial(_finish, exchange, report)
        else:
            _judge(exchange)
            _finish(exchange, report)


def _judge(exchange: Exchange) -> None:
    guard, exchange.guard = exchange.guard, None
    if guard is not None:
        guard.end(exchange)
    if exchange.tunnel is not None:
        exchange.service_head = None


def _finish(exchange: Exchange, report: Callable[[Exchange], None]) -> None:
    if exchange.places is not None:
        exchange.places.end()
    exchange.ended = monotonic()
    report(exchange)


class _RelayedAnswer(_Answer):
    """The same for a body that moves itself; `relay_to` is the body's own (see RelayedBody)."""

    __slots__ = ("keeps_channel", "relay_to")

    def __init__(self, exchange: Exchange, body: RelayedBody, report: Callable[[Exchange], None]) -> None:
        super().__init__(exchange, body, report)
        self.relay_to = body.relay_to
        self.keeps_channel = body.keeps_channel


class RefusedEarly:
    """Falcon middleware that raises what was decided before Falcon was asked, and sets its path."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Raise the refusal, if there is one. Falcon routes on the same path that we judge by."""
        del resp
        exchange: Exchange = req.env[EXCHANGE]
        if exchange.refusal is not None:
            raise exchange.refusal
        path = exchange.path
        req.path = path[:-1] if len(path) > 1 and path.endswith("/") else path
