"""`/admin/live`: what `/admin/overview` tells, as it changes, for those who may see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import gevent

from falcongate.exchange import EXCHANGE
from falcongate.refusals import UpgradeRequired
from falcongate.resources.own_websocket import OwnWebSocket
from falcongate.wire.fields import Field
from falcongate.wire.websocket import POLICY, RESTART

if TYPE_CHECKING:
    import falcon

    from falcongate.exchange import Exchange
    from falcongate.resources.operators import Operators
    from falcongate.resources.overview import Overview
    from falcongate.resources.websocket import Handshakes
    from falcongate.upstream.tunnels import Tunnels

_LOOK_EVERY_S: Final = 0.25
_ASK_EVERY: Final = 40


class Live:
    """A WebSocket that tells all once, and again when something has changed. It ends when `tunnels` do."""

    def __init__(
        self,
        operators: Operators,
        handshakes: Handshakes,
        overview: Overview,
        *,
        tunnels: Tunnels,
    ) -> None:
        self._operators = operators
        self._handshakes = handshakes
        self.overview = overview
        self._tunnels = tunnels

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Upgrade. Raises UpgradeRequired for anything else, and what `identify_reader` does."""
        exchange: Exchange = req.env[EXCHANGE]
        name = self._operators.identify_reader(exchange)
        accept = self._handshakes.check(exchange)
        if not accept:
            raise UpgradeRequired
        # Falcon gives a 101 no body; what is to be sent here is said as services say it.
        exchange.service_head = _Agreement(accept)
        resp.stream = OwnWebSocket(lambda socket: self._watch(socket, exchange, name))

    def _watch(self, socket: OwnWebSocket, exchange: Exchange, name: str) -> int:
        """Tell what changes, for as long as the caller may see it; the code of the end."""
        told = looks = 0
        while not self._tunnels.is_draining:
            looks += 1
            if looks % _ASK_EVERY == 0 and not self._operators.may_read(exchange):
                return POLICY
            picture = self.overview.look()
            if picture.number != told:
                socket.send(picture.render(name, may_change=self._operators.may_change(exchange)))
                told = picture.number
            gevent.sleep(_LOOK_EVERY_S)
        return RESTART


class _Agreement:
    """The head of the answer that agrees to a WebSocket."""

    def __init__(self, accept: bytes) -> None:
        self.status = 101
        self.begun = None
        self.reason = "Switching Protocols"
        self.fields = [
            Field(b"Upgrade: websocket"),
            Field(b"Connection: Upgrade"),
            Field(b"Sec-WebSocket-Accept: " + accept),
        ]
