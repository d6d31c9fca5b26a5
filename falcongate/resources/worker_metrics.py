"""What is not counted but looked at: a worker's connections, requests in flight and breakers, each second.

And what the shared state says of all hosts, when a scrape asks.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import gevent

from falcongate import __version__
from falcongate.admission.breaker import service_of
from falcongate.admission.transition_reason import reason_of, transitions_of
from falcongate.config.version import version_of
from falcongate.errors import StoreAway
from falcongate.state.store import STATES
from falcongate.telemetry import metrics
from falcongate.telemetry.families import Family, series_of
from falcongate.telemetry.gauges import Shown
from falcongate.telemetry.round_trips import RoundTrips
from falcongate.telemetry.transitions import Transition, TransitionTally

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from falcongate.admission.breaker import Breakers
    from falcongate.config.settings import GatewaySettings
    from falcongate.state.heartbeat import Heartbeat
    from falcongate.state.store import Breaker, SharedState
    from falcongate.telemetry.metrics import ClusterMetric
    from falcongate.upstream.targets import Targets

_log = logging.getLogger("falcongate")

_REACHED: Final = ("connected", "partly connected")
_LOOK_EVERY_S: Final = 1.0
# What a new worker is told of the past is no news.
_NEWS_FOR_S: Final = 15.0


class WorkerMetrics:
    """The gauges of one worker. `round_trips` gathers what is told of the shared state."""

    def __init__(self) -> None:
        self.round_trips = RoundTrips()
        self._transitions = TransitionTally()
        self._shown = Shown()
        self._heard: dict[str, int] = {}
        self._version = ""

    def tell_of_transition(self, breaker: Breaker, is_alone: bool) -> None:  # noqa: FBT001  # called by guards
        """Count a transition of a breaker, unless it is an old one. Does not wait."""
        before, self._heard[breaker.name] = self._heard.get(breaker.name), breaker.generation
        # To go on without the shared state, or with it again, is none.
        is_another = breaker.generation != before
        if is_another and breaker.since_s and breaker.now_s - breaker.since_s < _NEWS_FOR_S:
            what = (breaker.name, breaker.before, breaker.state, reason_of(breaker))
            self._transitions.note(Transition(*what, breaker.generation), is_own=is_alone)

    def begin(self, settings: GatewaySettings, services: Mapping[str, Targets], breakers: Breakers) -> None:
        """Show what this worker is, and from now on what it does."""
        self._version = version_of(settings)
        metrics.CONFIG.labels(self._version, __version__).set(1)
        metrics.WORKERS.set(1)
        for name in breakers.known():
            # What is absent cannot be watched: who looks for an increase would miss the first.
            for moved in transitions_of(settings.breaker_of(service_of(name))):
                metrics.TRANSITIONS.labels(name, *moved)
        gevent.spawn(self._look_now_and_then, services, breakers)

    def retire(self) -> None:
        """Show no longer with which configuration: a reload has replaced it."""
        if self._version:
            metrics.CONFIG.labels(self._version, __version__).set(0)

    def _look_now_and_then(self, services: Mapping[str, Targets], breakers: Breakers) -> None:
        while True:
            try:
                self.look(services, breakers)
            except Exception:  # noqa: BLE001  # whatever it was, the next look may be well
                # Without this, all gauges would stay as they are until the worker ends.
                _log.exception("The gauges could not be brought up to date")
            gevent.sleep(_LOOK_EVERY_S)

    def look(self, services: Mapping[str, Targets], breakers: Breakers) -> None:
        """Show how it is now. Does not wait."""
        self.round_trips.hand_on()
        show = self._shown.show
        for name, targets in services.items():
            used = [target.pool.occupancy() for target in targets.all]
            show(metrics.IN_FLIGHT, name, value=sum(target.in_flight for target in targets.all))
            show(metrics.CONNECTIONS, name, "in_use", value=sum(each.in_use for each in used))
            show(metrics.CONNECTIONS, name, "idle", value=sum(each.idle for each in used))
            show(metrics.MAX_CONNECTIONS, name, value=sum(each.most for each in used))
            show(metrics.WAITING, name, value=sum(each.waiting for each in used))
        for name, breaker in breakers.known().items():
            for state in STATES:
                show(metrics.BREAKER_STATE, name, state, value=breaker.state == state)


class ClusterMetrics:
    """What is true for all hosts."""

    def __init__(self, state: SharedState, breakers: Breakers, heartbeat: Heartbeat | None) -> None:
        self._state = state
        self._breakers = breakers
        self._heartbeat = heartbeat

    def ask(self) -> list[Family]:
        """All of it, or nothing while the shared state is away. Waits for it at most twice its budget."""
        if self._heartbeat is None or self._heartbeat.redis not in _REACHED:
            return []
        try:
            breakers = self._state.snapshot(tuple(self._breakers.known())).values()
            totals = self._state.totals()
        except StoreAway:
            return []
        return [
            _family(metrics.HOSTS, [((), len(self._heartbeat.hosts))]),
            _family(metrics.CLUSTER_STATE, _states(breakers)),
            _family(metrics.CLUSTER_OPENED, (((each.name,), each.opened_times) for each in breakers)),
            _family(metrics.CLUSTER_CALLS, (((each.name,), each.total_calls) for each in breakers)),
            _family(metrics.CLUSTER_FAILURES, (((each.name,), each.total_failures) for each in breakers)),
            _family(metrics.CLUSTER_REQUESTS, _named("requests", totals)),
            _family(metrics.CLUSTER_ERRORS, _named("errors", totals)),
            _family(metrics.CLUSTER_LIMITS, _named("limit", totals)),
        ]


def _states(breakers: Iterable[Breaker]) -> Iterator[tuple[tuple[str, ...], float]]:
    for breaker in breakers:
        for state in STATES:
            yield (breaker.name, state), breaker.state == state


def _named(kind: str, totals: Mapping[str, int]) -> Iterator[tuple[tuple[str, ...], float]]:
    """Totals of one kind, by what stands behind it in their names.

    Hosts of another release may share them and have others; see `_family`.
    """
    for name, total in totals.items():
        first, *labels = name.split(":")
        if first == kind:
            yield tuple(labels), total


def _family(metric: ClusterMetric, values: Iterable[tuple[tuple[str, ...], float]]) -> Family:
    family = Family(metric.name, metric.kind, metric.help)
    for labels, value in values:
        if len(labels) != len(metric.labels):
            continue
        said = dict(zip(metric.labels, labels, strict=True))
        family.add(series_of(metric.name, metric.name, said, metric.help), value)
    return family
