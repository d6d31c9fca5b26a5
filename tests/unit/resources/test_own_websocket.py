"""The end of a WebSocket of the gateway itself."""

from __future__ import annotations

import logging

import gevent
import pytest

from falcongate.resources.own_websocket import OwnWebSocket
from falcongate.wire.websocket import INTERNAL_ERROR, close_frame


class Channel:
    """The other side, which says nothing."""

    def __init__(self) -> None:
        self.buffer = b""
        self.sent: list[bytes] = []

    def send_all(self, data: bytes, timeout_s: float) -> None:
        """As a channel does."""
        del timeout_s
        self.sent.append(data)

    def receive(self, size: int, timeout_s: float) -> bytes:
        """Nothing, for ever."""
        del size, timeout_s
        gevent.sleep(60)
        return b""


def test_a_defect_of_what_is_shown_ends_it_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def watch(_: OwnWebSocket) -> int:
        raise KeyError("a defect")

    channel = Channel()
    with caplog.at_level(logging.ERROR):
        OwnWebSocket(watch).relay_to(channel, b"head", is_chunked=False, send_timeout_s=1.0)  # type: ignore[arg-type]

    assert channel.sent == [b"head", close_frame(INTERNAL_ERROR, is_masked=False)]
    assert "a defect" in caplog.text
