"""Traces of one configuration: who finds them, who tells them, what is noted when a request has ended."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Final

from falcongate import __version__
from falcongate.telemetry.otlp import Envelope
from falcongate.telemetry.span_queue import SpanQueue
from falcongate.telemetry.spans import CALLER_LEFT
from falcongate.telemetry.trace import Tracer
from falcongate.telemetry.traces import Traces
from falcongate.upstream.delivery import Delivery
from falcongate.upstream.rewrite import rewritten_target

if TYPE_CHECKING:
    from falcongate.config.settings import GatewaySettings
    from falcongate.config.telemetry import TraceSettings
    from falcongate.exchange import Exchange
    from falcongate.telemetry.trace import Trace

_PATH: Final = "/v1/traces"


def tracer_of(settings: GatewaySettings) -> Tracer | None:
    """Who finds the trace of each request; None if nothing is traced."""
    traces = settings.traces
    if not traces.endpoint:
        return None
    return Tracer(
        ratio=traces.ratio,
        believes_everyone=traces.believe == "everyone",
        # SECURITY: platforms' routers, whose number is all that is known of them, pass on what callers
        # made up.
        believes_proxies=not settings.server.trusted_hops,
    )


def traces_to(settings: TraceSettings, *, host: str) -> Traces:
    """Who tells the receiver of requests that have ended, from this process.

    `host` is no other's name: containers may share theirs, and the numbers of their processes be the same.
    """
    delivery = Delivery(
        settings.endpoint.rstrip("/") + _PATH,
        headers={name: value.get_secret_value() for name, value in settings.headers.items()},
        ca_file=settings.ca_file,
    )
    pid = os.getpid()
    envelope = Envelope(
        resource={
            "service.name": settings.service_name,
            "service.version": __version__,
            "service.instance.id": f"{host}:{pid}",
            "host.name": platform.node(),
            "process.pid": pid,
        },
        version=__version__,
    )
    return Traces(SpanQueue(delivery.post, envelope), slow_s=settings.slow_s)


def may_be_told(trace: Trace, exchange: Exchange, wall_clock_s: float, *, slow_s: float) -> Trace | None:
    """The trace of a finished exchange with what only spans tell; None if it will not be told of.

    PERF: most requests end here, so it asks the cheapest questions that leave out none to be told. Whether
    it is told is decided in `telemetry/traces.py`.
    """
    is_plain = exchange.status < CALLER_LEFT and not exchange.failure_reason
    if is_plain and not trace.is_sampled and exchange.begun - exchange.started < slow_s:
        return None
    trace.wall_clock_s = wall_clock_s
    trace.scheme = exchange.scheme
    trace.host = exchange.host
    trace.peer = exchange.peer_address
    trace.user_agent = exchange.block.environ.get("HTTP_USER_AGENT", "")
    trace.breaker = exchange.breaker.state if exchange.breaker is not None else ""
    trace.sent_path = b""
    if exchange.tried and exchange.route_match is not None:
        sent = rewritten_target(exchange.target, exchange.method, exchange.route_match.route)
        trace.sent_path = sent.partition(b"?")[0]
    return trace
