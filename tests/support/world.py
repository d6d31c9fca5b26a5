"""The small world of a system test: a gateway, services behind it, callers in front of it.

A `Site` is a running gateway with its services; starting one costs about a second, so most tests
share one. A `Visit` is what one test does there: it hands out services that no other test has
used, and afterwards fails the test if the gateway logged what it should not have.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.callers import Answer, Caller, Fields
from tests.support.honest import HonestUpstream
from tests.support.processes import GatewayProcess, render_toml
from tests.support.upstreams import Handler, ScriptedUpstream
from tests.support.wire import WireError


@dataclass(frozen=True)
class Plan:
    """What a site is made of: settings as in the TOML file, and how gunicorn is started."""

    name: str = "site"
    """Sites of the same name and kind of worker are one."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Top-level settings; services in here are kept beside the scripted ones."""

    scripted: int = 20
    """How many services are there for tests to script, named `s0`, `s1`, ..."""

    scripted_settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of each of them, beside `url`."""

    scripted_scheme: str = "http"
    """How they are addressed, whatever they speak."""

    workers: int = 1
    kind: str = "falcongate"
    arguments: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    launcher: tuple[str, ...] = ()
    """A command that starts gunicorn as its only child."""

    tls: ssl.SSLContext | None = None
    """How callers speak to it; None: without TLS."""


@dataclass
class Site:
    """A gateway that runs, the honest service `honest`, and the scripted ones not yet used."""

    gateway: GatewayProcess
    honest: HonestUpstream
    unused: list[tuple[str, ScriptedUpstream]]


@contextlib.contextmanager
def running(plan: Plan, directory: Path) -> Iterator[Site]:
    """Start everything of a plan; afterwards stop it, and fail if anything failed on the way."""
    with contextlib.ExitStack() as stack:
        honest = HonestUpstream()
        stack.callback(honest.stop)
        scripted = [(f"s{number}", ScriptedUpstream()) for number in range(plan.scripted)]
        for _, upstream in scripted:
            stack.callback(upstream.stop)
        services: dict[str, Any] = {
            name: {"url": upstream.url.replace("http", plan.scripted_scheme, 1), **plan.scripted_settings}
            for name, upstream in scripted
        }
        services["honest"] = {"url": honest.url}
        for name, extra in plan.settings.get("services", {}).items():
            services[name] = {"url": honest.url, **extra}
        config = render_toml({**plan.settings, "services": services})
        gateway = GatewayProcess(
            directory,
            config,
            workers=plan.workers,
            kind=plan.kind,
            arguments=plan.arguments,
            environ=plan.environ,
            launcher=plan.launcher,
            tls=plan.tls,
        )
        stack.callback(gateway.stop)
        yield Site(gateway, honest, scripted[::-1])


class ScriptedService:
    """A service of this test's own."""

    def __init__(self, name: str, upstream: ScriptedUpstream) -> None:
        self.name = name
        self.upstream = upstream

    def path(self, rest: str = "/x") -> str:
        """The target that leads to this service; `rest` begins with a slash."""
        return f"/api/{self.name}{rest}"


class Visit:
    """What one test does at a site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._callers: list[Caller] = []
        self._services: list[ScriptedService] = []
        self._log_start = len(site.gateway.stderr())
        self.gateway = site.gateway
        self.honest = site.honest

    def service(self, handler: Handler) -> ScriptedService:
        """A service that nobody used before, played by `handler`."""
        if not self._site.unused:
            raise WireError("no unused service is left: raise `scripted` in the plan")
        name, upstream = self._site.unused.pop()
        upstream.serve(handler)
        self._services.append(ScriptedService(name, upstream))
        return self._services[-1]

    def caller(
        self,
        *,
        source: str | None = None,
        receive_buffer_bytes: int | None = None,
        keeps: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> Caller:
        """A new connection to the gateway, closed after the test; `tls` is another than its usual one."""
        caller = Caller(
            self.gateway.address,
            source=source,
            receive_buffer_bytes=receive_buffer_bytes,
            keeps=keeps,
            tls=tls or self.gateway.tls,
        )
        self._callers.append(caller)
        return caller

    def exchange(self, method: str, target: str, fields: Fields = (), body: bytes | None = None) -> Answer:
        """One request on a connection of its own."""
        with self.caller() as caller:
            return caller.exchange(method, target, fields, body)

    def get(self, target: str, fields: Fields = ()) -> Answer:
        """Ask for `target` on a connection of its own."""
        return self.exchange("GET", target, fields)

    def echo(self, method: str, target: str, fields: Fields = (), body: bytes | None = None) -> Echo:
        """Send a request that an echo answers, and return what arrived there."""
        return echoed(self.exchange(method, target, fields, body))

    def leave(self) -> None:
        """End every caller of this test, then fail if the gateway did what it should not."""
        for caller in self._callers:
            caller.close()
        if self.gateway.is_running():
            self.gateway.check(self._log_start)
        for service in self._services:
            if service.upstream.failures:
                raise service.upstream.failures.pop(0)


@dataclass
class Echo:
    """A request as the honest service got it, and the answer that told us."""

    answer: Answer
    method: str
    target: str
    version: str
    fields: list[tuple[str, str]]
    body_sha256: str
    body_bytes: int
    trailers: list[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        """Every value of a header that arrived."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """The only value of a header that arrived, or None."""
        values = self.all(name)
        if len(values) > 1:
            raise WireError(f"{name} arrived {len(values)} times: {values}")
        return values[0] if values else None


def echoed(answer: Answer) -> Echo:
    """Read an echo's answer."""
    if answer.status != 200:
        raise WireError(f"not an echo: {answer}")
    document: dict[str, Any] = answer.body.json()
    return Echo(
        answer,
        document["method"],
        document["target"],
        document["version"],
        [(name, value) for name, value in document["headers"]],
        document["body_sha256"],
        document["body_bytes"],
        [(name, value) for name, value in document["trailers"]],
    )
