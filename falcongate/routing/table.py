"""Whose request it is: routes compiled at start, matched by whole segments, the longest first.

Pure. A path here is always a normal form; see `path.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from falcongate.errors import NoRoute

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from falcongate.config.settings import GatewaySettings, ServiceSettings

_MAX_KNOWN_PATHS: Final = 4_096


@dataclass(frozen=True, slots=True)
class Route:
    """A path prefix that leads to a service."""

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
        self._by_service = {route.service: route for route in reversed(self.routes)}
        self._public = _compile_public(settings.public_paths)
        self._endpoints = sorted(
            (_Endpoint(pattern, seconds) for pattern, seconds in settings.endpoint_timeouts.items()),
            key=lambda endpoint: endpoint.weight,
            reverse=True,
        )
        # PERF: paths repeat; bounded, and emptied when full, as callers choose them.
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
        is_public = self._public.fullmatch(path) is not None
        match = Match(route, is_public, timeout_s, timeout_from)
        if len(self._known) >= _MAX_KNOWN_PATHS:
            self._known.clear()
        self._known[path] = match
        return match

    def candidates(self, path: str) -> list[Route]:
        """All routes whose prefix is the beginning of `path`, the one that is taken first."""
        found = []
        end = len(path)
        while end > 0:
            route = self._by_prefix.get(path[:end])
            if route is not None:
                found.append(route)
            end = path.rfind("/", 0, end)
        if "/" in self._by_prefix and (not found or found[-1].prefix != "/"):
            found.append(self._by_prefix["/"])
        return found

    def service_named(self, name: str) -> Route | None:
        """The first route of the service of this name, if there is one."""
        return self._by_service.get(name)

    def _timeout_of(self, path: str, route: Route) -> tuple[float, str]:
        for endpoint in self._endpoints:
            if endpoint.pattern.search(path):
                return endpoint.seconds, f'endpoint_timeouts."{endpoint.text}"'
        return route.settings.timeout_s, f"services.{route.service}.timeout_s"


class _Endpoint:
    """One entry of `endpoint_timeouts`; the heavier of two that match is taken."""

    def __init__(self, text: str, seconds: float) -> None:
        segments = text.strip("/")
        self.text = text
        self.seconds = seconds
        self.weight = (segments.count("/"), len(segments))
        start = "^/" if text.startswith("/") else "/"
        self.pattern = re.compile(f"{start}{re.escape(segments)}(?:/|$)")


def _routes_of(settings: GatewaySettings) -> Iterator[Route]:
    for name, service in settings.services.items():
        for path in service.paths or (f"/api/{name}",):
            yield Route(path.rstrip("/") or "/", name, service)


def _compile_public(patterns: Sequence[str]) -> re.Pattern[str]:
    """One expression for all public paths; whole segments, and nothing before or behind them."""
    alternatives = []
    for pattern in patterns:
        segments = pattern.strip("/").split("/")
        rest = segments[-1] == "**"
        parts = ["[^/]+" if segment == "*" else re.escape(segment) for segment in segments if segment != "**"]
        alternatives.append("/" + "/".join(parts) + ("(?:/.*)?" if rest else "/?"))
    return re.compile("|".join(alternatives) if alternatives else r"(?!)", re.DOTALL)
