"""The circuit breakers of one worker: who asks them, who tells them, and when they tell.

A request asks the guard of its service; what all workers share comes and goes in the background.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import gevent
from gevent.event import Event

from falcongate.admission.guard import Guard
from falcongate.admission.targets_guard import TargetsGuard
from falcongate.errors import StoreAway

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from falcongate.config.settings import GatewaySettings
    from falcongate.exchange import Exchange
    from falcongate.state.store import Breaker, SharedState

_GATHER_S: Final = 0.02
_REPORT_EVERY_S: Final = 0.5
_LOOK_EVERY_S: Final = 5.0
_LOOK_WHILE_ALONE_S: Final = 0.5


class Breakers:
    """All breakers of one configuration. `host` is how this host is called in what is shared.

    `tell` is called with each transition of one, and whether it is this worker's alone; it must not wait.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        state: SharedState,
        *,
        host: str,
        tell: Callable[[Breaker, bool], None] = lambda *_: None,
    ) -> None:
        self._state = state
        self._news = Event()
        self._guards: dict[str, Guard | TargetsGuard] = {}
        self._all: dict[str, Guard] = {}
        guard = partial(Guard, state=state, host=host, wake=self._news.set, tell=tell)
        for name, service in settings.services.items():
            breaker = settings.breaker_of(name)
            if not breaker.enabled:
                continue
            self._all[name] = own = guard(name, breaker)
            self._guards[name] = own
            if breaker.per_target:
                targets = {
                    url: guard(target_name(name, url), breaker, is_of_target=True) for url in service.url
                }
                self._all.update((target.name, target) for target in targets.values())
                self._guards[name] = TargetsGuard(own, targets)
        if self._all:
            state.subscribe(self._hear, self._look_soon)
            gevent.spawn(self._report)
            gevent.spawn(self._look_now_and_then)

    def admit(self, exchange: Exchange) -> None:
        """Let the request pass, or raise CircuitOpen or ServiceDisabled. Asks nobody while all is well."""
        guard = self._guards.get(exchange.service)
        if guard is None:
            return
        exchange.breaker = guard.breaker
        if not guard.is_clear:
            guard.admit(exchange)
        exchange.guard = guard
        exchange.guard_mark = guard.mark

    def known(self) -> Mapping[str, Breaker]:
        """The breakers by name, as this worker knows them."""
        return {name: guard.breaker for name, guard in self._all.items()}

    def _hear(self, breaker: Breaker) -> None:
        guard = self._all.get(breaker.name)
        if guard is not None:
            guard.hear(breaker)

    def _look_soon(self) -> None:
        gevent.spawn(self._look)

    def _look(self) -> None:
        """Take the whole picture from the shared state, if that can be asked."""
        with suppress(StoreAway):
            for breaker in self._state.snapshot(tuple(self._all)).values():
                self._hear(breaker)

    def _look_now_and_then(self) -> None:
        """News may be lost on their way, and who was alone must find back."""
        while True:
            is_alone = any(guard.is_alone for guard in self._all.values())
            gevent.sleep(_LOOK_WHILE_ALONE_S if is_alone else _LOOK_EVERY_S)
            self._look()

    def _report(self) -> None:
        """Tell what was counted: failures at once, with what comes along; all else now and then."""
        while True:
            if self._news.wait(_REPORT_EVERY_S):
                gevent.sleep(_GATHER_S)
                self._news.clear()
            news = [guard for guard in self._all.values() if guard.has_news]
            gevent.joinall([gevent.spawn(guard.report) for guard in news])


def breaker_names(settings: GatewaySettings) -> list[str]:
    """How all breakers are called: as their services, and `service@host:port` for those of targets."""
    names = []
    for name, service in settings.services.items():
        breaker = settings.breaker_of(name)
        if breaker.enabled:
            names.append(name)
        if breaker.enabled and breaker.per_target:
            names += [target_name(name, url) for url in service.url]
    return names


def target_name(service: str, url: str) -> str:
    """How the breaker of a target is called, where each has its own."""
    return f"{service}@{url.partition('://')[2]}"


def service_of(name: str) -> str:
    """Whose breaker it is that has this name; no service has the sign in its own."""
    return name.partition("@")[0]
