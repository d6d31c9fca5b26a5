"""Who ended a WebSocket in its first moment, and what the breaker of its service learns of it."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable

import pytest

from tests.support.callers import Caller
from tests.support.processes import until
from tests.support.upstreams import Conversation
from tests.support.websockets import close_code, echo, frame, opened, speaking
from tests.support.world import Plan, ScriptedService, Site, Visit

pytestmark = pytest.mark.own_worker("only our own worker gives a connection away")
MAX_FAILURES = 3


@pytest.fixture
def site(site_for: Callable[[Plan, str], Site], worker_kind: str) -> Site:
    breaker = {"max_failures": MAX_FAILURES, "open_s": 60, "failure_ratio": 0}
    return site_for(Plan("blamed websockets", {"breaker": breaker}), worker_kind)


def all_closed(world: Visit, service: ScriptedService, *, by: str, code: int, count: int) -> bool:
    """Whether so many WebSockets have ended like this, and none in another way."""
    shown = world.get("/metrics").content.decode().splitlines()
    lines = [
        line
        for line in shown
        if line.startswith("falcongate_websockets_closed_total{") and f'service="{service.name}"' in line
    ]
    name = f'by="{by}",code="{code}",service="{service.name}"'
    return lines == [f"falcongate_websockets_closed_total{{{name}}} {count}.0"]


def failures_of(world: Visit, service: ScriptedService, calls: int) -> int:
    """How many of so many calls have failed, once all are counted."""

    def status() -> dict[str, int]:
        return world.get(f"/circuit-breaker/status/{service.name}/").json()  # type: ignore[return-value]

    until(lambda: status()["total_requests"] == calls, "the breaker has heard of all")
    return status()["failed_requests"]


@pytest.mark.parametrize("leave", [Caller.close, Caller.reset, Caller.half_close])
def test_a_caller_who_hangs_up_says_nothing_against_the_service(
    world: Visit, leave: Callable[[Caller], None]
) -> None:
    """More often than a service may fail, right after the handshake, without a Close frame."""
    service = world.service(speaking(echo))
    for _ in range(2 * MAX_FAILURES):
        leave(opened(world, service))
    until(
        lambda: all_closed(world, service, by="caller", code=1006, count=2 * MAX_FAILURES),
        "all are the callers'",
    )
    assert failures_of(world, service, 2 * MAX_FAILURES) == 0
    opened(world, service)


def test_a_caller_who_hangs_up_while_it_is_spoken_to_says_nothing_either(world: Visit) -> None:
    def talk(conversation: Conversation) -> None:
        while True:
            conversation.send(frame(bytes(1_000), 2, is_masked=False))

    service = world.service(speaking(talk))
    for _ in range(2 * MAX_FAILURES):
        caller = opened(world, service)
        caller.reader.exactly(1)
        caller.close()
    until(
        lambda: all_closed(world, service, by="caller", code=1006, count=2 * MAX_FAILURES),
        "all are the callers'",
    )
    assert failures_of(world, service, 2 * MAX_FAILURES) == 0


@pytest.mark.parametrize("last_words", [b"", frame(b"bye", 1, is_masked=False)], ids=["silent", "speaking"])
def test_a_half_closed_caller_hears_what_the_service_says_and_nothing_else(
    world: Visit, last_words: bytes
) -> None:
    def talk(conversation: Conversation) -> None:
        conversation.left()
        conversation.send(last_words)
        conversation.close()

    service = world.service(speaking(talk))
    caller = opened(world, service)
    caller.half_close()
    assert caller.reader.rest() == last_words
    until(lambda: all_closed(world, service, by="caller", code=1006, count=1), "it is the caller's")


class Pump:
    """A caller who sends all the time, until it is told to end or nobody takes it any more."""

    def __init__(self, caller: Caller) -> None:
        self._raw = frame(b"x" * 1_000) * 20
        self._caller = caller
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ends.is_set() and self._caller.send_unless_closed(self._raw):
            pass

    def end(self) -> None:
        """Leave; what it was sent last has been read by now."""
        self._ends.set()
        self._thread.join()
        self._caller.close()


def test_a_service_that_resets_while_it_is_sent_to_is_told_as_1011_and_has_failed(world: Visit) -> None:
    def talk(conversation: Conversation) -> None:
        conversation.reader.exactly(100_000)
        conversation.reset()

    service = world.service(speaking(talk))
    for _ in range(MAX_FAILURES):
        caller = opened(world, service)
        pump = Pump(caller)
        assert close_code(caller.reader) == 1011
        pump.end()
    until(
        lambda: all_closed(world, service, by="service", code=1011, count=MAX_FAILURES),
        "all are the service's",
    )
    until(
        lambda: world.get("/health/").json()["circuit_breaker"][service.name] == "OPEN",  # type: ignore[index]
        "its breaker has opened",
    )


def test_a_service_that_resets_within_a_frame_resets_a_caller_who_is_sending(world: Visit) -> None:
    def talk(conversation: Conversation) -> None:
        conversation.send(b"\x82\x7e\x10\x00half")
        conversation.reader.exactly(100_000)
        conversation.reset()

    service = world.service(speaking(talk))
    with opened(world, service) as caller:
        assert caller.reader.exactly(8) == b"\x82\x7e\x10\x00half"
        # After an orderly end it would be a BrokenPipeError.
        with pytest.raises(ConnectionResetError):
            caller.push(frame(b"x" * 1_000), pause_s=10)
    until(lambda: all_closed(world, service, by="service", code=1011, count=1), "it is the service's")
    assert failures_of(world, service, 1) == 1


def test_what_a_service_said_before_it_reset_comes_before_1011(world: Visit) -> None:
    said = frame(b"nearly done", 1, is_masked=False)

    def talk(conversation: Conversation) -> None:
        conversation.reader.exactly(100_000)
        conversation.send(said)
        conversation.reset()

    caller = opened(world, world.service(speaking(talk)))
    pump = Pump(caller)
    assert caller.reader.exactly(len(said)) == said
    assert close_code(caller.reader) == 1011
    pump.end()


def test_a_service_that_says_goodbye_and_resets_has_closed_in_good_order(world: Visit) -> None:
    def talk(conversation: Conversation) -> None:
        conversation.send(frame(struct.pack("!H", 1000), 8, is_masked=False))
        conversation.reader.exactly(8)
        conversation.reset()

    service = world.service(speaking(talk))
    with opened(world, service) as caller:
        assert close_code(caller.reader) == 1000
        caller.send(frame(struct.pack("!H", 1000), 8))
        caller.expect_closed()
    until(lambda: all_closed(world, service, by="service", code=1000, count=1), "in good order")
    assert failures_of(world, service, 1) == 0
