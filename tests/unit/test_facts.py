"""What is told of an exchange that has ended: its Record, and what it was judged by."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from falcongate.config.settings import GatewaySettings
from falcongate.exchange import Caller, Exchange
from falcongate.facts import Facts, record_of
from falcongate.routing.table import RouteTable
from falcongate.state.memory_store import MemoryState
from falcongate.state.store import Breaker, Charge, Verdict, Window
from falcongate.telemetry.record import Tried
from falcongate.telling import decisions_of
from falcongate.upstream.answer import parse_answer
from tests.support.turns import until
from tests.unit.making import REQUEST_ID, make_exchange

SETTINGS = GatewaySettings.model_validate(
    {
        "services": {
            "hr": {"url": "http://hr:8000"},
            "files": {"url": "http://files:8000", "paths": ["/api/hr/files"]},
            "all": {"url": "http://all:8000", "paths": ["/"]},
        },
        "public_paths": ["/api/hr/files/open"],
        "endpoint_timeouts": {"open": 7},
    }
)
ROUTES = RouteTable(SETTINGS)


def facts(exchange: Exchange) -> dict[str, Any]:
    """What it was judged by; it can be written as JSON."""
    told = Facts(ROUTES, host="gw-1").of(exchange)
    json.dumps(told, allow_nan=False)
    return told


def routed(path: str) -> Exchange:
    """A request on its route."""
    exchange = make_exchange(path=path)
    exchange.route_match = ROUTES.match(path)
    return exchange


def answered(exchange: Exchange) -> Exchange:
    """One that its service has answered."""
    exchange.service_head = parse_answer(b"HTTP/1.1 200 OK\r\n\r\n")
    exchange.status = 200
    return exchange


def test_the_route_and_those_that_were_passed_over_are_told() -> None:
    told = facts(routed("/api/hr/files/open"))
    assert told["route"] == {
        "prefix": "/api/hr/files",
        "service": "files",
        "is_public": True,
        "timeout_s": 7,
        "timeout_from": 'endpoint_timeouts."open"',
    }
    assert told["passed_over"] == [
        {"prefix": "/api/hr", "service": "hr"},
        {"prefix": "/", "service": "all"},
    ]
    assert (told["host"], told["worker"]) == ("gw-1", os.getpid())


def test_a_request_that_was_refused_at_once_has_no_route_and_nothing_else() -> None:
    told = facts(make_exchange())
    assert (told["route"], told["breaker"], told["counted_by"]) == (None, None, "")
    assert told["passed_over"] == told["limits"] == told["at_once"] == told["attempts"] == []


def test_a_websocket_by_its_own_path_has_no_route_of_that_prefix_beside_it() -> None:
    exchange = make_exchange(path="/ws/hr/x")
    exchange.route_match = ROUTES.match_for_websocket("hr", "/ws/hr/x")
    told = facts(exchange)
    assert told["route"]["prefix"] == "/ws/hr"
    assert told["passed_over"] == [{"prefix": "/", "service": "all"}]


def test_each_limit_is_told_with_its_numbers() -> None:
    exchange = routed("/api/hr/x")
    fast = Window("api", limit=3, length_s=60, burst=2)
    slow = Window("day", limit=9, length_s=86_400, counts_only=True)
    exchange.charges = [Charge(fast, "192.0.2.1", 2), Charge(slow, "all"), Charge(slow, "never", 100)]
    exchange.verdicts = [Verdict(True, 1, 12.3456), None, Verdict(False, 9, float("inf"))]  # noqa: FBT003
    exchange.counted_by = "all hosts"
    told = facts(exchange)
    assert told["counted_by"] == "all hosts"
    assert told["limits"] == [
        {
            "policy": "api", "limit": 3, "window_s": 60, "burst": 2, "is_shadow": False,
            "counted_for": "192.0.2.1", "cost": 2, "fits": True, "remaining": 1, "reset_s": 12.346,
        },
        {
            "policy": "day", "limit": 9, "window_s": 86_400, "burst": None, "is_shadow": True,
            "counted_for": "all", "cost": 1, "fits": None, "remaining": None, "reset_s": None,
        },
        {
            "policy": "day", "limit": 9, "window_s": 86_400, "burst": None, "is_shadow": True,
            "counted_for": "never", "cost": 100, "fits": False, "remaining": 9, "reset_s": None,
        },
    ]  # fmt: skip


def test_limits_that_nobody_could_ask_are_told_without_an_answer() -> None:
    exchange = routed("/api/hr/x")
    exchange.charges = [Charge(Window("api", limit=3, length_s=60), "a")]
    assert [limit["fits"] for limit in facts(exchange)["limits"]] == [None]


def test_the_breaker_and_whether_it_was_a_probe_are_told() -> None:
    exchange = routed("/api/hr/x")
    exchange.breaker = Breaker("hr", "HALF_OPEN", 7, "OPEN", by="time", why="open_s is over", failures=3)
    exchange.is_probe = True
    exchange.shut_targets = {"http://b", "http://a"}
    told = facts(exchange)["breaker"]
    assert (told["name"], told["state"], told["generation"], told["failures"]) == ("hr", "HALF_OPEN", 7, 3)
    assert (told["by"], told["why"], told["is_probe"]) == ("time", "open_s is over", True)
    assert told["shut_targets"] == ["http://a", "http://b"]


def test_an_attempt_is_told_with_its_times_as_far_as_it_came() -> None:
    exchange = routed("/api/hr/x")
    first, second = Tried("http://a"), Tried("http://b")
    first.began, second.began = exchange.started + 0.001, exchange.started + 0.01
    first.end("service-unreachable", "refused" + "x" * 1_000)
    second.connected = second.sent = exchange.started + 0.0123
    second.answered, second.status, second.is_reused = exchange.started + 0.5, 200, True
    exchange.tried = [first, second]
    told = facts(exchange)["attempts"]
    assert (told[0]["target"], told[0]["began_ms"], told[0]["connected_ms"]) == ("http://a", 1.0, None)
    assert told[0]["failure"] == "service-unreachable"
    assert len(told[0]["reason"]) == 300
    assert (told[1]["connected_ms"], told[1]["answered_ms"], told[1]["ended_ms"]) == (12.3, 500.0, None)
    assert (told[1]["status"], told[1]["is_reused"]) == (200, True)


def test_places_of_limits_on_requests_at_the_same_time_are_told() -> None:
    exchange = routed("/api/hr/x")
    exchange.rooms = (("uploads", 5, 5, False, "all hosts"),)
    assert facts(exchange)["at_once"] == [
        {"policy": "uploads", "limit": 5, "taken": 5, "fits": False, "counted_by": "all hosts"}
    ]


@pytest.mark.parametrize("by", ["service", "gateway", "nobody"])
def test_a_record_says_who_has_answered(by: str) -> None:
    exchange = answered(routed("/api/hr/x"))
    if by == "gateway":
        exchange.problem = "saturated"
    if by == "nobody":
        exchange.service_head, exchange.status = None, 499
    assert record_of(exchange, 0, slow_s=1).answered_by == by


def test_a_service_may_answer_499_itself_and_a_websocket_is_the_service_s() -> None:
    exchange = answered(routed("/api/hr/x"))
    exchange.status = 499
    assert record_of(exchange, 0, slow_s=1).answered_by == "service"
    exchange = routed("/api/hr/x")
    exchange.status, exchange.tunnel = 101, object()  # type: ignore[assignment]
    assert record_of(exchange, 0, slow_s=1).answered_by == "service"
    own = make_exchange(path="/admin/live")
    own.status, own.tunnel = 101, object()  # type: ignore[assignment]
    assert record_of(own, 0, slow_s=1).answered_by == "gateway"


def test_a_record_has_the_path_without_the_query_and_who_not_by_what() -> None:
    exchange = routed("/api/hr/x")
    exchange.target = b"/api/hr/x?token=secret"
    exchange.caller = Caller("api_key", "0123456789ab", mark=b"secret")
    record = record_of(exchange, 0, slow_s=1)
    assert (record.path, record.identity, record.route) == ("/api/hr/x", "api_key:0123456789ab", "/api/hr")
    assert "secret" not in str(record)


def test_each_fact_of_a_record_stands_in_its_place() -> None:
    exchange = routed("/api/hr/x")
    exchange.target = b"/api/hr/x"
    exchange.status, exchange.problem, exchange.failure_reason = 503, "saturated", "no place"
    exchange.started, exchange.begun, exchange.ended, exchange.service_s = 10.0, 11.0, 13.0, 0.5
    exchange.received_bytes, exchange.sent_bytes, exchange.caller_address = 7, 8, "192.0.2.1"
    exchange.refused_by, exchange.would_refuse = ("api",), ("new",)
    exchange.tried = [tried := Tried("http://hr:8000")]
    record = record_of(exchange, 100, slow_s=1)
    assert record._asdict() == {
        "ended": 113.0,
        "request_id": REQUEST_ID,
        "method": "GET",
        "path": "/api/hr/x",
        "service": "hr",
        "route": "/api/hr",
        "status": 503,
        "answered_by": "gateway",
        "problem": "saturated",
        "reason": "no place",
        "duration_s": 3.0,
        "first_byte_s": 1.0,
        "service_s": 0.5,
        "received_bytes": 7,
        "sent_bytes": 8,
        "caller": "192.0.2.1",
        "identity": "",
        "tried": (tried,),
        "admitted_by": (),
        "refused_by": ("api",),
        "would_refuse": ("new",),
        "charged": (),
        "trace_id": "",
        "trace": None,
    }


def test_decisions_are_kept_where_they_are_to_be() -> None:
    state = MemoryState()
    take = decisions_of(SETTINGS, state, Facts(ROUTES, host="gw-1"))
    assert take is not None
    exchange = routed("/api/hr/x")
    exchange.problem, exchange.detail, exchange.status = "saturated", "Too many.", 503
    take([exchange], [record_of(exchange, 0, slow_s=1)])
    until(lambda: state.decisions(1, are_wrong=True))
    (kept,) = state.find_decisions(REQUEST_ID)
    told = json.loads(kept.text)
    assert (told["problem"], told["detail"], told["host"]) == ("saturated", "Too many.", "gw-1")


def test_none_are_kept_where_none_are_wanted() -> None:
    settings = GatewaySettings.model_validate({"decisions": {"keep": 0}})
    assert decisions_of(settings, MemoryState(), Facts(ROUTES, host="gw-1")) is None
