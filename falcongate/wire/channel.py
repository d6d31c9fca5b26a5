"""A connected socket that is waited for by the clock.

Everything above waits through these functions, so that no wait is without an end. What may be
read or written, and in which order, is the business of the rooms that use a channel.
"""

from __future__ import annotations

import socket as std_socket
import ssl
import struct
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from gevent import get_hub, getcurrent

if TYPE_CHECKING:
    from collections.abc import Callable

RECEIVE_BYTES: Final = 65_536
_READ, _WRITE = 1, 2
# Of tcp(7)'s TCP_INFO: established, and our own side closed.
_TCP_OPEN_STATES: Final = (1, 4, 5)
_LINGER_NOT: Final = struct.pack("ii", 1, 0)


class TimedOut(Exception):
    """Nothing happened on a channel in the time that was given."""


def time_left(idle_s: float, deadline: float) -> float:
    """Seconds that a wait may take: `idle_s`, cut short by `deadline` (monotonic seconds).

    Raises TimedOut when the deadline is over, so that a peer that is always ready cannot outrun it.
    """
    left = deadline - monotonic()
    if left <= 0:
        raise TimedOut
    return idle_s if idle_s < left else left


class Channel:
    """A connected, non-blocking socket with what was read from it and is not used yet.

    One greenlet at a time may read, and one may send. OSError is passed on as it comes.
    `has_early` says that something arrived, or the end did, while nobody waited for it; `on_early`
    is called then, in the hub, so it must not wait.
    """

    __slots__ = ("_hub", "_raw", "_watcher", "_writable", "buffer", "has_early", "on_early", "sock")

    spliceable = True
    """Whether its bytes may be moved by the kernel, past Python."""

    def __init__(self, sock: Any) -> None:
        self.sock: Any = sock
        # PERF: gevent's recv and sendall ask for SO_SNDBUF, try, fail and then wait; on the plain
        # socket inside, a request costs a third less.
        self._raw = sock._sock
        self._hub = get_hub()
        self._watcher: Any = self._hub.loop.io(sock.fileno(), _READ)
        self._writable: Any = None
        self.buffer = b""
        self.has_early = False
        self.on_early: Callable[[], object] | None = None

    def fileno(self) -> int:
        """The file descriptor, for `os.splice`."""
        number: int = self.sock.fileno()
        return number

    def wait_readable(self, timeout_s: float) -> None:
        """Wait until something, or the end, can be read. Raises TimedOut."""
        switch = getcurrent().switch
        timer = self._hub.loop.timer(timeout_s if timeout_s > 0 else 0)
        watcher = self._watcher
        watcher.stop()
        try:
            watcher.start(switch, watcher)
            timer.start(switch, timer)
            happened = self._hub.switch()
        finally:
            # PERF: stopped and started again before the loop looks, a watcher costs no system call.
            watcher.stop()
            watcher.start(self._note_early)
            self.has_early = False
            timer.stop()
            timer.close()
        if happened is timer:
            raise TimedOut

    def wait_writable(self, timeout_s: float) -> None:
        """Wait until there is room for more to be sent. Raises TimedOut."""
        if self._writable is None:
            self._writable = self._hub.loop.io(self.sock.fileno(), _WRITE)
        switch = getcurrent().switch
        timer = self._hub.loop.timer(timeout_s if timeout_s > 0 else 0)
        try:
            self._writable.start(switch, self._writable)
            timer.start(switch, timer)
            happened = self._hub.switch()
        finally:
            self._writable.stop()
            timer.stop()
            timer.close()
        if happened is timer:
            raise TimedOut

    def watch(self) -> None:
        """Notice what arrives early from now on."""
        self.has_early = False
        if not self._watcher.active:
            self._watcher.start(self._note_early)

    def _note_early(self) -> None:
        self._watcher.stop()
        self.has_early = True
        if self.on_early is not None:
            self.on_early()

    def receive_now(self, limit: int) -> bytes | None:
        """At most `limit` bytes that are there already; b"" at the end; None if none are there."""
        try:
            data: bytes = self._raw.recv(limit)
        except BlockingIOError:
            return None
        return data

    def receive(self, limit: int, timeout_s: float) -> bytes:
        """Wait for at most `limit` bytes; b"" at the end. Raises TimedOut."""
        while True:
            data = self.receive_now(limit)
            if data is not None:
                return data
            self.wait_readable(timeout_s)

    def send_now(self, data: bytes | memoryview) -> int:
        """Hand as much to the kernel as it takes; answer how many bytes that was."""
        try:
            sent: int = self._raw.send(data)
        except BlockingIOError:
            return 0
        return sent

    def send_all(self, data: bytes, idle_s: float, deadline: float = float("inf")) -> None:
        """Send everything; `idle_s` is how long the peer may take none of it. Raises TimedOut."""
        rest = memoryview(data)[self.send_now(data) :]
        while rest:
            self.wait_writable(time_left(idle_s, deadline))
            rest = rest[self.send_now(rest) :]

    def is_quiet(self) -> bool:
        """Whether the peer has neither closed nor sent anything. Does not wait."""
        if self.has_early:
            return False
        try:
            self._raw.recv(1, std_socket.MSG_PEEK)
        except BlockingIOError:
            return not self.buffer
        except OSError:
            pass
        return False

    def has_ended(self) -> bool:
        """Whether the peer has closed its side, even if bytes of it are still to be read."""
        try:
            state: int = self._raw.getsockopt(std_socket.IPPROTO_TCP, std_socket.TCP_INFO, 1)[0]
        except OSError:
            return False  # not TCP, or reset: reading says so
        return state not in _TCP_OPEN_STATES

    def end_sending(self) -> None:
        """Tell the peer that nothing more will come; what it sends can still be read."""
        # Under TLS too: the library has no half-close.
        self._raw.shutdown(std_socket.SHUT_WR)

    def end_receiving(self) -> None:
        """Let reading come to an end, after what has arrived already."""
        with suppress(OSError):
            self._raw.shutdown(std_socket.SHUT_RD)

    def reset(self) -> None:
        """Close in a way that nobody can take for a proper end."""
        with suppress(OSError):
            self.sock.setsockopt(std_socket.SOL_SOCKET, std_socket.SO_LINGER, _LINGER_NOT)
        self.close()

    def abandon(self) -> None:
        """Let nothing more be sent or received; whoever uses the channel next finds it broken."""
        with suppress(OSError):
            self.sock.shutdown(std_socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket; harmless if repeated."""
        if self._watcher is None:
            return
        self._watcher.close()
        self._watcher = None
        self.on_early = None
        if self._writable is not None:
            self._writable.close()
            self._writable = None
        self.sock.close()


class TlsChannel(Channel):
    """A channel inside TLS; its bytes must go through the library, so they are never spliced."""

    __slots__ = ()

    spliceable = False

    def __init__(self, sock: ssl.SSLSocket) -> None:
        super().__init__(sock)
        sock.settimeout(0)

    def wait_readable(self, timeout_s: float) -> None:
        """As for any channel; what the library holds already is not waited for."""
        if not self.sock.pending():
            super().wait_readable(timeout_s)

    def receive_now(self, limit: int) -> bytes | None:
        """As for any channel."""
        try:
            data: bytes = self.sock.recv(limit)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        return data

    def send_now(self, data: bytes | memoryview) -> int:
        """As for any channel."""
        try:
            sent: int = self.sock.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        return sent

    def is_quiet(self) -> bool:
        """As for any channel."""
        # Session tickets make the socket readable with nothing in them for us, so ask the library.
        try:
            return self.receive_now(1) is None and not self.buffer
        except OSError:
            return False


class PeekedChannel(Channel):
    """The channel of a caller whose bytes another server reads: only its leaving is noticed."""

    __slots__ = ("_has_next",)

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self._has_next = False

    def watch(self) -> None:
        """As for any channel, until the caller has sent something."""
        # Its next request stays where it is, so the socket would be readable all the time.
        if not self._has_next:
            super().watch()

    def receive_now(self, limit: int) -> bytes | None:
        """b"" when the caller has left, else None."""
        del limit
        try:
            if not self._raw.recv(1, std_socket.MSG_PEEK):
                return b""
        except BlockingIOError:
            return None
        self._has_next = True
        return None

    def close(self) -> None:
        """Stop watching; the socket is somebody else's."""
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None


def channel_for(sock: Any) -> Channel:
    """The right channel for a gevent socket, plain or TLS."""
    return TlsChannel(sock) if isinstance(sock, ssl.SSLSocket) else Channel(sock)
