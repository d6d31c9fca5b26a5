"""Where in a request a token stands: in `Authorization`, in a cookie, or in the query."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from falcongate.denials import Unauthorized
from falcongate.wire.fields import Field, FieldBlock

if TYPE_CHECKING:
    from falcongate.config.identity import TokenSettings
    from falcongate.exchange import Exchange

API_KEY_PREFIX: Final = "fg_"
"""How keys of the gateway's own begin; they may stand where tokens do."""

_ENGINE_IO: Final = b"EIO="
_SCHEME: Final = "bearer "
# What may stand behind Bearer (RFC 6750, 2.1).
_SENDABLE: Final = re.compile(rb"[A-Za-z0-9._~+/-]+=*")


class TokenPlaces:
    """The places that one configuration names."""

    __slots__ = ("_cookie", "_max_bytes", "_query")

    def __init__(self, settings: TokenSettings) -> None:
        self._cookie = settings.cookie
        self._query = settings.query.encode("ascii") if settings.query else None
        self._max_bytes = settings.max_bytes

    def find(self, exchange: Exchange) -> str | None:
        """The token that a request has, None if none; it may be anything, but not too long.

        Takes it out of the query, so that it is not sent on and not logged there. Raises Unauthorized.
        """
        environ = exchange.environ
        asked = None
        if self._query is not None and (
            "HTTP_UPGRADE" in environ or _ENGINE_IO in exchange.target.partition(b"?")[2]
        ):
            asked = self._take_from_query(exchange, self._query)
        authorization: str = environ.get("HTTP_AUTHORIZATION", "")
        if authorization[:7].lower() == _SCHEME:
            text = authorization[7:].strip()
            # Whose name that is knows what to say of it.
            return None if text.startswith(API_KEY_PREFIX) else self._sized(text)
        cookies: str = environ.get("HTTP_COOKIE", "") if self._cookie is not None else ""
        if cookies and (text := self._in_cookie(cookies, self._cookie or "")):
            return self._sized(text)
        return self._sized(asked) if asked else None

    def _sized(self, text: str) -> str:
        if len(text) > self._max_bytes:
            raise Unauthorized("it is too long")
        return text

    def _in_cookie(self, cookies: str, name: str) -> str:
        # PERF: taking all cookies apart costs three times as much as all else here.
        if cookies.count(name) == 1 and (cookies.startswith(f"{name}=") or f"; {name}=" in cookies):
            return cookies.partition(f"{name}=")[2].partition(";")[0].strip().strip('"')
        found = ""
        for pair in cookies.split(";"):
            key, _, value = pair.partition("=")
            if key.strip() == name:
                value = value.strip().strip('"')
                # SECURITY: a service might take the other one for the caller's.
                if found and value != found:
                    raise Unauthorized("its cookie is there twice")
                found = value
        return found

    def _take_from_query(self, exchange: Exchange, name: bytes) -> str | None:
        """The first value of the parameter; no parameter of its name is left."""
        path, mark, query = exchange.target.partition(b"?")
        if not mark:
            return None
        kept, values = [], []
        for pair in query.split(b"&"):
            key, _, value = pair.partition(b"=")
            if _plain(key) == name:
                values.append(_plain(value))
            else:
                kept.append(pair)
        if not values:
            return None
        exchange.target = path + (b"?" + b"&".join(kept) if kept else b"")
        token = next(filter(None, values), b"")
        if _SENDABLE.fullmatch(token) and len(token) <= self._max_bytes:
            _send_on(exchange, token)
        return token.decode("latin-1")


def _plain(part: bytes) -> bytes:
    return unquote_to_bytes(part.replace(b"+", b" "))


def _send_on(exchange: Exchange, token: bytes) -> None:
    """Let the service find it where it looks for one, unless the caller has filled that place."""
    block = exchange.block
    if "HTTP_AUTHORIZATION" in exchange.environ:
        return
    # The block is its connection's, and what comes next on that may have no token.
    line = Field(b"Authorization: Bearer " + token)
    exchange.block = FieldBlock(b"", [*block.fields, line], block.environ)
