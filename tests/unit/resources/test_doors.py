"""Which requests go to their services without Falcon, and what becomes of those that fail there."""

from __future__ import annotations

from typing import Any

import pytest

from falcongate.exchange import EXCHANGE, Exchange
from falcongate.refusals import NoRoute
from falcongate.resources.doors import Doors
from falcongate.resources.listeners import Listeners
from falcongate.resources.short_way import ShortWay
from tests.unit.making import make_exchange

ADMIN_PORT = 9901


class _Door:
    """A door of the gateway's own."""

    def on_get(self, *_: object) -> None:
        """Not asked here."""


class _Proxy:
    """The way to the services."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure

    def on_request(self, *_: object) -> None:
        """Not asked here."""

    def answer(self, exchange: Exchange) -> list[bytes]:
        del exchange
        if self.failure is not None:
            raise self.failure
        return [b"of the service"]


def asked(
    path: str,
    method: str = "GET",
    *,
    port: int = 80,
    proxy: _Proxy | None = None,
    refusal: Exception | None = None,
) -> tuple[Any, Exchange]:
    """The answer to a request, and its exchange."""
    the_proxy: Any = proxy or _Proxy()
    listeners = Listeners(f"127.0.0.1:{ADMIN_PORT}")
    doors = Doors(the_proxy, listeners)
    doors.add_route("/health", _Door())
    exchange = make_exchange()
    exchange.path, exchange.method, exchange.refusal = path, method, refusal
    environ = {EXCHANGE: exchange, "SERVER_PORT": str(port)}
    exchange.environ = environ
    falcons: Any = lambda *_: [b"of Falcon"]  # noqa: E731
    short_way = ShortWay(falcons, the_proxy, own_segments=doors.first_segments, listeners=listeners)
    return short_way(environ, lambda *_: None), exchange


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_what_is_for_a_service_goes_there_without_falcon(method: str) -> None:
    assert asked("/api/hr/x", method)[0] == [b"of the service"]


@pytest.mark.parametrize(
    ("path", "method", "port"),
    [
        ("/health", "GET", 80),
        ("/health/", "GET", 80),
        ("/healthy", "GET", 80),
        ("/api/hr/x", "OPTIONS", 80),
        ("/api/hr/x", "PROPFIND", 80),
        ("/api/hr/x", "WEBSOCKET", 80),
        ("/api/hr/x", "GET", ADMIN_PORT),
    ],
)
def test_all_else_is_for_falcon_to_judge(path: str, method: str, port: int) -> None:
    assert asked(path, method, port=port)[0] == [b"of Falcon"]


def test_what_was_refused_before_never_reaches_a_service() -> None:
    assert asked("/api/hr/x", refusal=NoRoute())[0] == [b"of Falcon"]


@pytest.mark.parametrize("failure", [NoRoute(), ValueError("a defect")])
def test_falcon_answers_what_fails_on_the_way(failure: Exception) -> None:
    answer, exchange = asked("/api/hr/x", proxy=_Proxy(failure))
    assert answer == [b"of Falcon"]
    assert exchange.refusal is failure
