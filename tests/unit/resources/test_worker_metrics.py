"""What is looked at each second, and what is asked of the shared state when somebody scrapes."""

from __future__ import annotations

import logging
from itertools import count
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from prometheus_client import REGISTRY

from falcongate import __version__
from falcongate.config.settings import GatewaySettings, ServerSettings, ServiceSettings
from falcongate.config.version import version_of
from falcongate.resources import worker_metrics
from falcongate.resources.worker_metrics import ClusterMetrics, WorkerMetrics
from falcongate.server.worker import FalcongateWorker
from falcongate.state.heartbeat import Host
from falcongate.state.in_process import Fault
from falcongate.state.memory_store import MemoryState
from falcongate.state.store import Breaker, BreakerRules, Counts
from falcongate.telemetry.transitions import Transition
from falcongate.upstream.targets import Targets
from tests.support.turns import until

_numbers = count()
RULES = BreakerRules(max_failures=1)


@pytest.fixture
def name() -> str:
    return f"looked-at-{next(_numbers)}"


def known(*breakers: Breaker) -> Any:  # noqa: ANN401  # as much of Breakers as is asked
    return SimpleNamespace(known=lambda: {breaker.name: breaker for breaker in breakers})


def value(metric: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(metric, labels)


def test_transitions_of_breakers_are_shown_before_there_are_any(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gevent.spawn", lambda *_: None)
    settings = GatewaySettings.model_validate({"services": {name: {"url": "http://a:1"}}})
    target = f"{name}@a:1"
    WorkerMetrics().begin(settings, {}, known(Breaker(name), Breaker(target)))
    for service in (name, target):
        moved = {"service": service, "from": "CLOSED", "to": "OPEN"}
        assert value("falcongate_breaker_transitions_total", **moved, reason="failures") == 0
        assert value("falcongate_breaker_transitions_total", **moved, reason="slow") is None


def test_connections_and_requests_in_flight_are_those_of_all_targets(name: str) -> None:
    settings = ServiceSettings(url=("http://a:1", "http://b:1"), max_connections=3)
    targets = Targets(settings)
    first, second = targets.all
    first.in_flight, second.in_flight = 2, 1
    taken = [first.pool.take(0), first.pool.take(0)]
    kept = second.pool.take(0)
    kept.channel = object()  # type: ignore[assignment]  # it is only looked whether there is one
    second.pool.give(kept)
    second.pool.waiting = 4
    worker = WorkerMetrics()
    worker.look({name: targets}, known())
    assert value("falcongate_upstream_requests_in_flight", service=name) == 3
    assert value("falcongate_upstream_connections", service=name, state="in_use") == 2
    assert value("falcongate_upstream_connections", service=name, state="idle") == 1
    assert value("falcongate_upstream_connections_max", service=name) == 6
    assert value("falcongate_upstream_connection_waits", service=name) == 4
    for connection in taken:
        first.pool.give(connection)
    worker.look({name: targets}, known())
    assert value("falcongate_upstream_connections", service=name, state="in_use") == 0
    kept.channel = None


def test_a_breaker_is_in_one_state(name: str) -> None:
    worker = WorkerMetrics()
    for state in ("OPEN", "DISABLED", "CLOSED"):
        worker.look({}, known(Breaker(name, state)))  # type: ignore[arg-type]
        told = {each: value("falcongate_breaker_state", service=name, state=each) for each in STATES}
        assert told == {each: float(each == state) for each in STATES}


STATES = ("CLOSED", "OPEN", "HALF_OPEN", "FORCED_OPEN", "FORCED_CLOSED", "DISABLED")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Transition, bool]]:
    noted: list[tuple[Transition, bool]] = []

    class Tally:
        def note(self, transition: Transition, *, is_own: bool) -> None:
            noted.append((transition, is_own))

    monkeypatch.setattr(worker_metrics, "TransitionTally", Tally)
    return noted


def test_a_transition_is_told_with_its_reason_and_whose_it_is(
    told: list[tuple[Transition, bool]], name: str
) -> None:
    state = MemoryState()
    opened = state.report(name, RULES, host="a", generation=0, counts=Counts(1, 1, 0)).breaker
    worker = WorkerMetrics()
    worker.tell_of_transition(opened, False)  # noqa: FBT003  # as guards do
    ordered = state.command(name, "close", by="jane", why="it is well")
    worker.tell_of_transition(ordered, True)  # noqa: FBT003
    assert told == [
        (Transition(name, "CLOSED", "OPEN", "failures", opened.generation), False),
        (Transition(name, "OPEN", "FORCED_CLOSED", "operator", ordered.generation), True),
    ]


def test_what_is_no_news_is_not_told(told: list[tuple[Transition, bool]], name: str) -> None:
    """A new worker hears of an old transition, and one goes on without the shared state."""
    worker = WorkerMetrics()
    old = Breaker(name, "OPEN", generation=7, since_s=100, now_s=200, by="a", why="5 failures in 60 s")
    worker.tell_of_transition(old, False)  # noqa: FBT003
    worker.tell_of_transition(Breaker(name), False)  # noqa: FBT003
    assert told == []
    fresh = Breaker(name, "OPEN", generation=8, since_s=199, now_s=200, by="a", why="5 failures in 60 s")
    worker.tell_of_transition(fresh, False)  # noqa: FBT003
    worker.tell_of_transition(fresh, True)  # noqa: FBT003
    assert len(told) == 1


