"""Every setting of the gateway: its type, unit, default and meaning.

What an operator may write stands here; what a single value may be, in `values.py`. The reference
in `conf/gateway.toml` and the JSON schema are made from these models. Reading files and the
environment is `load.py`; turning settings into what the hot path needs is the business of the
room that uses them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from falcongate.config.access import AccessSettings  # noqa: TC001  # pydantic needs it
from falcongate.config.admin import AdminSettings
from falcongate.config.breaker import BreakerSettings
from falcongate.config.identity import IssuerSettings, TokenSettings
from falcongate.config.model import Settings
from falcongate.config.policies import ConcurrencySettings, LimitSettings  # noqa: TC001  # pydantic needs it
from falcongate.config.redis import RedisSettings
from falcongate.config.telemetry import DecisionSettings, LogSettings, MetricsSettings, TraceSettings
from falcongate.config.tls import CallerTlsSettings, TlsSettings
from falcongate.config.values import (
    Cidr,
    EmptyIsUnset,
    Endpoint,
    FieldValue,
    Method,
    NotBoolean,
    Origin,
    PathPattern,
    PathPrefix,
    PublicUrl,
    Seconds,
    ServiceName,
    TargetUrls,
    Token,
)
from falcongate.config.websocket import WebSocketSettings


class ServerSettings(Settings):
    """The side of the callers: limits and deadlines of their connections."""

    head_timeout_s: Seconds = 10
    """Wall-clock seconds for a request's head from its first byte to its last; then 408."""

    body_idle_timeout_s: Seconds = 30
    """Seconds a caller may pause within its request body; then 408."""

    keepalive_timeout_s: Seconds = 100
    """Seconds an idle connection is kept. Above 90 where a platform's router reuses connections."""

    send_timeout_s: Seconds = 60
    """Seconds a caller may take no byte of its answer before the connection is ended; of a WebSocket, both
    sides."""

    max_request_line_bytes: Annotated[int, Field(ge=256, le=65_536), NotBoolean] = 8_192
    """Longest request line; longer is 414."""

    max_head_bytes: Annotated[int, Field(ge=1_024, le=262_144), NotBoolean] = 32_768
    """Largest request head, the request line included; larger is 431."""

    max_headers: Annotated[int, Field(ge=1, le=1_000), NotBoolean] = 100
    """Most header fields in a request; more is 431."""

    max_connections: Annotated[int, Field(ge=1, le=1_000_000), NotBoolean] = 10_000
    """Most open connections of one worker; further callers wait in the kernel's queue."""

    graceful_timeout_s: Seconds = 25
    """Seconds from the word to stop to the end: listening for `drain_listen_s`, then requests in flight
    finish. Below what the platform gives before it kills, which often is 30."""

    drain_listen_s: Annotated[float, Field(ge=0, le=3_600), NotBoolean] = 2
    """Seconds that a gateway which was told to stop goes on taking callers, while `/health/ready/` says 503,
    so that traffic can be led elsewhere. A part of `graceful_timeout_s`, at most half of it."""

    retirement_s: Seconds = 86_400
    """Seconds that a worker which a reload has replaced keeps the connections that it has, WebSockets
    above all; then it is told to stop."""

    trusted_proxies: tuple[Cidr, ...] = ()
    """Addresses or networks whose X-Forwarded-* headers are believed. Empty: nobody's are."""

    trusted_hops: Annotated[int, Field(ge=0, le=16), NotBoolean] = 0
    """How many proxies stand in front, whatever their addresses; an alternative to `trusted_proxies`.
    Their `X-Forwarded-Host` is not believed: platforms' routers pass on what callers made up."""

    tls: CallerTlsSettings = CallerTlsSettings()

    @model_validator(mode="after")
    def _one_way_to_trust(self) -> ServerSettings:
        if self.trusted_proxies and self.trusted_hops:
            raise ValueError("set trusted_proxies or trusted_hops, not both")
        return self

    @model_validator(mode="after")
    def _time_to_finish(self) -> ServerSettings:
        is_said = "drain_listen_s" in self.model_fields_set
        if is_said and self.drain_listen_s > self.graceful_timeout_s / 2:
            raise ValueError(
                "drain_listen_s must be at most half of graceful_timeout_s, of which it is a part"
            )
        return self


