"""Rules and limits that could never do what they say: mistakes that one of them does not show alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from falcongate.config.mistakes import Mistake, shown
from falcongate.config.own_paths import is_of_operators

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falcongate.config.access import AccessSettings
    from falcongate.config.mistakes import Location
    from falcongate.config.settings import GatewaySettings


def in_access(settings: GatewaySettings) -> Iterator[Mistake]:
    """What is wrong with rules of access among each other, and with limits that count by claims."""
    for name, rule in settings.access.items():
        yield from _in_rule(("access", name), rule, has_issuers=bool(settings.issuers))
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
