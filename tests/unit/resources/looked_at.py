"""A gateway as far as it is looked at: what operators are shown of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import gevent

from falcongate.admission.breaker import Breakers
from falcongate.config.settings import GatewaySettings
from falcongate.errors import StoreAway
from falcongate.resources.overview import Overview
from falcongate.state.heartbeat import Host, Saying
from falcongate.state.memory_store import MemoryState
from falcongate.telemetry.traffic import COUNTS
from falcongate.upstream.targets import Targets

NOW_MS = 1_700_000_001_000
SAYING = Saying("0.1.0", 2, "3fa9c2d1")
SETTINGS = GatewaySettings.model_validate(
    {
        "redis": {"url": "redis://redis"},
        "services": {
            "hr": {"url": ["http://10.0.0.1", "http://10.0.0.2"], "breaker": {"per_target": True}},
            "lms": {"url": "http://lms", "breaker": {"enabled": False}},
        },
        "limits": {
            "api": {"rate": ["200/m", "10/s"]},
            "tried": {"rate": "5/h", "key": ["claim:sub", "service"], "mode": "shadow"},
        },
    }
)


class Decision(NamedTuple):
    """Why a request was answered as it was."""

    at_s: float
    request_id: str
    text: str


class Alive:
    """A heart that beats for these."""

    def __init__(self, *hosts: Host) -> None:
        self.hosts = hosts


class Store(MemoryState):
    """Counts how often it is asked, and lets others go on before it answers."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        super().__init__(lambda: self.now_ms)
        self.now_ms = now_ms
        self.asked = 0

    def totals(self) -> dict[str, int]:
        """As the store does."""
        self.asked += 1
        gevent.sleep(0.001)
        return dict(super().totals())


class World:
    """A gateway as far as it is looked at."""

    def __init__(self, heartbeat: Alive | None) -> None:
        self.shared = Store()
        self.own = Store()
        self.breakers = Breakers(SETTINGS, self.shared, host="gw-1")
        self.targets = {name: Targets(service) for name, service in SETTINGS.services.items()}
        self.decided: Sequence[Decision] = ()
        self.overview = Overview(
            SETTINGS,
            lambda: SAYING,
            host="gw-1",
            shared=self.shared,
            own=self.own,
            heartbeat=heartbeat,  # type: ignore[arg-type]
            breakers=self.breakers,
            targets=self.targets,
            decisions=self.last_decided,
            is_keeping=True,
        )

    def last_decided(self, count: int) -> Sequence[Decision]:
        """The newest first."""
        if self.shared.fault is not None:
            raise StoreAway("told to be")
        return self.decided[:count]

    def told(self) -> dict[str, Any]:
        """The document for Jane, made anew."""
        self.overview._made_at = 0.0  # noqa: SLF001  # as if a second had passed
        told: dict[str, Any] = json.loads(self.overview.look().render("jane", may_change=True))
        return told

    def serve(self, store: Store, service: str, requests: int) -> None:
        """Let a worker tell this store of requests of 1 to 2 ms."""
        counts = [requests, 0, 0, requests, *[0] * (COUNTS - 4)]
        store.add_traffic({service: counts}, limits={}, callers={})
