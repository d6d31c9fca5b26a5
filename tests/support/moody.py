"""A service whose mood a test changes while it runs: which status it answers, and whether it holds back."""

from __future__ import annotations

import socket
import threading
import time

from tests.support.upstreams import Conversation, ScriptedUpstream


class Moody:
    """Answers every request with `status`, once `hold` is not closed.

    `served` counts the requests that came, `most` is how many were there at the same time; `arrived` has
    when those for each target came, the last, in monotonic seconds.
    """

    def __init__(self, listener: socket.socket | None = None) -> None:
        self.status = 200
        self.served = 0
        self.present = 0
        self.most = 0
        self.arrived: dict[str, float] = {}
        self._lock = threading.Lock()
        self._may_answer = threading.Event()
        self._may_answer.set()
        self._upstream = ScriptedUpstream(listener).serve(self._play)
        self.url = self._upstream.url

    def hold(self) -> None:
        """Answer nobody from now on."""
        self._may_answer.clear()

    def let_go(self) -> None:
        """Answer everybody who waits, and who comes."""
        self._may_answer.set()

    def forget(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self.served = 0
            self.most = self.present

    def stop(self) -> None:
        """End it; fails if a connection went wrong."""
        self.let_go()
        self._upstream.stop()

    def _play(self, conversation: Conversation) -> None:
        while True:
            head, _ = conversation.read_request()
            with self._lock:
                self.arrived[head.start.split()[1]] = time.monotonic()
                self.served += 1
                self.present += 1
                self.most = max(self.most, self.present)
            try:
                self._may_answer.wait(60)
            finally:
                with self._lock:
                    self.present -= 1
            conversation.send(b"HTTP/1.1 %d Mood\r\nContent-Length: 2\r\n\r\nok" % self.status)
