"""What is noted of an attempt while it goes on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from falcongate.config.settings import ServiceSettings
from falcongate.upstream import attempt
from falcongate.upstream.answer import parse_answer
from falcongate.upstream.attempt import Attempt
from falcongate.upstream.targets import Targets
from tests.unit.making import make_exchange, make_match, make_route

if TYPE_CHECKING:
    from falcongate.exchange import Exchange
    from falcongate.upstream.answer import AnswerHead


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"


def trying(
    monkeypatch: pytest.MonkeyPatch, exchange: Exchange, upload: object, head: AnswerHead
) -> list[Any]:
    """One attempt that nobody sees, and that this answers; the connection that it was made on."""
    anything: Any = SimpleNamespace()
    made = Attempt(
        exchange,
        make_match(make_route()),
        upload,  # type: ignore[arg-type]
        request_line=b"",
        fields=b"",
        body_idle_timeout_s=1,
        pipes=anything,
        accept=b"",
        tunnels=anything,
    )
    used: list[Any] = []
    monkeypatch.setattr(attempt, "open_connection", lambda *_: anything)
    monkeypatch.setattr(Attempt, "_await_answer", lambda *_: head)
    monkeypatch.setattr(Attempt, "_take_answer", lambda *arguments: used.append(arguments[-1]))
    monkeypatch.setattr(attempt, "time_left", lambda *_: 1.0)
    (target,) = Targets(ServiceSettings(url=("http://hr:8000",))).all
    made.at(target, needs_fresh_connection=False)
    return used


@pytest.mark.parametrize("uploads", [True, False])
def test_a_request_is_sent_when_its_body_is(monkeypatch: pytest.MonkeyPatch, *, uploads: bool) -> None:
    """The log, the breaker and the metrics all take the service's time from there."""
    upload = SimpleNamespace(ended_at=70.0 if uploads else None)
    exchange = make_exchange()

    def send(*_: object) -> None:
        exchange.tried[0].sent = 50.0

    monkeypatch.setattr(Attempt, "_send", send)
    monkeypatch.setattr(attempt, "monotonic", lambda: 75.0)
    exchange.started = 10.0
    trying(monkeypatch, exchange, upload, parse_answer(OK + b"\r\n"))
    (tried,) = exchange.tried
    assert tried.answered - tried.sent == exchange.service_s == (5.0 if uploads else 25.0)


@pytest.mark.parametrize(
    ("line", "is_kept"),
    [(b"", True), (b"Set-Cookie: session=secret\r\n", False), (b"X: " + b"x" * 3_000 + b"\r\n", False)],
)
def test_a_connection_keeps_no_head_that_may_be_secret_or_is_long(
    monkeypatch: pytest.MonkeyPatch, line: bytes, *, is_kept: bool
) -> None:
    monkeypatch.setattr(Attempt, "_send", lambda *_: None)
    parse_answer(OK + line + b"\r\n")  # whose lines are known from now on
    head = parse_answer(OK + line + b"\r\n")
    (connection,) = trying(monkeypatch, make_exchange(), SimpleNamespace(ended_at=None), head)
    assert connection.last_head is (head if is_kept else None)
