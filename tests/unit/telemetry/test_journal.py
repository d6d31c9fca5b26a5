"""What has ended is told a moment later, once, and without anybody waiting for it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic

import pytest

from falcongate.telemetry import journal
from falcongate.telemetry.journal import Journal
from falcongate.telemetry.record import Record
from tests.support.turns import until
from tests.unit.telemetry.records import USUAL


class Taker:
    """Keeps what it is told, and can fail as a full disk makes the metrics fail."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.batches = 0
        self.error: Exception | None = None

    def __call__(self, records: list[Record]) -> None:
        """Take them."""
        if self.error is not None:
            raise self.error
        self.records += records
        self.batches += 1

    @property
    def ids(self) -> list[str]:
        """Which requests they were of."""
        return [record.request_id for record in self.records]


def record_of(request_id: str, wall_clock_s: float) -> Record:
    """The record of a request that ended at second 100 of monotonic time."""
    return USUAL._replace(request_id=request_id, ended=100 + wall_clock_s)


def test_what_was_noted_is_told_by_itself_and_in_order() -> None:
    one, other = Taker(), Taker()
    made = Journal(record_of, (one, other))
    for request_id in "abc":
        made.note(request_id)
    assert one.batches == other.batches == 0
    until(lambda: other.batches > 0)
    assert one.ids == other.ids == ["a", "b", "c"]
    assert one.batches == other.batches == 1


def test_who_chooses_is_shown_what_ended_beside_its_record() -> None:
    shown: list[tuple[str, str]] = []

    def choose(ended: Sequence[str], records: Sequence[Record]) -> None:
        shown.extend((one, record.request_id) for one, record in zip(ended, records, strict=True))

    made = Journal(record_of, [], choose)
    made.note("a")
    made.note("b")
    until(lambda: shown)
    assert shown == [("a", "a"), ("b", "b")]


def test_what_ends_later_is_told_later() -> None:
    taker = Taker()
    made = Journal(record_of, [taker])
    for request_id in "abc":
        made.note(request_id)
        until(lambda request_id=request_id: request_id in taker.ids)  # type: ignore[misc]
    assert taker.ids == ["a", "b", "c"]


def test_nothing_is_told_twice() -> None:
    taker = Taker()
    made = Journal(record_of, [taker])
    made.note("a")
    made.hand_on()
    made.hand_on()
    made.note("b")
    until(lambda: "b" in taker.ids)
    assert taker.ids == ["a", "b"]


def test_many_at_once_are_told_soon_and_not_all_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_HAND_ON_AFTER_S", 60)
    taker = Taker()
    made = Journal(record_of, [taker])
    for batch in (1, 2):
        for number in range(128):
            made.note(str(number))
        assert taker.batches == batch - 1
        until(lambda batch=batch: taker.batches == batch)  # type: ignore[misc]
        assert len(taker.ids) == 128 * batch


def test_who_cannot_choose_keeps_nobody_from_what_comes_next(caplog: pytest.LogCaptureFixture) -> None:
    def choose(ended: Sequence[str], records: Sequence[Record]) -> None:
        del records
        if ended == ["a"]:
            raise KeyError("a defect")

    taker = Taker()
    made = Journal(record_of, [taker], choose)
    made.note("a")
    until(lambda: "a defect" in caplog.text)
    made.note("b")
    until(lambda: taker.ids == ["a", "b"])


def test_a_flood_is_handed_on_before_it_fills_the_memory() -> None:
    taker = Taker()
    made = Journal(record_of, [taker])
    for number in range(10_000):
        made.note(str(number))
    assert len(taker.ids) == 10_000


def test_one_that_cannot_be_told_keeps_nobody_from_what_comes_next(caplog: pytest.LogCaptureFixture) -> None:
    def record_unless_a(ended: str, wall_clock_s: float) -> Record:
        if ended == "a":
            raise KeyError("a defect")
        return record_of(ended, wall_clock_s)

    taker = Taker()
    made = Journal(record_unless_a, [taker])
    for request_id in "bad":
        made.note(request_id)
    until(lambda: taker.ids == ["b", "d"])
    assert "1 requests could not be told" in caplog.text
    made.note("c")
    until(lambda: taker.ids == ["b", "d", "c"])


def test_the_time_of_a_record_is_told_by_the_wall() -> None:
    taker = Taker()
    made: Journal[float] = Journal(
        lambda ended, wall_clock_s: USUAL._replace(ended=ended + wall_clock_s), [taker]
    )
    made.note(monotonic())
    until(lambda: taker.batches == 1)
    assert taker.records[0].ended == pytest.approx(datetime.now(UTC).timestamp(), abs=5)


@pytest.mark.parametrize("error", [OSError("no space left"), KeyError("no space left")])
def test_a_taker_that_cannot_is_logged_and_stops_nobody(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    full, other = Taker(), Taker()
    made = Journal(record_of, [full, other])
    full.error = error
    made.note("a")
    with caplog.at_level(logging.ERROR):
        made.hand_on()
    assert other.ids == ["a"]
    assert "no space left" in caplog.text
    full.error = None
    made.note("b")
    until(lambda: full.ids == ["b"])
