"""Every setting of the gateway: its type, unit, default and meaning.

What an operator may write stands here and nowhere else; the reference in `conf/gateway.toml`
and the JSON schema are made from these models. Reading files and the environment is `load.py`;
turning settings into what the hot path needs is the business of the room that uses them.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic.functional_validators import AfterValidator

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Bytes = Annotated[int, Field(ge=0)]

_SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_SEGMENT = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()+,=:@-]+"
_PATH_PREFIX = re.compile(rf"/|(?:/{_SEGMENT})+/?")
_PATH_PATTERN = re.compile(rf"(?:/(?:\*|{_SEGMENT}))+(?:/\*\*)?/?")
_ENDPOINT = re.compile(rf"/?{_SEGMENT}(?:/{_SEGMENT})*/?")
_ORIGIN = re.compile(r"https?://(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?|")


def _target_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"must be a URL like http://host:8000 ({error})") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("must begin with http:// or https://")
    if not parts.hostname or not _HOST.fullmatch(parts.hostname):
        raise ValueError("must name a host, like http://host:8000")
    if parts.username or parts.password:
        raise ValueError("must not hold a user name or password")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("must be scheme, host and port only; use add_prefix for a path")
    if port == 0:
        raise ValueError("port 0 is not an address")
    return url.rstrip("/")


def _fullmatch(pattern: re.Pattern[str], meaning: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"must be {meaning}")
        return value

    return AfterValidator(check)


def _cidr(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=True)
    except ValueError as error:
        raise ValueError(f"must be an address or a network like 10.0.0.0/8 ({error})") from None
    return value


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


TargetUrl = Annotated[str, AfterValidator(_target_url)]
PathPrefix = Annotated[
    str, _fullmatch(_PATH_PREFIX, "a path like /api/hr, without dot segments or wildcards")
]
PathPattern = Annotated[
    str,
    _fullmatch(_PATH_PATTERN, "a path from the start, '*' for one segment, a final '**' for any rest"),
]
Endpoint = Annotated[str, _fullmatch(_ENDPOINT, "whole path segments like upload or /api/hr/health")]
Origin = Annotated[
    str, _fullmatch(_ORIGIN, "an origin like https://app.example.com or https://*.example.com")
]
Token = Annotated[str, _fullmatch(_TOKEN, "a header, method or cookie name")]
FieldValue = Annotated[str, _fullmatch(_FIELD_VALUE, "printable ASCII on one line")]
Cidr = Annotated[str, AfterValidator(_cidr)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ServerSettings(_Settings):
    """The side of the callers: limits and deadlines of their connections."""

    head_timeout_s: Seconds = 10
    """Wall-clock seconds for a request's head from its first byte to its last; then 408."""

    body_idle_timeout_s: Seconds = 30
    """Seconds a caller may pause within its request body; then 408."""

    keepalive_timeout_s: Seconds = 100
    """Seconds an idle connection is kept. Above 90 where a platform's router reuses connections."""

    send_timeout_s: Seconds = 60
    """Seconds a caller may take no byte of its answer before the connection is ended."""

    max_request_line_bytes: Annotated[int, Field(ge=256, le=65_536)] = 8_192
    """Longest request line; longer is 414."""

    max_head_bytes: Annotated[int, Field(ge=1_024, le=262_144)] = 32_768
    """Largest request head, the request line included; larger is 431."""

    max_headers: Annotated[int, Field(ge=1, le=1_000)] = 100
    """Most header fields in a request; more is 431."""

    max_connections: Annotated[int, Field(ge=1)] = 10_000
    """Most open connections of one worker; further callers wait in the kernel's queue."""

    graceful_timeout_s: Seconds = 25
    """Seconds that requests in flight get to finish when a worker is told to stop."""

    trusted_proxies: tuple[Cidr, ...] = ()
    """Addresses or networks whose X-Forwarded-* headers are believed. Empty: nobody's are."""

    trusted_hops: Annotated[int, Field(ge=0, le=16)] = 0
    """How many proxies stand in front, whatever their addresses; an alternative to `trusted_proxies`."""

    @model_validator(mode="after")
    def _one_way_to_trust(self) -> ServerSettings:
        if self.trusted_proxies and self.trusted_hops:
            raise ValueError("set trusted_proxies or trusted_hops, not both")
        return self


