"""The header fields that a service is sent: the caller's own, less what must not pass, and ours.

Pure. Which route a request has and who is trusted was decided before.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from falcongate.wire.api_key import PREFIX, key_in_bearer
from falcongate.wire.fields import HOP_BY_HOP, Field, connection_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from falcongate.config.settings import GatewaySettings
    from falcongate.exchange import Exchange
    from falcongate.routing.table import Route

# Host, length and Expect are said anew for this hop; the X-Gateway fields are ours to say.
# SECURITY: the rest would let a caller name another path or address to a service that believes it.
_OURS: Final = frozenset(
    (
        b"host",
        b"content-length",
        b"expect",
        b"http2-settings",
        b"x-request-id",
        b"x-original-url",
        b"x-rewrite-url",
        b"x-original-uri",
        b"x-original-host",
        b"x-real-ip",
        b"x-client-ip",
        b"true-client-ip",
        b"script-name",
        b"path-info",
        b"forwarded",
    )
)
_PROTECTED: Final = frozenset(
    (b"host", b"authorization", b"cookie", b"content-length", b"x-request-id", b"traceparent", b"via")
)
"""Fields that a caller cannot have removed by naming them in `Connection` (RFC 9110, 7.6.1)."""

_ORDINARY_TOKENS: Final = frozenset((b"close", b"keep-alive", b"upgrade", b"te", b"http2-settings"))
_PASS, _DROP, _CONNECTION, _CREDENTIAL, _COOKIE, _API_KEY, _BAGGAGE = range(7)
_ADDRESS: Final = re.compile(r"[0-9A-Fa-f.:]+")
# SECURITY: behind these, a service would take a caller for the owner of any certificate that it writes of.
_ABOUT_CERTIFICATES: Final = (
    b"x-client-cert",
    b"x-client-dn",
    b"x-client-verify",
    b"x-ssl-",
    b"x-tls-client-",
    b"x-amzn-mtls-",
    b"x-arr-clientcert",
    b"ssl-client-",
    b"client-cert",  # RFC 9440
)
_OUR_PREFIXES: Final = (b"x-forwarded-", b"x-gateway-", b"proxy", *_ABOUT_CERTIFICATES)
_MAX_KNOWN_NAMES: Final = 1_024
_MAX_KNOWN_LENGTH: Final = 256


class _Kinds(dict[bytes, int]):
    """What is done with a field, by its name; those in `told` are the gateway's own word of callers.

    While it traces, the context of a trace is the gateway's word as well, said anew for each attempt.

    PERF: a name is looked at once; bounded, as callers choose the names.
    """

    def __init__(self, told: frozenset[bytes], *, is_tracing: bool) -> None:
        super().__init__(
            {
                b"connection": _CONNECTION,
                b"authorization": _CREDENTIAL,
                b"cookie": _COOKIE,
                b"x-api-key": _API_KEY,
            }
        )
        self._told = told
        if is_tracing:
            self.update({b"traceparent": _DROP, b"tracestate": _DROP, b"baggage": _BAGGAGE})
        self.update(dict.fromkeys(told, _DROP))

    def __missing__(self, name: bytes) -> int:
        # SECURITY: some services take X.Forwarded.For for X-Forwarded-For.
        plain = name.replace(b".", b"-")
        is_ours = plain in HOP_BY_HOP or plain in _OURS or plain in self._told
        kind = _DROP if is_ours or plain.startswith(_OUR_PREFIXES) else _PASS
        if len(self) < _MAX_KNOWN_NAMES and len(name) <= _MAX_KNOWN_LENGTH:
            self[name] = kind
        return kind


def hidden_cookies(settings: GatewaySettings) -> tuple[str, ...]:
    """Cookies that services do not get on public paths: those with credentials, that of tokens too."""
    of_tokens = settings.tokens.cookie
    others = (of_tokens,) if of_tokens and of_tokens not in settings.credential_cookies else ()
    return (*settings.credential_cookies, *others)


def without_cookies(value: bytes, names: frozenset[bytes]) -> bytes:
    """A Cookie value without the cookies of these names; the others stay as they were."""
    pairs = [pair for pair in value.split(b";") if pair.partition(b"=")[0].strip() not in names]
    return b";".join(pairs).strip()


class ServiceFields:
    """Makes the fields for services, by one configuration.

    `credential_cookies` are not passed on from public paths. `told` are the headers that tell services of
    a caller: what callers themselves say under these names goes nowhere. `own_cookies` are the gateway's.
    """

    __slots__ = ("_cookies", "_kinds", "_own_cookies")

    def __init__(
        self,
        *,
        credential_cookies: Iterable[str],
        told: Iterable[str],
        own_cookies: Iterable[str] = (),
        is_tracing: bool = False,
    ) -> None:
        # SECURITY: a service that had an operator's session could act as that operator.
        self._own_cookies = frozenset(name.encode("latin-1") for name in own_cookies)
        self._cookies = self._own_cookies.union(name.encode("latin-1") for name in credential_cookies)
        told_names = frozenset(name.lower().encode("latin-1") for name in told)
        self._kinds = _Kinds(told_names, is_tracing=is_tracing)

    def render(self, exchange: Exchange, route: Route, framing: bytes) -> bytes:
        """All fields behind `Host` for the service, with the empty line at the end.

        `framing` is the field that says how long the body is, with its line break, or b"".
        """
        block = exchange.block
        match, caller = exchange.route_match, exchange.caller
        is_public = match is not None and match.is_public
        # SECURITY: a key of ours means nothing to a service, which could use it elsewhere.
        has_key = caller is not None and caller.kind == "api_key"
        if block.forwarded_for != (route, is_public, has_key):
            is_believed = exchange.trace is not None and exchange.trace.is_believed
            own = self._end_to_end(
                block.fields, is_public=is_public, has_key=has_key, is_believed=is_believed
            )
            block.forwarded = own + _of_connection(exchange, route)
            block.forwarded_for = (route, is_public, has_key)
        request_id = exchange.request_id.encode("ascii")
        return b"%bX-Request-ID: %b\r\nX-Gateway-Request-ID: %b\r\n%b%b\r\n" % (
            block.forwarded,
            request_id,
            request_id,
            caller.headers if caller is not None else b"",
            framing,
        )

    def _end_to_end(self, fields: list[Field], *, is_public: bool, has_key: bool, is_believed: bool) -> bytes:
        """The lines of the caller's fields that are for the service, with their line breaks."""
        lines = []
        nominated: frozenset[bytes] = frozenset()
        for field in fields:
            kind = self._kinds[field.name]
            if kind == _PASS:
                lines.append(field.line)
            elif kind == _CONNECTION:
                nominated |= connection_tokens(field.value)
            elif kind == _BAGGAGE:
                # SECURITY: services take what stands there for what another service has said.
                lines += [field.line] if is_believed else []
            elif kind != _DROP:
                line = self._credential(field, kind, is_public=is_public, has_key=has_key)
                lines += [line] if line else []
        if not nominated <= _ORDINARY_TOKENS:
            removed = nominated - _PROTECTED
            lines = [line for line in lines if line.partition(b":")[0].lower() not in removed]
        lines.append(b"")
        return b"\r\n".join(lines)

    def _credential(self, field: Field, kind: int, *, is_public: bool, has_key: bool) -> bytes:
        """What the service gets of a credential, as a line; b"" if that is nothing."""
        if kind == _API_KEY:
            # Services may have keys of their own, under the same name.
            is_ours = field.text.startswith(PREFIX)
            return b"" if is_ours and (has_key or is_public) else field.line
        if kind == _CREDENTIAL:
            is_ours = has_key and key_in_bearer(field.text) != ""
            return b"" if is_ours or is_public else field.line
        hidden = self._cookies if is_public else self._own_cookies
        if not hidden:
            return field.line
        cookies = without_cookies(field.value, hidden)
        return b"Cookie: " + cookies if cookies else b""


