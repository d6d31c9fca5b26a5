"""`/admin/overview`: services, limits, hosts and Redis in one document, made once for all who watch.

What all hosts share comes from the shared state; while that is away, from this worker alone.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import falcon
import gevent
from gevent.lock import BoundedSemaphore

from falcongate import __version__
from falcongate.admission.breaker import target_name
from falcongate.config.policies import OWN_POLICY
from falcongate.errors import StoreAway
from falcongate.exchange import EXCHANGE
from falcongate.resources import picture
from falcongate.state.totals import KEPT_S, SLOT_S
from falcongate.telemetry.series import Series

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from falcongate.admission.breaker import Breakers
    from falcongate.config.settings import GatewaySettings
    from falcongate.exchange import Exchange
    from falcongate.resources.operators import Operators
    from falcongate.state.decisions import Decision
    from falcongate.state.heartbeat import Heartbeat, Saying
    from falcongate.state.store import Breaker, SharedState
    from falcongate.upstream.targets import Targets

_FRESH_S: Final = 1.0
_MAX_TOP: Final = 10
_MAX_TRANSITIONS: Final = 20
_MAX_REFUSALS: Final = 50


class Picture(NamedTuple):
    """The document but for who looks. `number` is another one when anything but the time has changed.

    How fast Redis answered is part of the time: it is another figure each time.
    """

    number: int
    at_s: float
    redis: Mapping[str, Any]
    rest: str

    def render(self, name: str, *, may_change: bool) -> str:
        """The document for one reader, as JSON."""
        own = {"at_s": self.at_s, "you": {"name": name, "may_change": may_change}, "redis": self.redis}
        return f"{json.dumps(own)[:-1]}, {self.rest[1:]}"


class Counted:
    """What was counted by `store`: the shared state for all hosts, or one of this worker's own."""

    def __init__(self, store: SharedState, settings: GatewaySettings) -> None:
        self._store = store
        self._limits = (*settings.limits, OWN_POLICY)
        self._asked_at = 0.0
        self.series = Series(settings.services, step_s=SLOT_S, length=KEPT_S // SLOT_S)
        self.totals: Mapping[str, int] = {}
        self.top: Mapping[str, Sequence[tuple[str, int]]] = {}
        self.latency_ms = 0.0

    def look(self) -> None:
        """Learn what is new. Waits for the store; raises StoreAway."""
        asked_at = monotonic()
        self.totals = self._store.totals()
        self.latency_ms = round((monotonic() - asked_at) * 1000, 1)
        self.top = self._store.top_callers(self._limits, _MAX_TOP)
        lately = self._store.traffic(self.series.wanted_s(asked_at - self._asked_at))
        self.series.add(lately.now_s, dict(lately.slots))
        self._asked_at = asked_at


class Histories:
    """The last transitions of all breakers. A history is asked for when its breaker has changed."""

    def __init__(self, store: SharedState) -> None:
        self._store = store
        self._known: dict[str, tuple[object, bool, list[dict[str, Any]]]] = {}

    def look(self, breakers: Mapping[str, Breaker], *, is_away: bool) -> list[dict[str, Any]]:
        """The newest first. Waits for the store, unless that is known to be away."""
        for name, breaker in breakers.items():
            mark = (breaker.generation, breaker.state, breaker.since_s)
            known, is_whole, lines = self._known.get(name, ((0, "CLOSED", 0.0), True, []))
            if mark == known and (is_whole or is_away):
                continue
            told = None if is_away else self._ask(name)
            if told is not None:
                self._known[name] = (mark, True, told)
                continue
            is_away = True
            own = picture.shown_last_transition(breaker)
            self._known[name] = (mark, False, [own, *lines][:_MAX_TRANSITIONS])
        everything = [line for _, _, lines in self._known.values() for line in lines]
        return sorted(everything, key=lambda line: -line["at_s"])[:_MAX_TRANSITIONS]

    def _ask(self, name: str) -> list[dict[str, Any]] | None:
        try:
            told = self._store.history(name, _MAX_TRANSITIONS)
        except StoreAway:
            return None
        return [picture.shown_transition(name, line) for line in told]


class Overview:
    """Makes the picture when somebody asks for it, at most once a second, however many ask.

    `says` tells what this host says of itself, `own` is what this worker counts by itself; `heartbeat` is
    None where nothing is shared. `decisions` tells the last requests of which it is kept why they were
    answered as they were, the newest first; it may raise StoreAway.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        says: Callable[[], Saying],
        *,
        host: str,
        shared: SharedState,
        own: SharedState,
        heartbeat: Heartbeat | None,
        breakers: Breakers,
        targets: Mapping[str, Targets],
        decisions: Callable[[int], Sequence[Decision]],
        is_keeping: bool,
    ) -> None:
        self._settings = settings
        self._says = says
        self._host = host
        self._shared = shared
        self._heartbeat = heartbeat
        self._is_embedded = heartbeat is not None and settings.redis.url is None
        self._breakers = breakers
        self._targets = targets
        self._decisions = decisions
        self._is_keeping = is_keeping
        self._started_s = _now_s()
        self._of_all = Counted(shared, settings)
        self._of_this = Counted(own, settings)
        self._histories = Histories(shared)
        self._refusals: list[dict[str, Any]] = []
        self._rendered: dict[str, tuple[dict[str, Any], str]] = {}
        self._making = BoundedSemaphore()
        self._made_at = 0.0
        self._picture = Picture(0, 0.0, {}, "")

    def look(self) -> Picture:
        """The picture, at most a second old. Waits for the shared state, or for who makes it just now."""
        if not self._is_fresh:
            with self._making:
                if not self._is_fresh:
                    self._picture = self._make()
                    self._made_at = monotonic()
        return self._picture

    @property
    def _is_fresh(self) -> bool:
        return self._made_at > 0 and monotonic() - self._made_at < _FRESH_S

    def _make(self) -> Picture:
        own, counted, state = self._says(), self._of_this, "none"
        breakers = self._breakers.known()
        if self._heartbeat is not None:
            try:
                self._of_all.look()
                breakers = self._shared.snapshot(list(breakers))
                counted, state = self._of_all, "connected"
            except StoreAway:
                state = "unreachable"
        is_away = state != "connected"
        if is_away:
            self._of_this.look()
        parts = {
            "gateway": {
                "version": __version__,
                "host": self._host,
                "config": own.config,
                "started_s": self._started_s,
                "is_counting": self._settings.metrics.enabled,
                "is_keeping": self._is_keeping,
            },
            "hosts": picture.shown_hosts(
                self._heartbeat.hosts if self._heartbeat and not is_away else (), self._host, own
            ),
            "limits": picture.shown_limits(self._settings, counted.totals, counted.top),
            "transitions": self._histories.look(breakers, is_away=is_away),
            "refusals": self._look_at_refusals(is_away=is_away),
        }
        rest = f'{json.dumps(parts)[:-1]}, "services": [{self._services(breakers, counted.series)}]}}'
        latency_ms = None if is_away else counted.latency_ms
        redis = {
            "state": state,
            "is_embedded": self._is_embedded,
            "latency_ms": latency_ms,
        }
        old = self._picture
        is_same = rest == old.rest and state == old.redis["state"]
        return Picture(old.number + (not is_same), _now_s(), redis, rest)

    def _services(self, breakers: Mapping[str, Breaker], series: Series) -> str:
        """All services, as the inside of a JSON list."""
        texts = []
        for name, targets in self._targets.items():
            service = {
                "name": name,
                "breaker": picture.shown_breaker(breakers.get(name)),
                "targets": [
                    picture.shown_target(target, breakers.get(target_name(name, target.url)))
                    for target in targets.all
                ],
                "now": series.now(name),
            }
            texts.append(f'{json.dumps(service)[:-1]}, "series": {self._render_series(name, series)}}}')
            # PERF: up to 0.3 ms each, of which there may be hundreds; requests go on in between.
            gevent.sleep(0)
        return ", ".join(texts)

    def _render_series(self, name: str, series: Series) -> str:
        """Most of the document, which is another one every five seconds only."""
        shown = series.shown(name)
        known, text = self._rendered.get(name, ({}, ""))
        if shown is not known:
            text = json.dumps(shown)
            self._rendered[name] = (shown, text)
        return text

    def _look_at_refusals(self, *, is_away: bool) -> list[dict[str, Any]]:
        """The last refusals, or those known before while they cannot be asked for."""
        if not is_away:
            try:
                decided = self._decisions(_MAX_REFUSALS)
            except StoreAway:
                return self._refusals
            self._refusals = picture.shown_refusals(decided, _MAX_REFUSALS)
        return self._refusals


class OverviewDoor:
    """`GET /admin/overview`, for those who cannot have `/admin/live`."""

    def __init__(self, operators: Operators, overview: Overview) -> None:
        self._operators = operators
        self._overview = overview

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The document. Waits for the shared state, never for a service."""
        exchange: Exchange = req.env[EXCHANGE]
        name = self._operators.identify_reader(exchange)
        may_change = self._operators.may_change(exchange)
        resp.content_type = falcon.MEDIA_JSON
        resp.text = self._overview.look().render(name, may_change=may_change)
        resp.cache_control = ("no-store",)

    on_head = on_get


def _now_s() -> float:
    return round(datetime.now(UTC).timestamp(), 3)
