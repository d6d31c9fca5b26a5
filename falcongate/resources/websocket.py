"""WebSockets at the door: which handshakes are good, and where `/ws/<service>/<rest>` leads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from falcongate.denials import OriginNotAllowed
from falcongate.exchange import EXCHANGE
from falcongate.refusals import MalformedRequest, NoRoute, UnsupportedCoding, UpgradeRequired
from falcongate.wire.websocket import accept_of, asks_for_websocket, is_key

if TYPE_CHECKING:
    from collections.abc import Callable

    import falcon

    from falcongate.config.settings import GatewaySettings
    from falcongate.exchange import Exchange
    from falcongate.resources.proxy import Proxy
    from falcongate.routing.table import RouteTable

_VERSION: Final = "13"


class Handshakes:
    """Judges the opening handshakes of callers (RFC 6455, 4.2.1).

    `allows_origin` tells whether pages of another origin may call.
    """

    def __init__(self, settings: GatewaySettings, allows_origin: Callable[[str], bool]) -> None:
        self._checks_origin = settings.websocket.check_origin
        self._allows_origin = allows_origin

    def check(self, exchange: Exchange) -> bytes:
        """The `Sec-WebSocket-Accept` that a service must answer; b"" if no WebSocket is asked for.

        Raises MalformedRequest, UpgradeRequired, OriginNotAllowed and UnsupportedCoding.
        """
        environ = exchange.environ
        if not asks_for_websocket(environ):
            return b""
        if environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ:
            raise MalformedRequest("An upgrade to WebSocket has no body.")
        if environ.get("HTTP_SEC_WEBSOCKET_VERSION") != _VERSION:
            raise UpgradeRequired
        key = environ.get("HTTP_SEC_WEBSOCKET_KEY", "")
        if not is_key(key):
            raise MalformedRequest("Sec-WebSocket-Key is not 16 bytes in base64.")
        if self._checks_origin and not self._is_welcome(exchange, environ.get("HTTP_ORIGIN")):
            raise OriginNotAllowed
        if "falcongate.channel" not in environ:
            raise UnsupportedCoding("WebSockets need the gateway's own worker; see conf/gunicorn.py.")
        return accept_of(key)

    def _is_welcome(self, exchange: Exchange, origin: str | None) -> bool:
        """SECURITY: a browser sends cookies along with a WebSocket from any page, and asks nobody."""
        if origin is None:
            return True
        try:
            own = urlsplit(origin)
            is_own = own.scheme == exchange.scheme and own.netloc.lower() == exchange.host.lower()
        except ValueError:
            return False
        return is_own or self._allows_origin(origin)


class WebSocketRoute:
    """`/ws/<service>/<rest>`: with an upgrade a WebSocket to the service, without one where that would be.

    That is the gateway's own public address, never one from inside.
    """

    def __init__(self, routes: RouteTable, handshakes: Handshakes, proxy: Proxy, public_url: str) -> None:
        self._routes = routes
        self._handshakes = handshakes
        self._proxy = proxy
        self._public_url = public_url

    def on_get(self, req: falcon.Request, resp: falcon.Response, service: str, rest: str = "") -> None:
        """Upgrade, or answer the routing information. Raises NoRoute, and what a bad handshake does."""
        del rest
        exchange: Exchange = req.env[EXCHANGE]
        match = self._routes.match_for_websocket(service, exchange.path)
        if match is None:
            raise NoRoute(f"No service is called {service}.")
        if accept := self._handshakes.check(exchange):
            exchange.route_match = match
            resp.stream = self._proxy.send(exchange, match, accept=accept)
            return
        base = self._public_url or f"{exchange.scheme}://{exchange.host}"
        # http becomes ws, and https becomes wss.
        resp.media = {
            "websocket_url": "ws" + base.removeprefix("http") + exchange.target.decode("latin-1"),
            "service": service,
            "request_id": exchange.request_id,
            "status": "routed",
        }
