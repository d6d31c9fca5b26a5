"""Whose request it is: the socket's peer, or who a trusted proxy says it was."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from falcongate.wire.address import address_of, network_of
from falcongate.wire.host import is_host

if TYPE_CHECKING:
    from falcongate.config.settings import ServerSettings
    from falcongate.exchange import Exchange

_MAX_KNOWN_PEERS = 1_024
# Some proxies add the port; a zone (`%eth0`) means nothing on another host, and could be any text.
_ENTRY = re.compile(r"([0-9.]+):[0-9]{1,5}|\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|[0-9A-Fa-f:.]+")
# What proxies, load balancers and content networks add to what they pass on.
_OF_A_PROXY = re.compile(
    r"HTTP_(?:X_FORWARDED(?:_.*)?|X_ORIGINAL_.*|X_ENVOY_.*|CF_.*|FLY_.*|FORWARDED|VIA|X_REAL_IP|X_CLIENT_IP"
    r"|X_CLUSTER_CLIENT_IP|TRUE_CLIENT_IP|X_AMZN_TRACE_ID|X_REQUEST_START)",
    re.DOTALL,
)


class TrustedProxies:
    """Reads forwarding headers from those who may be believed, from the right, and from nobody else."""

    __slots__ = ("_hops", "_known", "_networks")

    def __init__(self, settings: ServerSettings) -> None:
        self._networks = [network_of(text) for text in settings.trusted_proxies]
        self._hops = settings.trusted_hops
        self._known: dict[str, bool] = {}

    def identify(self, exchange: Exchange) -> None:
        """Note the caller's address, and the scheme and host it used before the proxy."""
        if not self._networks and not self._hops:
            return
        environ = exchange.environ
        if not self._hops and not self._is_trusted(exchange.peer_address):
            return
        exchange.is_from_trusted_proxy = True
        exchange.caller_address = self._walk(exchange.peer_address, environ.get("HTTP_X_FORWARDED_FOR", ""))
        scheme = environ.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2].strip().lower()
        if scheme in ("http", "https"):
            exchange.scheme = scheme
        host = environ.get("HTTP_X_FORWARDED_HOST", "").rpartition(",")[2].strip()
        # SECURITY: platforms' routers, whose number is all that is known of them, leave Host as it
        # was and pass on this field from whoever made it up.
        if not self._hops and is_host(host):
            exchange.host = host

    def _walk(self, peer: str, forwarded_for: str) -> str:
        """The rightmost address that no trusted proxy has; an unreadable entry ends the walk."""
        address = peer
        entries = [entry.strip() for entry in forwarded_for.split(",")] if forwarded_for else []
        hops = self._hops or len(entries)
        for entry in reversed(entries[-hops:]):
            if not self._hops and not self._is_trusted(address):
                break
            read = _address_in(entry)
            if not read:
                break
            address = read
        return address

    def proven_address(self, exchange: Exchange) -> str:
        """The address that rights may hang on; "" for whoever comes through a proxy that may hide another.

        SECURITY: stricter than the caller's address. The whole way must be known: a request that a proxy
        has marked which is not declared comes from anywhere, on a platform every peer is a private router;
        a declared one that does not say whom it speaks for hides its caller; and who is on the machine of a
        proxy is not on ours.
        """
        environ = exchange.environ
        if not exchange.is_from_trusted_proxy:
            return "" if any(map(_OF_A_PROXY.fullmatch, environ)) else exchange.peer_address
        said = environ.get("HTTP_X_FORWARDED_FOR", "")
        first, *proxies = [_address_in(entry.strip()) for entry in said.split(",")]
        if self._hops:
            is_known = len(proxies) == self._hops - 1 and all(proxies)
        else:
            is_known = all(map(self._is_trusted, proxies)) and not self._is_trusted(first)
        return first if is_known and first and not _is_loopback(first) else ""

    def _is_trusted(self, address: str) -> bool:
        known = self._known.get(address)
        if known is None:
            known = self._is_in_networks(address)
            if len(self._known) < _MAX_KNOWN_PEERS:
                self._known[address] = known
        return known

    def _is_in_networks(self, address: str) -> bool:
        ip = address_of(address)
        return ip is not None and any(ip in network for network in self._networks)


def _address_in(entry: str) -> str:
    """The address in one entry of X-Forwarded-For; "" if there is none that can be read."""
    found = _ENTRY.fullmatch(entry)
    if found is None:
        return ""
    ip = address_of(found[1] or found[2] or entry)
    return str(ip) if ip else ""


def _is_loopback(address: str) -> bool:
    ip = address_of(address)
    return ip is not None and ip.is_loopback
