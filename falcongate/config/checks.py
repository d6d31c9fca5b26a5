"""Mistakes that no setting shows alone: what contradicts what, and what has no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from falcongate.config.checks_access import in_access
from falcongate.config.checks_admin import in_admin
from falcongate.config.checks_identity import in_identity
from falcongate.config.checks_tls import in_authorities, in_caller_tls, in_tls, why_unreadable
from falcongate.config.mistakes import Mistake, no_such, shown
from falcongate.config.own_paths import is_below_own
from falcongate.config.policies import OWN_POLICY, parse_rate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from falcongate.config.breaker import BreakerSettings
    from falcongate.config.mistakes import Location
    from falcongate.config.policies import PolicySettings
    from falcongate.config.redis import RedisSettings
    from falcongate.config.settings import GatewaySettings, ServiceSettings
    from falcongate.config.telemetry import TraceSettings


def contradictions(settings: GatewaySettings, *, in_worker: bool = False) -> Iterator[Mistake]:
    """Every contradiction in settings that are valid one by one. Looks whether files are there.

    A worker's master has looked at the files of the gateway's own certificate. They are renewed while it
    runs: a worker that begins when they are not whole waits for them, and is not the end of all.
    """
    yield from _repeated(("credential_cookies",), settings.credential_cookies)
    yield from _repeated(("public_paths",), settings.public_paths)
    yield from _repeated(("cors", "origins"), settings.cors.origins)
    yield from _repeated(("server", "trusted_proxies"), settings.server.trusted_proxies)
    yield from _endpoints_that_are_one(settings.endpoint_timeouts)
    yield from _paths_of_others(settings.services)
    yield from in_caller_tls(settings, looks_at_files=not in_worker)
    yield from _in_redis(settings.redis)
    yield from in_identity(settings, in_authorities=_in_ca_file)
    yield from in_admin(settings)
    yield from _in_ca_file(("admin", "sign_in", "ca_file"), settings.admin.sign_in.ca_file)
    yield from _in_traces(settings.traces)
    for name, limit in settings.limits.items():
        yield from _in_policy(("limits", name), limit, settings.services)
        rates = [f"{rate.limit} in {rate.window_s} s" for rate in map(parse_rate, limit.rate)]
        yield from _repeated(("limits", name, "rate"), rates)
    for name, places in settings.concurrency.items():
        yield from _in_policy(("concurrency", name), places, settings.services)
        if name in settings.limits:
            yield Mistake(("concurrency", name), "limits has one of this name: give it another", name)
    for name in {OWN_POLICY} & (settings.limits.keys() | settings.concurrency.keys()):
        table = "limits" if name in settings.limits else "concurrency"
        yield Mistake((table, name), "limits of API keys have this name: give it another", shown(name))
    yield from in_access(settings)
    yield from _in_breaker(("breaker",), settings.breaker)
    for name, service in settings.services.items():
        if service.breaker.model_fields_set:
            yield from _in_breaker(("services", name, "breaker"), settings.breaker_of(name))
        yield from _in_service(("services", name), service.paths_for(name), service)
        yield from in_tls(("services", name, "tls"), service)


def _repeated(location: Location, values: Iterable[str]) -> Iterator[Mistake]:
    seen: set[str] = set()
    for at, value in enumerate(values):
        if value in seen:
            yield Mistake((*location, at), "stands here twice; remove one", shown(value))
        seen.add(value)


def _endpoints_that_are_one(endpoints: Iterable[str]) -> Iterator[Mistake]:
    seen: dict[str, str] = {}
    for endpoint in endpoints:
        first = seen.setdefault(endpoint.removesuffix("/"), endpoint)
        if first != endpoint:
            yield Mistake(("endpoint_timeouts", endpoint), f"is the same endpoint as {first}; remove one")


def _paths_of_others(services: dict[str, ServiceSettings]) -> Iterator[Mistake]:
    owners: dict[str, str] = {}
    for name, service in services.items():
        location = ("services", name, "paths")
        for path in service.paths_for(name):
            owner = owners.setdefault(path, name)
            if owner != name:
                remedy = f"leads to {owner} already; a path can lead to one service only"
                yield Mistake(location, remedy, shown(path))
            if is_below_own(path):
                yield Mistake(location, "is one of the gateway's own paths; choose another", shown(path))


def _in_service(location: Location, paths: tuple[str, ...], service: ServiceSettings) -> Iterator[Mistake]:
    yield from _repeated((*location, "url"), service.url)
    yield from _repeated((*location, "paths"), paths)
    if service.strip_prefix is not None:
        prefix = service.strip_prefix.rstrip("/")  # "/" itself strips nothing
        if not prefix or not any(f"{path}/".startswith(f"{prefix}/") for path in paths):
            remedy = "has no effect: no path of this service begins with it"
            yield Mistake((*location, "strip_prefix"), remedy, shown(service.strip_prefix))


def _in_redis(redis: RedisSettings) -> Iterator[Mistake]:
    url = redis.url.get_secret_value() if redis.url else ""
    for setting, is_set in (("ca_file", redis.ca_file), ("insecure_skip_verify", redis.insecure_skip_verify)):
        if is_set and not url.startswith("rediss"):
            yield Mistake(("redis", setting), "has no effect: redis.url does not begin with rediss")
    yield from _in_ca_file(("redis", "ca_file"), redis.ca_file)


def _in_traces(traces: TraceSettings) -> Iterator[Mistake]:
    said = {"headers": bool(traces.headers), "ca_file": bool(traces.ca_file)}
    for setting, is_set in said.items():
        if is_set and not traces.endpoint:
            yield Mistake(("traces", setting), "has no effect without traces.endpoint")
    if traces.ca_file and traces.endpoint.startswith("http:"):
        yield Mistake(("traces", "ca_file"), "has no effect: traces.endpoint does not begin with https")
    yield from _in_ca_file(("traces", "ca_file"), traces.ca_file)


def _in_ca_file(location: Location, path: str | None) -> Iterator[Mistake]:
    if path and (reason := why_unreadable(path)):
        yield Mistake(location, f"the file cannot be read: {reason}", shown(path))
    elif path:
        yield from in_authorities(location, path)


def _in_policy(location: Location, policy: PolicySettings, services: Collection[str]) -> Iterator[Mistake]:
    for setting, values in (
        ("key", policy.key),
        ("services", policy.services),
        ("methods", policy.methods),
        ("paths", policy.paths),
    ):
        yield from _repeated((*location, setting), values)
    for at, service in enumerate(policy.services):
        if service not in services:
            yield Mistake((*location, "services", at), no_such(service, services), shown(service))


def _in_breaker(location: Location, breaker: BreakerSettings) -> Iterator[Mistake]:
    if breaker.slow_ratio and not breaker.slow_call_s:
        yield Mistake((*location, "slow_ratio"), "needs slow_call_s beside it, as no call is slow without")
    if breaker.max_open_s < breaker.open_s:
        remedy = f"is below open_s, which is {breaker.open_s:g}; raise it"
        yield Mistake((*location, "max_open_s"), remedy, shown(breaker.max_open_s))
    if breaker.enabled and not (breaker.max_failures or breaker.failure_ratio or breaker.slow_ratio):
        remedy = (
            "nothing would ever open it; set max_failures, failure_ratio or slow_ratio, or enabled = false"
        )
        yield Mistake(location, remedy)
