"""How WebSockets through the gateway end, by whom, and what is told of it."""

from __future__ import annotations

import signal
import struct
import time
from collections.abc import Callable

import pytest

from tests.support.processes import until
from tests.support.upstreams import Conversation
from tests.support.websockets import (
    PLAN,
    close_code,
    echo,
    frame,
    opened,
    read_frame,
    speaking,
    unmasked,
)
from tests.support.wire import Ended
from tests.support.world import Plan, Site, Visit

pytestmark = pytest.mark.own_worker("only our own worker gives a connection away")


@pytest.fixture
def site(site_for: Callable[[Plan, str], Site], worker_kind: str) -> Site:
    return site_for(PLAN, worker_kind)


def test_a_service_that_ends_without_a_word_is_told_as_1011(world: Visit) -> None:
    with opened(world, world.service(speaking(lambda conversation: conversation.close()))) as caller:
        assert close_code(caller.reader) == 1011
        caller.expect_closed()


def test_a_service_that_ends_within_a_frame_resets_the_caller(world: Visit) -> None:
    def talk(conversation: Conversation) -> None:
        conversation.send(b"\x82\x7e\x10\x00half")
        conversation.close()

    with opened(world, world.service(speaking(talk))) as caller, pytest.raises(Ended) as ended:
        caller.reader.exactly(100)
    assert b"HTTP" not in ended.value.partial


def test_a_close_of_one_side_is_passed_on_and_answered(world: Visit) -> None:
    heard = []

    def talk(conversation: Conversation) -> None:
        raw = conversation.reader.exactly(8)
        heard.append(unmasked(raw))
        conversation.send(frame(heard[0], 8, is_masked=False))
        conversation.close()

    with opened(world, world.service(speaking(talk))) as caller:
        caller.send(frame(struct.pack("!H", 4007), 8))
        assert close_code(caller.reader) == 4007
        caller.expect_closed()
    assert heard == [struct.pack("!H", 4007)]


def test_a_half_closed_caller_still_hears_what_is_said(world: Visit) -> None:
    def talk(conversation: Conversation) -> None:
        with pytest.raises(Ended):
            conversation.reader.exactly(1_000)
        conversation.send(frame(b"last words", 1, is_masked=False))
        conversation.close()

    with opened(world, world.service(speaking(talk))) as caller:
        caller.half_close()
        assert read_frame(caller.reader) == (0x81, b"last words")


def test_a_caller_that_resets_resets_its_service(world: Visit) -> None:
    service = world.service(speaking(echo))
    with opened(world, service) as caller:
        caller.send(frame(b"x"))
        caller.reader.exactly(7)
        caller.reset()
    conversation = service.upstream.conversation()
    until(conversation.ended.is_set, "the service is told")


class TestLimits:
    """A gateway with limits on WebSockets."""

    @pytest.fixture
    def site(self, site_for: Callable[[Plan, str], Site], worker_kind: str) -> Site:
        limits = {
            "max_message_bytes": 1_000,
            "max_messages_per_s": 50,
            "idle_timeout_s": 3,
            "ping_interval_s": 1,
        }
        return site_for(Plan("limited websockets", {"websocket": limits}), worker_kind)

    def test_a_message_that_is_too_long_ends_with_1009(self, world: Visit) -> None:
        service = world.service(speaking(lambda conversation: conversation.left()))
        with opened(world, service) as caller:
            fitting = frame(b"x" * 600, 1, first=0)
            caller.send(fitting + frame(b"y" * 401, 0))
            assert close_code(caller.reader) == 1009
        heard = service.upstream.conversation()
        until(heard.ended.is_set, "the service is told")
        _, _, stream = heard.raw.partition(b"\r\n\r\n")
        assert stream[: len(fitting)] == fitting
        assert unmasked(stream[len(fitting) :]) == struct.pack("!H", 1009)

    def test_too_many_messages_end_with_1008(self, world: Visit) -> None:
        with opened(world, world.service(speaking(lambda conversation: conversation.left()))) as caller:
            caller.send(frame(b"x") * 500)
            assert close_code(caller.reader) == 1008

    def test_silence_is_asked_and_ends_with_1001(self, world: Visit) -> None:
        with opened(world, world.service(speaking(lambda conversation: conversation.left()))) as caller:
            assert caller.reader.exactly(2) == b"\x89\x00"
            while (first := caller.reader.exactly(2)) == b"\x89\x00":
                pass
            assert first[0] == 0x88
            assert caller.reader.exactly(2) == struct.pack("!H", 1001)


class TestDraining:
    """A worker that is told to stop."""

    @pytest.fixture
    def site(self, site_for: Callable[[Plan, str], Site], worker_kind: str) -> Site:
        arguments = ("--graceful-timeout", "6")
        return site_for(Plan("draining websockets", {}, workers=1, arguments=arguments), worker_kind)

    def test_callers_are_told_1012_one_after_the_other_between_frames(self, world: Visit) -> None:
        def talk(conversation: Conversation) -> None:
            conversation.send(b"\x82\x05he")
            conversation.stall()
            conversation.send(b"llo")
            conversation.left()

        half = world.service(speaking(talk))
        with opened(world, half) as within_a_frame:
            assert within_a_frame.reader.exactly(4) == b"\x82\x05he"
            service = world.service(speaking(echo))
            others = [opened(world, service) for _ in range(12)]
            began = time.monotonic()
            (worker,) = world.gateway.children()
            world.gateway.allow_deaths()
            world.gateway.signal(signal.SIGTERM, worker)
            times = []
            for caller in others:
                assert close_code(caller.reader) == 1012
                times.append(time.monotonic() - began)
            half.upstream.conversation().release()
            assert within_a_frame.reader.exactly(3) == b"llo"
            assert close_code(within_a_frame.reader) == 1012
            assert max(times) > 1.5, "not all at once"
            for caller in (*others, within_a_frame):
                caller.close()


def test_they_are_counted(world: Visit) -> None:
    service = world.service(speaking(echo))

    def shows(line: str) -> bool:
        return f"{line}\n" in world.get("/metrics").content.decode()

    with opened(world, service) as caller:
        until(lambda: shows(f'falcongate_websockets{{service="{service.name}"}} 1.0'), "it is open")
        caller.send(frame(b"one") + frame(b"two"))
        caller.reader.exactly(18)
        caller.send(frame(struct.pack("!H", 1000), 8))
        caller.reader.exactly(8)
    name = f'service="{service.name}"'
    until(
        lambda: shows(f'falcongate_websockets_closed_total{{by="caller",code="1000",{name}}} 1.0'), "closed"
    )
    assert shows(f"falcongate_websockets_opened_total{{{name}}} 1.0")
    assert shows(f'falcongate_websocket_messages_total{{direction="up",{name}}} 2.0')
    assert shows(f'falcongate_websocket_bytes_total{{direction="up",{name}}} 26.0')
    assert shows(f"falcongate_websockets{{{name}}} 0.0")