class TlsSettings(_Settings):
    """How a service's certificate is checked, and ours shown to it."""

    ca_file: str | None = None
    """PEM file of the authorities to trust. Unset: the system's."""

    cert_file: str | None = None
    """PEM file of the client certificate shown to the service. Unset: none."""

    key_file: str | None = None
    """PEM file of its private key. Unset: the key is in `cert_file`."""

    server_name: str | None = None
    """Name expected in the certificate and sent as SNI. Unset: the host in the URL."""

    insecure_skip_verify: bool = False
    """Accept any certificate. Anyone between can then read and change everything."""


class ServiceSettings(_Settings):
    """One service: where it is, which paths lead to it, how long it may take."""

    url: Annotated[tuple[TargetUrl, ...], BeforeValidator(_one_or_many), Field(min_length=1)]
    """Address of the service, or a list of them: `http://host:port` or `https://host:port`."""

    paths: tuple[PathPrefix, ...] = ()
    """Path prefixes, in whole segments, that lead here; the longest wins. Empty: `/api/<name>`."""

    strip_prefix: PathPrefix | None = None
    """Prefix removed from the path before it is sent. Unset: the path is sent as it came."""

    add_prefix: PathPrefix | None = None
    """Prefix put before the path that is sent. With `strip_prefix` it replaces one."""

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

    max_connections: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Most connections of one worker to one target; idle ones are kept for reuse."""

    keepalive_timeout_s: Seconds = 50
    """Seconds an idle connection to a target may still be reused. Below the service's own limit."""

    max_body_bytes: Bytes = 1_073_741_824
    """Largest request body; larger is 413."""

    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """Further attempts after one that failed, made only where repeating is provably safe."""

    target_cooldown_s: Seconds = 5
    """Seconds a target that could not be connected to is passed over, if there is another."""

    tls: TlsSettings = TlsSettings()


class CorsSettings(_Settings):
    """Which pages of other origins may call. Without origins, none may and no header is sent."""

    origins: tuple[Origin, ...] = ()
    """Exact origins, or `https://*.example.com` for a domain's subdomains at any depth."""

    allow_credentials: bool = True
    """Whether browsers may send cookies and read the answer."""

    methods: tuple[Token, ...] = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
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

    max_age_s: Annotated[int, Field(ge=0, le=86_400)] = 600
    """Seconds a browser may remember a preflight."""


class SecurityHeaderSettings(_Settings):
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


class LogSettings(_Settings):
    """What the gateway writes to standard output and error."""

    access: bool = True
    """One JSON line per request on standard output."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe message that is logged on standard error."""


class RedisSettings(_Settings):
    """The state that all workers and hosts share."""

    url: SecretStr | None = None
    """Address: redis://, rediss:// or unix://. Unset: `REDIS_URL` of the environment, else none."""


class GatewaySettings(_Settings):
    """The whole configuration."""

    public_url: Annotated[
        str,
        _fullmatch(re.compile(r"https?://[A-Za-z0-9._:\[\]-]+|"), "an address like https://api.example.com"),
    ] = ""
    """The gateway's own address as callers know it. Empty: taken from each request's Host."""

    server_timing: bool = True
    """Answer with `Server-Timing`: the gateway's and the service's share, in milliseconds."""

    public_paths: tuple[PathPattern, ...] = ()
    """Paths that need no credentials; the caller's `Authorization` and its credential cookies are
    removed there."""

    credential_cookies: tuple[Token, ...] = ("access_token", "refresh_token", "sessionid")
    """Cookies that carry credentials, removed on public paths."""

    endpoint_timeouts: dict[Endpoint, Seconds] = {}
    """`timeout_s` by endpoint: whole segments anywhere in the path, or from its start with a leading
    slash. The longest match wins over the service's own."""

    server: ServerSettings = ServerSettings()
    cors: CorsSettings = CorsSettings()
    security_headers: SecurityHeaderSettings = SecurityHeaderSettings()
    log: LogSettings = LogSettings()
    redis: RedisSettings = RedisSettings()

    services: dict[
        Annotated[str, _fullmatch(_SERVICE_NAME, "letters, digits, '.', '_' and '-'")], ServiceSettings
    ] = {}
    """The services, by name."""
