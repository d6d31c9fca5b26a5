"""The world of most tests here: three gateways, Redis with replicas and Sentinels, two hosts for services."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scale.promises import BUDGET_S, SERVICES, SETTINGS
from tests.support.many_hosts import ManyHosts, many_hosts
from tests.support.network import Network
from tests.support.redis_on_hosts import WatchedRedis, redis_with_sentinels


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network() as network:
        for number in (1, 2):
            network.host(f"services{number}")
        yield network


@pytest.fixture(scope="module")
def watched(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedRedis]:
    with redis_with_sentinels(network, tmp_path_factory.mktemp("redis")) as watched:
        yield watched


@pytest.fixture(scope="module")
def world(
    network: Network, watched: WatchedRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ManyHosts]:
    with many_hosts(
        network,
        tmp_path_factory.mktemp("gateways"),
        redis_settings={"url": watched.url, "budget_ms": round(BUDGET_S * 1000)},
        services=SERVICES,
        settings=SETTINGS,
    ) as world:
        yield world
