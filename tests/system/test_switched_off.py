"""Settings that take something away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.callers import request_bytes
from tests.support.wire import Stalled
from tests.support.world import Plan, Site, Visit, running

QUIET = Plan(
    "quiet",
    {
        "log": {"access": False},
        "metrics": {"enabled": False},
        "server_timing": False,
        "server": {"max_connections": 5},
    },
    0,
)


@pytest.fixture
def site(site_for: Callable[[Plan, str], Site]) -> Site:
    return site_for(QUIET, "falcongate")


def test_without_the_access_log_nothing_is_written(tmp_path: Path) -> None:
    with running(QUIET, tmp_path) as quiet:
        assert Visit(quiet).get("/api/honest/x").status == 200
    assert quiet.gateway.stdout() == ""


def test_without_metrics_there_are_none_to_see(world: Visit) -> None:
    assert world.get("/metrics/").status == 404


def test_without_server_timing_no_times_are_told(world: Visit) -> None:
    assert world.get("/api/honest/x").all("Server-Timing") == []


def test_without_origins_no_cors_header_is_sent(world: Visit) -> None:
    answer = world.get("/api/honest/x", [("Origin", "https://app.example.com")])
    assert [name for name in answer.head.names() if name.lower().startswith("access-control-")] == []


def test_more_callers_than_a_worker_may_have_wait_in_the_queue(world: Visit) -> None:
    callers = [world.caller() for _ in range(5)]
    assert [caller.get("/api/honest/x").status for caller in callers] == [200] * 5
    late = world.caller()
    late.send(request_bytes("GET", "/api/honest/late"))
    with pytest.raises(Stalled):
        late.answer(within_s=0.5)
    callers[0].close()
    assert late.answer().status == 200
