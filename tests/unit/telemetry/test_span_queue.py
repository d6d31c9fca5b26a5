"""Spans on their way: in batches, again where that may help, dropped and counted otherwise."""

from __future__ import annotations

import atexit
import logging
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import gevent
import pytest
from gevent.event import Event

from falcongate.telemetry import span_queue
from falcongate.telemetry.metrics import TRACE_SPANS_DROPPED, TRACE_SPANS_EXPORTED
from falcongate.telemetry.otlp import Envelope, render_span
from falcongate.telemetry.span_queue import Answer, SpanQueue
from tests.support.receiver import rejecting, spans_in
from tests.support.turns import until
from tests.unit.telemetry.test_otlp import USUAL

TAKEN = Answer(200)
Make = Callable[["Post"], SpanQueue]


class Post:
    """Stands for a receiver: says what it is told to, in order, and the last again and again."""

    def __init__(self, *said: Answer) -> None:
        self.said = list(said) or [TAKEN]
        self.batches: list[list[str]] = []
        self.may_answer = Event()
        self.may_answer.set()

    def __call__(self, request: bytes) -> Answer:
        """Take a batch, by the names of its spans."""
        self.batches.append([span.name for span in spans_in(request)])
        self.may_answer.wait()
        return self.said.pop(0) if len(self.said) > 1 else self.said[0]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long."""
    for name in ("_GATHER_S", "_FIRST_PAUSE_S", "_MAX_PAUSE_S", "_LAST_WAIT_S"):
        monkeypatch.setattr(span_queue, name, 0.02)


@pytest.fixture
def counts() -> dict[str, float]:
    """How many more spans were counted than before the test, by what became of them."""

    class Counts(dict[str, float]):
        def __missing__(self, name: str) -> float:
            return now(name) - before[name]

    def now(name: str) -> float:
        counter = TRACE_SPANS_EXPORTED if name == "exported" else TRACE_SPANS_DROPPED.labels(name)
        return counter._value.get()  # type: ignore[no-any-return]  # there is no other way

    names = ("exported", "queue_full", "undelivered", "refused", "worker_ended")
    before = {name: now(name) for name in names}
    return Counts()


def spans(*names: str) -> list[bytes]:
    """Spans of these names, as they are put."""
    return [render_span(USUAL._replace(name=name)) for name in names]


@pytest.fixture
def queue() -> Iterator[Callable[[Post], SpanQueue]]:
    """Makes queues to a receiver, which do not outlive the test."""
    made: list[SpanQueue] = []

    def make(post: Post) -> SpanQueue:
        made.append(SpanQueue(post, Envelope(resource={"service.name": "edge"}, version="1")))
        return made[-1]

    yield make
    for each in made:
        atexit.unregister(each.end)
        if each._sender is not None:  # noqa: SLF001
            each._sender.kill()  # noqa: SLF001


def test_spans_are_gathered_and_sent_in_their_order(counts: dict[str, float], queue: Make) -> None:
    post = Post()
    made = queue(post)
    made.put(spans("a", "b"))
    made.put(spans("c"))
    assert post.batches == []
    until(lambda: counts["exported"] == 3)
    assert post.batches == [["a", "b", "c"]]
    made.put(spans("d"))
    until(lambda: counts["exported"] == 4)
    assert post.batches[1:] == [["d"]]


def test_nothing_runs_before_there_is_anything_to_send_nor_afterwards(queue: Make) -> None:
    made = queue(Post())
    assert made._sender is None  # noqa: SLF001
    made.put(spans("a"))
    until(lambda: made._sender is None)  # noqa: SLF001


def test_many_spans_are_sent_at_once_and_in_batches(
    monkeypatch: pytest.MonkeyPatch, counts: dict[str, float], queue: Make
) -> None:
    monkeypatch.setattr(span_queue, "_GATHER_S", 60)
    monkeypatch.setattr(span_queue, "_BATCH", 10)
    post = Post()
    made = queue(post)
    made.put(spans("first"))
    gevent.sleep(0)
    made.put(spans(*map(str, range(19))))
    until(lambda: counts["exported"] >= 10)
    assert [len(batch) for batch in post.batches] == [10]
    made.end()
    assert [len(batch) for batch in post.batches] == [10, 10]
    assert counts["exported"] == 20


@pytest.mark.parametrize("status", [0, 429, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int, counts: dict[str, float], queue: Make) -> None:
    post = Post(Answer(status), Answer(status), TAKEN)
    queue(post).put(spans("a"))
    until(lambda: counts["exported"] == 1)
    assert post.batches == [["a"]] * 3


@pytest.mark.parametrize("status", [300, 307, 400, 401, 404, 413, 500, 501])
def test_what_will_not_pass_is_not(status: int, counts: dict[str, float], queue: Make) -> None:
    post = Post(Answer(status))
    queue(post).put(spans("a", "b"))
    until(lambda: counts["refused"] == 2)
    assert len(post.batches) == 1
    assert counts["exported"] == 0


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_whatever_says_yes_has_taken_them(status: int, counts: dict[str, float], queue: Make) -> None:
    post = Post(Answer(status))
    queue(post).put(spans("a", "b"))
    until(lambda: counts["exported"] == 2)
    assert len(post.batches) == 1
    assert counts["refused"] == 0


def test_it_is_not_tried_for_ever(counts: dict[str, float], queue: Make) -> None:
    post = Post(Answer(503))
    queue(post).put(spans("a"))
    until(lambda: counts["undelivered"] == 1)
    assert len(post.batches) == 5


def test_a_receiver_says_how_long_to_wait(monkeypatch: pytest.MonkeyPatch, queue: Make) -> None:
    waits: list[float] = []
    monkeypatch.setattr(span_queue, "_MAX_PAUSE_S", 30.0)
    monkeypatch.setattr(span_queue, "_FIRST_PAUSE_S", 4.0)
    post = Post(Answer(503, retry_after_s=7), Answer(503, retry_after_s=86_400), Answer(503), TAKEN)
    made = queue(post)
    made._ending = SimpleNamespace(is_set=bool, wait=waits.append)  # type: ignore[assignment]  # noqa: SLF001
    made.put(spans("a"))
    until(lambda: len(post.batches) == 4)
    assert waits[:2] == [7, 30]
    assert 8 <= waits[2] <= 16


def test_there_is_room_for_so_many_and_so_large(monkeypatch: pytest.MonkeyPatch, queue: Make) -> None:
    monkeypatch.setattr(span_queue, "_GATHER_S", 60)
    made = queue(Post())
    assert made.has_room(4_096)
    assert not made.has_room(4_097)
    made.put([b"x"] * 4_095)
    assert (made.has_room(1), made.has_room(2)) == (True, False)
    monkeypatch.setattr(span_queue, "_MAX_PENDING_BYTES", 4_095)
    assert not made.has_room(1)


def test_what_is_sent_makes_room(counts: dict[str, float], queue: Make) -> None:
    made = queue(Post())
    made.put(spans("a", "b"))
    until(lambda: counts["exported"] == 2)
    assert (made._bytes, made.has_room(4_096)) == (0, True)  # noqa: SLF001


def test_what_a_receiver_rejects_is_counted_apart(
    counts: dict[str, float], caplog: pytest.LogCaptureFixture, queue: Make
) -> None:
    queue(Post(Answer(200, rejecting(2, "too\nold")))).put(spans("a", "b", "c"))
    until(lambda: counts["exported"] == 1)
    assert counts["refused"] == 2
    assert r"2 of 3 spans: too\nold" in caplog.text


def test_a_receiver_cannot_reject_more_than_it_was_sent(counts: dict[str, float], queue: Make) -> None:
    queue(Post(Answer(200, rejecting(2**62)))).put(spans("a"))
    until(lambda: counts["refused"] == 1)
    assert counts["exported"] == 0


def test_the_end_sends_what_is_there(counts: dict[str, float], queue: Make) -> None:
    post = Post()
    made = queue(post)
    made.put(spans("a", "b"))
    made.end()
    assert post.batches == [["a", "b"]]
    assert (counts["exported"], counts["worker_ended"]) == (2, 0)


def test_the_end_does_not_wait_for_a_receiver_that_does_not_answer(
    counts: dict[str, float], queue: Make
) -> None:
    post = Post()
    post.may_answer.clear()
    made = queue(post)
    made.put(spans("a", "b"))
    until(lambda: post.batches)
    made.put(spans("c"))
    made.end()
    assert counts["worker_ended"] == 3


def test_the_end_does_not_wait_for_the_next_try(
    monkeypatch: pytest.MonkeyPatch, counts: dict[str, float], queue: Make
) -> None:
    monkeypatch.setattr(span_queue, "_FIRST_PAUSE_S", 60)
    monkeypatch.setattr(span_queue, "_MAX_PAUSE_S", 60)
    monkeypatch.setattr(span_queue, "_LAST_WAIT_S", 5)
    post = Post(Answer(503))
    made = queue(post)
    made.put(spans("a"))
    until(lambda: post.batches)
    made.end()
    assert post.batches == [["a"]] * 2
    assert counts["undelivered"] == 1


def test_an_end_without_anything_sends_nothing(queue: Make) -> None:
    post = Post()
    queue(post).end()
    assert post.batches == []


def test_an_operator_is_told_once_of_what_changes(
    counts: dict[str, float], caplog: pytest.LogCaptureFixture, queue: Make
) -> None:
    caplog.set_level(logging.INFO)
    queue(Post(Answer(0, why="refused\nconnection"), Answer(503), TAKEN)).put(spans("a"))
    until(lambda: counts["exported"] == 1)
    assert [record.getMessage() for record in caplog.records] == [
        r"Traces are not taken: 'refused\nconnection'; what is not taken is dropped",
        "Traces are taken again",
    ]
