"""What is noted of an attempt while it goes on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from falcongate.config.settings import ServiceSettings
from falcongate.upstream import attempt
from falcongate.upstream.answer import parse_answer
from falcongate.upstream.attempt import Attempt
from falcongate.upstream.targets import Targets
from tests.unit.making import make_exchange, make_match, make_route


@pytest.mark.parametrize("uploads", [True, False])
def test_a_request_is_sent_when_its_body_is(monkeypatch: pytest.MonkeyPatch, *, uploads: bool) -> None:
    """The log, the breaker and the metrics all take the service's time from there."""
    anything: Any = SimpleNamespace()
    upload: Any = SimpleNamespace(ended_at=None)
    exchange = make_exchange()
    trying = Attempt(
        exchange,
        make_match(make_route()),
        upload,
        request_line=b"",
        fields=b"",
        body_idle_timeout_s=1,
        pipes=anything,
        accept=b"",
        tunnels=anything,
    )

    def send(*_: object) -> None:
        exchange.tried[0].sent = 50.0

    def await_answer(*_: object) -> object:
        upload.ended_at = 70.0 if uploads else None
        return parse_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    monkeypatch.setattr(attempt, "open_connection", lambda *_: anything)
    monkeypatch.setattr(Attempt, "_send", send)
    monkeypatch.setattr(Attempt, "_await_answer", await_answer)
    monkeypatch.setattr(Attempt, "_take_answer", lambda *_: anything)
    monkeypatch.setattr(attempt, "monotonic", lambda: 75.0)
    exchange.started = 10.0
    (target,) = Targets(ServiceSettings(url=("http://hr:8000",))).all
    monkeypatch.setattr(attempt, "time_left", lambda *_: 1.0)
    trying.at(target, needs_fresh_connection=False)
    (tried,) = exchange.tried
    assert tried.answered - tried.sent == exchange.service_s == (5.0 if uploads else 25.0)
