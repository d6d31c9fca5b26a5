"""The door at which operators ask why a request was answered as it was."""

from __future__ import annotations

import json
from typing import Any

import falcon
import falcon.testing
import pytest

from falcongate.exchange import EXCHANGE
from falcongate.middleware.problem import add_error_handlers
from falcongate.resources.why import Why
from falcongate.state.in_process import Fault
from falcongate.state.memory_store import MemoryState
from tests.unit.making import make_exchange
from tests.unit.resources.policies import operators


class Door:
    """The door, and the state behind it."""

    def __init__(self, *, is_keeping: bool = True) -> None:
        self.state = MemoryState(budget_s=0.001)
        app: falcon.App[Any, Any] = falcon.App()
        add_error_handlers(app)
        policy, _ = operators()
        why = Why(self.state, policy, is_keeping=is_keeping)
        app.add_route("/admin/why", why)
        app.add_route("/admin/why/{request_id:path}", why)
        self._client = falcon.testing.TestClient(app)

    def keep(self, *request_ids: str) -> None:
        """Keep a decision on each."""
        self.state.keep_decisions(
            [(each, json.dumps({"request_id": each})) for each in request_ids], most=99, are_wrong=True
        )

    def get(self, target: str, *, peer: str = "127.0.0.1") -> falcon.testing.Result:
        """What is answered to whoever comes from `peer`."""
        exchange = make_exchange("Host: localhost:8000", peer=peer)
        exchange.target = target.encode()
        path, _, query = target.partition("?")
        extras = {EXCHANGE: exchange}
        return self._client.simulate_get(path, query_string=query, extras=extras)


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.mark.parametrize("path", ["/admin/why", "/admin/why/a", "/admin/why?last=2"])
def test_where_nothing_is_kept_that_is_said_and_nobody_is_told_to_try_again(path: str) -> None:
    answer = Door(is_keeping=False).get(path)
    assert answer.status_code == 404
    assert "decisions.keep" in answer.json["detail"]
    assert "retry-after" not in answer.headers


def test_a_request_is_told_of_by_its_id(door: Door) -> None:
    door.keep("a", "b/c+d=", "a")
    assert door.get("/admin/why/a").json == {"request_id": "a", "same_id": 2}
    assert door.get("/admin/why/b/c+d=").json == {"request_id": "b/c+d=", "same_id": 1}
    assert door.get("/admin/why?request_id=b/c%2Bd%3D").json["request_id"] == "b/c+d="
    assert door.get("/admin/why/a").headers["cache-control"] == "no-store"


def test_the_last_are_told(door: Door) -> None:
    assert door.get("/admin/why").json == {"decisions": []}
    door.keep(*map(str, range(60)))
    assert len(door.get("/admin/why").json["decisions"]) == 50
    assert door.get("/admin/why?last=2").json == {"decisions": [{"request_id": "59"}, {"request_id": "58"}]}
    assert len(door.get("/admin/why?last=200").json["decisions"]) == 60


@pytest.mark.parametrize("last", ["0", "201", "-1", "x", "1.0", "%C2%B2", "00001"])
def test_a_count_is_a_count(door: Door, last: str) -> None:
    result = door.get(f"/admin/why?last={last}")
    assert result.status_code == 400
    assert result.json["detail"] == '"last" must be a number from 1 to 200.'


def test_what_nobody_knows_is_not_found(door: Door) -> None:
    result = door.get("/admin/why/nobody")
    assert (result.status_code, result.json["type"]) == (404, "/problems/no-such-decision")


@pytest.mark.parametrize("target", ["/admin/why", "/admin/why/a"])
def test_without_the_shared_state_nothing_is_known(door: Door, target: str) -> None:
    door.state.fault = Fault.AWAY
    result = door.get(target)
    assert (result.status_code, result.json["type"]) == (503, "/problems/state-unavailable")
    assert "order" not in result.json["suggestion"]


@pytest.mark.parametrize("target", ["/admin/why", "/admin/why/a", "/admin/why?last=x"])
def test_only_operators_are_told(door: Door, target: str) -> None:
    door.keep("a")
    assert door.get(target, peer="203.0.113.7").status_code == 403
