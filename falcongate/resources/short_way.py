"""Past Falcon: what is plainly for a service goes there without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from falcongate.exchange import EXCHANGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from falcongate.exchange import Exchange
    from falcongate.resources.listeners import Listeners
    from falcongate.resources.proxy import Proxy

# An OPTIONS may be a preflight, which is answered before anybody else is asked.
_PLAIN_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"))


class ShortWay:
    """The WSGI application around Falcon's, which answers what goes wrong at a service, and what else comes.

    `own_segments` are what paths of the gateway's own doors begin with.

    PERF: its request and response, the way through its middleware and the look for a responder cost 6 % of a
    small GET, and nothing of them says anything about an answer that a service has given.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        proxy: Proxy,
        *,
        own_segments: tuple[str, ...],
        listeners: Listeners,
    ) -> None:
        self._app = app
        self._proxy = proxy
        self._own_segments = own_segments
        self._listeners = listeners

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        """Answer one request, whose exchange is open."""
        exchange: Exchange = environ[EXCHANGE]
        body = None
        if exchange.refusal is None and exchange.method in _PLAIN_METHODS:
            try:
                if self._leads_to_services(exchange):
                    body = self._proxy.answer(exchange)
            except Exception as failure:  # noqa: BLE001  # whatever it is: Falcon's error handlers know
                exchange.refusal = failure
        if body is None:
            return self._app(environ, start_response)
        # How it begins, the exchange knows.
        start_response("200 OK", [])
        return body

    def _leads_to_services(self, exchange: Exchange) -> bool:
        """Whether that is plain: no door of our own begins like it, or is on its port."""
        if exchange.path.startswith(self._own_segments):
            return False
        return not self._listeners.are_divided or not self._listeners.serves_operators(exchange.environ)
