"""What is known of an answer whose caller does not take all of it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from falcongate.errors import CallerLeft
from falcongate.upstream import service_body
from falcongate.upstream.relay import SinkFailed
from falcongate.upstream.service_body import ServiceBody
from tests.unit.making import make_exchange


@pytest.mark.parametrize("error", [CallerLeft("it went"), SinkFailed("it went")])
def test_a_caller_that_leaves_in_the_middle_of_an_answer_leaves_a_trace(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def run(_: bytes) -> None:
        raise error

    monkeypatch.setattr(service_body, "Relay", lambda *_, **__: SimpleNamespace(run=run, moved_bytes=7))
    exchange = make_exchange()
    body = ServiceBody(
        exchange,
        SimpleNamespace(take_buffered=lambda: b"", is_complete=False),  # type: ignore[arg-type]
        target=None,  # type: ignore[arg-type]
        connection=None,  # type: ignore[arg-type]
        may_stay=True,
        upload=SimpleNamespace(is_done=True),  # type: ignore[arg-type]
        idle_timeout_s=1.0,
        deadline=1.0,
        pipes=None,  # type: ignore[arg-type]
    )

    with pytest.raises(CallerLeft):
        body.relay_to(None, b"head", is_chunked=False, send_timeout_s=1.0)  # type: ignore[arg-type]

    assert exchange.failure_reason == "the caller did not get all: it went"
    assert exchange.sent_bytes == 7
