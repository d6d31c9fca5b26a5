"""The headers of every answer: the service's own, less what is ours to say, and ours."""

from __future__ import annotations

from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, Final

from falcongate.middleware.cors import CORS_PREFIX
from falcongate.telemetry.milliseconds import milliseconds
from falcongate.wire.fields import Start, lines_of

if TYPE_CHECKING:
    from falcongate.config.settings import GatewaySettings, SecurityHeaderSettings
    from falcongate.exchange import Exchange, ServiceHead
    from falcongate.middleware.cors import Cors

_PASS, _DROP, _SECURITY, _LENGTH, _DATE, _LIMIT = range(6)
_MAX_KNOWN_NAMES: Final = 1_024
_MAX_KNOWN_LENGTH: Final = 256


class _Kinds(dict[bytes, int]):
    """What is done with a service's field, by its name.

    PERF: a name is looked at once; bounded, as services choose the names.
    """

    def __init__(self, *, replaces_cors: bool) -> None:
        super().__init__(
            {
                b"x-request-id": _DROP,
                b"x-gateway-request-id": _DROP,
                b"x-gateway-service": _DROP,
                b"content-length": _LENGTH,
                b"date": _DATE,
            }
        )
        self._replaces_cors = replaces_cors

    def __missing__(self, name: bytes) -> int:
        kind = _DROP if self._replaces_cors and name.startswith(CORS_PREFIX) else _PASS
        if name.startswith((b"ratelimit", b"x-ratelimit-")):
            kind = _LIMIT
        if len(self) < _MAX_KNOWN_NAMES and len(name) <= _MAX_KNOWN_LENGTH:
            self[name] = kind
        return kind


class _Begun:
    """The service's part of the answers that begin with one head, by whose rules, beside limits or not."""

    __slots__ = ("block", "has_date", "has_length", "has_limits", "made_by", "set_by_service", "status")

    def __init__(self, made_by: ResponseHeaders, status: str, *, has_limits: bool) -> None:
        self.made_by = made_by
        self.status = status
        self.has_limits = has_limits
        self.block = b""
        self.has_length = self.has_date = False
        self.set_by_service: set[bytes] | None = None


class ResponseHeaders:
    """Made once from the settings; what it says is on the way of every answer and does not wait."""

    __slots__ = ("_cors", "_has_timing", "_kinds", "_secure", "_security")

    def __init__(self, settings: GatewaySettings, cors: Cors) -> None:
        self._cors = cors
        self._has_timing = settings.server_timing
        self._security = _SecurityLines(settings.security_headers, is_https=False)
        self._secure = _SecurityLines(settings.security_headers, is_https=True)
        self._kinds = _Kinds(replaces_cors=cors.is_on)
        for name in self._secure.lines:
            self._kinds[name] = _DROP if settings.security_headers.override else _SECURITY

    def of_service(self, exchange: Exchange) -> Start:
        """Begin the answer that the service gave."""
        head = exchange.service_head
        assert head is not None  # noqa: S101  # asked only when there is one
        has_limits = exchange.limit_lines != b""
        begun: _Begun | None = head.begun
        if begun is None or begun.has_limits is not has_limits or begun.made_by is not self:
            begun = head.begun = self._begun(head, has_limits=has_limits)
        block = begun.block + self._ours(exchange, begun.set_by_service)
        return Start(begun.status, block, has_length=begun.has_length, has_date=begun.has_date)

    def _begun(self, head: ServiceHead, *, has_limits: bool) -> _Begun:
        """What is the same for all answers with this head."""
        begun = _Begun(self, f"{head.status} {head.reason}", has_limits=has_limits)
        lines: list[bytes] = []
        kinds = self._kinds
        for field in head.fields:
            kind = kinds[field.name]
            if kind == _DROP:
                continue
            if kind == _LIMIT and has_limits:
                continue  # two limits side by side would be read as one, and perhaps the wider one
            lines.append(field.line)
            if kind == _LENGTH:
                begun.has_length = True
            elif kind == _DATE:
                begun.has_date = True
            elif kind == _SECURITY:
                begun.set_by_service = (begun.set_by_service or set()) | {field.name}
        lines.append(b"")
        begun.block = b"\r\n".join(lines)
        return begun

    def of_gateway(self, exchange: Exchange, status: str, headers: list[tuple[str, str]]) -> Start:
        """Begin an answer of our own, with what the application says of it."""
        block, names = _block_of(tuple(headers))
        # A page of ours may say more strictly what else is said for all.
        own = names & self._secure.lines.keys()
        block += self._ours(exchange, own or None)
        return Start(status, block, has_length=b"content-length" in names, has_date=False)

    def _ours(self, exchange: Exchange, set_by_service: set[bytes] | None) -> bytes:
        """Our part of any head, with a line break at its end."""
        request_id = exchange.request_id.encode("latin-1")
        service = exchange.service.encode("latin-1")
        security = self._secure if exchange.scheme == "https" else self._security
        return b"X-Request-ID: %b\r\nX-Gateway-Request-ID: %b\r\n%b%b%b%b%b" % (
            request_id,
            request_id,
            b"X-Gateway-Service: %b\r\n" % service if service else b"",
            _timing(exchange) if self._has_timing else b"",
            exchange.limit_lines,
            self._cors.block_for(exchange.environ.get("HTTP_ORIGIN")),
            security.without(set_by_service) if set_by_service else security.block,
        )


@lru_cache(maxsize=512)
def _block_of(headers: tuple[tuple[str, str], ...]) -> tuple[bytes, set[bytes]]:
    """An application's header lines, and their names in lower case.

    PERF: our own answers have the same again and again, those to refused callers above all.
    """
    lines = lines_of([*headers, ("Server", "falcongate")])
    names = {name.lower().encode("latin-1") for name, _ in headers}
    return b"".join([line + b"\r\n" for line in lines]), names


class _SecurityLines:
    """The security headers as they are sent. `lines` are by lower-case name, `block` is all of them."""

    __slots__ = ("block", "lines")

    def __init__(self, settings: SecurityHeaderSettings, *, is_https: bool) -> None:
        fields = (
            ("Strict-Transport-Security", settings.strict_transport_security if is_https else ""),
            ("X-Content-Type-Options", settings.content_type_options),
            ("X-Frame-Options", settings.frame_options),
            ("Content-Security-Policy", settings.content_security_policy),
            ("Referrer-Policy", settings.referrer_policy),
        )
        self.lines = {
            name.lower().encode("latin-1"): f"{name}: {value}\r\n".encode("latin-1")
            for name, value in fields
            if value
        }
        self.block = self.without(set())

    def without(self, names: set[bytes]) -> bytes:
        """The lines but for those that the service has set itself."""
        return b"".join([line for name, line in self.lines.items() if name not in names])


def _timing(exchange: Exchange) -> bytes:
    """The gateway's and the service's share so far, in milliseconds (W3C Server Timing)."""
    service_s = exchange.service_s
    text = f"Server-Timing: gateway;dur={milliseconds(monotonic() - exchange.started - service_s)}"
    if service_s:
        text += f", service;dur={milliseconds(service_s)}"
    return f"{text}\r\n".encode()


def as_wsgi(start: Start) -> list[tuple[str, str]]:
    """The header lines for servers that know nothing better than WSGI."""
    headers = []
    for line in start.block.decode("latin-1").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        headers.append((name, value.strip(" \t")))
    return headers
