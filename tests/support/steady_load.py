"""Callers who ask through several gateways all the time, and what became of every request."""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import time
from types import TracebackType
from typing import NamedTuple, Self

from tests.support.callers import Caller
from tests.support.many_hosts import GatewayOnHost, ManyHosts
from tests.support.wire import WireError

_PAUSE_S = 0.01
_numbers = itertools.count()


class Request(NamedTuple):
    """When a request was sent by `gateway` and answered, in monotonic seconds; status 0: it was not."""

    target: str
    gateway: str
    sent: float
    answered: float
    status: int

    @property
    def took_s(self) -> float:
        """How long its caller waited."""
        return self.answered - self.sent


class SteadyLoad:
    """Asks a service that runs on one host, through each gateway; ends with the block.

    All of it is one caller, the `tenant`; without one each request is a caller's of its own, so that no
    gateway knows what the shared state would say.
    """

    def __init__(self, world: ManyHosts, service: str, *, tenant: str = "") -> None:
        self._world = world
        self._service = service
        self._tenant = tenant
        self._is_over = threading.Event()
        self._requests: list[Request] = []
        self._threads = [
            threading.Thread(target=self._run, args=(gateway,), daemon=True) for gateway in world.gateways
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(20)

    def _run(self, gateway: GatewayOnHost) -> None:
        while not self._is_over.is_set():
            with contextlib.suppress(OSError), self._world.caller(gateway) as caller:
                while not self._is_over.wait(_PAUSE_S) and self._ask(gateway, caller):
                    pass
            self._is_over.wait(_PAUSE_S)

    def _ask(self, gateway: GatewayOnHost, caller: Caller) -> bool:
        number = next(_numbers)
        target = f"/api/{self._service}/{number}"
        fields = [("X-Tenant", self._tenant or f"own-{number}")]
        sent, status = time.monotonic(), 0
        try:
            status = caller.exchange("GET", target, fields).status
        except (OSError, WireError):
            return False
        finally:
            self._requests.append(Request(target, gateway.name, sent, time.monotonic(), status))
        return True

    def requests(self, *, since: float = 0.0, until: float = math.inf, by: str = "") -> list[Request]:
        """Those sent between these times, through this gateway or all."""
        return [
            request
            for request in tuple(self._requests)
            if since <= request.sent < until and request.gateway.startswith(by)
        ]

    def statuses(self, *, since: float = 0.0, until: float = math.inf, by: str = "") -> set[int]:
        """What they were answered."""
        return {request.status for request in self.requests(since=since, until=until, by=by)}

    def longest_s(
        self, *, since: float = 0.0, until: float = math.inf, by: str = "", apart: float = 0.01
    ) -> float:
        """The longest that a caller waited, this share of them apart, the slowest."""
        took = sorted(request.took_s for request in self.requests(since=since, until=until, by=by))
        return took[min(int(len(took) * (1 - apart)), len(took) - 1)] if took else 0.0

    def most_within(
        self, window_s: float, *, since: float = 0.0, until: float = math.inf, by: str = ""
    ) -> int:
        """The most requests that have surely been admitted within one interval of this length.

        Sent and arrived at the service within it: they were admitted in between, whatever the machine did.
        """
        arrived = self._world.services[self._service].arrived
        came = sorted(
            (arrived[request.target], request.sent)
            for request in self.requests(since=since, until=until, by=by)
            if request.target in arrived
        )
        return max(
            (
                sum(sent >= end - window_s for _, sent in came[: number + 1])
                for number, (end, _) in enumerate(came)
            ),
            default=0,
        )

    def admitted(self, *, since: float = 0.0, until: float = math.inf, by: str = "") -> int:
        """How many of them reached the service."""
        arrived = self._world.services[self._service].arrived
        return sum(request.target in arrived for request in self.requests(since=since, until=until, by=by))
