"""What is noted of an exchange while it is answered."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from falcongate.exchange import EXCHANGE, Exchange
from falcongate.middleware.context import Context


def answered(before: int, status: str) -> Exchange:
    """A request whose status was `before` when its answer began with `status`."""
    reported: list[Exchange] = []

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:  # noqa: ANN401  # as WSGI has it
        environ[EXCHANGE].status = before
        start(status, [])
        return [b""]

    begun: Any = SimpleNamespace(of_gateway=lambda _, status, __: SimpleNamespace(status=status))
    anything: Any = SimpleNamespace(for_request=lambda _: "an-id", identify=lambda _: None)
    context = Context(app, request_ids=anything, proxies=anything, headers=begun, report=reported.append)
    environ = {
        "REQUEST_METHOD": "GET",
        "RAW_URI": "/x",
        "SERVER_PROTOCOL": "HTTP/1.0",
        "wsgi.url_scheme": "http",
        "REMOTE_ADDR": "192.0.2.1",
        "falcongate.start": lambda _: None,
    }
    body: Any = context(environ, lambda *_: None)
    body.close()
    return reported[0]


@pytest.mark.parametrize(
    ("before", "status", "is_begun"),
    [(0, "200 OK", True), (499, "400 Bad Request", False), (0, "499 As The Service Says", True)],
)
def test_a_caller_that_left_had_no_first_byte(before: int, status: str, *, is_begun: bool) -> None:
    exchange = answered(before, status)
    assert exchange.status == (before or int(status[:3]))
    assert bool(exchange.begun) == is_begun
