"""IP addresses as they are compared: one of IPv4 that only IPv6 carries is the one of IPv4; pure."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED_BITS: Final = 96


# PERF: callers come again; bounded, as they choose from where.
@lru_cache(maxsize=4_096)
def address_of(text: str) -> Address | None:
    """The address that a text is; None if it is none, as behind a Unix socket."""
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


def network_of(text: str) -> Network:
    """The network of addresses like these. Raises ValueError."""
    network = ipaddress.ip_network(text)
    carried = getattr(network.network_address, "ipv4_mapped", None)
    if carried is None or network.prefixlen < _MAPPED_BITS:
        return network
    return ipaddress.ip_network((carried, network.prefixlen - _MAPPED_BITS))
