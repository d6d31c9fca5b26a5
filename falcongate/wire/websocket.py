"""WebSocket as far as a relay needs it (RFC 6455): where frames begin and end, and Close frames. Pure.

Messages are not looked into, not unmasked, not unpacked.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import struct
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

GOING_AWAY: Final = 1001
NO_STATUS: Final = 1005
"""Of a Close frame that gives no code; never sent (RFC 6455, 7.1.5)."""
ABNORMAL: Final = 1006
"""Of an end without a Close frame; never sent."""
POLICY: Final = 1008
TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011
RESTART: Final = 1012
TRY_LATER: Final = 1013

PING: Final = b"\x89\x00"
"""A ping without a payload, for a caller."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")
_CLOSE: Final = 8


def asks_for_websocket(environ: Mapping[str, Any]) -> bool:
    """Whether a request, as WSGI has it, is an opening handshake (RFC 6455, 4.2.1), good or not."""
    return (
        environ["REQUEST_METHOD"] == "GET"
        and environ["SERVER_PROTOCOL"] == "HTTP/1.1"
        and _has_token(environ.get("HTTP_UPGRADE", ""), "websocket")
        and _has_token(environ.get("HTTP_CONNECTION", ""), "upgrade")
    )


def is_key(text: str) -> bool:
    """Whether it can be the `Sec-WebSocket-Key` of a caller: 16 bytes in base64 (RFC 6455, 4.1)."""
    return _KEY.fullmatch(text) is not None


def accept_of(key: str) -> bytes:
    """The `Sec-WebSocket-Accept` that proves that a service has understood (RFC 6455, 4.2.2)."""
    digest = hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest)


def close_frame(code: int, reason: str = "", *, is_masked: bool) -> bytes:
    """A Close frame. Those to a service are masked, as a caller's are (RFC 6455, 5.3)."""
    payload = struct.pack("!H", code) + reason.encode("ascii")
    if not is_masked:
        return bytes((0x88, len(payload))) + payload
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes((0x88, 0x80 | len(payload))) + mask + masked


def _has_token(value: str, token: str) -> bool:
    return any(part.strip().lower() == token for part in value.split(","))


class FrameFollower:
    """Follows the frames of one direction by their headers.

    `left` are the bytes of the current frame's payload that are still to come. `frames` counts all that
    have begun, `messages` those that have ended; `close_code` is that of the Close frame, 0 until there is
    one. A message of more than `max_message_bytes` (0: none is too long) sets `is_too_long`, where the frame
    begins that is too much.
    """

    __slots__ = (
        "_max_message_bytes",
        "_message_bytes",
        "close_code",
        "frames",
        "is_too_long",
        "left",
        "messages",
    )

    def __init__(self, max_message_bytes: int = 0) -> None:
        self._max_message_bytes = max_message_bytes
        self._message_bytes = 0
        self.left = 0
        self.frames = 0
        self.messages = 0
        self.close_code = 0
        self.is_too_long = False

    def follow(self, data: bytes, *, one_frame: bool = False) -> int:
        """How much of `data` may be passed on: all but the beginning of a header that is not whole yet.

        With `one_frame`, no more than to the end of the current frame.
        """
        at, size = 0, len(data)
        while at < size:
            if self.left:
                step = min(self.left, size - at)
                self.left -= step
                at += step
                continue
            if one_frame or self.is_too_long:
                break
            begun = self._begin(data, at, size)
            if not begun:
                break
            at += begun
        return at

    def _begin(self, data: bytes, at: int, size: int) -> int:
        """Read the header at `at`; its length, 0 if it is not whole, or of a message that is too long."""
        if size - at < 2:
            return 0
        first, second = data[at], data[at + 1]
        length = second & 0x7F
        header = 2 + (2 if length == 126 else 8 if length == 127 else 0)
        mask_at = at + header
        if second & 0x80:
            header += 4
        opcode = first & 0x0F
        # A Close frame is known with its code.
        if size - at < header + (min(length, 2) if opcode == _CLOSE else 0):
            return 0
        if length >= 126:
            length = int.from_bytes(data[at + 2 : at + (4 if length == 126 else 10)])
        if opcode < _CLOSE:
            if self._max_message_bytes and self._message_bytes + length > self._max_message_bytes:
                self.is_too_long = True
                return 0
            is_last = first & 0x80
            self._message_bytes = 0 if is_last else self._message_bytes + length
            self.messages += bool(is_last)
        elif opcode == _CLOSE and not self.close_code:
            self.close_code = _code_in(data, at + header, length, mask_at if second & 0x80 else None)
        self.left = length
        self.frames += 1
        return header


def _code_in(data: bytes, at: int, length: int, mask_at: int | None) -> int:
    if length < 2:
        return NO_STATUS
    code = data[at : at + 2]
    if mask_at is not None:
        code = bytes((code[0] ^ data[mask_at], code[1] ^ data[mask_at + 1]))
    return int.from_bytes(code)
