"""One connection to a target: urllib3 makes it and keeps it, the HTTP on it is ours.

urllib3's exceptions, ssl's and the socket's become AttemptFailure here and nowhere else.
"""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.queue import Empty, LifoQueue
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.exceptions import SSLError as PoolSSLError

from falcongate.errors import (
    CONNECT_TIMEOUT,
    TLS_FAILED,
    UNREACHABLE,
    AttemptFailure,
    Saturated,
    Side,
    Stage,
)
from falcongate.wire.channel import Channel, channel_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falcongate.config.settings import ServiceSettings

_SATURATED_RETRY_AFTER_S: Final = 1


class _OurHttp:
    """What is ours of a connection: its channel, and when it may be used again."""

    channel: Channel | None = None
    usable_until = 0.0
    sock: Any

    def connect(self) -> None:
        """Open the socket, TLS included, and put a channel around it."""
        super().connect()  # type: ignore[misc]
        self.channel = channel_for(self.sock)

    @property
    def is_connected(self) -> bool:
        """Asked by urllib3 before a kept connection is given out again.

        SECURITY: bytes that nobody asked for would be read as the next caller's answer.
        """
        channel = self.channel
        return channel is not None and monotonic() < self.usable_until and channel.is_quiet()

    def close(self) -> None:
        """Close; harmless if repeated. The object can connect again."""
        if self.channel is not None:
            self.channel.close()
            self.channel = None
        super().close()  # type: ignore[misc]


class PlainConnection(_OurHttp, HTTPConnection):
    """A connection in clear text."""


class TlsConnection(_OurHttp, HTTPSConnection):
    """A connection inside TLS, verified by urllib3."""


ServiceConnection = PlainConnection | TlsConnection


class _OurPool:
    """What is ours of urllib3's pool: how a connection is taken from it."""

    # PERF: 0.2 us a get and put; the standard library's queue takes its locks for 1.6 us.
    QueueCls: Any = LifoQueue
    pool: Any

    def take(self, timeout_s: float) -> ServiceConnection:
        """The connection used last if it is still good, else one that is not open. Raises Empty."""
        # PERF: urllib3's `_get_conn` does the same through four more calls.
        connection: ServiceConnection | None = self.pool.get(timeout=timeout_s)
        if connection is None:
            return self._new_conn()  # type: ignore[attr-defined, no-any-return]
        if connection.channel is not None and not connection.is_connected:
            connection.close()
        return connection


class _PlainPool(_OurPool, HTTPConnectionPool):
    ConnectionCls = PlainConnection


class _TlsPool(_OurPool, HTTPSConnectionPool):
    ConnectionCls = TlsConnection


class Pool:
    """The connections to one target, at most `max_connections` of them.

    `take` and `give` belong together: what was taken is given back, closed or not.
    """

    __slots__ = ("_pool", "_settings")

    def __init__(self, scheme: str, host: str, port: int, settings: ServiceSettings) -> None:
        self._settings = settings
        common: dict[str, Any] = {
            "maxsize": settings.max_connections,
            "block": True,
            "timeout": settings.connect_timeout_s,
        }
        self._pool: _PlainPool | _TlsPool = (
            _PlainPool(host, port, **common)
            if scheme == "http"
            else _TlsPool(
                host,
                port,
                **common,
                ssl_context=_tls_context(settings),
                server_hostname=settings.tls.server_name,
            )
        )

    def take(self, timeout_s: float) -> ServiceConnection:
        """An idle connection that is still good, else one that is not open yet.

        Raises Saturated when none comes free in time.
        """
        try:
            return self._pool.take(timeout_s)
        except Empty:
            raise Saturated(retry_after_s=_SATURATED_RETRY_AFTER_S) from None

    def give(self, connection: ServiceConnection) -> None:
        """Give a connection back for others, closed if it must not be used again. Does not wait."""
        connection.usable_until = monotonic() + self._settings.keepalive_timeout_s
        self._pool._put_conn(connection)

    def open(self, connection: ServiceConnection, timeout_s: float) -> None:
        """Connect, with names, TLS and all addresses of the host within `timeout_s`.

        Raises AttemptFailure.
        """
        with _as_failures(), gevent.Timeout(timeout_s, _ConnectTimedOut):
            connection.connect()

    def close_unusable(self) -> None:
        """Close the idle connections that are too old or were ended by the service. Does not wait."""
        queue = self._pool.pool
        if queue is None:
            return
        connections = []
        while not queue.empty():
            connections.append(queue.get(block=False))
        for connection in reversed(connections):
            if isinstance(connection, _OurHttp) and not connection.is_connected:
                connection.close()
            queue.put(connection, block=False)


class _ConnectTimedOut(Exception):
    """Connecting took too long in all, however quick each step of it was."""


@contextmanager
def _as_failures() -> Iterator[None]:
    try:
        yield
    except _ConnectTimedOut:
        kind, stage, reason = CONNECT_TIMEOUT, Stage.CONNECT, "connecting took too long"
    except (ssl.SSLError, ssl.CertificateError, PoolSSLError) as error:
        kind, stage, reason = TLS_FAILED, Stage.TLS, str(error)
    except (HTTPError, OSError, UnicodeError) as error:
        # urllib3 calls a refused connection a kind of timeout.
        is_timeout = isinstance(error, (TimeoutError, ConnectTimeoutError))
        is_refused = isinstance(error, NewConnectionError)
        kind = CONNECT_TIMEOUT if is_timeout and not is_refused else UNREACHABLE
        stage, reason = Stage.CONNECT, str(error)
    else:
        return
    raise AttemptFailure(kind, stage=stage, side=Side.SERVICE, may_have_acted=False, reason=reason)


def _tls_context(settings: ServiceSettings) -> ssl.SSLContext:
    """Verification as configured: by default the system's authorities and the host's name."""
    tls = settings.tls
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
