"""A stream of requests as the gateway's server reads it, and as h11 does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import h11

from falcongate.config.settings import GatewaySettings, ServerSettings
from falcongate.errors import CallerLeft, GatewayError
from falcongate.exchange import EXCHANGE, Exchange
from falcongate.middleware.caller_address import TrustedProxies
from falcongate.middleware.context import Context
from falcongate.middleware.cors import Cors
from falcongate.middleware.request_id import RequestIds
from falcongate.middleware.response_headers import ResponseHeaders
from falcongate.server.connection import Connection
from falcongate.wire.channel import Channel
from tests.fuzz.channels import FakeChannel

SERVER = ServerSettings(max_request_line_bytes=256, max_head_bytes=1_024, max_headers=20)
"""Small, so that what is too large is among what is tried."""


@dataclass(frozen=True)
class Message:
    """One request: what everybody who reads it must find in it. Field names are in lower case."""

    method: bytes
    target: bytes
    is_http11: bool
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass
class Reading:
    """What a stream is taken for: requests, in their order, and what came of them.

    `is_forwardable` says for each whether nothing speaks against sending it on. `end` is "refused" for a
    head that is none, "cut" for a body that is none or ends too early, else "".
    """

    messages: list[Message] = field(default_factory=list)
    is_forwardable: list[bool] = field(default_factory=list)
    end: str = ""
    left: bytes = b""
    sent: bytes = b""


class _Recorder:
    """The application behind the server: notes every request, and reads its body or does not."""

    def __init__(self, reading: Reading, *, reads_bodies: bool) -> None:
        self._reading = reading
        self._reads_bodies = reads_bodies

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        reading, exchange = self._reading, cast("Exchange", environ[EXCHANGE])
        if "falcongate.refusal" in environ:
            assert isinstance(environ["falcongate.refusal"], GatewayError)
            reading.end = "refused"
        else:
            self._note(environ, exchange)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    def _note(self, environ: dict[str, Any], exchange: Exchange) -> None:
        body = b""
        if self._reads_bodies:
            try:
                body = environ["wsgi.input"].read()
            except CallerLeft:
                self._reading.end = "cut"
                environ["falcongate.close"] = True
                return
        self._reading.messages.append(
            Message(
                environ["REQUEST_METHOD"].encode("latin-1"),
                environ["RAW_URI"].encode("latin-1"),
                environ["SERVER_PROTOCOL"] == "HTTP/1.1",
                tuple((field.name, field.value) for field in environ["falcongate.fields"].fields),
                body,
            )
        )
        self._reading.is_forwardable.append(exchange.refusal is None)
        if exchange.refusal is not None and exchange.refusal.closes:
            environ["falcongate.close"] = True


_SETTINGS = GatewaySettings(server=SERVER)
_CORS = Cors(_SETTINGS.cors)
_PROXIES, _HEADERS, _IDS = TrustedProxies(SERVER), ResponseHeaders(_SETTINGS, _CORS), RequestIds()


def by_the_gateway(pieces: list[bytes], *, reads_bodies: bool = True) -> Reading:
    """What our server takes a stream for that arrives in these pieces and then ends."""
    reading, channel = Reading(), FakeChannel(pieces)
    recorder = _Recorder(reading, reads_bodies=reads_bodies)
    app = Context(recorder, request_ids=_IDS, proxies=_PROXIES, headers=_HEADERS, report=lambda _: None)
    environ = {"REMOTE_ADDR": "192.0.2.1", "wsgi.url_scheme": "http"}
    Connection(
        cast("Channel", channel), app, base_environ=environ, settings=SERVER, may_stay=lambda: True
    ).serve()
    assert channel.is_closed
    reading.left, reading.sent = channel.unread, channel.sent
    return reading


def by_h11(raw: bytes) -> tuple[Message, bytes] | None:
    """The first request in `raw`, and what is behind it; None if it is refused or not whole."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(raw)
    head, body = None, b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                break
            else:
                return None
    except h11.RemoteProtocolError:
        return None
    message = Message(
        bytes(head.method),
        bytes(head.target),
        head.http_version == b"1.1",
        tuple((bytes(name), bytes(value)) for name, value in head.headers if b"_" not in name),
        body,
    )
    return message, connection.trailing_data[0]
