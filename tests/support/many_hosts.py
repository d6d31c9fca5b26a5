"""Gateways and services on hosts of their own: `network.py` with everything running on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.callers import Answer, Caller, Fields
from tests.support.moody import Moody
from tests.support.network import Host, Network
from tests.support.processes import GatewayProcess, render_toml, until
from tests.support.upstreams import listen


class GatewayOnHost:
    """A gateway of one worker on a host, which may be killed and started again."""

    def __init__(self, host: Host, directory: Path, settings: Mapping[str, Any]) -> None:
        self.host = host
        self.name = host.name
        self._directory = directory
        self._settings = settings
        self._starts = 0
        self.process = self._start()

    def _start(self) -> GatewayProcess:
        self._starts += 1
        directory = self._directory / f"{self.name}-{self._starts}"
        with self.host.inside():
            return GatewayProcess(directory, render_toml(self._settings), at=self.host.address)

    def start(self) -> None:
        """Start it after it was killed: another process, and to the others another host."""
        self.process = self._start()

    def kill(self) -> None:
        """End all of it at once."""
        self.process.allow_deaths()
        self.process.kill()

    @property
    def announced(self) -> str:
        """How it ends its name among the hosts: the number of its master."""
        return f":{self.process.pid}-"


class ManyHosts:
    """The network, its gateways, and the host `callers` that all callers are on."""

    def __init__(
        self, network: Network, gateways: list[GatewayOnHost], services: Mapping[str, Moody]
    ) -> None:
        self.network = network
        self.callers = network.hosts["callers"]
        self.gateways = gateways
        self.services = services

    def caller(self, gateway: GatewayOnHost) -> Caller:
        """A new connection from the callers' host."""
        with self.callers.inside():
            return Caller(gateway.process.address, keeps=False)

    def ask(self, gateway: GatewayOnHost, path: str, fields: Fields = ()) -> Answer:
        """One request on a connection of its own."""
        with self.caller(gateway) as caller:
            return caller.exchange("GET", path, fields)

    def health(self, gateway: GatewayOnHost) -> dict[str, Any]:
        """What it says of itself."""
        return self.ask(gateway, "/health/").json()

    def knows(self, gateway: GatewayOnHost, *others: GatewayOnHost) -> bool:
        """Whether it is connected, and knows these and no others as alive."""
        said = self.health(gateway)
        names = [host["name"] for host in said["hosts"]]
        return (
            said["dependencies"]["redis"] == "connected"
            and len(names) == len(others)
            and all(any(other.announced in name for name in names) for other in others)
        )

    def breaker(self, gateway: GatewayOnHost, name: str) -> str:
        """The state of a breaker as it knows it."""
        state: str = self.health(gateway)["circuit_breaker"][name]
        return state

    def all_know(self, name: str, state: str) -> bool:
        """Whether the breaker is so for all gateways."""
        return all(self.breaker(gateway, name) == state for gateway in self.gateways)

    def reset(self, name: str) -> None:
        """Close a breaker, as an operator does."""
        with self.caller(self.gateways[0]) as caller:
            answer = caller.exchange("POST", f"/circuit-breaker/reset/{name}/", [], b"")
        assert answer.status == 200, str(answer)

    def await_health(self) -> None:
        """Wait until every gateway is connected and knows of all."""
        for gateway in self.gateways:
            knows = partial(self.knows, gateway, *self.gateways)
            until(knows, f"{gateway.name} knows of all", within_s=30)

    @contextlib.contextmanager
    def faults(self) -> Iterator[None]:
        """Whatever is cut within is healed at the end, and all is well again."""
        try:
            yield
        finally:
            self.network.heal()
            for service in self.services.values():
                service.status = 200
                service.let_go()
        self.await_health()


@contextlib.contextmanager
def many_hosts(
    network: Network,
    directory: Path,
    *,
    redis_settings: Mapping[str, Any],
    services: Mapping[str, list[str]],
    settings: Mapping[str, Any],
) -> Iterator[ManyHosts]:
    """Three gateways, `gw1` to `gw3`, before services on hosts of the network; ended at the end.

    `services` are the hosts that each service runs on, `settings` those of the gateways, with what is to be
    said of a service beside its addresses. One that runs on two is in `ManyHosts.services` as `NAME@HOST`.
    """
    with contextlib.ExitStack() as stack:
        network.host("callers")
        moods: dict[str, Moody] = {}
        configured: dict[str, Any] = {}
        for name, on in services.items():
            for each in on:
                host = network.hosts[each]
                with host.inside():
                    mood = Moody(listen(host.address, backlog=256))
                stack.callback(mood.stop)
                moods[name if len(on) == 1 else f"{name}@{each}"] = mood
                configured.setdefault(name, {"url": []})["url"].append(mood.url)
            configured[name] |= settings.get("services", {}).get(name, {})
        whole = {**settings, "redis": redis_settings, "services": configured}
        gateways = _started(stack, network, directory, whole)
        world = ManyHosts(network, gateways, moods)
        world.await_health()
        yield world


def _started(
    stack: contextlib.ExitStack, network: Network, directory: Path, settings: Mapping[str, Any]
) -> list[GatewayOnHost]:
    hosts = [network.host(f"gw{number}") for number in (1, 2, 3)]
    gateways: list[GatewayOnHost] = []

    def start(host: Host) -> None:
        gateway = GatewayOnHost(host, directory, settings)
        gateways.append(gateway)

    with ThreadPoolExecutor(len(hosts)) as pool:
        try:
            list(pool.map(start, hosts))
        finally:
            for gateway in gateways:
                stack.callback(_stop, gateway)
    return sorted(gateways, key=lambda gateway: gateway.name)


def _stop(gateway: GatewayOnHost) -> None:
    gateway.process.stop()
