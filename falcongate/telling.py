"""Who is told of what has happened, by one configuration: who counts, writes, traces and remembers."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Final

from falcongate import __version__
from falcongate.telemetry.access_log import access_log_of
from falcongate.telemetry.decisions import Decisions
from falcongate.telemetry.otlp import Envelope
from falcongate.telemetry.span_queue import SpanQueue
from falcongate.telemetry.tally import tally, tally_websockets
from falcongate.telemetry.trace import Tracer
from falcongate.telemetry.traces import Traces
from falcongate.upstream.delivery import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from falcongate.config.environment import ProcessSettings
    from falcongate.config.settings import GatewaySettings
    from falcongate.config.telemetry import TraceSettings
    from falcongate.exchange import Exchange
    from falcongate.facts import Facts
    from falcongate.state.store import SharedState
    from falcongate.telemetry.record import Record
    from falcongate.telemetry.traffic import Seen, Traffic
    from falcongate.upstream.tunnels import News

_PATH: Final = "/v1/traces"
# Of the decisions that are kept, so much is for requests in which nothing went wrong.
_ORDINARY_SHARE: Final = 5


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


def takers_of(
    settings: GatewaySettings, process: ProcessSettings, traffic: Traffic, *, host: str
) -> list[Callable[[list[Record]], None]]:
    """Who is told of all requests that have ended: those who count, write and trace.

    `host` is how this host is called in what is shared.
    """
    takers: list[Callable[[list[Record]], None]] = []
    if settings.metrics.enabled:
        takers += [tally, traffic.take]
    if settings.log.access:
        takers.append(access_log_of(settings.log, is_plain=process.no_color).write)
    if settings.traces.endpoint:
        takers.append(traces_to(settings.traces, host=host).tell)
    return takers


def decisions_of(
    settings: GatewaySettings, shared: SharedState, facts: Facts
) -> Callable[[Sequence[Exchange], Sequence[Record]], None] | None:
    """What keeps decisions on requests that have ended, if any are to be kept."""
    kept = settings.decisions
    if not kept.keep:
        return None
    ordinary = kept.keep // _ORDINARY_SHARE

    def send(decisions: Sequence[tuple[str, str]], are_wrong: bool) -> None:  # noqa: FBT001  # by position
        most = kept.keep - ordinary if are_wrong else ordinary
        shared.keep_decisions(decisions, most=most, are_wrong=are_wrong)

    return Decisions(kept.ratio, facts_of=facts.of, send=send).take


def sender_to(*stores: SharedState) -> Callable[[Seen], None]:
    """What adds up in all these what a worker has seen."""

    def send(seen: Seen) -> None:
        for store in stores:
            store.add_traffic(seen.services, limits=seen.limits, callers=seen.callers)

    return send


def tell_of_websockets(service: str, news: News) -> None:
    """Count what has become of a service's WebSockets."""
    tally_websockets(
        service, opened=news.opened, closed=news.closed, messages=news.messages, transferred=news.bytes
    )
