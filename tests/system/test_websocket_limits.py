"""How many WebSockets there may be, how much they may say, and what becomes of sides that take nothing."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import pytest

from tests.support.callers import Answer
from tests.support.processes import until
from tests.support.upstreams import Conversation
from tests.support.websockets import close_code, echo, frame, opened, speaking, unmasked, upgrade
from tests.support.wire import Ended
from tests.support.world import Plan, ScriptedService, Site, Visit

pytestmark = pytest.mark.own_worker("only our own worker gives a connection away")
SEND_TIMEOUT_S = 2
RATE = 20
SiteFor = Callable[[Plan, str], Site]


def closed(world: Visit, service: ScriptedService, by: str, code: int) -> bool:
    """Whether a WebSocket of this service has ended like this."""
    labels = f'by="{by}",code="{code}",service="{service.name}"'
    return f"falcongate_websockets_closed_total{{{labels}}} 1.0\n" in world.get("/metrics").content.decode()


def refused(world: Visit, service: ScriptedService) -> Answer:
    """What somebody is answered who asks for a WebSocket in vain."""
    with world.caller() as caller:
        caller.send(upgrade(f"/ws/{service.name}/x"))
        return caller.answer()


def is_let_in(world: Visit, service: ScriptedService, *, source: str | None = None) -> bool:
    """Whether one more gets a WebSocket; it stays."""
    caller = world.caller(source=source)
    caller.send(upgrade(f"/ws/{service.name}/x"))
    if caller.reader.head().start.startswith("HTTP/1.1 101 "):
        return True
    caller.close()
    return False


class TestSidesThatTakeNothing:
    """A gateway that waits for nobody for long."""

    @pytest.fixture
    def site(self, site_for: SiteFor, worker_kind: str) -> Site:
        settings = {"server": {"send_timeout_s": SEND_TIMEOUT_S}}
        return site_for(Plan("impatient websockets", settings), worker_kind)

    def test_a_service_that_takes_nothing_is_told_to_callers_as_1013(self, world: Visit) -> None:
        service = world.service(speaking(lambda conversation: conversation.stall()))
        with opened(world, service) as caller:
            began = time.monotonic()
            caller.push(frame(bytes(65_000)))
            assert close_code(caller.reader) == 1013
            assert time.monotonic() - began >= SEND_TIMEOUT_S
            until(lambda: closed(world, service, "gateway", 1013), "it has ended")
        service.upstream.conversation().release()

    def test_a_caller_who_takes_nothing_is_reset_and_its_service_told_1001(self, world: Visit) -> None:
        told = []

        def talk(conversation: Conversation) -> None:
            conversation.push(frame(bytes(65_000), is_masked=False))
            told.append(unmasked(conversation.reader.exactly(8)))

        service = world.service(speaking(talk))
        with world.caller(receive_buffer_bytes=65_536) as caller:
            caller.send(upgrade(f"/ws/{service.name}/x"))
            until(lambda: closed(world, service, "gateway", 1013), "it has ended")
            with pytest.raises(Ended) as ended:
                caller.reader.exactly(1 << 30)
        assert ended.value.reset
        assert told == [struct.pack("!H", 1001)]

    def test_who_takes_little_by_little_is_waited_for(self, world: Visit) -> None:
        raw = frame(bytes(12 << 20), is_masked=False)

        def talk(conversation: Conversation) -> None:
            conversation.send(raw)
            echo(conversation)

        service = world.service(speaking(talk))
        caller = world.caller(receive_buffer_bytes=65_536)
        caller.send(upgrade(f"/ws/{service.name}/x"))
        caller.reader.head()
        until_s = time.monotonic() + SEND_TIMEOUT_S * 2.5
        got = 0
        while time.monotonic() < until_s:
            got += len(caller.reader.exactly(65_536))
            time.sleep(0.1)  # the pace of somebody slow
        assert got < len(raw)
        caller.reader.exactly(len(raw) - got)
        caller.send(frame(b"x"))
        assert caller.reader.exactly(7)


class TestRoom:
    """A worker with room for two."""

    @pytest.fixture
    def site(self, site_for: SiteFor, worker_kind: str) -> Site:
        return site_for(Plan("two websockets", {"server": {"max_connections": 2}}), worker_kind)

    def test_one_more_than_there_is_room_for_is_refused_until_one_has_ended(self, world: Visit) -> None:
        service = world.service(speaking(echo))
        first = opened(world, service)
        opened(world, service)
        answer = refused(world, service)
        assert answer.status == 503
        assert answer.json()["type"] == "/problems/saturated"
        assert answer.get("Retry-After")
        assert len(service.upstream.conversations) == 2, "the service was not asked"
        first.close()
        until(lambda: is_let_in(world, service), "there is room again")


class TestRoomForEach:
    """A gateway with two WebSockets for each address."""

    @pytest.fixture
    def site(self, site_for: SiteFor, worker_kind: str) -> Site:
        each = {"limit": 2, "key": "caller_address", "paths": ["/ws/**"]}
        return site_for(Plan("websockets for each", {"concurrency": {"each": each}}), worker_kind)

    def test_one_caller_cannot_have_more_at_once_and_others_are_welcome(self, world: Visit) -> None:
        service = world.service(speaking(echo))
        first = opened(world, service)
        opened(world, service)
        answer = refused(world, service)
        assert answer.status == 429
        assert answer.json()["type"] == "/problems/too-many-at-once"
        assert answer.json()["violated-policies"] == ["each"]
        for _ in range(2):
            assert is_let_in(world, service, source="127.0.0.9")
        first.close()
        until(lambda: is_let_in(world, service), "its place is free")
        assert refused(world, service).status == 429


class TestRate:
    """A gateway where callers may send so many frames a second."""

    @pytest.fixture
    def site(self, site_for: SiteFor, worker_kind: str) -> Site:
        return site_for(Plan("paced websockets", {"websocket": {"max_messages_per_s": RATE}}), worker_kind)

    @pytest.mark.parametrize(
        "flood",
        [frame(b"", 9), frame(b"", 10), frame(b"", 0, first=0), frame(b"x", 1), frame(b"x", 0, first=0)],
        ids=["pings", "pongs", "empty-fragments", "messages", "fragments"],
    )
    def test_a_flood_of_whatever_frames_ends_with_1008(self, world: Visit, flood: bytes) -> None:
        service = world.service(speaking(lambda conversation: conversation.left()))
        with opened(world, service) as caller:
            caller.send(frame(b"begin", 1, first=0) + flood * RATE * 5)
            assert close_code(caller.reader) == 1008
        until(lambda: closed(world, service, "gateway", 1008), "it has ended")

    def test_who_stays_below_may_go_on(self, world: Visit) -> None:
        with opened(world, world.service(speaking(echo))) as caller:
            for _ in range(RATE):
                raw = frame(b"", 9) + frame(b"x", 1)
                caller.send(raw)
                assert caller.reader.exactly(len(raw)) == raw
                time.sleep(4 / RATE)  # the pace: half of what is allowed