def _of_connection(exchange: Exchange, route: Route) -> bytes:
    """Our lines that are the same for all requests with the same fields on one connection."""
    environ = exchange.environ if exchange.is_from_trusted_proxy else {}
    peer = exchange.peer_address
    host = exchange.host
    port = host.rpartition(":")[2] if not host.endswith("]") and ":" in host else ""
    if not port.isdigit():
        port = "443" if exchange.scheme == "https" else "80"
    before = environ.get("HTTP_X_FORWARDED_FOR")
    hops = ", ".join(hop for hop in (before, peer) if hop)
    ours = f"X-Gateway-Service: {route.service}\r\nVia: 1.1 falcongate\r\n"
    # A peer on a Unix socket has no address, an old caller perhaps no Host.
    ours += f"X-Forwarded-For: {hops}\r\n" if hops else ""
    ours += f"X-Forwarded-Host: {host}\r\n" if host else ""
    ours += f"X-Forwarded-Proto: {exchange.scheme}\r\nX-Forwarded-Port: {port}\r\n"
    if route.settings.forwarded_header:
        ours += f"Forwarded: {_forwarded(before, peer, host, exchange.scheme)}\r\n"
    return ours.encode("latin-1")


def _forwarded(before: str | None, peer: str, host: str, scheme: str) -> str:
    """The same way in `Forwarded` (RFC 7239): made from X-Forwarded-For, so that they cannot differ."""
    hops = [f"for={_node(hop.strip())}" for hop in before.split(",")] if before else []
    shown_host = f'"{host}"' if ":" in host else host
    last = f"for={_node(peer)};host={shown_host}" if host else f"for={_node(peer)}"
    return ", ".join([*hops, f"{last};proto={scheme}"])


def _node(address: str) -> str:
    """An address as RFC 7239, 6 wants it: quoted where it has a colon, IPv6 bracketed."""
    if not _ADDRESS.fullmatch(address):
        return "unknown"
    colons = address.count(":")
    if not colons:
        return address
    return f'"{address}"' if colons == 1 else f'"[{address}]"'
