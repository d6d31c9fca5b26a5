"""Whom a request is counted for: the key of a policy, read from a request.

The text is a name in the shared state, where operators read it; so it says what it is, and secrets
stand in it as digests.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from falcongate.wire.address import address_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from falcongate.exchange import Exchange

    Reader = Callable[[Exchange], str]

_IPV6_PREFIX: Final = 64
_API_KEY_HEADER: Final = "X-API-Key"
_SECRET: Final = re.compile(
    "auth|key|token|cookie|secret|sess|sid|pass|pwd|cred|jwt|bearer|sign|hmac|otp|pin|code|nonce|assertion"
    "|cert|login|saml|ticket",
    re.IGNORECASE,
)
_DIGEST_LENGTH: Final = 32
_MAX_LENGTH: Final = 64


def reader_of(key: Sequence[str]) -> Reader:
    """What reads the caller from a request, for the parts of a key as settings name them.

    A part that a request lacks is its address, so that nobody is uncounted.
    """
    readers = [_reader(part) for part in key]
    if len(readers) == 1:
        return readers[0]
    # No part has the sign between them but a route, which callers do not choose.
    return lambda exchange: "@".join(reader(exchange) for reader in readers)


def _reader(part: str) -> Reader:
    kind, _, name = part.partition(":")
    if kind == "caller_address":
        return _address
    if kind == "service":
        return lambda exchange: exchange.service
    if kind == "route":
        return lambda exchange: exchange.route_match.route.prefix if exchange.route_match else exchange.path
    if kind == "global":
        return lambda _: "all"
    if kind == "claim":
        return _claim_reader(name)
    return _key_reader() if kind == "api_key" else _header_reader(part, name)


def _address(exchange: Exchange) -> str:
    return address_key(exchange.caller_address)


def _claim_reader(name: str) -> Reader:
    def read(exchange: Exchange) -> str:
        caller = exchange.caller
        value = caller.claims.get(name) if caller is not None else None
        if caller is None or not isinstance(value, str | int) or value == "":
            return _address(exchange)
        # Two issuers may call different callers the same; certificates have none.
        return f"claim:{caller.issuer}:{name}:{_short(str(value))}"

    return read


def _key_reader() -> Reader:
    by_header = _header_reader("api_key", _API_KEY_HEADER)

    def read(exchange: Exchange) -> str:
        caller = exchange.caller
        if caller is None or caller.kind != "api_key":
            return by_header(exchange)
        # The id outlives a rotation, and tells in the shared state whose count it is.
        return f"api_key:{caller.name}"

    return read


def _header_reader(part: str, name: str) -> Reader:
    variable = "HTTP_" + name.upper().replace("-", "_")
    is_secret = _SECRET.search(name) is not None

    def read(exchange: Exchange) -> str:
        value: str = exchange.environ.get(variable, "")
        if not value:
            return _address(exchange)
        return f"{part}:{_digest(value) if is_secret else _short(value)}"

    return read


def _short(value: str) -> str:
    """What callers choose is remembered for many of them, so it must not be long."""
    return quote(value, safe="") if len(value) <= _MAX_LENGTH else _digest(value)


@lru_cache(maxsize=1_024)
def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("latin-1", "replace")).hexdigest()[:_DIGEST_LENGTH]


@lru_cache(maxsize=4_096)
def address_key(address: str) -> str:
    """The address as callers are counted by it: one IPv6 network of 64 bits is one caller.

    Whoever has one IPv6 address has 2**64 of them.
    """
    ip = address_of(address)
    if ip is None:
        return address or "unix"
    if ip.version == 4:
        return str(ip)
    return str(ipaddress.ip_network((ip, _IPV6_PREFIX), strict=False))
