"""Where in a request a token stands: in `Authorization`, in a cookie, or in the query."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from falcongate.denials import Unauthorized
from falcongate.wire.api_key import PREFIX
from falcongate.wire.bearer import bearer_in
from falcongate.wire.fields import Field, FieldBlock
from falcongate.wire.websocket import asks_for_websocket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falcongate.config.identity import TokenSettings
    from falcongate.exchange import Exchange

_ENGINE_IO: Final = b"EIO"
# What may stand behind Bearer (RFC 6750, 2.1).
_SENDABLE: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class TokenPlaces:
    """The places that one configuration names.

    What stands in the query is first taken out of it, for every request, whoever asks for tokens; it may
    then be found, and is sent on at last if nobody else has been found.
    """

    __slots__ = ("_cookie", "_max_bytes", "_query")

    def __init__(self, settings: TokenSettings) -> None:
        self._cookie = settings.cookie
        self._query = settings.query.encode("ascii") if settings.query else None
        self._max_bytes = settings.max_bytes

    def take_from_query(self, exchange: Exchange) -> None:
        """Leave no token in the query of a WebSocket or of Socket.IO, so that it is not sent on there.

        It counts if no other place has one, and not on public paths.
        """
        path, mark, query = exchange.target.partition(b"?")
        if self._query is None or not mark:
            return
        pairs = [(pair, *_parsed(pair)) for pair in query.split(b"&")]
        values = [value for _, name, value in pairs if name == self._query]
        if not values or not _may_have_one(exchange, (name for _, name, _ in pairs)):
            return
        kept = [pair for pair, name, _ in pairs if name != self._query]
        exchange.target = path + (b"?" + b"&".join(kept) if kept else b"")
        match = exchange.route_match
        if match is None or not match.is_public:
            found = b"" if self._has_before_query(exchange) else next(filter(None, values), b"")
            exchange.query_token = found.decode("latin-1")

    def find(self, exchange: Exchange) -> str | None:
        """The token that a request has, None if none; it may be anything, but not too long.

        Raises Unauthorized.
        """
        environ = exchange.environ
        bearer = bearer_in(environ.get("HTTP_AUTHORIZATION", ""))
        if bearer is not None:
            # Who knows keys of the gateway's own knows what to say of one.
            return None if bearer.startswith(PREFIX) else self._sized(bearer)
        cookies: str = environ.get("HTTP_COOKIE", "") if self._cookie is not None else ""
        if cookies and (text := self._in_cookie(cookies, self._cookie or "")):
            return self._sized(text)
        return self._sized(exchange.query_token) if exchange.query_token else None

    def send_on(self, exchange: Exchange) -> None:
        """Let the service find the query's token where it looks for one.

        SECURITY: not beside what is told of a caller whom something else has proven.
        """
        token, caller = exchange.query_token, exchange.caller
        if not token or (caller is not None and caller.kind != "token"):
            return
        if "HTTP_AUTHORIZATION" in exchange.environ or len(token) > self._max_bytes:
            return
        if _SENDABLE.fullmatch(token):
            # The block is its connection's, and what comes next on that may have no token.
            block = exchange.block
            line = Field(b"Authorization: Bearer " + token.encode("ascii"))
            exchange.block = FieldBlock(b"", [*block.fields, line], block.environ)

    def _sized(self, text: str) -> str:
        if len(text) > self._max_bytes:
            raise Unauthorized("it is too long")
        return text

    def _has_before_query(self, exchange: Exchange) -> bool:
        """Whether a place that comes first has a token, whatever it is worth."""
        environ = exchange.environ
        if bearer_in(environ.get("HTTP_AUTHORIZATION", "")) is not None:
            return True
        return self._cookie is not None and any(_values_of(environ.get("HTTP_COOKIE", ""), self._cookie))

    def _in_cookie(self, cookies: str, name: str) -> str:
        # PERF: taking all cookies apart costs three times as much as all else here.
        if cookies.count(name) == 1 and (cookies.startswith(f"{name}=") or f"; {name}=" in cookies):
            return cookies.partition(f"{name}=")[2].partition(";")[0].strip().strip('"')
        found = ""
        for value in _values_of(cookies, name):
            # SECURITY: a service might take the other one for the caller's.
            if found and value != found:
                raise Unauthorized("its cookie is there twice")
            found = value
        return found


def _values_of(cookies: str, name: str) -> Iterator[str]:
    for pair in cookies.split(";"):
        key, _, value = pair.partition("=")
        if key.strip() == name:
            yield value.strip().strip('"')


def _may_have_one(exchange: Exchange, names: Iterator[bytes]) -> bool:
    """Whether it is what a browser's client can set no header for: a WebSocket, or Socket.IO."""
    if asks_for_websocket(exchange.environ):
        return True
    match = exchange.route_match
    return match is not None and match.route.settings.websocket and _ENGINE_IO in names


def _parsed(pair: bytes) -> tuple[bytes, bytes]:
    """Name and value as a service reads them (WHATWG URL, 5.1)."""
    name, _, value = pair.partition(b"=")
    return _plain(name), _plain(value)


def _plain(part: bytes) -> bytes:
    return unquote_to_bytes(part.replace(b"+", b" "))
