"""A request as spans: one of the server, and one of the client for each attempt (OpenTelemetry, HTTP 1.44).

SECURITY: queries are left out, as they may hold secrets; so are header fields but for the user agent, and
who the caller has proven to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from falcongate.config.values import DEFAULT_PORTS
from falcongate.errors import CALLER_LEFT_STATUS
from falcongate.telemetry.otlp import CLIENT, SERVER, Span
from falcongate.telemetry.record import CUT_OFF, has_failed_of_service, is_error
from falcongate.telemetry.trace import new_span_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from falcongate.telemetry.otlp import Value
    from falcongate.telemetry.record import Record, Tried
    from falcongate.telemetry.trace import Trace

_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"))


def has_failed(record: Record) -> bool:
    """Whether a request failed, or an attempt of it did. What its caller did is no failure."""
    return is_error(record) or any(has_failed_of_service(tried, record) for tried in record.tried)


def spans_of(record: Record, trace: Trace) -> Iterator[Span]:
    """The spans of one request, the server's first."""
    error, why = _error_of(record)
    yield Span(
        trace_id=trace.trace_id,
        span_id=trace.span_id,
        parent_id=trace.parent_id,
        tracestate=trace.tracestate,
        name=f"{_shown(record.method)} {record.route}".rstrip(),
        kind=SERVER,
        flags=trace.flags,
        is_parent_remote=bool(trace.parent_id),
        begin_s=record.ended - record.duration_s,
        end_s=record.ended,
        attributes=_of_server(record, trace, error),
        error=why if error else None,
        linked=trace.linked,
    )
    for at, tried in enumerate(record.tried):
        yield _of_attempt(at, tried, record, trace)


def _of_attempt(at: int, tried: Tried, record: Record, trace: Trace) -> Span:
    is_abandoned = record.status == CALLER_LEFT_STATUS and tried.failure == CUT_OFF
    error = "" if is_abandoned else tried.failure or (str(tried.status) if tried.status >= 400 else "")
    moments = ((tried.connected, "connected"), (tried.sent, "sent"), (tried.answered, "answered"))
    ahead_s = trace.wall_clock_s
    return Span(
        trace_id=trace.trace_id,
        span_id=tried.span_id or new_span_id(),
        parent_id=trace.span_id,
        tracestate=trace.tracestate,
        name=_shown(record.method),
        kind=CLIENT,
        flags=trace.flags,
        is_parent_remote=False,
        begin_s=tried.began + ahead_s,
        end_s=tried.ended + ahead_s if tried.ended else record.ended,
        attributes=_of_client(at, tried, record, trace, error=error),
        events=[(moment + ahead_s, name) for moment, name in moments if moment],
        error=tried.reason if error else None,
    )


def _of_server(record: Record, trace: Trace, error: str) -> Mapping[str, Value]:
    host, port = _host_and_port(f"{trace.scheme}://{trace.host}")
    attributes: dict[str, Value] = {
        **_of_method(record.method),
        "url.path": record.path,
        "url.scheme": trace.scheme,
        "http.route": record.route,
        "error.type": error,
        "network.protocol.version": trace.protocol.removeprefix("HTTP/"),
        "client.address": record.caller,
        "network.peer.address": trace.peer,
        "server.address": host,
        "user_agent.original": trace.user_agent,
        "falcongate.request_id": record.request_id,
        "falcongate.service": record.service,
        "falcongate.problem": record.problem,
        "falcongate.answered_by": record.answered_by,
        "falcongate.breaker.state": trace.breaker,
        "falcongate.refused_by": record.refused_by,
        "falcongate.would_refuse": record.would_refuse,
    }
    attributes = {key: value for key, value in attributes.items() if value}
    if host:
        attributes["server.port"] = port
    # A worker that ends leaves requests without an answer.
    if record.status not in (0, CALLER_LEFT_STATUS):
        attributes["http.response.status_code"] = record.status
    return attributes


def _of_client(at: int, tried: Tried, record: Record, trace: Trace, *, error: str) -> Mapping[str, Value]:
    host, port = _host_and_port(tried.target)
    attributes: dict[str, Value] = {
        **_of_method(record.method),
        "url.full": tried.target + trace.sent_path.decode("latin-1"),
        "server.address": host,
        "server.port": port,
        "network.protocol.version": "1.1",
        "falcongate.connection.is_reused": tried.is_reused,
    }
    if at:
        attributes["http.request.resend_count"] = at
    if tried.status:
        attributes["http.response.status_code"] = tried.status
    if error:
        attributes["error.type"] = error
    return attributes


def _error_of(record: Record) -> tuple[str, str]:
    """`error.type` of the whole request, "" if it was none, and why in words.

    What a caller has done wrong is no error of the server; an answer that was cut short is, though its
    status was sent before.
    """
    if not is_error(record):
        return "", ""
    if record.status >= 500:
        return record.problem or str(record.status), record.reason
    return record.tried[-1].failure, record.reason


def _of_method(method: str) -> dict[str, Value]:
    if method in _METHODS:
        return {"http.request.method": method}
    return {"http.request.method": "_OTHER", "http.request.method_original": method}


def _shown(method: str) -> str:
    return method if method in _METHODS else "HTTP"


def _host_and_port(url: str) -> tuple[str, int]:
    """Of an address that was looked at before: a target's, or one with a sound Host."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return "", 0
