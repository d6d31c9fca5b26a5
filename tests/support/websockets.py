"""WebSockets byte by byte: handshakes, frames, and services that speak them."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

from falcongate.wire.websocket import accept_of
from tests.support.callers import Caller, Fields, request_bytes
from tests.support.upstreams import Conversation, Handler
from tests.support.wire import Head, Reader
from tests.support.world import Plan, ScriptedService, Visit

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


PLAN = Plan(
    "websockets",
    {
        "cors": {"origins": ["https://app.example.com"]},
        "services": {"chat": {"websocket": True}, "plain": {}},
    },
    scripted=60,
    scripted_settings={"websocket": True, "retries": 0, "strip_prefix": "/api"},
)
"""A gateway with services for WebSockets, and two that are there always."""


def upgrade(path: str, fields: Fields = (), *, without: str = "", method: str = "GET") -> bytes:
    """An opening handshake; `fields` replace those of the same name, `without` names one to leave away."""
    usual = {
        "Connection": "keep-alive, Upgrade",
        "Upgrade": "WebSocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
    }
    replaced = {name.lower() for name, _ in fields} | {without.lower()}
    kept = [(name, value) for name, value in usual.items() if name.lower() not in replaced]
    return request_bytes(method, path, [*kept, *fields])


def agreeing(head: Head, *fields: str, early: bytes = b"") -> bytes:
    """A service's consent to a handshake."""
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_of(head.get('Sec-WebSocket-Key') or '').decode()}",
        *fields,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + early


def speaking(talk: Callable[[Conversation], object], *fields: str, early: bytes = b"") -> Handler:
    """A service that agrees, and then does what `talk` does."""

    def handler(conversation: Conversation) -> None:
        head, _ = conversation.read_request()
        conversation.send(agreeing(head, *fields, early=early))
        talk(conversation)

    return handler


def echo(conversation: Conversation) -> None:
    """Send back every byte that comes, as it came."""
    while True:
        conversation.send(conversation.reader.some(within_s=60))


def frame(payload: bytes, opcode: int = 2, *, first: int = 0x80, is_masked: bool = True) -> bytes:
    """One frame; `first` holds FIN and the reserved bits."""
    size = len(payload)
    if size < 126:
        length = bytes((size,))
    elif size < 65_536:
        length = b"\x7e" + size.to_bytes(2)
    else:
        length = b"\x7f" + size.to_bytes(8)
    if not is_masked:
        return bytes((first | opcode,)) + length + payload
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes((first | opcode, length[0] | 0x80)) + length[1:] + mask + masked


def unmasked(raw: bytes) -> bytes:
    """The payload of one short frame with a mask."""
    mask = raw[2:6]
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(raw[6:]))


def opened(world: Visit, service: ScriptedService, fields: Fields = ()) -> Caller:
    """A caller whose WebSocket to the service is open."""
    caller = world.caller()
    caller.send(upgrade(f"/ws/{service.name}/room", fields))
    head = caller.reader.head()
    assert head.start.startswith("HTTP/1.1 101 "), head.raw
    return caller


def read_frame(reader: Reader) -> tuple[int, bytes]:
    """First byte and payload of a frame without a mask."""
    first, size = reader.exactly(2)
    if size == 126:
        size = int.from_bytes(reader.exactly(2))
    elif size == 127:
        size = int.from_bytes(reader.exactly(8))
    return first, reader.exactly(size)


def close_code(reader: Reader) -> int:
    """The code of the Close frame that comes next, after Pings at most."""
    first, payload = read_frame(reader)
    while first == 0x89:
        first, payload = read_frame(reader)
    assert first == 0x88
    return int(struct.unpack("!H", payload[:2])[0])
