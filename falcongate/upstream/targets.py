"""The addresses of a service and the choice among them."""

from __future__ import annotations

import random
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from falcongate.config.values import DEFAULT_PORTS
from falcongate.upstream.connection import make_pool

if TYPE_CHECKING:
    from collections.abc import Collection

    from falcongate.config.settings import ServiceSettings


class Target:
    """One address of a service, with its connections and how busy it is in this worker.

    `avoided_until` is in monotonic seconds; before it, others are preferred. `is_reachable` is what
    the last attempt found, None before the first.
    """

    __slots__ = ("avoided_until", "host_field", "in_flight", "is_reachable", "pool", "url")

    def __init__(self, url: str, settings: ServiceSettings) -> None:
        parts = urlsplit(url)
        self.url = url
        self.host_field = parts.netloc.encode("latin-1")
        self.in_flight = 0
        self.avoided_until = 0.0
        self.is_reachable: bool | None = None
        self.pool = make_pool(
            parts.scheme,
            str(parts.hostname),
            parts.port or DEFAULT_PORTS[parts.scheme],
            settings,
        )

    def avoid(self, seconds: float) -> None:
        """Prefer others for a while: this one could not be connected to."""
        self.avoided_until = monotonic() + seconds
        self.is_reachable = False

    @property
    def is_avoided(self) -> bool:
        """Whether others are preferred at the moment."""
        return self.avoided_until > monotonic()


class Targets:
    """All addresses of one service."""

    __slots__ = ("all",)

    def __init__(self, settings: ServiceSettings) -> None:
        self.all = tuple(Target(url, settings) for url in settings.url)

    def named(self, url: str) -> Target | None:
        """The target with this address, if there is one."""
        return next((target for target in self.all if target.url == url), None)

    def choose(self, tried: Collection[Target] = (), shut: Collection[str] = ()) -> Target:
        """The less busy of two random targets, among those that can be expected to answer.

        Those whose url is `shut` are none of it, unless all are. Targets already tried, then those that
        are avoided, are passed over while others are left.
        """
        if len(self.all) == 1:
            return self.all[0]
        open_ = [target for target in self.all if target.url not in shut] if shut else self.all
        fresh = [target for target in open_ if target not in tried] or list(open_ or self.all)
        usable = [target for target in fresh if not target.is_avoided] or fresh
        if len(usable) == 1:
            return usable[0]
        # Two choices keep the load even without everybody running to the same idle target.
        one, other = random.sample(usable, 2)
        return one if one.in_flight <= other.in_flight else other
