"""Fixtures that several modules need, some in different scopes: `server = redis_server("module")`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pytest

from tests.support.moody import Moody
from tests.support.redis_servers import RedisServer, ended
from tests.support.world import Site, Visit


def redis_server(scope: Literal["function", "module"]) -> Any:  # noqa: ANN401  # a fixture
    """A Redis server that nobody else uses."""

    @pytest.fixture(scope=scope)
    def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
        server = RedisServer(tmp_path_factory.mktemp("redis"))
        with ended(server):
            yield server

    return server


def moody_service(scope: Literal["function", "module"]) -> Any:  # noqa: ANN401  # a fixture
    """A service whose mood the test changes."""

    @pytest.fixture(scope=scope)
    def moody() -> Iterator[Moody]:
        service = Moody()
        yield service
        service.stop()

    return moody


def mortal_world() -> Any:  # noqa: ANN401  # a fixture
    """What one test does at its `site`, where workers end because the test ends them."""

    @pytest.fixture
    def world(site: Site) -> Iterator[Visit]:
        site.gateway.allow_deaths()
        visit = Visit(site)
        yield visit
        visit.leave()

    return world
