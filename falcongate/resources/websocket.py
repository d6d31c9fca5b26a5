"""`/ws/<service>/<rest>` asked without an upgrade: where the WebSocket would be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from falcongate.exchange import EXCHANGE
from falcongate.refusals import MalformedRequest, NoRoute, UnsupportedCoding

if TYPE_CHECKING:
    import falcon

    from falcongate.exchange import Exchange
    from falcongate.routing.table import RouteTable


class WebSocketRoute:
    """Answers with the gateway's own public address, never with one from inside."""

    def __init__(self, routes: RouteTable, public_url: str) -> None:
        self._routes = routes
        self._public_url = public_url

    def on_get(self, req: falcon.Request, resp: falcon.Response, service: str, rest: str = "") -> None:
        """The routing information. Raises MalformedRequest, NoRoute and UnsupportedCoding."""
        del rest
        if "websocket" in req.env.get("HTTP_UPGRADE", "").lower():
            if req.env.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in req.env:
                raise MalformedRequest("An upgrade to WebSocket has no body.")
            raise UnsupportedCoding("WebSockets are not relayed by this version.")
        exchange: Exchange = req.env[EXCHANGE]
        if self._routes.service_named(service) is None:
            raise NoRoute(f"No service is called {service}.")
        base = self._public_url or f"{exchange.scheme}://{exchange.host}"
        # http becomes ws, and https becomes wss.
        resp.media = {
            "websocket_url": "ws" + base.removeprefix("http") + exchange.target.decode("latin-1"),
            "service": service,
            "request_id": exchange.request_id,
            "status": "routed",
        }
