"""Who may change things on the gateway: whoever sits at its machine, or has its token."""

from __future__ import annotations

import ipaddress
import re
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from falcongate.denials import Forbidden, Unauthorized

if TYPE_CHECKING:
    from falcongate.exchange import Exchange

_FROM_A_PROXY: Final = (
    "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO", "HTTP_X_REAL_IP",
    "HTTP_FORWARDED", "HTTP_VIA",
)  # fmt: skip
_OWN_SITE: Final = ("", "same-origin", "none")
_LOCAL_HOST: Final = re.compile(
    r"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE
)
_BEARER: Final = "bearer "


class Operators:
    """Those who come from this machine, and those who have `token`; without one, only the first.

    SECURITY: the socket's own peer counts, never what a proxy says of it. A proxy on this machine makes
    everybody local, so who comes through one is not; a page in a browser on this machine can send
    requests here, so those that say they come from a page, or to another name, are not either.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token.encode() if token else None

    def identify(self, exchange: Exchange) -> str:
        """A name for the history. Raises Unauthorized or Forbidden."""
        said = exchange.environ.get("HTTP_AUTHORIZATION", "")
        if said[: len(_BEARER)].lower() == _BEARER:
            given = said[len(_BEARER) :].strip().encode("latin-1", "replace")
            if self._token is None or not compare_digest(given, self._token):
                raise Unauthorized
            return f"token@{exchange.peer_address or 'unix'}"
        if _is_local(exchange):
            return f"operator@{exchange.peer_address}"
        if self._token is None:
            raise Forbidden
        raise Unauthorized

    def is_one(self, exchange: Exchange) -> bool:
        """Whether the request may see what is for operators only."""
        try:
            self.identify(exchange)
        except (Forbidden, Unauthorized):
            return False
        return True


def _is_local(exchange: Exchange) -> bool:
    environ = exchange.environ
    try:
        peer = ipaddress.ip_address(exchange.peer_address)
    except ValueError:
        return False  # behind a Unix socket stands a proxy as a rule
    peer = getattr(peer, "ipv4_mapped", None) or peer
    return (
        peer.is_loopback
        and not any(name in environ for name in _FROM_A_PROXY)
        and "HTTP_ORIGIN" not in environ
        and environ.get("HTTP_SEC_FETCH_SITE", "") in _OWN_SITE
        and _LOCAL_HOST.fullmatch(exchange.host) is not None
    )
