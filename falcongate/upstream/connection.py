"""One connection to a target: urllib3 makes it and keeps it, the HTTP on it is ours.

urllib3's exceptions, ssl's and the socket's become AttemptFailure here and nowhere else.
"""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import gevent
from gevent.queue import Empty, LifoQueue
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.exceptions import SSLError as PoolSSLError

from falcongate.errors import CONNECT_TIMEOUT, TLS_NOT_SPOKEN, UNREACHABLE, AttemptFailure, Stage
from falcongate.refusals import Saturated
from falcongate.upstream.tls import service_context, what_failed
from falcongate.wire.tls_channel import channel_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falcongate.config.settings import ServiceSettings
    from falcongate.upstream.answer import AnswerHead
    from falcongate.wire.channel import Channel

_SATURATED_RETRY_AFTER_S: Final = 1


class Occupancy(NamedTuple):
    """How many connections a pool may have, has given out, and keeps open; and how many requests wait."""

    most: int
    in_use: int
    idle: int
    waiting: int


class _OurHttp:
    """What is ours of a connection: its channel, when it may be used again, and the last answer's head."""

    channel: Channel | None = None
    last_head: AnswerHead | None = None
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
        self.last_head = None
        super().close()  # type: ignore[misc]


class PlainConnection(_OurHttp, HTTPConnection):
    """A connection in clear text."""


class TlsConnection(_OurHttp, HTTPSConnection):
    """A connection inside TLS, verified by urllib3."""


ServiceConnection = PlainConnection | TlsConnection


class _OurPool:
    """What is ours of urllib3's pool of connections to one target.

    `take` and `give` belong together: what was taken is given back, closed or not.
    """

    # PERF: 0.2 us a get and put; the standard library's queue takes its locks for 1.6 us.
    QueueCls: Any = LifoQueue
    pool: Any
    keepalive_timeout_s = 0.0
    waiting = 0
    """How many wait for a connection to come free."""

    def is_used_up(self) -> bool:
        """Whether all connections are in use, so that one would be waited for."""
        used_up: bool = self.pool.empty()
        return used_up

    def take(self, timeout_s: float) -> ServiceConnection:
        """The connection used last if it is still good, else one that is not open.

        Raises Saturated when none comes free in time.
        """
        # PERF: urllib3's `_get_conn` does the same through four more calls.
        self.waiting += 1
        try:
            connection: ServiceConnection | None = self.pool.get(timeout=timeout_s)
        except Empty:
            raise Saturated(retry_after_s=_SATURATED_RETRY_AFTER_S) from None
        finally:
            self.waiting -= 1
        if connection is None:
            return self._new_conn()  # type: ignore[attr-defined, no-any-return]
        if connection.channel is not None and not connection.is_connected:
            connection.close()
        return connection

    def give(self, connection: ServiceConnection) -> None:
        """Give a connection back for others, closed if it must not be used again. Does not wait."""
        connection.usable_until = monotonic() + self.keepalive_timeout_s
        self.pool.put(connection, block=False)

    def part_with(self, connection: ServiceConnection) -> Channel:
        """The channel of a connection that is nobody's but its user's from now on."""
        channel = connection.channel
        assert channel is not None  # noqa: S101  # it has just been used
        connection.channel = connection.sock = connection.last_head = None
        self.pool.put(None, block=False)
        return channel

    def occupancy(self) -> Occupancy:
        """How its connections are used. Does not wait."""
        free = self.pool.queue
        idle = sum([connection is not None and connection.channel is not None for connection in free])
        return Occupancy(self.pool.maxsize, self.pool.maxsize - len(free), idle, self.waiting)

    def close_unusable(self) -> None:
        """Close the idle connections that are too old or were ended by the service. Does not wait."""
        connections = []
        while not self.pool.empty():
            connections.append(self.pool.get(block=False))
        for connection in reversed(connections):
            if connection is not None and not connection.is_connected:
                connection.close()
            self.pool.put(connection, block=False)


class PlainPool(_OurPool, HTTPConnectionPool):
    """Connections in clear text."""

    ConnectionCls = PlainConnection


class TlsPool(_OurPool, HTTPSConnectionPool):
    """Connections inside TLS."""

    ConnectionCls = TlsConnection


Pool = PlainPool | TlsPool


def make_pool(scheme: str, host: str, port: int, settings: ServiceSettings) -> Pool:
    """A pool of at most `max_connections` to one target; nothing is connected yet."""
    pool: Pool
    if scheme == "http":
        pool = PlainPool(host, port, maxsize=settings.max_connections, timeout=settings.connect_timeout_s)
    else:
        pool = TlsPool(
            host,
            port,
            maxsize=settings.max_connections,
            timeout=settings.connect_timeout_s,
            ssl_context=service_context(settings.tls),
            server_hostname=settings.tls.server_name,
        )
    pool.keepalive_timeout_s = settings.keepalive_timeout_s
    return pool


def open_connection(connection: ServiceConnection, timeout_s: float) -> Channel:
    """Connect, and answer the channel, with names, TLS and all addresses of the host within `timeout_s`.

    Raises AttemptFailure.
    """
    with _as_failures(connection), gevent.Timeout(timeout_s, _ConnectTimedOut):
        connection.connect()
    assert connection.channel is not None  # noqa: S101  # it was made, or that failed
    return connection.channel


class _ConnectTimedOut(Exception):
    """Connecting took too long in all, however quick each step of it was."""


@contextmanager
def _as_failures(connection: ServiceConnection) -> Iterator[None]:
    stage = Stage.CONNECT
    try:
        yield
    except _ConnectTimedOut:
        kind, reason = CONNECT_TIMEOUT, "connecting took too long"
        if connection.sock is not None:
            stage, reason = Stage.TLS, "it is connected, and did not finish the handshake in time"
    except (ssl.SSLError, ssl.CertificateError, PoolSSLError) as error:
        stage = Stage.TLS
        kind, reason = what_failed(error)
    except (HTTPError, OSError, UnicodeError) as error:
        # urllib3 calls a refused connection a kind of timeout.
        is_timeout = isinstance(error, (TimeoutError, ConnectTimeoutError))
        is_refused = isinstance(error, NewConnectionError)
        kind = CONNECT_TIMEOUT if is_timeout and not is_refused else UNREACHABLE
        reason = str(error)
        if connection.sock is not None and not is_timeout:
            kind, stage, reason = TLS_NOT_SPOKEN, Stage.TLS, f"it ended the handshake: {reason}"
    else:
        return
    raise AttemptFailure(kind, stage=stage, may_have_acted=False, reason=reason)
