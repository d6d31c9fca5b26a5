"""What every store promises of the decisions that it remembers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from falcongate.errors import StoreAway
from falcongate.state import redis_decisions
from falcongate.state.decisions import LIFE_S, MAX_OF_ONE, Decision, last_decisions
from falcongate.state.in_process import Fault
from falcongate.state.memory_store import MemoryState
from tests.contract import stores
from tests.contract.layout import keys, lifetime_s
from tests.contract.stores import START_MS, Opened

KEY = "falcongate:1:decisions"
MANY = 10_000


def keep(opened: Opened, *request_ids: str, text: str = "{}") -> None:
    """One batch of decisions on these."""
    opened.state.keep_decisions([(request_id, text) for request_id in request_ids], most=MANY, are_wrong=True)


def ids(decisions: object) -> list[str]:
    """Which requests they were on."""
    assert isinstance(decisions, tuple | list)
    return [decision.request_id for decision in decisions]


def test_decisions_are_told_the_newest_first(opened: Opened) -> None:
    assert list(opened.state.decisions(10, are_wrong=True)) == []
    keep(opened, "a", "b", text='{"a": "über"}')
    opened.clock.move(1.5)
    keep(opened, "c")

    assert list(opened.state.decisions(10, are_wrong=True)) == [
        Decision(START_MS / 1000 + 1.5, "c", "{}"),
        Decision(START_MS / 1000, "b", '{"a": "über"}'),
        Decision(START_MS / 1000, "a", '{"a": "über"}'),
    ]
    assert ids(opened.state.decisions(2, are_wrong=True)) == ["c", "b"]


def test_a_request_is_found_by_its_id_and_so_are_others_that_have_the_same(opened: Opened) -> None:
    keep(opened, "a", "b", "a", "c")
    assert ids(opened.state.find_decisions("b")) == ["b"]
    assert ids(opened.state.find_decisions("a")) == ["a", "a"]
    assert list(opened.state.find_decisions("nobody's")) == []
    keep(opened, "a", text="the last")
    assert [decision.text for decision in opened.state.find_decisions("a")] == ["the last", "{}", "{}"]


def test_of_one_id_no_more_are_told_than_somebody_reads(opened: Opened) -> None:
    keep(opened, *["a"] * (MAX_OF_ONE + 5))
    assert len(opened.state.find_decisions("a")) == MAX_OF_ONE


def test_all_are_looked_through_and_read_however_many_are_kept(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_decisions, "_LOOKED_THROUGH_AT_ONCE", 3)
    monkeypatch.setattr(redis_decisions, "_READ_AT_ONCE", 4)
    for count in range(1, 10):
        keep(opened, str(count))
        everything = [str(number) for number in range(count, 0, -1)]
        assert ids(opened.state.decisions(100, are_wrong=True)) == everything
        assert ids(opened.state.decisions(6, are_wrong=True)) == everything[:6]
        for number in everything:
            assert ids(opened.state.find_decisions(number)) == [number]


def test_only_the_last_are_kept(opened: Opened) -> None:
    for number in range(60):
        opened.state.keep_decisions(
            [(f"{number}-{each}", "x" * 2_000) for each in range(10)], most=100, are_wrong=True
        )

    kept = ids(opened.state.decisions(1_000, are_wrong=True))
    # Redis drops whole nodes of a stream.
    assert 100 <= len(kept) <= 200
    assert kept[0] == "59-9"


def test_what_was_in_order_pushes_nothing_out_that_went_wrong(opened: Opened) -> None:
    keep(opened, "wrong")
    for number in range(40):
        opened.clock.move(1)
        opened.state.keep_decisions(
            [(f"{number}-{each}", "x" * 2_000) for each in range(10)], most=20, are_wrong=False
        )
    assert ids(opened.state.decisions(50, are_wrong=True)) == ["wrong"]
    ordinary = ids(opened.state.decisions(500, are_wrong=False))
    assert ordinary[0] == "39-9"
    assert len(ordinary) < 150
    assert ids(opened.state.find_decisions("39-9")) == ["39-9"]
    assert ids(opened.state.find_decisions("wrong")) == ["wrong"]
    assert ids(last_decisions(opened.state, 3)) == ["39-9", "39-8", "39-7"]
    keep(opened, "39-9")
    assert ids(opened.state.find_decisions("39-9")) == ["39-9", "39-9"]


def test_an_empty_batch_is_nothing(opened: Opened) -> None:
    opened.state.keep_decisions([], most=MANY, are_wrong=True)
    assert list(opened.state.decisions(10, are_wrong=True)) == []


def test_they_end_a_day_after_the_last() -> None:
    for store in (stores.memory, stores.fake):
        with store() as opened:
            keep(opened, "a")
            opened.clock.move(LIFE_S - 1)
            keep(opened, "b")
            opened.clock.move(LIFE_S - 1)
            assert ids(opened.state.decisions(10, are_wrong=True)) == ["b", "a"]
            opened.clock.move(2)
            assert list(opened.state.decisions(10, are_wrong=True)) == []
            assert list(opened.state.find_decisions("a")) == []


@pytest.fixture(params=["fakeredis", "redis"])
def in_redis(request: pytest.FixtureRequest) -> Iterator[Opened]:
    """An empty Redis of each kind, which could be a cluster."""
    if request.param == "fakeredis":
        with stores.fake(is_cluster=True) as opened:
            yield opened
    else:
        with stores.real(request.getfixturevalue("server_of")("redis"), is_cluster=True) as opened:
            yield opened


def test_they_are_one_stream_that_ends(in_redis: Opened) -> None:
    keep(in_redis, "a", "b")
    assert in_redis.line is not None
    assert in_redis.line.calls == 1
    assert keys(in_redis) == {KEY}
    assert LIFE_S - 10 < lifetime_s(in_redis, KEY) <= LIFE_S
    (_, fields), _ = in_redis.line.command("XRANGE", KEY, "-", "+")
    assert fields == ["at_s", f"{START_MS / 1000:.3f}", "id", "a", "text", "{}"]


@pytest.mark.parametrize("fault", Fault)
def test_a_store_that_fails_says_so(fault: Fault) -> None:
    state = MemoryState(fault=fault, budget_s=0.001)
    for question in (
        lambda: state.keep_decisions([("a", "{}")], most=MANY, are_wrong=True),
        lambda: state.decisions(1, are_wrong=True),
        lambda: state.find_decisions("a"),
    ):
        with pytest.raises(StoreAway):
            question()
