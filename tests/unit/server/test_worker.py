"""What a worker tells the application of a connection."""

from types import SimpleNamespace
from typing import Any

import pytest

from falcongate.server.worker import FalcongateWorker


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("10.0.0.7", 4711), "10.0.0.7"),
        (("::ffff:10.0.0.7", 4711, 0, 0), "10.0.0.7"),
        (("2001:db8::7", 4711, 0, 0), "2001:db8::7"),
        ("", ""),
    ],
)
def test_a_caller_has_one_name_whatever_socket_it_came_to(peer: object, address: str) -> None:
    worker: Any = SimpleNamespace(cfg=SimpleNamespace(is_ssl=False, workers=1))
    environ = FalcongateWorker._base_environ(worker, ("::", 8000, 0, 0), peer)  # noqa: SLF001  # else a server

    assert environ["REMOTE_ADDR"] == address
