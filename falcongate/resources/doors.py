"""Which door a request comes in by: one of the gateway's own, else the way to the services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import falcon
from falcon.routing import CompiledRouter

if TYPE_CHECKING:
    from falcongate.resources.proxy import Proxy


class _AnyMethod(dict[str, Any]):
    """A Falcon method map that leads every method to one responder."""

    def __init__(self, responder: Any) -> None:
        super().__init__(dict.fromkeys(falcon.COMBINED_METHODS, responder))
        self._responder = responder

    def __missing__(self, method: str) -> Any:
        return self._responder


class Doors(CompiledRouter):
    """Falcon's router, with the services behind every path that is not a door of our own.

    PERF: a sink would be found after the router and by a regular expression, for 3 us more.
    """

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()
        self._first_segments: tuple[str, ...] = ()
        self._to_services: tuple[Any, ...] = (proxy, _AnyMethod(proxy.on_request), {}, None)

    def add_route(self, uri_template: str, resource: object, **kwargs: Any) -> None:
        """Add a door of our own."""
        first = "/" + uri_template.split("/")[1]
        self._first_segments = tuple({*self._first_segments, first})
        super().add_route(uri_template, resource, **kwargs)

    def find(self, uri: str, req: falcon.Request | None = None) -> Any:
        """Falcon's question: resource, method map, parameters and template for a path."""
        if uri.startswith(self._first_segments):
            found = super().find(uri, req)
            if found is not None:
                return found
        return self._to_services
