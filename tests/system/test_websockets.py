"""WebSockets through the gateway: handshakes, what passes, and how it ends."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.sync.client import connect
from websockets.sync.server import serve

from tests.support.callers import drain
from tests.support.processes import until
from tests.support.upstreams import Conversation, answering, ok
from tests.support.websockets import (
    KEY,
    PLAN,
    agreeing,
    echo,
    frame,
    opened,
    speaking,
    upgrade,
)
from tests.support.world import Plan, Site, Visit, running

pytestmark = pytest.mark.own_worker("only our own worker gives a connection away")


@pytest.fixture
def site(site_for: Callable[[Plan, str], Site], worker_kind: str) -> Site:
    return site_for(PLAN, worker_kind)


def test_what_was_agreed_passes_untouched(world: Visit) -> None:
    chat = world.service(
        speaking(echo, "Sec-WebSocket-Protocol: chat.v2", "Sec-WebSocket-Extensions: permessage-deflate")
    )
    with world.caller() as caller:
        fields = [
            ("Sec-WebSocket-Protocol", "chat.v1, chat.v2"),
            ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
            ("Origin", "https://app.example.com"),
        ]
        caller.send(upgrade(f"/ws/{chat.name}/room/7?x=%20", fields))
        head = caller.reader.head()
    assert head.start == "HTTP/1.1 101 Switching Protocols"
    assert head.get("Upgrade") == "websocket"
    assert head.get("Connection") == "Upgrade"
    assert head.get("Sec-WebSocket-Protocol") == "chat.v2"
    assert head.get("Sec-WebSocket-Extensions") == "permessage-deflate"
    assert head.get("X-Request-ID")
    assert head.get("Transfer-Encoding") is None
    (sent,) = chat.upstream.heads
    assert sent.start == f"GET /ws/{chat.name}/room/7?x=%20 HTTP/1.1"
    assert sent.get("Upgrade") == "websocket"
    assert sent.get("Connection") == "Upgrade"
    assert sent.get("Sec-WebSocket-Key") == KEY
    assert sent.get("Sec-WebSocket-Protocol") == "chat.v1, chat.v2"
    assert sent.get("Sec-WebSocket-Extensions") == "permessage-deflate; client_max_window_bits"
    assert sent.get("X-Forwarded-For") == "127.0.0.1"


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 3_000_000])
def test_messages_of_every_length_come_as_they_were(world: Visit, size: int) -> None:
    with opened(world, world.service(speaking(echo))) as caller:
        for sent in (frame(b"x" * size, 1), frame(b"y" * size, 2, is_masked=False)):
            caller.send(sent)
            assert caller.reader.exactly(len(sent), within_s=30) == sent


@pytest.mark.parametrize(
    "raw",
    [
        frame(b"a", 1, first=0) + frame(b"", 9) + frame(b"b", 0, first=0) + frame(b"c", 0),
        frame(b"reserved bits", 2, first=0xF0),
        frame(b"reserved opcode", 3),
        frame(b"reserved control", 0xB),
        frame(b"x" * 126, 9),
        frame(b"half a ping", 9, first=0),
        frame(b"\xff\xfe not text", 1),
        frame(b"continues nothing", 0),
        b"\x82\xfe\x00\x05" + b"\x00" * 4 + b"small",
        frame(b"", 9) * 2_000,
    ],
    ids=[
        "fragments", "rsv", "opcode", "control", "long-ping", "fragmented-ping", "not-utf8", "continuation",
        "long-form", "pings",
    ],
)  # fmt: skip
def test_what_is_not_ours_to_judge_passes_unchanged(world: Visit, raw: bytes) -> None:
    with opened(world, world.service(speaking(echo))) as caller:
        caller.send(raw)
        assert caller.reader.exactly(len(raw)) == raw


def test_bytes_may_come_one_by_one(world: Visit) -> None:
    with opened(world, world.service(speaking(echo))) as caller:
        raw = frame(b"x" * 300, 1)
        for at in range(len(raw)):
            caller.send(raw[at : at + 1])
        assert caller.reader.exactly(len(raw)) == raw


def test_bytes_that_come_with_the_handshake_belong_to_the_stream(world: Visit) -> None:
    greeting = frame(b"welcome", 1, is_masked=False)
    chat = world.service(speaking(echo, early=greeting))
    with world.caller() as caller:
        first = frame(b"first", 1)
        caller.send(upgrade(f"/ws/{chat.name}/x") + first)
        caller.reader.head()
        assert caller.reader.exactly(len(greeting + first)) == greeting + first


def test_what_follows_a_tunnel_is_no_request(world: Visit) -> None:
    chat = world.service(speaking(echo))
    with opened(world, chat) as caller:
        raw = frame(struct.pack("!H", 1000), 8) + b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
        caller.send(raw)
        caller.half_close()
        assert b"HTTP/1.1" not in caller.reader.rest().replace(raw, b"")
    assert len(chat.upstream.heads) == 1


@pytest.mark.parametrize(
    ("request_", "status", "problem"),
    [
        (upgrade("/ws/chat/x", [("Sec-WebSocket-Version", "8")]), 426, "upgrade-required"),
        (upgrade("/ws/chat/x", without="Sec-WebSocket-Version"), 426, "upgrade-required"),
        (upgrade("/ws/chat/x", without="Sec-WebSocket-Key"), 400, "malformed-request"),
        (upgrade("/ws/chat/x", [("Sec-WebSocket-Key", "short")]), 400, "malformed-request"),
        (upgrade("/ws/chat/x", [("Content-Length", "3")]) + b"abc", 400, "malformed-request"),
        (upgrade("/ws/chat/x", [("Origin", "https://evil.example")]), 403, "origin-not-allowed"),
        (upgrade("/ws/chat/x", [("Origin", "null")]), 403, "origin-not-allowed"),
        (upgrade("/ws/chat/x", method="POST"), 405, "method-not-allowed"),
        (upgrade("/ws/nobody/x"), 404, "no-route"),
    ],
)
def test_a_bad_handshake_is_refused(world: Visit, request_: bytes, status: int, problem: str) -> None:
    with world.caller() as caller:
        caller.send(request_)
        answer = caller.answer()
    assert answer.status == status
    assert answer.json()["type"] == f"/problems/{problem}"
    if status == 426:
        assert answer.get("Sec-WebSocket-Version") == "13"


@pytest.mark.parametrize("origin", ["https://app.example.com", "http://gateway.test", None])
def test_pages_of_known_origins_and_what_is_no_page_are_welcome(world: Visit, origin: str | None) -> None:
    with opened(world, world.service(speaking(echo)), [("Origin", origin)] if origin else []) as caller:
        caller.send(frame(b"x"))
        assert len(caller.reader.exactly(7)) == 7


def test_where_the_service_does_not_say_so_an_upgrade_is_an_ordinary_request(world: Visit) -> None:
    with world.caller() as caller:
        caller.send(upgrade("/api/plain/x"))
        answer = caller.answer()
    assert answer.status == 200
    assert "upgrade" not in {name.lower() for name, _ in answer.json()["headers"]}  # type: ignore[union-attr]


def test_where_the_service_says_so_its_own_paths_may_be_upgraded(world: Visit) -> None:
    chat = world.service(speaking(echo))
    with world.caller() as caller:
        caller.send(upgrade(f"/api/{chat.name}/live"))
        assert caller.reader.head().start.startswith("HTTP/1.1 101 ")
    assert chat.upstream.heads[0].start == f"GET /{chat.name}/live HTTP/1.1"


@pytest.mark.parametrize("status", [200, 403, 503])
def test_another_answer_than_101_is_relayed(world: Visit, status: int) -> None:
    raw = b"HTTP/1.1 %d So\r\nContent-Length: 2\r\nX-Why: it\r\n\r\nno" % status
    service = world.service(answering(raw, raw))
    with world.caller() as caller:
        for _ in range(2):
            caller.send(upgrade(f"/ws/{service.name}/x"))
            answer = caller.answer()
            assert (answer.status, answer.content, answer.get("X-Why")) == (status, b"no", "it")


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b"Sec-WebSocket-Accept: ", b"Sec-WebSocket-Accept: x"),
        lambda raw: raw.replace(b"Sec-WebSocket-Accept", b"X-Other"),
        lambda raw: raw.replace(b"Connection: Upgrade\r\n", b""),
        lambda raw: raw.replace(b"Upgrade: websocket\r\n", b""),
        lambda raw: raw.replace(b"Upgrade: websocket", b"Upgrade: h2c"),
    ],
    ids=["wrong-accept", "no-accept", "no-connection", "no-upgrade", "h2c"],
)
def test_a_false_agreement_is_502(world: Visit, change: Callable[[bytes], bytes]) -> None:
    def handler(conversation: Conversation) -> None:
        head, _ = conversation.read_request()
        conversation.send(change(agreeing(head)))
        conversation.left()

    service = world.service(handler)
    with world.caller() as caller:
        caller.send(upgrade(f"/ws/{service.name}/x"))
        answer = caller.answer()
    assert answer.status == 502
    assert answer.json()["type"] == "/problems/service-spoke-nonsense"


def test_a_101_that_nobody_asked_for_is_502(world: Visit) -> None:
    service = world.service(
        answering(b"HTTP/1.1 101 So\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    )
    assert world.get(service.path()).status == 502


def test_who_reads_slowly_slows_the_other_side(world: Visit) -> None:
    """The gateway holds no more than it can pass on: what the service could send is bounded."""
    pushed = []

    def talk(conversation: Conversation) -> None:
        chunk = b"\x82\x7f" + (1 << 30).to_bytes(8) + bytes(1 << 20)
        conversation.send(chunk[:10])
        pushed.append(conversation.push(bytes(1 << 20), pause_s=1.0))
        conversation.send(bytes((1 << 30) - pushed[0]) if pushed[0] > 900 << 20 else b"")
        conversation.stall()

    service = world.service(speaking(talk))
    with opened(world, service) as caller:
        until(lambda: pushed, "the service is held back", within_s=30)
        assert pushed[0] < 64 << 20
        assert drain(caller, pushed[0]) == pushed[0]
    service.upstream.conversation().release()


def test_a_real_client_talks_with_compression(tmp_path: Path) -> None:
    """With the client of the `websockets` package: long, empty and many messages."""

    def talk(connection: object) -> None:
        for message in connection:  # type: ignore[attr-defined]
            connection.send(message)  # type: ignore[attr-defined]

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = serve(talk, sock=listener, max_size=None)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            settings = {"services": {"talk": {"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}}}
            _talk_through(settings, tmp_path)
        finally:
            server.shutdown()
            thread.join()


def _talk_through(settings: dict[str, object], directory: Path) -> None:
    with running(Plan("real", settings, 0), directory) as site:
        host, port = site.gateway.address
        with connect(f"ws://{host}:{port}/ws/talk/x", max_size=None) as client:
            assert client.protocol.extensions, "compression was agreed on"
            for message in ("", "hallo", "ä" * 100_000, b"", bytes(64 << 20)):
                client.send(message)
                assert client.recv(timeout=60) == message
            client.send(["frag", "mented"])
            assert client.recv(timeout=5) == "fragmented"
            assert client.ping().wait(5)
        assert client.close_code == 1000
        line = site.gateway.logged(client.response.headers["X-Request-ID"])
        assert line["status"] == 101
        assert line["reason"] == "WebSocket closed with 1000 by the caller"


def test_an_ordinary_request_goes_on_beside_them(world: Visit) -> None:
    service = world.service(answering(ok()))
    with opened(world, world.service(speaking(echo))):
        assert world.get(service.path()).status == 200
