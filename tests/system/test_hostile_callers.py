"""Callers who attack; their bytes are in `tests/corpus/requests`.

Beside each file of bytes lies what its sender must get, and what of it may reach a service:
`nothing`, or `cut` (a head and a part of the body, which the service sees end too early).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.callers import Answer, Caller, request_bytes
from tests.support.processes import ROOT
from tests.support.wire import PATIENCE_S, Ended, Stalled
from tests.support.world import Visit

CORPUS = ROOT / "tests/corpus/requests"


@dataclass(frozen=True)
class Case:
    """One request as bytes, and what becomes of it."""

    raw: bytes
    expected: dict[str, Any]


def _cases(folder: str) -> dict[str, Case]:
    cases = {}
    for path in sorted((CORPUS / folder).glob("*.http")):
        expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        raw = path.read_bytes()
        if (growth := expected.get("grown")) is not None:
            raw = raw.replace(growth["mark"].encode(), growth["unit"].encode() * growth["times"])
        cases[path.stem] = Case(raw, expected)
    return cases


REFUSED, ACCEPTED = _cases("refused"), _cases("accepted")


def _whole(world: Visit) -> list[str]:
    """Targets of the requests that arrived whole, but for the honest ones behind the attacks."""
    return [target for target in world.honest.finished if "after-the-attack" not in target]


def _begun(world: Visit) -> list[str]:
    return [target for target in world.honest.begun if "after-the-attack" not in target]


@pytest.fixture
def nothing_smuggled(world: Visit) -> Iterator[None]:
    """Behind the attack one honest request goes through; then nothing else of it may have come."""
    before = len(world.honest.begun)
    yield
    world.get("/api/honest/after-the-attack")
    assert [target for target in world.honest.begun[before:] if "smuggled" in target] == []


def test_there_are_cases() -> None:
    assert len(REFUSED) > 100
    assert len(ACCEPTED) > 10


@pytest.mark.own_worker("gunicorn refuses these in its own words; see the next test")
@pytest.mark.usefixtures("nothing_smuggled")
@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_as_a_problem(world: Visit, name: str) -> None:
    case = REFUSED[name]
    begun, whole = _begun(world), _whole(world)
    with world.caller() as caller:
        caller.send_unless_closed(case.raw)
        answer = caller.answer(to=case.expected.get("method", "GET"))
        assert answer.status in _statuses(case), str(answer)
        assert answer.get("Content-Type") == "application/problem+json"
        assert answer.json()["type"] in [f"/problems/{problem}" for problem in _problems(case)]
        assert answer.get("X-Request-ID")
        closes = case.expected.get("closes", True)
        said_so = (answer.get("Connection") or "").lower() == "close"
        assert closes is None or said_so == closes
        if said_so:
            caller.expect_closed()
    if case.expected.get("reaches", "nothing") == "nothing":
        assert _begun(world) == begun
    assert _whole(world) == whole


def _statuses(case: Case) -> list[int]:
    status = case.expected["status"]
    return status if isinstance(status, list) else [status]


PROBLEMS = {
    400: ["malformed-request", "ambiguous-path"],
    405: ["method-not-allowed"],
    413: ["body-too-large"],
    414: ["uri-too-long"],
    431: ["header-fields-too-large"],
    501: ["not-implemented"],
}


def _problems(case: Case) -> list[str]:
    return [problem for status in _statuses(case) for problem in PROBLEMS[status]]


def _first_answer(world: Visit, caller: Caller) -> Answer | None:
    """None for a closed connection; stock gunicorn may also wait for more of what it finds unfinished."""
    is_stock = world.gateway.kind == "gevent"
    try:
        return caller.answer(within_s=1 if is_stock else PATIENCE_S)
    except Ended:
        return None
    except Stalled:
        if is_stock:
            return None
        raise


def _skip_where_stock_differs(world: Visit, case: Case) -> None:
    reason = case.expected.get("not_stock")
    if reason and world.gateway.kind == "gevent":
        pytest.skip(reason)


@pytest.mark.usefixtures("nothing_smuggled")
@pytest.mark.parametrize("name", REFUSED)
def test_nothing_of_it_does_harm(world: Visit, name: str) -> None:
    """Whichever worker: an error or a closed connection, nothing whole at the service, nobody harmed."""
    case = REFUSED[name]
    _skip_where_stock_differs(world, case)
    whole = _whole(world)
    with world.caller() as caller:
        caller.send_unless_closed(case.raw)
        answer = _first_answer(world, caller)
        assert answer is None or answer.status >= 400, str(answer)
    assert _whole(world) == whole


@pytest.mark.usefixtures("nothing_smuggled")
@pytest.mark.parametrize("name", ACCEPTED)
def test_it_is_accepted_with_one_meaning(world: Visit, name: str) -> None:
    case = ACCEPTED[name]
    _skip_where_stock_differs(world, case)
    with world.caller() as caller:
        caller.send(case.raw)
        answer = caller.answer()
        assert answer.status == case.expected["status"], str(answer)
        if "target" in case.expected:
            document = answer.body.json()
            assert document["target"] == case.expected["target"]
            assert document["body_bytes"] == case.expected.get("body_bytes", 0)
            names = {header.lower() for header, _ in document["headers"]}
            assert names.isdisjoint(case.expected.get("absent", []))
        if case.expected.get("goes_on", True):
            assert caller.get("/api/honest/x").status == 200


def test_a_flood_of_idle_connections_leaves_others_served(world: Visit) -> None:
    idle = [world.caller() for _ in range(300)]
    for caller in idle[::2]:
        caller.send(b"GET /api/honest/x HTTP/1.1\r\nHost: a\r\nX-Half")
    assert [world.get("/api/honest/x").status for _ in range(5)] == [200] * 5


def test_a_range_of_three_hundred_parts_is_the_service_s_own_matter(world: Visit) -> None:
    value = "bytes=" + ",".join(f"{n}-{n}" for n in range(300))
    assert world.echo("GET", "/api/honest/x", [("Range", value)]).get("Range") == value


def test_memory_is_flat_under_large_heads(world: Visit) -> None:
    """The first half fills what a process keeps for reuse; from then on nothing may be added."""
    (pid,) = world.gateway.workers
    huge = request_bytes("GET", "/api/honest/x", [("X-Huge", "a" * 200_000)])
    before = 0
    for number in range(900):
        if number == 600:
            before = world.gateway.memory_bytes(pid)
        with Caller(world.gateway.address) as caller:
            caller.send_unless_closed(huge)
            with contextlib.suppress(Ended):
                assert caller.answer().status in (400, 431)
    assert world.gateway.memory_bytes(pid) - before < 8 << 20


@pytest.mark.own_worker("gunicorn's own connections are not ours to judge")
def test_an_idle_connection_keeps_nothing_large(world: Visit) -> None:
    """200 callers whose first request had 30 KB of head, and who then wait."""
    (pid,) = world.gateway.workers
    callers = [world.caller() for _ in range(200)]
    for caller in callers:
        assert caller.get("/health/live").status == 200
    before = world.gateway.memory_bytes(pid)
    for number, caller in enumerate(callers):
        assert caller.get("/health/live", [("X-Large", f"{number}" + "a" * 30_000)]).status == 200
    assert (world.gateway.memory_bytes(pid) - before) / 200 < 50_000


def test_memory_is_flat_under_ever_new_names(world: Visit) -> None:
    """Long paths, origins and field names, no two the same: nothing of them may be kept for good."""
    (pid,) = world.gateway.workers
    with world.caller() as caller:
        before = 0
        for number in range(3_000):
            if number == 600:
                before = world.gateway.memory_bytes(pid)
            unique = f"{number}" + "a" * 7_000
            fields = [("Origin", f"https://{unique}.example.com"), (f"X-{unique}", "1")]
            assert caller.get(f"/nowhere/{unique}", fields).status in (200, 404)
    # If one of the three were kept, it would be 16 MB.
    assert world.gateway.memory_bytes(pid) - before < 13 << 20
