"""Which requests are told: sampled, failed, slow, and only while there is room."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from falcongate.telemetry.record import Record
from falcongate.telemetry.traces import Traces
from tests.unit.telemetry.records import USUAL
from tests.unit.telemetry.test_spans import traced, tried


class Queue:
    """Keeps what it is given while it has room."""

    def __init__(self, room: int = 1_000) -> None:
        self.room = room
        self.spans: list[bytes] = []
        self.dropped: list[int] = []

    def has_room(self, count: int) -> bool:
        """Whether so many more can be taken."""
        return len(self.spans) + count <= self.room

    def put(self, spans: Sequence[bytes]) -> None:
        """Take them."""
        self.spans += spans

    def drop(self, count: int) -> None:
        """Note that so many were not even made."""
        self.dropped.append(count)


def record(flags: str = "00", **changes: object) -> Record:
    """A request whose caller has decided so."""
    trace = traced(f"00-{'a' * 32}-{'b' * 16}-{flags}")
    usual = {"tried": (tried(),), "trace": trace, "trace_id": trace.trace_id}
    return USUAL._replace(**{**usual, **changes})  # type: ignore[arg-type]


def told(*records: Record) -> int:
    """How many spans are told of these."""
    queue = Queue()
    Traces(queue, slow_s=1).tell(records)  # type: ignore[arg-type]
    return len(queue.spans)


@pytest.mark.parametrize(
    "changes",
    [
        {"flags": "01"},
        {"first_byte_s": 1.0},
        {"first_byte_s": 0.0, "duration_s": 1.0, "status": 499},
        {"status": 500},
        {"status": 200, "reason": "cut", "tried": (tried(failure="answer-cut-short"),)},
    ],
)
def test_these_are_told(changes: dict[str, object]) -> None:
    assert told(record(**changes)) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"first_byte_s": 0.99, "duration_s": 100.0},
        {"status": 499, "reason": "the caller left", "tried": (tried(failure="cut-off", status=0),)},
        {"status": 429, "problem": "limit-reached", "reason": ""},
        {"flags": "01", "trace": None},
    ],
)
def test_these_are_not(changes: dict[str, object]) -> None:
    assert told(record(**changes)) == 0  # type: ignore[arg-type]


def test_a_failure_that_a_second_attempt_has_hidden_is_told_with_all_its_attempts() -> None:
    attempts = (tried(failure="service-broke-off", reason="x"), tried())
    assert told(record(reason="await_head: x", tried=attempts)) == 3


def test_what_has_no_room_is_counted_once_for_all_and_not_made() -> None:
    queue = Queue(room=3)
    Traces(queue, slow_s=1).tell([record("01"), record("01"), record("01"), record()])  # type: ignore[arg-type]
    assert (len(queue.spans), queue.dropped) == (2, [4])
