"""Socket.IO on its way to one of several servers: the one that keeps the caller's session.

Engine.IO, which carries it, names a session in the first answer and in the query of every later request
(Engine.IO protocol, version 4). Only the server that began it knows it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl

from falcongate.errors import ResponseTruncated
from falcongate.refusals import SessionUnknown
from falcongate.upstream.service_body import ServiceBody

if TYPE_CHECKING:
    from falcongate.admission.sessions import Sessions
    from falcongate.exchange import Exchange
    from falcongate.routing.table import Match
    from falcongate.upstream.forward import Forwarder
    from falcongate.upstream.service_body import TunnelBody

ENGINE_IO: Final = b"EIO="
"""Stands in the target of every request of Engine.IO."""

_MAX_QUERY_BYTES: Final = 4_096
_MAX_PARAMETERS: Final = 50
_HANDSHAKE_BYTES: Final = 1_024
# Quotes are escaped where the answer is a script, for browsers of old (JSONP).
_SID: Final = re.compile(rb'0\{[^}]*\\?"sid\\?"\s*:\s*\\?"([^"\\]{1,128})\\?"')
_UNKNOWN: Final = re.compile(rb'"code\\?"\s*:\s*1\b')
_TIME_MS: Final = re.compile(rb'"ping(?:Interval|Timeout)\\?"\s*:\s*(\d{1,8})\b')
_LEAST_LIFE_S: Final = 60
_MOST_LIFE_S: Final = 3_600


class Handshake(NamedTuple):
    """A session as its server announces it, and how long it should be remembered after each use."""

    sid: str
    life_s: int


class SocketIo:
    """Forwards what belongs to a session to its server, and notes the sessions that begin."""

    def __init__(self, forwarder: Forwarder, sessions: Sessions) -> None:
        self._forwarder = forwarder
        self._sessions = sessions

    def forward(self, exchange: Exchange, match: Match, *, accept: bytes) -> ServiceBody | TunnelBody:
        """As `Forwarder.forward`. Raises SessionUnknown as well, if the server of the session is gone."""
        sid = session_id(exchange.target)
        # Nobody can say whether a message that was not answered had arrived.
        exchange.is_once = bool(sid)
        has_choice = len(match.route.settings.url) > 1
        if sid is None or not has_choice:
            return self._forwarder.forward(exchange, match, accept=accept)
        if not sid:
            body = self._forwarder.forward(exchange, match, accept=accept)
            self._note(exchange, body)
            return body
        service = match.route.service
        exchange.pinned_target = self._sessions.find(service, sid, asks=not exchange.waited_in_vain)
        try:
            body = self._forwarder.forward(exchange, match, accept=accept)
        except SessionUnknown:
            self._sessions.end(service, sid)
            raise
        if isinstance(body, ServiceBody) and _UNKNOWN.search(self._beginning_of(exchange, body, 400)):
            self._sessions.end(service, sid)
        return body

    def _note(self, exchange: Exchange, body: ServiceBody | TunnelBody) -> None:
        """Take the session from a handshake's answer. Who begins with a WebSocket needs no server again."""
        if not isinstance(body, ServiceBody):
            return
        begun = handshake_in(self._beginning_of(exchange, body, 200))
        if begun is not None:
            self._sessions.begin(
                exchange.service, begun.sid, target=exchange.target_used, life_s=begun.life_s
            )

    def _beginning_of(self, exchange: Exchange, body: ServiceBody, status: int) -> bytes:
        """The first bytes of an answer with this status; b"" of any other."""
        head = exchange.service_head
        if head is None or head.status != status:
            return b""
        try:
            return body.peek(_HANDSHAKE_BYTES)
        except ResponseTruncated:
            return b""  # Whoever sends it on will find out as well, and knows what to do.
        except BaseException:
            body.close()
            raise


def session_id(target: bytes) -> str | None:
    """The session that a request names, "" if it begins one, None if it is none of Engine.IO."""
    query = target.partition(b"?")[2]
    if ENGINE_IO not in query or len(query) > _MAX_QUERY_BYTES:
        return None
    try:
        pairs = parse_qsl(query.decode("latin-1"), max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        return None
    parameters = dict(reversed(pairs))
    return parameters.get("sid", "") if "EIO" in parameters else None


def handshake_in(answer: bytes) -> Handshake | None:
    """The session that an answer begins."""
    found = _SID.search(answer)
    if found is None:
        return None
    times_ms = sum(map(int, _TIME_MS.findall(answer)))
    # Twice as long as the server waits itself: a poll that hangs is no use of it.
    life_s = min(max(times_ms * 2 // 1000, _LEAST_LIFE_S), _MOST_LIFE_S)
    return Handshake(found[1].decode("latin-1"), life_s)
