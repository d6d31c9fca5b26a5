"""Mistakes in lists of addresses: what stands there twice, and what the one takes from the other."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from falcongate.config.mistakes import Mistake, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from falcongate.config.access import AccessSettings
    from falcongate.config.mistakes import Location

    Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def in_address_lists(location: Location, rule: AccessSettings) -> Iterator[Mistake]:
    """What is wrong with `allow` and `deny` of a rule."""
    allowed, denied = map(ipaddress.ip_network, rule.allow), list(map(ipaddress.ip_network, rule.deny))
    yield from _repeated((*location, "allow"), rule.allow)
    yield from _repeated((*location, "deny"), rule.deny)
    for at, network in enumerate(allowed):
        over = next((other for other in denied if _is_within(network, other)), None)
        if over is not None:
            remedy = f"has no effect: deny has {over}, and who is denied does not pass; remove one"
            yield Mistake((*location, "allow", at), remedy, shown(rule.allow[at]))


def _repeated(location: Location, texts: Sequence[str]) -> Iterator[Mistake]:
    seen: set[Network] = set()
    for at, text in enumerate(texts):
        network = ipaddress.ip_network(text)
        if network in seen:
            yield Mistake((*location, at), "stands here twice; remove one", shown(text))
        seen.add(network)


def _is_within(network: Network, other: Network) -> bool:
    if isinstance(network, ipaddress.IPv4Network):
        return isinstance(other, ipaddress.IPv4Network) and network.subnet_of(other)
    return isinstance(other, ipaddress.IPv6Network) and network.subnet_of(other)
