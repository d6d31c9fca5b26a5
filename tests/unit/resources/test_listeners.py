"""Which port a request came in by, whatever it says."""

from __future__ import annotations

from typing import Any

import pytest

from falcongate.resources.listeners import Listeners


class Connection:
    """A connection that stock gunicorn has accepted at such a place."""

    def __init__(self, place: object) -> None:
        self._place = place

    def getsockname(self) -> object:
        return self._place


@pytest.mark.parametrize(
    ("environ", "is_for_operators"),
    [
        ({"SERVER_PORT": "9000"}, True),
        ({"SERVER_PORT": "8000"}, False),
        ({"SERVER_PORT": "8000", "HTTP_HOST": "localhost:9000"}, False),
        ({"SERVER_PORT": "8000", "gunicorn.socket": Connection(("127.0.0.1", 9000))}, True),
        ({"SERVER_PORT": "9000", "gunicorn.socket": Connection(("127.0.0.1", 8000))}, False),
        ({"SERVER_PORT": "9000", "gunicorn.socket": Connection(("::1", 9000, 0, 0))}, True),
        # From a Unix socket stock gunicorn takes the port in Host.
        ({"SERVER_PORT": "9000", "gunicorn.socket": Connection("/run/gateway.sock")}, False),
    ],
)
def test_the_listening_socket_decides(environ: dict[str, Any], is_for_operators: bool) -> None:  # noqa: FBT001
    assert Listeners("127.0.0.1:9000").serves_operators(environ) is is_for_operators
    assert Listeners("[::1]:9000").serves_operators(environ) is is_for_operators


def test_without_a_second_port_there_is_one_for_all() -> None:
    assert not Listeners(None).are_divided
    assert Listeners(None).serves_operators({})
