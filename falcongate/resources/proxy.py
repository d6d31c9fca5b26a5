"""The door to the services: the way of a request on one screen.

The steps and their numbers are those of `docs/architecture.md`. It orders them and holds no rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from falcongate.errors import AttemptFailure
from falcongate.exchange import EXCHANGE
from falcongate.refusals import Refusal
from falcongate.resources.socket_io import ENGINE_IO

if TYPE_CHECKING:
    import falcon

    from falcongate.admission.access import Access
    from falcongate.admission.breaker import Breakers
    from falcongate.admission.concurrency import Rooms
    from falcongate.admission.limits import Limits
    from falcongate.admission.token_places import TokenPlaces
    from falcongate.exchange import Exchange
    from falcongate.resources.socket_io import SocketIo
    from falcongate.resources.websocket import Handshakes
    from falcongate.routing.table import Match, RouteTable
    from falcongate.upstream.forward import Forwarder
    from falcongate.upstream.service_body import ServiceBody, TunnelBody

_QUERY: Final = ord("?")


class Proxy:
    """The resource behind every path that is not the gateway's own."""

    def __init__(
        self,
        routes: RouteTable,
        forwarder: Forwarder,
        *,
        token_places: TokenPlaces,
        access: Access,
        socket_io: SocketIo,
        handshakes: Handshakes,
        breakers: Breakers,
        limits: Limits,
        rooms: Rooms,
    ) -> None:
        self._routes = routes
        self._token_places = token_places
        self._access = access
        self._socket_io = socket_io
        self._handshakes = handshakes
        self._breakers = breakers
        self._limits = limits
        self._rooms = rooms
        self._forwarder = forwarder

    def on_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer any method, as Falcon asks for it."""
        resp.stream = self.answer(req.env[EXCHANGE])

    def answer(self, exchange: Exchange) -> ServiceBody | TunnelBody:
        """Send the request to its service; the body of the answer, whose head the exchange has then."""
        # 3. routing: whose request it is.
        exchange.route_match = match = self._routes.match(exchange.path)
        accept = b""
        if "HTTP_UPGRADE" in exchange.environ and match.route.settings.websocket:
            accept = self._handshakes.check(exchange)
        return self.send(exchange, match, accept=accept)

    def send(self, exchange: Exchange, match: Match, *, accept: bytes) -> ServiceBody | TunnelBody:
        """The rest of the way; `accept` is what agrees to a WebSocket, if one is asked for."""
        # 4. admission: who asks, and whether that may pass. What asks nobody comes first.
        self._token_places.take_from_query(exchange)
        self._access.admit(exchange)
        self._token_places.send_on(exchange)
        self._breakers.admit(exchange)
        receipt = self._limits.admit(exchange)
        try:
            self._rooms.enter(exchange)
            # 5. upstream: to the service, until the head of its answer is here.
            # Socket.IO asks where each session is. PERF: a number is found six times as fast as bytes are.
            target = exchange.target
            forwarder = self._socket_io if _QUERY in target and ENGINE_IO in target else self._forwarder
            body = forwarder.forward(exchange, match, accept=accept)
        except (AttemptFailure, Refusal) as failure:
            if isinstance(failure, Refusal) or not failure.may_have_acted:
                self._limits.refund(receipt)
            raise
        # 6. and 7. the body is relayed by the server; with its close the attempt ends.
        exchange.on_close = body.close
        return body
