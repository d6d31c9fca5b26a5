"""What comes back through the gateway is what a real server says to the same bytes directly."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from tests.support.callers import Caller
from tests.support.websockets import frame, upgrade
from tests.support.wire import Ended, Stalled
from tests.support.world import Plan, Site, Visit, running

pytestmark = pytest.mark.own_worker("only our own worker gives a connection away")
QUIET_S = 1.5
CLOSE = struct.pack("!H", 1000)
BEGIN = frame(b"first ", 1, first=0)
CASES = {
    "text": frame(b"hallo", 1),
    "no-mask": frame(b"x", 1, is_masked=False),
    "first-reserved-bit": frame(b"x", 1, first=0xC0),
    "second-reserved-bit": frame(b"x", 1, first=0xA0),
    "third-reserved-bit": frame(b"x", 1, first=0x90),
    "reserved-opcode": frame(b"x", 3),
    "reserved-control-opcode": frame(b"x", 0xB),
    "ping": frame(b"are you there", 9),
    "longest-ping": frame(b"x" * 125, 9),
    "long-ping": frame(b"x" * 126, 9),
    "fragmented-ping": frame(b"x", 9, first=0),
    "pong-unasked": frame(b"x", 10) + frame(b"y", 1),
    "pings": frame(b"", 9) * 500,
    "not-utf8": frame(b"\xff", 1),
    "not-utf8-over-fragments": frame(b"\xce", 1, first=0) + frame(b"\xff", 0),
    "utf8-over-fragments": frame(b"\xce", 1, first=0) + frame(b"\xba", 0),
    "continues-nothing": frame(b"x", 0),
    "begins-within": BEGIN + frame(b"other", 1),
    "fragments": BEGIN + frame(b"ping", 9) + frame(b"last", 0),
    "empty-fragments": frame(b"", 1, first=0) + frame(b"", 0, first=0) * 50 + frame(b"", 0),
    "empty": frame(b"", 2),
    "close": frame(CLOSE, 8),
    "close-with-reason": frame(CLOSE + b"bye", 8),
    "close-with-longest-reason": frame(CLOSE + b"x" * 123, 8),
    "close-too-long": frame(CLOSE + b"x" * 124, 8),
    "close-without-code": frame(b"", 8),
    "close-with-half-a-code": frame(b"\x03", 8),
    "close-within-a-message": BEGIN + frame(CLOSE, 8),
    "close-fragmented": frame(CLOSE, 8, first=0),
    "close-reason-not-utf8": frame(CLOSE + b"\xff", 8),
    "two-closes": frame(CLOSE, 8) * 2,
    "message-after-close": frame(CLOSE, 8) + frame(b"late", 1),
    "http-after-close": frame(CLOSE, 8) + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "length-in-long-form": b"\x82\xfe\x00\x05" + bytes(4) + b"small",
    "length-in-longest-form": b"\x82\xff" + (5).to_bytes(8) + bytes(4) + b"small",
    "negative-length": b"\x82\xff" + b"\xff" * 8 + bytes(4),
    "ends-within-a-header": frame(b"x" * 300, 1)[:3],
    "ends-within-a-mask": frame(b"x", 1)[:4],
    "ends-within-a-frame": frame(b"x" * 50, 1)[:20],
    "ends-within-a-message": BEGIN,
    "ends-without-close": frame(b"x", 1),
    "no-frame": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
} | {
    f"close-{code}": frame(struct.pack("!H", code), 8)
    for code in (0, 999, 1001, 1004, 1005, 1006, 1011, 1012, 1013, 1014, 1015, 2999, 3000, 4999, 5000)
}


class Stream(NamedTuple):
    """What came back, and how it ended."""

    raw: bytes
    end: str


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    """Where an echo of the `websockets` package listens."""

    def talk(connection: ServerConnection) -> None:
        # What is wrong with its caller is what is tested.
        with contextlib.suppress(ConnectionClosed):
            for message in connection:
                connection.send(message)

    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        address: tuple[str, int] = listener.getsockname()
        real = serve(talk, sock=listener, max_size=None, close_timeout=1)
        thread = threading.Thread(target=real.serve_forever)
        thread.start()
        yield address
        real.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def site(server: tuple[str, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A gateway before it, whose breaker does not mind what is done here."""
    talk = {"url": "http://{}:{}".format(*server), "breaker": {"enabled": False}}
    plan = Plan("directly", {"services": {"talk": talk}}, 0)
    with running(plan, tmp_path_factory.mktemp("directly")) as site:
        yield site


def stream_of(address: tuple[str, int], raw: bytes) -> Stream:
    """Send these bytes behind a handshake; once nothing comes any more, end this half."""
    with Caller(address) as caller:
        caller.send(upgrade("/ws/talk/x"))
        assert caller.reader.head().start.startswith("HTTP/1.1 101 ")
        caller.send(raw)
        try:
            with contextlib.suppress(Stalled):
                return Stream(caller.reader.rest(within_s=QUIET_S), "ended")
            caller.half_close()
            return Stream(caller.reader.rest(), "ended after the caller")
        except Ended:
            return Stream(caller.reader.unread(), "reset")


def test_every_case_is_answered_as_directly(world: Visit, server: tuple[str, int]) -> None:
    with ThreadPoolExecutor(32) as pool:
        directly = {name: pool.submit(stream_of, server, raw) for name, raw in CASES.items()}
        through = {name: pool.submit(stream_of, world.gateway.address, raw) for name, raw in CASES.items()}
    differing = {
        name: (directly[name].result(), through[name].result())
        for name in CASES
        if directly[name].result() != through[name].result()
    }
    assert not differing
    assert directly["text"].result().raw.startswith(frame(b"hallo", 1, is_masked=False))
    assert directly["close-4999"].result().raw == frame(struct.pack("!H", 4999), 8, is_masked=False)


@pytest.mark.parametrize(
    "raw",
    [frame(b"", 9), frame(b"ping", 9), frame(b"", 0, first=0)],
    ids=["empty-pings", "pings", "empty-fragments"],
)
def test_a_flood_is_answered_as_directly(world: Visit, server: tuple[str, int], raw: bytes) -> None:
    flood = frame(b"begin", 2, first=0) + raw * 20_000 + frame(b"end", 0) + frame(CLOSE, 8)
    assert stream_of(world.gateway.address, flood) == stream_of(server, flood)


def test_64_mib_that_cannot_be_compressed_come_back_as_they_were(world: Visit) -> None:
    message = os.urandom(64 << 20)
    url = "ws://{}:{}/ws/talk/x".format(*world.gateway.address)
    with connect(url, max_size=None, compression=None) as client:
        client.send(message)
        assert client.recv(timeout=60) == message
    assert client.close_code == 1000
