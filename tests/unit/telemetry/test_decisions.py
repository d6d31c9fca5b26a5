"""Which decisions are kept: all of what went wrong, some of the rest, and no more than there is room for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import gevent
import pytest
from gevent.event import Event
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from falcongate.errors import StoreAway
from falcongate.telemetry.decisions import Decisions, render_decision, went_wrong
from falcongate.telemetry.record import Record, Tried
from tests.support.turns import until
from tests.unit.telemetry.records import USUAL

REFUSED = USUAL._replace(status=429, answered_by="gateway", problem="limit-reached", tried=())
NEEDED = {
    "at_s", "request_id", "method", "path", "service", "status", "problem", "answered_by", "refused_by",
    "duration_ms",
}  # fmt: skip


def failed(target: str = "http://hr:8000") -> Tried:
    """An attempt that came to nothing."""
    tried = Tried(target)
    tried.end("service-unreachable", "refused")
    return tried


def dropped(why: str) -> float:
    """What the metric says."""
    return REGISTRY.get_sample_value("falcongate_decisions_dropped_total", {"why": why}) or 0


class World:
    """What the gateway and the store are to the decisions."""

    def __init__(self, ratio: float = 0.0) -> None:
        self.now = 100.0
        self.drawn = 0.5
        self.asked = 0
        self.batches: list[list[tuple[str, str]]] = []
        self.wrong: list[bool] = []
        self.is_away = False
        self.may_answer = Event()
        self.may_answer.set()
        self.decisions: Decisions[object] = Decisions(
            ratio,
            facts_of=self._facts_of,
            send=self._send,
            draw=lambda: self.drawn,
            now=lambda: self.now,
        )

    def _facts_of(self, ended: object) -> dict[str, Any]:
        self.asked += 1
        return {"of": str(ended)}

    def _send(self, batch: Sequence[tuple[str, str]], are_wrong: bool) -> None:  # noqa: FBT001  # as it is
        self.may_answer.wait()
        if self.is_away:
            raise StoreAway("it is away")
        self.batches.append(list(batch))
        self.wrong.append(are_wrong)

    def take(self, *records: Record) -> None:
        """These have ended."""
        self.decisions.take([f"<{record.request_id}>" for record in records], records)

    @property
    def kept(self) -> list[dict[str, Any]]:
        """What the store was sent, oldest first."""
        gevent.idle()
        return [json.loads(text) for batch in self.batches for _, text in batch]


@pytest.mark.parametrize(
    ("record", "is_wrong"),
    [
        (USUAL, False),
        (USUAL._replace(status=101), False),
        (USUAL._replace(status=404), False),
        (USUAL._replace(answered_by="gateway", tried=()), False),
        (USUAL._replace(tried=(Tried("http://a"), Tried("http://b"))), False),
        (USUAL._replace(would_refuse=("api",)), False),
        (USUAL._replace(reason="WebSocket closed with 1000 by the caller", status=101), False),
        (USUAL._replace(reason="the caller did not get all: it closed its connection"), True),
        (USUAL._replace(status=500), True),
        (USUAL._replace(status=503, answered_by="gateway", problem="saturated"), True),
        (REFUSED, True),
        (USUAL._replace(status=404, answered_by="gateway", problem="no-route", tried=()), True),
        (USUAL._replace(status=499, answered_by="nobody"), True),
        (USUAL._replace(status=0, answered_by="gateway"), True),
        (USUAL._replace(tried=(failed(),)), True),
        (USUAL._replace(tried=(failed("http://a"), Tried("http://b"))), True),
        (USUAL._replace(status=404, tried=(failed("http://a"), Tried("http://b"))), True),
    ],
)
def test_wrong_is_what_the_gateway_refuses_and_what_fails(record: Record, *, is_wrong: bool) -> None:
    assert went_wrong(record) == is_wrong
    world = World(ratio=0.0)
    world.take(record)
    assert bool(world.kept) == is_wrong
    assert json.loads(render_decision(record, {}, left_out=0))["is_wrong"] is is_wrong


def test_of_the_rest_the_share_is_kept_and_nobody_is_asked_about_the_others() -> None:
    world = World(ratio=0.3)
    for drawn in (0.0, 0.29, 0.3, 0.9):
        world.drawn = drawn
        world.take(USUAL)
    assert len(world.kept) == world.asked == 2


def test_a_decision_tells_the_record_and_what_else_is_known() -> None:
    world = World()
    world.take(REFUSED._replace(request_id="an-id", refused_by=("api",), identity="token:jane"))
    (told,) = world.kept
    assert told.keys() >= NEEDED
    assert told["of"] == "<an-id>"
    assert (told["refused_by"], told["identity"], told["left_out"]) == (["api"], "token:jane", 0)
    assert told["at_s"] == 1_700_000_000.25
    assert told["duration_ms"] == 12.3


def test_a_flood_of_one_kind_leaves_room_for_others_and_says_how_many_were_left_out() -> None:
    world = World()
    before = dropped("too_many")
    world.take(*[REFUSED] * 1_000)
    assert len(world.kept) == world.asked == 100
    assert dropped("too_many") - before == 900

    world.take(USUAL._replace(status=502, problem="service-broke-off", answered_by="gateway"))
    assert world.kept[-1]["status"] == 502
    world.now += 0.125
    world.take(REFUSED)
    assert world.kept[-1]["left_out"] == 900
    world.now += 0.125
    world.take(REFUSED, REFUSED, REFUSED)
    assert world.kept[-1]["left_out"] == 0
    assert len(world.kept) == 103
    world.now += 60
    world.take(REFUSED)
    assert world.kept[-1]["left_out"] == 2


def test_floods_of_all_kinds_together_have_a_bound_too() -> None:
    world = World()
    world.take(*[REFUSED._replace(service=f"s{number % 10}") for number in range(1_000)])
    assert len(world.kept) == 200
    world.now += 1
    world.take(*[REFUSED._replace(service=f"s{number % 10}") for number in range(1_000)])
    assert len(world.kept) == 250


def test_a_store_that_is_away_costs_nobody_anything_and_is_counted() -> None:
    world = World()
    before = dropped("state_away")
    world.is_away = True
    world.take(REFUSED, REFUSED)
    until(lambda: dropped("state_away") == before + 2)
    world.is_away = False
    world.take(REFUSED)
    assert len(world.kept) == 1


def test_a_store_that_stalls_makes_nobody_wait_and_memory_has_a_bound() -> None:
    world = World()
    before = dropped("too_many")
    world.may_answer.clear()
    for _ in range(100):
        world.take(*[REFUSED] * 10)
        gevent.idle()
        world.now += 1
    assert world.batches == []
    left_out = dropped("too_many") - before
    assert left_out > 0
    world.may_answer.set()
    until(lambda: len(world.kept) == 1_000 - left_out)
    assert sum(told["left_out"] for told in world.kept) <= left_out


def test_what_went_wrong_is_told_apart_from_the_rest() -> None:
    world = World(ratio=1.0)
    good, bad = USUAL, USUAL._replace(status=502, answered_by="gateway", problem="service-timeout")
    world.take(good, good, bad, good)
    until(lambda: len(world.batches) == 3)
    assert world.wrong == [False, True, False]
    assert [len(batch) for batch in world.batches] == [2, 1, 1]


def test_what_is_sent_at_once_is_not_long() -> None:
    world = World()
    world.take(*[REFUSED._replace(path="/" + "x" * 5_000, reason="y" * 5_000)] * 100)
    assert len(world.kept) == 100
    lengths = [sum(len(text) for _, text in batch) for batch in world.batches]
    assert len(lengths) > 1
    assert max(lengths) <= 65_536


@given(*[st.text(min_size=0, max_size=3_000)] * 4)
def test_a_decision_is_one_line_of_json_of_bounded_length(
    path: str, reason: str, caller: str, identity: str
) -> None:
    record = USUAL._replace(
        path=path * 5, reason=reason, caller=caller, identity=identity, request_id="x" * 200
    )
    facts = {"attempts": [{"reason": reason[:300]}] * 16}
    text = render_decision(record, facts, left_out=0)
    assert text.isascii()
    assert "\n" not in text
    assert len(text) < 10_000
    told = json.loads(text)
    assert told.keys() >= NEEDED
    assert ("attempts" in told) != told.get("is_cut", False)
