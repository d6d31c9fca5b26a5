"""What has ended is told a moment later, once, and without anybody waiting for it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from time import monotonic

import pytest

from falcongate.telemetry import journal
from falcongate.telemetry.access_log import AccessLog
from falcongate.telemetry.journal import Journal
from falcongate.telemetry.record import Record
from tests.support.turns import until
from tests.unit.telemetry.records import USUAL


class FakeLog(AccessLog):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.batches = 0

    def write(self, records: list[Record]) -> None:
        """Keep them."""
        self.records += records
        self.batches += 1

    @property
    def ids(self) -> list[str]:
        """Which requests they were of."""
        return [record.request_id for record in self.records]


class Counted:
    """Stands for the metrics: keeps what was counted, and can fail as a full disk makes them."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.error: OSError | None = None

    def tally(self, records: list[Record]) -> None:
        """Count them."""
        if self.error is not None:
            raise self.error
        self.ids += [record.request_id for record in records]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """What was counted."""
    made = Counted()
    monkeypatch.setattr(journal, "tally", made.tally)
    return made


def record_of(request_id: str, wall_clock_s: float) -> Record:
    """The record of a request that ended at second 100 of monotonic time."""
    return USUAL._replace(request_id=request_id, ended=100 + wall_clock_s)


def test_what_was_noted_is_counted_and_logged_by_itself_and_in_order(counted: Counted) -> None:
    log = FakeLog()
    made = Journal(log, record_of)
    for request_id in "abc":
        made.note(request_id)
    assert log.batches == 0
    assert counted.ids == []
    until(lambda: log.batches > 0)
    assert log.ids == counted.ids == ["a", "b", "c"]
    assert log.batches == 1


def test_what_ends_later_is_told_later(counted: Counted) -> None:
    log = FakeLog()
    made = Journal(log, record_of)
    for request_id in "abc":
        made.note(request_id)
        until(lambda request_id=request_id: request_id in log.ids)  # type: ignore[misc]
    assert log.ids == counted.ids == ["a", "b", "c"]


def test_nothing_is_told_twice(counted: Counted) -> None:
    log = FakeLog()
    made = Journal(log, record_of)
    made.note("a")
    made.hand_on()
    made.hand_on()
    made.note("b")
    until(lambda: "b" in log.ids)
    assert log.ids == counted.ids == ["a", "b"]


def test_a_flood_is_handed_on_before_it_fills_the_memory(counted: Counted) -> None:
    log = FakeLog()
    made = Journal(log, record_of)
    for number in range(10_000):
        made.note(str(number))
    assert len(log.ids) == len(counted.ids) == 10_000


def test_the_time_of_a_record_is_told_by_the_wall(counted: Counted) -> None:
    log = FakeLog()
    made: Journal[float] = Journal(
        log, lambda ended, wall_clock_s: USUAL._replace(ended=ended + wall_clock_s)
    )
    made.note(monotonic())
    until(lambda: log.batches == 1)
    assert len(counted.ids) == 1
    assert log.records[0].ended == pytest.approx(datetime.now(UTC).timestamp(), abs=5)


def test_without_a_log_requests_are_counted_all_the_same(counted: Counted) -> None:
    made = Journal(None, record_of)
    made.note("a")
    made.hand_on()
    assert counted.ids == ["a"]


def test_what_cannot_be_counted_is_logged_and_stops_nobody(
    counted: Counted, caplog: pytest.LogCaptureFixture
) -> None:
    log = FakeLog()
    made = Journal(log, record_of)
    counted.error = OSError("no space left")
    made.note("a")
    with caplog.at_level(logging.ERROR):
        made.hand_on()
    assert log.ids == ["a"]
    assert "no space left" in caplog.text
    counted.error = None
    made.note("b")
    until(lambda: counted.ids == ["b"])
