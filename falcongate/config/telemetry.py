"""Settings of what the gateway tells of itself and of the requests it serves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from falcongate.config.model import Settings
from falcongate.config.values import (
    EmptyIsUnset,
    NotBoolean,
    ReceiverUrl,
    Seconds,
    SecretFieldValue,
    Share,
    Statuses,
    Token,
)


class LogSettings(Settings):
    """What the gateway writes to standard output and error."""

    access: bool = True
    """One line per request on standard output."""

    format: Literal["auto", "json", "console"] = "auto"
    """How these lines are written: `json` for programs, `console` to be read; `auto` is `console` on a
    terminal and `json` elsewhere."""

    sample: dict[Statuses, Share] = {}  # noqa: RUF012  # pydantic copies it
    """Which share of requests with a status gets a line, like `"2xx" = 0.1`; a single status goes before its
    class. All others get theirs."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe message that is logged on standard error."""


class MetricsSettings(Settings):
    """Numbers of what happens."""

    enabled: bool = True
    """Whether requests are counted, for `/metrics/` and the page at `/admin/`."""


class TraceSettings(Settings):
    """Traces by OpenTelemetry: which requests are told, and to whom."""

    endpoint: ReceiverUrl = ""
    """Where an OTLP receiver listens (HTTP), like `http://127.0.0.1:4318`; traces go to `/v1/traces` there.
    Empty: no traces."""

    headers: dict[Token, SecretFieldValue] = {}  # noqa: RUF012  # pydantic copies it
    """Header fields that the receiver wants, a key above all."""

    ca_file: Annotated[str | None, EmptyIsUnset] = None
    """PEM file of the authorities to trust for the receiver's certificate. Unset: the system's."""

    ratio: Share = 0.05
    """Share of traces that begin here and are kept. What a caller that is believed has begun is kept if it
    says so; requests that failed or were slow are kept in any case."""

    slow_s: Seconds = 1
    """Requests that take so many seconds to the head of their answer are slow."""

    believe: Literal["trusted_proxies", "everyone"] = "trusted_proxies"
    """Whose `traceparent` is continued, and whose `baggage` is passed on. That of others is only linked: who
    can make the gateway keep traces, and join those of others, should be known. Proxies that
    `server.trusted_hops` only counts are not believed, as they pass on what callers made up."""

    service_name: Annotated[str, Field(min_length=1, max_length=255)] = "falcongate"
    """What this gateway is called there (`service.name`)."""


class DecisionSettings(Settings):
    """Why requests were answered as they were: what `falcongate why` shows, kept in the shared state."""

    ratio: Share = 0.01
    """Share of requests that were answered in order of which it is kept; of refusals and errors, that of all
    is."""

    keep: Annotated[int, Field(ge=0, le=5_000), NotBoolean] = 5_000
    """How many are kept at most, the last ones; 0: none. A thousand take 1 to 2 MB of Redis, 10 MB if all are
    as long as they may be."""
