"""One connection to Redis on which questions and answers go by in order. Nothing here waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import gevent
import hiredis

from falcongate.wire.channel import RECEIVE_BYTES, TimedOut
from falcongate.wire.tls_channel import channel_for

if TYPE_CHECKING:
    from collections.abc import Callable

_SEND_IDLE_S: Final = 5.0


class Conversation:
    """Bytes out, answers in.

    `on_answers` gets the answers in the order of the questions, `on_lost` is called once, with the
    reason, when the connection is of no more use. Both are called in the hub and must not wait.

    PERF: the raw socket and hiredis on it cost a third of redis-py's pipeline; redis-py has made and
    authenticated the connection.
    """

    __slots__ = (
        "_channel",
        "_connection",
        "_is_open",
        "_is_sending",
        "_on_answers",
        "_on_lost",
        "_reader",
        "_unsent",
    )

    def __init__(
        self,
        connection: Any,
        on_answers: Callable[[list[Any]], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._is_open = True
        self._on_answers = on_answers
        self._on_lost = on_lost
        self._reader = hiredis.Reader(encoding="utf-8", errors="replace")
        self._unsent = b""
        self._is_sending = False
        self._channel = channel_for(connection._sock)
        self._channel.on_early = self.read
        self._channel.watch()

    def send(self, data: bytes) -> None:
        """Send all of it, now as far as the kernel takes it, the rest as soon as there is room."""
        if self._is_sending:
            self._unsent += data
            return
        try:
            sent = self._channel.send_now(data)
        except OSError as error:
            self._lose(str(error))
            return
        if sent < len(data):
            self._unsent = data[sent:]
            self._is_sending = True
            gevent.spawn(self._send_rest)

    def _send_rest(self) -> None:
        try:
            while self._unsent and self._is_open:
                rest, self._unsent = self._unsent, b""
                self._channel.send_all(rest, _SEND_IDLE_S)
        except (OSError, TimedOut) as error:
            self._lose(str(error) or "the server takes nothing more")
        finally:
            self._is_sending = False
            if not self._is_open:
                self._end()

    def read(self) -> None:
        """Take what has arrived, if anything has."""
        if not self._is_open:
            return
        try:
            data = self._channel.receive_now(RECEIVE_BYTES)
            self._channel.watch()
        except OSError as error:
            self._lose(str(error))
            return
        if data is None:
            return
        if not data:
            self._lose("the server closed the connection")
            return
        self._take(data)

    def _take(self, data: bytes) -> None:
        answers: list[Any] = []
        gets = self._reader.gets
        try:
            self._reader.feed(data)
            while (answer := gets()) is not False:
                answers.append(answer)
        except hiredis.ProtocolError as error:
            self._lose(str(error))
            return
        self._on_answers(answers)

    def _lose(self, reason: str) -> None:
        if self._is_open:
            self.close()
            self._on_lost(reason)

    def close(self) -> None:
        """Close the connection; harmless if repeated."""
        if not self._is_open:
            return
        self._is_open = False
        self._channel.on_early = None
        if self._is_sending:
            self._channel.abandon()  # who waits for room in it ends it
        else:
            self._end()

    def _end(self) -> None:
        self._channel.close()
        self._connection.disconnect()
