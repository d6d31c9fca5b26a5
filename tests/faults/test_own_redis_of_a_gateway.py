"""The gateway's own Redis is killed, or its master is: nobody notices for long, and nothing stays behind."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.own_redis import (
    COUNTED_TOGETHER,
    OwnRedisGateways,
    own_redis_gateways,
    redis_of,
    reload,
    status,
    statuses,
)
from tests.support.processes import is_running, until
from tests.support.redis_servers import SERVER

pytestmark = pytest.mark.skipif(SERVER is None, reason="there is no redis-server to start")


@pytest.fixture
def gateways(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Iterator[OwnRedisGateways]:
    with own_redis_gateways(tmp_path_factory.mktemp("e"), tmp_path) as started:
        yield started


def test_it_ends_with_a_master_that_is_killed(gateways: OwnRedisGateways) -> None:
    """SIGKILL: the kernel ends the server, and the next gateway takes away what it has left."""
    gateway = gateways.start()
    (pid,) = gateway.own_redis()
    (directory,) = gateways.directories()
    gateway.allow_deaths()
    gateway.signal(signal.SIGKILL)
    gateway.wait(within_s=20)
    until(lambda: not is_running(pid), "the server has ended")
    gateway.kill()
    assert directory.exists()

    gateways.start()
    (other,) = gateways.directories()
    assert other != directory


def test_when_it_is_killed_requests_go_on_and_it_comes_back(gateways: OwnRedisGateways) -> None:
    """Nobody gets a 500; each worker then has its share, until they count together again."""
    gateway = gateways.start()
    (pid,) = gateway.own_redis()
    gateway.signal(signal.SIGKILL, pid)
    seen: Counter[int] = Counter()

    def is_back() -> bool:
        seen[status(gateway)] += 1
        (now,) = gateway.own_redis() or [pid]
        return now != pid and {redis_of(gateway) for _ in range(10)} == {"connected"}

    until(is_back, "another has been started", within_s=30)
    assert set(seen) <= {200, 429}
    assert seen[200] >= 1
    assert "own Redis had ended and was started again" in gateway.stderr()
    # The new server knows nothing of what was counted; workers know whom they have refused, until they end.
    reload(gateway)
    assert statuses(gateway) == COUNTED_TOGETHER
