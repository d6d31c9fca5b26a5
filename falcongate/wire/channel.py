"""A connected socket that is waited for by the clock.

Everything above waits through these functions, so that no wait is without an end. What may be
read or written, and in which order, is the business of the rooms that use a channel.
"""

from __future__ import annotations

import fcntl
import select
import socket as std_socket
import struct
import termios
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from gevent import get_hub, getcurrent, monkey

from falcongate.wire.deadlines import waiting_on

if TYPE_CHECKING:
    from collections.abc import Callable

RECEIVE_BYTES: Final = 65_536
_READ, _WRITE = 1, 2
# What a greenlet that waits is woken with; None says that its time is over.
_READY, _INTERRUPTED = "ready", "interrupted"
# Of tcp(7)'s TCP_INFO: established, and our own side closed; what is left after a reset.
_TCP_OPEN_STATES: Final = (1, 4, 5)
_TCP_CLOSED: Final = 7
_LINGER_NOT: Final = struct.pack("ii", 1, 0)
_original_socket: Final = monkey.get_original("socket", "socket")
_original_poll: Final = monkey.get_original("select", "poll")


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

    __slots__ = (
        "_hub",
        "_poll",
        "_raw",
        "_reader",
        "_waiting",
        "_watcher",
        "_writable",
        "buffer",
        "has_early",
        "on_early",
        "sock",
    )

    spliceable = True
    """Whether its bytes may be moved by the kernel, past Python."""

    def __init__(self, sock: Any) -> None:
        self.sock: Any = sock
        # PERF: gevent's recv and sendall ask for SO_SNDBUF, try, fail and then wait; on the plain
        # socket inside, a request costs a third less.
        self._raw = sock._sock
        self._hub = get_hub()
        self._waiting = waiting_on(self._hub)
        self._reader: Any = None
        self._watcher: Any = self._hub.loop.io(sock.fileno(), _READ)
        self._writable: Any = None
        self._poll: Any = None
        self.buffer = b""
        self.has_early = False
        self.on_early: Callable[[], object] | None = None

    def fileno(self) -> int:
        """The file descriptor, for `os.splice`."""
        number: int = self.sock.fileno()
        return number

    def wait_readable(self, timeout_s: float) -> bool:
        """Wait until something, or the end, can be read; False if `interrupt` was called before.

        Raises TimedOut.
        """
        reader = self._reader = getcurrent()
        # PERF: the watcher stays when nobody waits; to start and stop it each time costs 2 us.
        if not self._watcher.active:
            self._watcher.start(self._on_readable)
        waiting = self._waiting
        waiting[reader] = monotonic() + timeout_s
        try:
            happened = self._hub.switch()
        finally:
            del waiting[reader]
            self._reader = None
            self.has_early = False
        if happened is None:
            raise TimedOut
        return happened is _READY

    def interrupt(self) -> None:
        """End the wait of whoever waits to read here. For the hub: it must not be waited in it."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.switch(_INTERRUPTED)

    def wait_writable(self, timeout_s: float) -> None:
        """Wait until there is room for more to be sent. Raises TimedOut."""
        if self._writable is None:
            self._writable = self._hub.loop.io(self.sock.fileno(), _WRITE)
        writer = getcurrent()
        self._waiting[writer] = monotonic() + timeout_s
        try:
            self._writable.start(writer.switch, _READY)
            happened = self._hub.switch()
        finally:
            self._writable.stop()
            del self._waiting[writer]
        if happened is None:
            raise TimedOut

    def watch(self) -> None:
        """Notice what arrives early from now on."""
        self.has_early = False
        if not self._watcher.active:
            self._watcher.start(self._on_readable)

    def listen(self, on_readable: Callable[[], object]) -> None:
        """Call this, in the hub, as long as something can be read; it must not wait. Nobody else reads."""
        self._watcher.start(on_readable)

    def pause(self) -> None:
        """Do not call it until `listen` is called again."""
        self._watcher.stop()

    def listen_for_room(self, on_writable: Callable[[], object]) -> None:
        """Call this, in the hub, as long as there is room to send."""
        if self._writable is None:
            self._writable = self._hub.loop.io(self.sock.fileno(), _WRITE)
        self._writable.start(on_writable)

    def forget_room(self) -> None:
        """Do not call it any more."""
        if self._writable is not None:
            self._writable.close()
            self._writable = None

    def slim(self) -> None:
        """Give up what gevent's socket has for greenlets that wait: half of what an idle connection costs."""
        raw = _original_socket(fileno=self.sock.detach())
        raw.settimeout(0)
        self.sock = self._raw = raw

    def _on_readable(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.switch(_READY)
            return
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
        sent = self.send_now(data)
        if sent == len(data):
            return
        rest = memoryview(data)[sent:]
        while rest:
            self.wait_writable(time_left(idle_s, deadline))
            sent = self.send_now(rest)
            rest = rest[sent:]

    def is_quiet(self) -> bool:
        """Whether the peer has neither closed nor sent anything. Does not wait."""
        if self.has_early or self.buffer:
            return False
        # PERF: to look with recv and catch that nothing is there takes more than twice as long.
        if self._poll is None:
            self._poll = _original_poll()
            self._poll.register(self.sock.fileno(), select.POLLIN)
        return not self._poll.poll(0)

    def is_cut_short(self, missing: int | None) -> bool:
        """Whether the peer has gone for good before `missing` more bytes came; None: an unknown number.

        Looks behind bytes that are still to be read. A peer that has closed only its sending side
        after all that it had to send has not gone.
        """
        try:
            state: int = self._raw.getsockopt(std_socket.IPPROTO_TCP, std_socket.TCP_INFO, 1)[0]
            if state in _TCP_OPEN_STATES:
                return False
            unread = struct.unpack("i", fcntl.ioctl(self.sock.fileno(), termios.FIONREAD, b"\0\0\0\0"))[0]
        except OSError:
            return False  # not TCP, or closed: using it says so
        was_reset: bool = state == _TCP_CLOSED
        return was_reset or (missing is not None and len(self.buffer) + unread < missing)

    def end_sending(self) -> None:
        """Tell the peer that nothing more will come; what it sends can still be read."""
        # Under TLS too: the library cannot say this and go on reading.
        self._raw.shutdown(std_socket.SHUT_WR)

    def end_for_good(self) -> None:
        """Tell the peer that it has everything; what it still sends can be read, and be of no use."""
        self.end_sending()

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
