"""Callers who ask without a pause while something is done to the gateway."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.support.callers import Caller
from tests.support.upstreams import Conversation, ok
from tests.support.world import Visit


class Load:
    """Callers who ask one after another, each for a path that nobody else asks for."""

    def __init__(self, world: Visit) -> None:
        self._address, self._tls = world.gateway.address, world.gateway.tls
        self._service = world.service(self._count)
        self._numbers = itertools.count()
        self._ends = threading.Event()
        self.arrived: list[str] = []
        self.answered: list[str] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Some keep their connection for as long as the gateway does, others make a new one each time.

        Fails at the end if one of them was not answered.
        """
        with ThreadPoolExecutor(9) as pool:
            callers = [pool.submit(self._ask, keeps=number % 3 > 0) for number in range(9)]
            try:
                yield
            finally:
                self._ends.set()
            for caller in callers:
                caller.result(20)

    def _count(self, conversation: Conversation) -> None:
        while True:
            head, _ = conversation.read_request()
            self.arrived.append(head.start.split(" ")[1])
            conversation.send(ok())

    def _ask(self, *, keeps: bool) -> None:
        with contextlib.ExitStack() as stack:
            caller: Caller | None = None
            while not self._ends.is_set():
                if caller is None:
                    caller = stack.enter_context(Caller(self._address, tls=self._tls))
                path = self._service.path(f"/{next(self._numbers)}")
                answer = caller.get(path)
                assert answer.status == 200, answer
                self.answered.append(path)
                if not keeps or answer.get("Connection") == "close":
                    caller.close()
                    caller = None
                # 9 callers at this pace are some 300 requests a second.
                time.sleep(0.02)
