"""The stores, opened for a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.contract import stores
from tests.contract.stores import Opened
from tests.support.redis_servers import SERVER, RedisServer, ended


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis for the whole run."""
    if SERVER is None:
        pytest.skip("redis-server is not installed")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    with ended(server):
        yield server


@pytest.fixture(params=["memory", "fakeredis", "redis"])
def open_store(request: pytest.FixtureRequest) -> Callable[[], AbstractContextManager[Opened]]:
    """Opens an empty store of each kind, as often as it is asked to."""
    if request.param == "memory":
        return stores.memory
    if request.param == "fakeredis":
        return stores.fake
    server = request.getfixturevalue("redis_server")
    return lambda: stores.real(server)


@pytest.fixture
def opened(open_store: Callable[[], AbstractContextManager[Opened]]) -> Iterator[Opened]:
    """One empty store of each kind."""
    with open_store() as opened:
        yield opened
