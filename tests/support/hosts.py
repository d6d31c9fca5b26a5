"""Several gateways on one Redis, as so many hosts: processes, ports and names of their own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.support.callers import Answer, Caller, Fields, request_bytes
from tests.support.processes import until
from tests.support.world import Plan, Site, running


def plan_on(
    redis_url: str,
    /,
    *,
    budget_ms: int = 50,
    environ: Mapping[str, str] | None = None,
    **settings: object,
) -> Plan:
    """A gateway of two workers with these settings, on that Redis.

    Where counts must be exact on a machine that is busy, the budget must outlast its pauses.
    """
    settings = {"redis": {"url": redis_url, "budget_ms": budget_ms}, **settings}
    return Plan("host", settings, scripted=4, workers=2, environ=environ or {})


@contextlib.contextmanager
def hosts(directory: Path, *plans: Plan) -> Iterator[list[Site]]:
    """Start them, and wait until they know of each other; stop them at the end."""
    with contextlib.ExitStack() as stack:
        sites = []
        for number, plan in enumerate(plans):
            (directory / f"host{number}").mkdir()
            sites.append(stack.enter_context(running(plan, directory / f"host{number}")))
        until(lambda: all(redis_of(site) == "connected" for site in sites), "all have found their Redis")
        yield sites


def know_each_other(sites: list[Site]) -> None:
    """Wait until all their workers, as far as several answers can tell, know of all these hosts."""
    until(lambda: all(len(health(site)["hosts"]) == len(sites) for site in sites * 12), "all know of all")


def ask(
    site: Site,
    path: str = "/api/honest/x",
    fields: Fields = (),
    *,
    method: str = "GET",
    body: bytes | None = None,
    host: str = "localhost:8000",
) -> Answer:
    """One request on a connection of its own, from this machine to this machine."""
    with Caller(site.gateway.address) as caller:
        caller.send(request_bytes(method, path, fields, body, host=host))
        return caller.answer(to=method)


def health(site: Site) -> dict[str, Any]:
    """What one of its workers says of its health."""
    return ask(site, "/health/").json()


def redis_of(site: Site) -> str:
    """What one of its workers says of Redis."""
    said: str = health(site)["dependencies"]["redis"]
    return said


def breaker_state(site: Site, name: str = "moody") -> str:
    """The breaker as one of the workers knows it."""
    return str(health(site)["circuit_breaker"][name])


def all_say(sites: list[Site], state: str, name: str = "moody") -> bool:
    """Whether many answers of each host say so, asked for at once so that no worker answers all."""
    with ThreadPoolExecutor(8) as pool:
        return all(said == state for said in pool.map(lambda site: breaker_state(site, name), sites * 16))