def asked(state: MemoryState, *names: str, redis: str = "connected") -> dict[str, dict[str, float]]:
    """What is told of all hosts: the samples' text and value, by metric."""
    heartbeat: Any = SimpleNamespace(redis=redis, hosts=(Host("a", ""), Host("b", "")))
    families = ClusterMetrics(state, known(*map(Breaker, names)), heartbeat).ask()
    return {family.name: {series.text: value for series, value in family.samples} for family in families}


def test_what_all_hosts_share_is_asked_when_it_is_scraped(name: str) -> None:
    state = MemoryState()
    state.report(name, RULES, host="a", generation=0, counts=Counts(9, 1, 0))
    state.add_traffic({name: [7, 2, 7]}, limits={"api": [3, 1, 0]}, callers={})
    families = asked(state, name, "other")
    assert families["falcongate_cluster_requests_total"] == {
        f'falcongate_cluster_requests_total{{service="{name}"}} ': 7
    }
    assert families["falcongate_cluster_errors_total"] == {
        f'falcongate_cluster_errors_total{{service="{name}"}} ': 2
    }
    assert families["falcongate_cluster_limit_decisions_total"] == {
        'falcongate_cluster_limit_decisions_total{decision="admitted",policy="api"} ': 3,
        'falcongate_cluster_limit_decisions_total{decision="refused",policy="api"} ': 1,
    }
    assert families["falcongate_cluster_hosts"] == {"falcongate_cluster_hosts ": 2}
    assert families["falcongate_cluster_breaker_calls_total"] == {
        f'falcongate_cluster_breaker_calls_total{{service="{name}"}} ': 9,
        'falcongate_cluster_breaker_calls_total{service="other"} ': 0,
    }
    states = families["falcongate_cluster_breaker_state"]
    assert len(states) == 2 * len(STATES)
    assert {text for text, value in states.items() if value} == {
        f'falcongate_cluster_breaker_state{{service="{name}",state="OPEN"}} ',
        'falcongate_cluster_breaker_state{service="other",state="CLOSED"} ',
    }


def test_totals_of_another_release_are_passed_over(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    state = MemoryState()
    totals = {f"requests:{name}": 7, "requests": 1, f"requests:{name}:GET": 2, "limit:api": 3, "": 4}
    monkeypatch.setattr(state, "totals", lambda: totals)
    families = asked(state, name)
    assert families["falcongate_cluster_requests_total"] == {
        f'falcongate_cluster_requests_total{{service="{name}"}} ': 7
    }
    assert families["falcongate_cluster_limit_decisions_total"] == {}


def test_a_look_that_fails_is_not_the_last(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker_metrics, "_LOOK_EVERY_S", 0.001)
    looks: list[int] = []

    def look(*_: object) -> None:
        looks.append(1)
        if len(looks) == 1:
            raise OSError("the disk is full")

    worker = WorkerMetrics()
    monkeypatch.setattr(worker, "look", look)
    looking = gevent.spawn(worker._look_now_and_then, {}, known())  # noqa: SLF001  # it never ends
    try:
        until(lambda: len(looks) > 2)
    finally:
        looking.kill()
    # Greenlets of other tests may have their own to say.
    told = [record for record in caplog.records if "gauges" in record.getMessage()]
    assert [record.levelname for record in told] == ["ERROR"]
    assert "the disk is full" in caplog.text


def test_a_worker_that_has_retired_shows_no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gevent.spawn", lambda *_: None)
    worker, settings = WorkerMetrics(), GatewaySettings()
    worker.retire()
    worker.begin(settings, {}, known())
    labels = {"version": version_of(settings), "release": __version__}
    assert value("falcongate_config_info", **labels) == 1
    worker.retire()
    assert value("falcongate_config_info", **labels) == 0


@pytest.mark.parametrize("is_retired", [True, False])
def test_who_is_replaced_by_a_reload_says_so_to_its_application(*, is_retired: bool) -> None:
    noted: list[int] = []
    worker: Any = SimpleNamespace(
        _ending=SimpleNamespace(is_retired=is_retired),
        _settings=ServerSettings(),
        log=logging.getLogger("falcongate"),
        pid=1,
        wsgi=SimpleNamespace(note_retired=lambda: noted.append(1)),
    )
    FalcongateWorker._outlast(worker, [], None)  # noqa: SLF001  # it waits for a signal otherwise
    assert noted == [1] * is_retired


def test_away_the_shared_state_tells_nothing(name: str) -> None:
    assert asked(MemoryState(fault=Fault.AWAY), name) == {}
    assert asked(MemoryState(), name, redis="unreachable") == {}
    assert ClusterMetrics(MemoryState(), known(), None).ask() == []
