"""The stores, opened for a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack

import pytest

from tests.contract import stores
from tests.contract.stores import Opened
from tests.support.redis_servers import SERVER, VALKEY, RedisServer, ended

PROGRAMS = {"redis": SERVER, "valkey": VALKEY}
WHY_NOT = {
    "redis": "redis-server is not installed",
    "valkey": "there is no valkey-server on PATH, and requirements/embedded.txt is not installed",
}


@pytest.fixture(scope="session")
def server_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], RedisServer]]:
    """The real server of that name, one for the whole run."""
    servers: dict[str, RedisServer] = {}
    with ExitStack() as stack:

        def started(name: str) -> RedisServer:
            if PROGRAMS[name] is None:
                pytest.skip(WHY_NOT[name])
            if name not in servers:
                servers[name] = RedisServer(tmp_path_factory.mktemp(name), program=PROGRAMS[name])
                stack.enter_context(ended(servers[name]))
            return servers[name]

        yield started


@pytest.fixture(scope="session", params=["redis", "valkey"])
def redis_server(request: pytest.FixtureRequest, server_of: Callable[[str], RedisServer]) -> RedisServer:
    """Each real server."""
    return server_of(request.param)


@pytest.fixture(params=["memory", "fakeredis", "redis", "valkey"])
def open_store(request: pytest.FixtureRequest) -> Callable[[], AbstractContextManager[Opened]]:
    """Opens an empty store of each kind, as often as it is asked to."""
    if request.param == "memory":
        return stores.memory
    if request.param == "fakeredis":
        return stores.fake
    server = request.getfixturevalue("server_of")(request.param)
    return lambda: stores.real(server)


@pytest.fixture
def opened(open_store: Callable[[], AbstractContextManager[Opened]]) -> Iterator[Opened]:
    """One empty store of each kind."""
    with open_store() as opened:
        yield opened
