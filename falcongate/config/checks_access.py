"""Mistakes in who may pass: names and lists of nothing, and rules that could never do what they say."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from falcongate.config.mistakes import Mistake, no_such, shown
from falcongate.config.own_paths import is_of_operators

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from falcongate.config.access import AccessSettings
    from falcongate.config.mistakes import Location
    from falcongate.config.settings import GatewaySettings

    Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def in_access(settings: GatewaySettings) -> Iterator[Mistake]:
    """What is wrong with rules of access among each other, and with limits that count by claims."""
    for name, rule in settings.access.items():
        yield from _names_of_nothing(("access", name), rule, settings)
        yield from _in_rule(("access", name), rule, has_issuers=bool(settings.issuers))
        yield from _in_address_lists(("access", name), rule)
        for table in ("limits", "concurrency"):
            if name in getattr(settings, table):
                yield Mistake(("access", name), f"{table} has one of this name: give it another", shown(name))
    asking = [rule.accept for rule in settings.access.values() if rule.identity != "off"]
    kinds = {kind for accept in asking for kind in accept}
    has_certificates = "certificate" in kinds and settings.server.tls.client_certificates != "off"
    has_claims = has_certificates or ("token" in kinds and bool(settings.issuers))
    for table in ("limits", "concurrency"):
        for name, policy in getattr(settings, table).items():
            claim = next((part for part in policy.key if part.startswith("claim:")), None)
            if claim is not None and not has_claims:
                remedy = "has no effect: no rule of access asks for tokens or certificates, which have claims"
                yield Mistake((table, name, "key"), remedy, shown(claim))


def _in_rule(location: Location, rule: AccessSettings, *, has_issuers: bool) -> Iterator[Mistake]:
    if rule.identity != "off" and rule.accept == ("token",) and not has_issuers:
        yield Mistake((*location, "accept"), "nobody can have a token: there are no issuers", shown("token"))
    for at, path in enumerate(rule.paths):
        if is_of_operators(path):
            remedy = "has no effect: who may look into the gateway is said in [admin]"
            yield Mistake((*location, "paths", at), remedy, shown(path))


def _names_of_nothing(
    location: Location, rule: AccessSettings, settings: GatewaySettings
) -> Iterator[Mistake]:
    for what, named, known in (
        ("service", rule.services, settings.services),
        ("issuer", rule.issuers, settings.issuers),
    ):
        for at, name in enumerate(named):
            if name not in known:
                yield Mistake((*location, f"{what}s", at), no_such(name, known, what), shown(name))


def _in_address_lists(location: Location, rule: AccessSettings) -> Iterator[Mistake]:
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
