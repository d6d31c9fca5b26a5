"""Gateways that start a Redis of their own, and what is seen of it from outside."""

from __future__ import annotations

import contextlib
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.support.callers import Caller
from tests.support.honest import HonestUpstream
from tests.support.processes import GatewayProcess, render_toml, until

ASKED = 30
LIMIT = 5
COUNTED_TOGETHER = Counter({200: LIMIT, 429: ASKED - LIMIT})
COUNTED_BEFORE = Counter({429: ASKED})


class OwnRedisGateways:
    """Starts gateways of two workers with a limit; they have their servers' directories in `place`."""

    def __init__(self, place: Path, directory: Path, stack: contextlib.ExitStack) -> None:
        self.place = place
        self._directory = directory
        self._stack = stack
        self._names = iter("abcdef")
        self._honest = HonestUpstream()
        stack.callback(self._honest.stop)

    def start(
        self, *, kind: str = "falcongate", environ: Mapping[str, str] | None = None, **settings: object
    ) -> GatewayProcess:
        """One more, whose workers know whether there is a Redis."""
        config = {
            "limits": {"api": {"rate": f"{LIMIT}/h"}},
            "services": {"honest": {"url": self._honest.url}},
        }
        gateway = GatewayProcess(
            self._directory / next(self._names),
            render_toml(config | settings),
            workers=2,
            kind=kind,
            environ={"TMPDIR": str(self.place), **(environ or {})},
        )
        self._stack.callback(gateway.stop)
        until(lambda: redis_of(gateway) != "not asked yet", "it has asked its Redis")
        return gateway

    def directories(self) -> list[Path]:
        """Those of the servers."""
        return directories(self.place)


@contextlib.contextmanager
def own_redis_gateways(place: Path, directory: Path) -> Iterator[OwnRedisGateways]:
    """What starts gateways; those that still run are stopped at the end."""
    with contextlib.ExitStack() as stack:
        yield OwnRedisGateways(place, directory, stack)


def directories(place: Path) -> list[Path]:
    """Directories of servers that gateways have started, below their TMPDIR."""
    return sorted(place.glob("falcongate-redis-*"))


def health(gateway: GatewayProcess) -> dict[str, Any]:
    """What one of its workers says of itself."""
    with Caller(gateway.address) as caller:
        document: dict[str, Any] = caller.get("/health/").json()
    return document


def redis_of(gateway: GatewayProcess) -> str:
    """What one of its workers says of Redis."""
    said: str = health(gateway)["dependencies"]["redis"]
    return said


def status(gateway: GatewayProcess) -> int:
    """The status of one request on a connection of its own, which any worker may take."""
    with Caller(gateway.address) as caller:
        return caller.get("/api/honest/x").status


def statuses(gateway: GatewayProcess) -> Counter[int]:
    """How often which status came, over so many connections that both workers have had some."""
    return Counter(status(gateway) for _ in range(ASKED))


def reload(gateway: GatewayProcess, **settings: object) -> None:
    """SIGHUP, with settings added to the file; wait for the new workers."""
    with (gateway.directory / "gateway.toml").open("a") as file:
        file.write(render_toml(settings))
    gateway.allow_deaths()
    before = gateway.children()
    gateway.signal(signal.SIGHUP)
    until(lambda: set(gateway.children()).isdisjoint(before), "new workers run", within_s=30)
    until(lambda: len(gateway.children()) == 2, "and only those")
    until(lambda: redis_of(gateway) == "connected", "they have found their Redis")
