"""What the gateways of these tests are configured to promise, and how it is looked at."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.many_hosts import GatewayOnHost, ManyHosts
from tests.support.network import IS_POSSIBLE
from tests.support.processes import until
from tests.support.redis_servers import SERVER
from tests.support.steady_load import SteadyLoad

needs_networks = pytest.mark.skipif(
    not IS_POSSIBLE or SERVER is None, reason="needs root, ip (iproute2), nft (nftables) and redis-server"
)

Record = Callable[[str, object], None]
"""pytest's `record_property`: figures for `--junitxml`."""

LIMIT, WINDOW_S = 30, 1
PART = LIMIT // 3
"""What each of three hosts may give out by itself."""

PLACES, LEASE_S = 6, 2
BUDGET_S = 1.0
"""Not the default of 50 ms: where counts must be exact, it must outlast the pauses of a busy machine."""

SLACK_S = 0.2
"""What a busy machine may add to all but the slowest hundredth of requests."""

PATIENCE_S = 3.0
"""For each of them; far below what a silent server would take without a budget."""

ALIVE_FOR_S, BEAT_S = 5, 1
PROBES, PROBE_LEASE_S = 2, 15

SERVICES = {
    "limited": ["services1"],
    "rooms": ["services1"],
    "probed": ["services1"],
    "opened": ["services1"],
    "agreed": ["services1"],
    "kept": ["services1"],
    "pair": ["services1", "services2"],
}

_BREAKER = {"max_failures": 3, "open_s": 1, "probes": PROBES, "successes": PROBES, "ramp_s": 0}

SETTINGS: dict[str, Any] = {
    "admin": {"change_from": ["10.98.0.0/24"]},
    "limits": {
        "rate": {"rate": f"{LIMIT}/{WINDOW_S}s", "key": "header:X-Tenant", "paths": ["/api/limited/**"]},
        "long": {"rate": f"{LIMIT}/h", "key": "header:X-Tenant", "paths": ["/api/kept/**"]},
    },
    "concurrency": {"rooms": {"limit": PLACES, "lease_s": LEASE_S, "paths": ["/api/rooms/**"]}},
    "services": {
        "limited": {"retries": 0, "breaker": {"enabled": False}},
        "rooms": {"retries": 0, "breaker": {"enabled": False}},
        "probed": {"retries": 0, "breaker": _BREAKER},
        "opened": {"retries": 0, "connect_timeout_s": 0.3, "breaker": _BREAKER},
        "kept": {"retries": 0, "breaker": {**_BREAKER, "open_s": 600}},
        "agreed": {"retries": 0, "connect_timeout_s": 0.3, "breaker": {**_BREAKER, "quorum": 2}},
        "pair": {"connect_timeout_s": 0.3, "timeout_s": 1, "breaker": _BREAKER},
    },
}


def redis_of(world: ManyHosts, gateway: GatewayOnHost) -> str:
    """What a gateway says of Redis."""
    said: str = world.health(gateway)["dependencies"]["redis"]
    return said


def ask_of_all(world: ManyHosts, tenant: str, count: int) -> int:
    """How many of so many requests for `kept` pass, of one caller through all gateways."""
    gateways = world.gateways

    def one(number: int) -> int:
        return world.ask(gateways[number % len(gateways)], "/api/kept/x", [("X-Tenant", tenant)]).status

    with ThreadPoolExecutor(8) as callers:
        statuses = list(callers.map(one, range(count)))
    assert {*statuses} <= {200, 429}
    return statuses.count(200)


def fail(world: ManyHosts, name: str, by: GatewayOnHost) -> None:
    """Let a service fail through one gateway until that spares it, and work from then on."""
    service = world.services[name]
    service.status = 502
    until(lambda: world.ask(by, f"/api/{name}/x").status == 503, "it is spared")
    service.status = 200


def assert_nobody_waits(load: SteadyLoad, *, since: float, until: float) -> None:
    """No caller waited for Redis longer than the budget, and none was told of it."""
    assert load.statuses(since=since, until=until) <= {200, 429}
    assert load.longest_s(since=since, until=until) < BUDGET_S + SLACK_S
    assert load.longest_s(since=since, until=until, apart=0.0) < PATIENCE_S


def record_waits(record: Record, load: SteadyLoad, *, since: float, until: float, by: str = "") -> None:
    """How long callers have waited: nearly all, and all."""
    record("longest_ms", load.longest_s(since=since, until=until, by=by) * 1000)
    record("longest_of_all_ms", load.longest_s(since=since, until=until, by=by, apart=0.0) * 1000)
