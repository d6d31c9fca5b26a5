"""All tunnels of one worker: how many there may be, what is looked after, and how they end with it."""

from __future__ import annotations

import random
from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import gevent

from falcongate.errors import Stage
from falcongate.outages import ShuttingDown
from falcongate.refusals import Saturated
from falcongate.upstream.flow import Passed
from falcongate.upstream.tunnel import Tunnel
from falcongate.wire.websocket import POLICY

if TYPE_CHECKING:
    from collections.abc import Callable

    from falcongate.config.settings import ServerSettings
    from falcongate.config.websocket import WebSocketSettings
    from falcongate.exchange import Caller, Exchange
    from falcongate.upstream.targets import Target
    from falcongate.wire.channel import Channel

_LOOK_EVERY_S: Final = 1.0
_PROVEN_AFTER_S: Final = 1.0
_SPREAD: Final = 0.7
_RETRY_AFTER_S: Final = 5
_ELSEWHERE_AFTER_S: Final = 1


class News(NamedTuple):
    """What has become of one service's WebSockets lately.

    `closed` counts by who ended them and with which code; the rest are numbers, up to the service and
    down to the callers.
    """

    opened: int
    closed: Counter[tuple[str, int]]
    messages: tuple[int, int]
    bytes: tuple[int, int]


class Passes(Protocol):
    """What lets callers pass, and for how long."""

    def held_to(self, exchange: Exchange) -> Caller | None:
        """The caller whose credential must last as long as the tunnel; None if none must."""
        ...

    def is_over(self, caller: Caller, now: float) -> bool:
        """Whether it has not lasted. Must not wait."""
        ...


class _Service:
    """What is counted of one service until it is told."""

    __slots__ = ("closed", "opened", "traffic")

    def __init__(self) -> None:
        self.opened = 0
        self.closed: Counter[tuple[str, int]] = Counter()
        self.traffic = (Passed(), Passed())

    def take(self) -> News:
        """What was counted, which then begins anew."""
        up, down = self.traffic
        news = News(self.opened, self.closed, (up.messages, down.messages), (up.bytes, down.bytes))
        self.opened = 0
        self.closed = Counter()
        for traffic in self.traffic:
            traffic.messages = traffic.bytes = 0
        return news


class Tunnels:
    """At most so many as there may be connections. `tell` hears once a second what is new of each service.

    They last no longer than `passes` lets their callers. `is_draining` says that they are being ended.
    """

    def __init__(
        self, settings: WebSocketSettings, server: ServerSettings, tell: Callable[[str, News], None]
    ) -> None:
        self._settings = settings
        self._most = server.max_connections
        self._stalled_s = server.send_timeout_s
        self.is_draining = False
        self._tell = tell
        self._all: set[Tunnel] = set()
        self._unproven: dict[Tunnel, Exchange] = {}
        self._services: dict[str, _Service] = {}
        self.passes: Passes | None = None

    def __len__(self) -> int:
        """How many there are."""
        return len(self._all)

    def check_room(self) -> None:
        """Raise Saturated if there is no room for another, ShuttingDown if those that are there are ended."""
        if self.is_draining:
            raise ShuttingDown(retry_after_s=_ELSEWHERE_AFTER_S)
        if len(self._all) >= self._most:
            raise Saturated("There is no room for another WebSocket.", retry_after_s=_RETRY_AFTER_S)

    def begin(self, exchange: Exchange, caller: Channel, service: Channel, target: Target) -> None:
        """Relay between the two until one side ends it."""
        if not self._services:
            gevent.spawn(self._look)
        counts = self._services.setdefault(exchange.service, _Service())
        counts.opened += 1
        tunnel = Tunnel(caller, service, self._settings, stalled_s=self._stalled_s, traffic=counts.traffic)
        if self.is_draining:
            # It was on its way when the others were told.
            tunnel.restart_at = monotonic()
        if self.passes is not None:
            tunnel.caller = self.passes.held_to(exchange)
        exchange.tunnel = tunnel
        self._all.add(tunnel)
        self._unproven[tunnel] = exchange

        def end() -> None:
            self._all.discard(tunnel)
            counts.closed[tunnel.by, tunnel.code] += 1
            target.in_flight -= 1
            if tunnel in self._unproven and tunnel.is_dropped:
                exchange.failed_at = Stage.RELAY_BODY
                exchange.failed_targets += (target.url,)
            self._prove(tunnel)
            exchange.received_bytes = tunnel.up.passed_bytes
            exchange.sent_bytes = tunnel.down.passed_bytes
            exchange.failure_reason = f"WebSocket closed with {tunnel.code} by the {tunnel.by}"
            ended, exchange.on_tunnel_end = exchange.on_tunnel_end, None
            if ended is not None:
                ended()

        tunnel.at_end = end
        tunnel.begin()

    def drain(self, within_s: float) -> None:
        """Tell all callers to come again, not all at once. Does not wait."""
        now = monotonic()
        self.is_draining = True
        for tunnel in self._all:
            tunnel.restart_at = now + random.random() * within_s * _SPREAD  # noqa: S311  # no secret

    def cut(self) -> None:
        """End those that are left, and tell the last."""
        for tunnel in tuple(self._all):
            tunnel.cut()
        self._tell_all()

    def _look(self) -> None:
        while True:
            gevent.sleep(_LOOK_EVERY_S)
            now = monotonic()
            for tunnel in tuple(self._all):
                tunnel.look(now)
                if tunnel.caller is not None and self.passes is not None:
                    self._look_at_caller(tunnel, tunnel.caller, self.passes, now)
            for tunnel in tuple(self._unproven):
                if not tunnel.by and now - tunnel.began_s > _PROVEN_AFTER_S:
                    self._prove(tunnel)
            self._tell_all()

    @staticmethod
    def _look_at_caller(tunnel: Tunnel, caller: Caller, passes: Passes, now: float) -> None:
        if passes.is_over(caller, now):
            tunnel.close(POLICY, "the credential has ended")

    def _prove(self, tunnel: Tunnel) -> None:
        """Its service is judged by now: by its handshake, or because it has dropped it at once."""
        exchange = self._unproven.pop(tunnel, None)
        if exchange is not None and exchange.on_tunnel_proven is not None:
            proven, exchange.on_tunnel_proven = exchange.on_tunnel_proven, None
            proven()

    def _tell_all(self) -> None:
        for name, counts in self._services.items():
            self._tell(name, counts.take())
