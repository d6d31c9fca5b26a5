"""Which door a request comes in by: one of the gateway's own, else the way to the services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import falcon
from falcon.routing import CompiledRouter

from falcongate.config.own_paths import OWN_PATHS, For
from falcongate.refusals import NoRoute

if TYPE_CHECKING:
    from falcongate.resources.listeners import Listeners
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

    def __init__(self, proxy: Proxy, listeners: Listeners) -> None:
        super().__init__()
        self.first_segments: tuple[str, ...] = ()
        """What the paths of the doors begin with."""
        self._to_services: tuple[Any, ...] = (proxy, _AnyMethod(proxy.on_request), {}, None)
        self._to_nowhere: tuple[Any, ...] = (None, _AnyMethod(_refuse), {}, None)
        self._listeners = listeners

    def add_route(self, uri_template: str, resource: object, **kwargs: Any) -> None:
        """Add a door of our own. Whom it is for stands with its path in `config/own_paths.py`."""
        if uri_template not in OWN_PATHS:
            raise ValueError(f"{uri_template} is not among the gateway's own paths; see config/own_paths.py")
        first = "/" + uri_template.split("/")[1]
        self.first_segments = tuple({*self.first_segments, first})
        super().add_route(uri_template, resource, **kwargs)

    def find(self, uri: str, req: falcon.Request | None = None) -> Any:
        """Falcon's question: resource, method map, parameters and template for a path."""
        found = super().find(uri, req) if uri.startswith(self.first_segments) else None
        if self._listeners.are_divided and req is not None:
            answers = OWN_PATHS[found[3] or ""] if found is not None else For.CALLERS
            port_of = For.OPERATORS if self._listeners.serves_operators(req.env) else For.CALLERS
            if answers not in (For.ALL, port_of):
                return self._to_nowhere
        return self._to_services if found is None else found


def _refuse(req: falcon.Request, resp: falcon.Response, **params: str) -> NoReturn:
    """Say what is said of a path that nobody has."""
    del req, resp, params
    raise NoRoute
