"""Whose request it is: routes compiled at start, matched by whole segments, the longest first.

Pure. A path here is always a normal form; see `path.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from falcongate.config.settings import ServiceSettings  # noqa: TC001  # a compiled Route is made with it
from falcongate.refusals import NoRoute
from falcongate.routing.path import compile_patterns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falcongate.config.settings import GatewaySettings

_MAX_KNOWN_PATHS: Final = 4_096
_MAX_KNOWN_PATH_LENGTH: Final = 256


@dataclass(frozen=True, slots=True)
class Route:
    """A path prefix that leads to a service. `prefix` has no slash at its end, but for "/" itself."""

    prefix: str
    service: str
    settings: ServiceSettings


@dataclass(frozen=True, slots=True)
class Match:
    """What applies to one path: its route, whether it needs no credentials, and its time.

    `timeout_s` is for the first byte of the answer; `timeout_from` says which setting it is of.
    """

    route: Route
    is_public: bool
    timeout_s: float
    timeout_from: str


class RouteTable:
    """All routes of a configuration. Made once; `match` is on the way of every request."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.routes = tuple(_routes_of(settings))
        self._by_prefix = {route.prefix: route for route in self.routes}
        unchanged = {"strip_prefix": None, "add_prefix": None, "append_slash": False}
        self._websockets = {
            name: Route(f"/ws/{name}", name, service.model_copy(update=unchanged))
            for name, service in settings.services.items()
        }
        self._deepest = max((route.prefix.count("/") for route in self.routes), default=0)
        self._public = compile_patterns(settings.public_paths)
        self._endpoints = sorted(
            (_Endpoint(text, seconds) for text, seconds in settings.endpoint_timeouts.items()),
            key=lambda endpoint: endpoint.weight,
            reverse=True,
        )
        self._known: dict[str, Match] = {}

    def match(self, path: str) -> Match:
        """What applies to `path`. Raises NoRoute. Does not wait."""
        known = self._known.get(path)
        if known is not None:
            return known
        candidates = self.candidates(path)
        if not candidates:
            raise NoRoute
        route = candidates[0]
        timeout_s, timeout_from = self._timeout_of(path, route)
        match = Match(route, self.is_public(path), timeout_s, timeout_from)
        # PERF: paths repeat, and a look-up costs 0.05 us where matching costs 2.5. Callers choose them,
        # so neither their number nor their length may grow without a bound.
        if len(path) <= _MAX_KNOWN_PATH_LENGTH:
            if len(self._known) >= _MAX_KNOWN_PATHS:
                self._known.clear()
            self._known[path] = match
        return match

    def candidates(self, path: str) -> list[Route]:
        """All routes whose prefix is the beginning of `path`; the longest, which is taken, first."""
        found = []
        if "/" in self._by_prefix:
            found.append(self._by_prefix["/"])
        end = 0
        # No further than the deepest prefix: a path may be thousands of slashes.
        for _ in range(self._deepest):
            end = path.find("/", end + 1)
            route = self._by_prefix.get(path if end < 0 else path[:end])
            if route is not None and route.prefix != "/":
                found.append(route)
            if end < 0:
                break
        return found[::-1]

    def is_public(self, path: str) -> bool:
        """Whether `path` needs no credentials, and is therefore sent none."""
        return self._public.fullmatch(path) is not None

    def match_for_websocket(self, service: str, path: str) -> Match | None:
        """What applies to `/ws/<service>/...`, sent as it came; None if there is no such service."""
        route = self._websockets.get(service)
        if route is None:
            return None
        timeout_s, timeout_from = self._timeout_of(path, route)
        return Match(route, self.is_public(path), timeout_s, timeout_from)

    def _timeout_of(self, path: str, route: Route) -> tuple[float, str]:
        for endpoint in self._endpoints:
            if endpoint.pattern.search(path):
                return endpoint.seconds, f'endpoint_timeouts."{endpoint.text}"'
        return route.settings.timeout_s, f"services.{route.service}.timeout_s"


class _Endpoint:
    """One entry of `endpoint_timeouts`; of those that match, the one with the most weight is taken."""

    __slots__ = ("pattern", "seconds", "text", "weight")

    def __init__(self, text: str, seconds: float) -> None:
        is_anchored = text.startswith("/")
        segments = text.strip("/")
        self.text = text
        self.seconds = seconds
        # Of two that are equally long, the one that says where it stands says more.
        self.weight = (segments.count("/"), len(segments), is_anchored)
        self.pattern = re.compile(rf"{'^' if is_anchored else ''}/{re.escape(segments)}(?:/|\Z)")


def _routes_of(settings: GatewaySettings) -> Iterator[Route]:
    for name, service in settings.services.items():
        for prefix in service.paths_for(name):
            yield Route(prefix, name, service)
