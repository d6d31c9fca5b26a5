"""Which requests name a session, which begin one, and which answers tell of it."""

from __future__ import annotations

import pytest

from falcongate.resources.socket_io import Handshake, handshake_in, session_id


@pytest.mark.parametrize(
    ("target", "sid"),
    [
        (b"/socket.io/?EIO=4&transport=polling&t=1", ""),
        (b"/socket.io/?EIO=4&transport=polling&sid=Vr7_x-T", "Vr7_x-T"),
        (b"/socket.io/?sid=a&EIO=4&sid=b", "a"),
        (b"/socket.io/?EIO=4&sid=", ""),
        (b"/socket.io/?EIO=4&sid=a%20b", "a b"),
        (b"/socket.io/?transport=polling&sid=a", None),
        (b"/socket.io/?x=EIO=4&sid=a", None),
        (b"/socket.io/", None),
        (b"/socket.io/EIO=4", None),
        (b"/socket.io/?EIO=4&" + b"a=b&" * 60, None),
        (b"/socket.io/?EIO=4&sid=" + b"a" * 5_000, None),
        (b"/socket.io/?EIO=4&sid=%ff%fe", "\ufffd\ufffd"),
    ],
)
def test_the_session_of_a_request(target: bytes, sid: str | None) -> None:
    assert session_id(target) == sid


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            b'0{"sid":"Vr7_x-T","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000}',
            ("Vr7_x-T", 90),
        ),
        (b'0{"pingTimeout": 120000, "pingInterval": 60000, "sid": "x"}', ("x", 360)),
        (b'96:0{"sid":"old","upgrades":[],"pingInterval":25000,"pingTimeout":5000}2:40', ("old", 60)),
        (b'\x00\x09\x06\xff0{"sid":"older","upgrades":[]}', ("older", 60)),
        (
            b'___eio[0]("0{\\"sid\\":\\"script\\",\\"pingInterval\\":25000,\\"pingTimeout\\":20000}");',
            ("script", 90),
        ),
        (b'0{"sid":"slow","pingInterval":99999999,"pingTimeout":1}', ("slow", 3_600)),
        (b'{"sid":"no handshake"}', None),
        (b'0{"sid":""}', None),
        (b'0{"sid":"' + b"a" * 200 + b'"}', None),
        (b'{"code":1,"message":"Session ID unknown"}', None),
        (b"", None),
    ],
)  # fmt: skip
def test_the_session_in_an_answer(body: bytes, found: Handshake | None) -> None:
    assert handshake_in(body) == found
