"""The server's end of a lane to Redis, spoken by the test itself: what was asked, and any answer to it."""

from __future__ import annotations

from typing import Any

import gevent
import hiredis
from gevent import socket  # noqa: TID251  # the other end of what the gateway reads
from gevent.event import Event

from falcongate.errors import StoreAway
from falcongate.state.redis_call import Call
from falcongate.state.redis_lane import Lane
from tests.support.turns import until

LANE_BUDGET_S = 0.2
OK = b"+OK\r\n"


class SpokenNode:
    """Stands where `redis_client.Node` does; each connection is a pair of sockets in this process.

    `refusal` is raised by whoever connects, as long as it is set; while `door` is cleared, connecting waits.
    """

    name = "spoken.test:6379"

    def __init__(self) -> None:
        self.ends: list[SpokenServer] = []
        self.refusal: Exception | None = None
        self.door = Event()
        self.door.set()

    def connect(self) -> Any:  # noqa: ANN401  # as a redis-py connection
        self.door.wait()
        if self.refusal is not None:
            raise self.refusal
        ours, theirs = socket.socketpair()
        self.ends.append(SpokenServer(theirs))
        return _Connection(ours)

    def end(self) -> SpokenServer:
        """The server's end of the newest connection, waited for."""
        until(lambda: self.ends)
        return self.ends[-1]

    def next_end(self) -> SpokenServer:
        """The server's end of a connection after those there are now."""
        count = len(self.ends)
        until(lambda: len(self.ends) > count)
        return self.ends[-1]

    def close(self) -> None:
        """Close the server's ends; there will be no others."""
        self.refusal = StoreAway("the test is over")
        self.door.set()
        for end in self.ends:
            end.close()


class _Connection:
    def __init__(self, sock: Any) -> None:  # noqa: ANN401  # a gevent socket
        self._sock = sock

    def disconnect(self) -> None:
        self._sock.close()


class SpokenServer:
    """One connection, as the server sees it."""

    def __init__(self, sock: Any) -> None:  # noqa: ANN401  # a gevent socket
        self.sock = sock
        self._reader = hiredis.Reader(encoding="utf-8")
        self.reads = 0

    def heard(self, count: int = 1) -> list[list[str]]:
        """The next `count` commands; `reads` counts how many pieces they came in."""
        commands: list[list[str]] = []
        with gevent.Timeout(5):
            while len(commands) < count:
                while (command := self._reader.gets()) is not False:
                    commands.append(command)
                if len(commands) < count:
                    data = self.sock.recv(1_000_000)
                    if not data:
                        raise EOFError
                    self.reads += 1
                    self._reader.feed(data)
        assert len(commands) == count, f"more was asked: {commands}"
        return commands

    def is_quiet(self) -> bool:
        """Whether nothing has arrived that was not heard."""
        gevent.sleep(0)
        self.sock.settimeout(0)
        try:
            return not self.sock.recv(1)
        except BlockingIOError:
            return True
        finally:
            self.sock.settimeout(None)

    def say(self, *answers: bytes) -> None:
        """Answer, all in one write."""
        self.sock.sendall(b"".join(answers))

    def close(self) -> None:
        """End the connection."""
        self.sock.close()


def asking(lane: Lane, *calls: Call) -> list[gevent.Greenlet[..., Any]]:
    """A caller for each call, all in the same turn of the loop."""

    def ask(call: Call) -> Any:  # noqa: ANN401  # whatever is answered
        try:
            return lane.ask(call)
        except StoreAway as away:
            return away

    return [gevent.spawn(ask, call) for call in calls]


def answers(callers: list[gevent.Greenlet[..., Any]]) -> list[Any]:
    """What each caller was answered, or the StoreAway that it got."""
    return [caller.get(timeout=5) for caller in callers]


def echo(text: str) -> Call:
    """A question without a script."""
    return Call(None, (), ("ECHO", text))


def number(value: int) -> bytes:
    """An integer as an answer."""
    return b":%d\r\n" % value


def several(*answers: bytes) -> bytes:
    """A list as an answer."""
    return b"*%d\r\n%b" % (len(answers), b"".join(answers))


def error(text: str) -> bytes:
    """An error as an answer."""
    return b"-%b\r\n" % text.encode()