class ServiceSettings(Settings):
    """One service: where it is, which paths lead to it, how long it may take."""

    url: TargetUrls
    """Address of the service, or a list of them: `http://host:port` or `https://host:port`."""

    paths: tuple[PathPrefix, ...] = ()
    """Path prefixes, in whole segments, that lead here; the longest wins. Empty: `/api/<name>`."""

    strip_prefix: Annotated[PathPrefix | None, EmptyIsUnset] = None
    """Prefix removed from the path before it is sent. Unset: the path is sent as it came."""

    add_prefix: Annotated[PathPrefix | None, EmptyIsUnset] = None
    """Prefix put before the path that is sent. With `strip_prefix` it replaces one."""

    websocket: bool = False
    """Whether its paths may be upgraded to WebSocket; `/ws/<name>/` may be in any case."""

    append_slash: bool = False
    """Add a missing trailing slash to the path of POST, PUT, PATCH and DELETE."""

    preserve_host: bool = False
    """Send the caller's Host header. Otherwise the service sees its own host and port."""

    forwarded_header: bool = False
    """Also send `Forwarded` (RFC 7239) beside the X-Forwarded-* headers."""

    timeout_s: Seconds = 30
    """Wall-clock seconds to the head of the answer, once the service has the whole request; then 504."""

    connect_timeout_s: Seconds = 5
    """Seconds to connect to a target, TLS included."""

    idle_timeout_s: Seconds = 60
    """Seconds the service may pause within its answer, or take no byte of the request body."""

    total_timeout_s: Seconds = 3_600
    """Wall-clock seconds for the whole exchange, however steadily bytes drip."""

    pool_wait_s: Seconds = 5
    """Seconds to wait for a connection when `max_connections` are in use; then 503."""

    max_connections: Annotated[int, Field(ge=1, le=10_000), NotBoolean] = 100
    """Most connections of one worker to one target; idle ones are kept for reuse."""

    keepalive_timeout_s: Seconds = 50
    """Seconds an idle connection to a target may still be reused. Below the service's own limit."""

    max_body_bytes: Annotated[int, Field(ge=0), NotBoolean] = 1_073_741_824
    """Largest request body; larger is 413. 0: none at all."""

    retries: Annotated[int, Field(ge=0, le=5), NotBoolean] = 1
    """Further attempts after one that failed, made only where repeating is provably safe."""

    target_cooldown_s: Seconds = 5
    """Seconds a target that could not be connected to is passed over, if there is another."""

    tls: TlsSettings = TlsSettings()
    breaker: BreakerSettings = BreakerSettings()

    def paths_for(self, name: str) -> tuple[str, ...]:
        """The prefixes that lead here if it has this name; none but "/" itself has a slash at its end."""
        return tuple(path.rstrip("/") or "/" for path in self.paths or (f"/api/{name}",))


class CorsSettings(Settings):
    """Which pages of other origins may call. Without origins, none may and no header is sent."""

    origins: tuple[Origin, ...] = ()
    """Exact origins, or `https://*.example.com` for a domain's subdomains at any depth."""

    allow_credentials: bool = True
    """Whether browsers may send cookies and read the answer."""

    methods: tuple[Method, ...] = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    """Methods a preflight allows."""

    request_headers: tuple[Token, ...] = ("accept", "authorization", "content-type", "x-requested-with")
    """Request headers a preflight allows."""

    expose_headers: tuple[Token, ...] = (
        "Content-Type",
        "Authorization",
        "X-Request-ID",
        "RateLimit",
        "RateLimit-Policy",
        "Retry-After",
    )
    """Response headers that pages may read."""

    max_age_s: Annotated[int, Field(ge=0, le=86_400), NotBoolean] = 600
    """Seconds a browser may remember a preflight."""


class SecurityHeaderSettings(Settings):
    """Headers put on every response. An empty text leaves a header out."""

    strict_transport_security: FieldValue = "max-age=31536000; includeSubDomains"
    """HSTS, sent only when the caller came by https."""

    content_type_options: FieldValue = "nosniff"
    """X-Content-Type-Options."""

    frame_options: FieldValue = "DENY"
    """X-Frame-Options."""

    content_security_policy: FieldValue = "default-src 'self'; frame-ancestors 'none'"
    """Content-Security-Policy."""

    referrer_policy: FieldValue = "strict-origin-when-cross-origin"
    """Referrer-Policy."""

    override: bool = False
    """Replace what a service set itself. Otherwise the service's own value is kept."""


class GatewaySettings(Settings):
    """The whole configuration."""

    public_url: PublicUrl = ""
    """The gateway's own address as callers know it, like `https://api.example.com`. Empty: taken from
    each request's Host."""

    server_timing: bool = True
    """Answer with `Server-Timing`: the gateway's and the service's share, in milliseconds."""

    public_paths: tuple[PathPattern, ...] = ()
    """Paths that need no credentials; the caller's `Authorization` and its credential cookies are
    removed there."""

    x_ratelimit_headers: bool = False
    """Also answer with `X-RateLimit-Limit`, `-Remaining` and `-Reset` of the tightest limit."""

    credential_cookies: tuple[Token, ...] = ("access_token", "refresh_token", "sessionid")
    """Cookies that carry credentials, removed on public paths."""

    endpoint_timeouts: dict[Endpoint, Seconds] = {}  # noqa: RUF012  # pydantic copies it
    """`timeout_s` by endpoint: whole segments anywhere in the path, or from its start with a leading
    slash. The longest match wins over the service's own."""

    server: ServerSettings = ServerSettings()
    cors: CorsSettings = CorsSettings()
    security_headers: SecurityHeaderSettings = SecurityHeaderSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    traces: TraceSettings = TraceSettings()
    decisions: DecisionSettings = DecisionSettings()
    redis: RedisSettings = RedisSettings()
    websocket: WebSocketSettings = WebSocketSettings()
    breaker: BreakerSettings = BreakerSettings()
    tokens: TokenSettings = TokenSettings()
    admin: AdminSettings = AdminSettings()

    issuers: dict[ServiceName, IssuerSettings] = {}  # noqa: RUF012  # pydantic copies it
    """Who signs tokens, by name."""

    access: dict[ServiceName, AccessSettings] = {}  # noqa: RUF012  # pydantic copies it
    """Who may pass where, by name. All rules that apply to a request hold."""

    limits: dict[ServiceName, LimitSettings] = {}  # noqa: RUF012  # pydantic copies it
    """Limits on requests, by name. All that apply to a request hold; it is charged to all or to none."""

    concurrency: dict[ServiceName, ConcurrencySettings] = {}  # noqa: RUF012  # pydantic copies it
    """Limits on requests at the same time, by name."""

    services: dict[ServiceName, ServiceSettings] = {}  # noqa: RUF012  # pydantic copies it
    """The services, by name."""

    def breaker_of(self, service: str) -> BreakerSettings:
        """The breaker of a service: what its own table says, and the common one where that is silent."""
        own = self.services[service].breaker
        return self.breaker.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})
