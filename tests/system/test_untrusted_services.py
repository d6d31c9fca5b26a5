"""Services that do not speak HTTP, or speak it ambiguously; their bytes are in `tests/corpus/responses`.

Beside each file of bytes lies what its own caller must get. Whatever that is, the next callers
must get their own answers: nothing of the bad connection may be left for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.callers import Answer
from tests.support.processes import ROOT
from tests.support.upstreams import Conversation, Handler, answering, by_connection, ok
from tests.support.wire import Ended
from tests.support.world import Plan, ScriptedService, Site, Visit

PLAN = Plan("untrusted", scripted=260, scripted_settings={"timeout_s": 20})
CORPUS = ROOT / "tests/corpus/responses"


@dataclass(frozen=True)
class Case:
    """One answer of a service as bytes, and what becomes of it."""

    raw: bytes
    method: str
    then: str
    expected: dict[str, Any]


def _case(path: Path) -> Case:
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    raw = path.read_bytes()
    if (growth := expected.get("grown")) is not None:
        raw = raw.replace(growth["mark"].encode(), growth["unit"].encode() * growth["times"])
    return Case(raw, expected.get("method", "GET"), expected.get("then", "hold"), expected)


CASES = {path.stem: _case(path) for path in sorted(CORPUS.glob("*.http"))}


def _playing(case: Case) -> Handler:
    sound = answering(ok(b"my own answer"))

    def first(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(case.raw)
        if case.then == "reset":
            conversation.reset()
        elif case.then == "hold":
            sound(conversation)

    return by_connection(first, sound)


def _first_answer(world: Visit, service: ScriptedService, case: Case) -> Answer | Ended:
    with world.caller() as caller:
        try:
            answer = caller.exchange(case.method, service.path())
        except Ended as ended:
            return ended
        if case.expected["status"] != "broken":
            caller.expect_silence(for_s=0.05)
        return answer


def _statuses(case: Case) -> list[int]:
    status = case.expected["status"]
    if isinstance(status, int):
        return [status]
    return [502] if status == "broken" else list(status)


def _assert_its_own(case: Case, got: Answer | Ended) -> None:
    if case.expected["status"] == "truncated" or (
        case.expected["status"] == "broken" and isinstance(got, Ended)
    ):
        assert isinstance(got, Ended), f"looks whole: {got}"
        return
    assert isinstance(got, Answer), f"cut short: {got}"
    assert got.status in _statuses(case), str(got)
    if got.status == 502:
        problems = case.expected.get("problem", "service-spoke-nonsense")
        assert str(got.json()["type"]).removeprefix("/problems/") in problems
        return
    if "body" in case.expected:
        assert got.content == case.expected["body"].encode("latin-1")
    for header in case.expected.get("absent", []):
        assert got.all(header) == []


@pytest.fixture
def site(site_for: Callable[[Plan, str], Site], worker_kind: str) -> Site:
    return site_for(PLAN, worker_kind)


def test_there_are_cases() -> None:
    assert len(CASES) > 60


@pytest.mark.parametrize("name", CASES)
def test_it_is_its_own_caller_s_matter_alone(world: Visit, name: str) -> None:
    case = CASES[name]
    service = world.service(_playing(case))
    got = _first_answer(world, service, case)
    _assert_its_own(case, got)
    if isinstance(got, Ended) or got.status == 502:
        assert service.upstream.conversation().ended.wait(5), "a connection that cannot be trusted is kept"
    for _ in range(3):
        answer = world.get(service.path("/next"))
        assert (answer.status, answer.content) == (200, b"my own answer"), (
            "the next caller's answer is not its own"
        )


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.expected["status"] == 502])
def test_a_post_to_it_is_sent_once(world: Visit, name: str) -> None:
    service = world.service(_playing(CASES[name]))
    assert world.exchange("POST", service.path(), body=b"a body").status == 502
    assert len(service.upstream.heads) == 1
