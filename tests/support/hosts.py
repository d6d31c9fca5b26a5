"""Several gateways on one Redis, as so many hosts: processes, ports and names of their own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.support.callers import Answer, Caller, Fields, request_bytes
from tests.support.processes import until
from tests.support.wire import WireError
from tests.support.world import Plan, Site, running


def plan_on(
    redis_url: str,
    /,
    *,
    budget_ms: int = 2_000,
    environ: Mapping[str, str] | None = None,
    **settings: object,
) -> Plan:
    """A gateway of two workers with these settings, on that Redis.

    The budget outlasts the pauses of a busy machine, so that counts are exact; where it is itself what a
    test is about, it is told.
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
    """Wait until every worker of all these hosts knows of all of them.

    Asked one after the other without regard to who answers, an idle worker would answer for all.
    """
    with contextlib.ExitStack() as stack:
        workers = callers_of_all_workers(stack, sites)
        until(lambda: {len(said["hosts"]) for said in _healths(workers)} == {len(sites)}, "all know of all")


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


def callers_of_all_workers(stack: contextlib.ExitStack, sites: list[Site]) -> list[Caller]:
    """One connection to each worker of these hosts, closed with the stack."""
    callers: list[Caller] = []
    for site in sites:
        found: dict[int, Caller] = {}

        def reached(site: Site = site, found: dict[int, Caller] = found) -> bool:
            caller = stack.enter_context(Caller(site.gateway.address))
            caller.exchange("GET", "/health/live/")
            found.setdefault(_worker_of(site, caller), caller)
            return len(found) == len(site.gateway.workers)

        until(reached, "each worker has taken a connection")
        callers += found.values()
    return callers


def _worker_of(site: Site, caller: Caller) -> int:
    """Which worker holds the other end of a connection."""
    ends = [f":{port:04X}" for port in (site.gateway.address[1], caller.address[1])]
    lines = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    socket = next(f"socket:[{of[9]}]" for of in lines if [of[1][8:], of[2][8:]] == ends)
    workers: list[int] = site.gateway.workers
    for pid in workers:
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if str(file.readlink()) == socket:
                    return pid
    raise WireError(f"no worker holds {socket}")


def say(callers: list[Caller], state: str, name: str = "moody") -> bool:
    """Whether who answers on each of these connections knows the breaker to be so."""
    return all(said["circuit_breaker"][name] == state for said in _healths(callers))


def _healths(callers: list[Caller]) -> list[dict[str, Any]]:
    """What who answers on each of these connections says of its health."""
    return [caller.exchange("GET", "/health/").json() for caller in callers]


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
