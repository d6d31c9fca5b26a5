"""Who may pass where: addresses, then who the caller is, then what that permits.

What a credential looks like and whether it is valid is the business of those who know its kind.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from falcongate.admission.policies import Scope, Selection
from falcongate.denials import AddressNotAllowed, NotPermitted, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from falcongate.config.access import AccessSettings
    from falcongate.config.settings import GatewaySettings
    from falcongate.exchange import Caller, Exchange
    from falcongate.refusals import Refusal

_SCOPE_CLAIMS: Final = ("scope", "scp")


class Credentials(Protocol):
    """One kind of credential."""

    def find(self, exchange: Exchange) -> Caller | None:
        """Whose credential the request has; None if it has none of this kind.

        Raises Unauthorized for one that is not valid. May wait.
        """
        ...


class Rule:
    """One rule of `[access]`."""

    __slots__ = ("_allow", "_deny", "name", "scope", "settings")

    def __init__(self, name: str, settings: AccessSettings) -> None:
        self.name = name
        self.settings = settings
        self.scope = Scope(settings)
        self._allow = [ipaddress.ip_network(text) for text in settings.allow]
        self._deny = [ipaddress.ip_network(text) for text in settings.deny]

    def check_address(self, address: str) -> None:
        """Raise AddressNotAllowed unless callers may come from there."""
        if not self._allow and not self._deny:
            return
        ip = _ip(address)
        # Whoever has no address, behind a Unix socket, comes from none that is allowed.
        is_allowed = not self._allow or (ip is not None and any(ip in network for network in self._allow))
        if not is_allowed or (ip is not None and any(ip in network for network in self._deny)):
            raise AddressNotAllowed

    def check_caller(self, caller: Caller | None, refusal: Unauthorized | None, service: str) -> None:
        """Raise Unauthorized or NotPermitted unless this caller may pass.

        `refusal` is what was wrong with a credential that it sent, if that was not valid.
        """
        if self.settings.identity == "off":
            return
        if refusal is not None:
            raise refusal
        if caller is not None:
            self._check_known(caller, service)
        elif self.settings.identity == "required":
            raise Unauthorized

    def _check_known(self, caller: Caller, service: str) -> None:
        asked = self.settings
        if caller.kind not in asked.accept:
            raise Unauthorized("it is of a kind that is not accepted here")
        if caller.kind == "token" and asked.issuers and caller.issuer not in asked.issuers:
            raise Unauthorized("its issuer is not accepted here")
        if not _has_scopes(caller, asked.scopes):
            raise NotPermitted(asked.scopes)
        may_ask = caller.services is None or service in caller.services
        if not may_ask or not _has_claims(caller, asked.claims):
            raise NotPermitted


class Access:
    """The rules of one configuration in one worker, and the kinds of credentials there are."""

    def __init__(self, settings: GatewaySettings, credentials: Sequence[Credentials]) -> None:
        rules = (Rule(name, rule) for name, rule in settings.access.items())
        self._rules: Selection[Rule, tuple[Rule, ...]] = Selection(rules, _as_they_are)
        self._credentials = tuple(credentials)

    def admit(self, exchange: Exchange) -> None:
        """Find out who the caller is where a rule asks for that, and let it pass or raise.

        Raises AddressNotAllowed, Unauthorized or NotPermitted. Waits at most for keys of an issuer, or for
        the shared state.
        """
        rules = self._rules.for_request(exchange)
        if not rules:
            return
        for rule in rules:
            try:
                rule.check_address(exchange.caller_address)
            except AddressNotAllowed as refused:
                _refuse(exchange, rule, refused)
        match = exchange.route_match
        is_public = match is not None and match.is_public
        if is_public or all(rule.settings.identity == "off" for rule in rules):
            return
        refusal = self._identify(exchange, rules)
        for rule in rules:
            try:
                rule.check_caller(exchange.caller, refusal, exchange.service)
            except (Unauthorized, NotPermitted) as refused:
                _refuse(exchange, rule, refused)

    def _identify(self, exchange: Exchange, rules: Iterable[Rule]) -> Unauthorized | None:
        """Note the caller; what is wrong with its credential, if that is not valid.

        Of several credentials the first counts that all rules accept: whoever has a certificate may send
        a token for the service besides.
        """
        asking = [rule.settings.accept for rule in rules if rule.settings.identity != "off"]
        refusal = None
        for credentials in self._credentials:
            try:
                caller = credentials.find(exchange)
            except Unauthorized as refused:
                refusal = refused
                continue
            if caller is not None and all(caller.kind in accepted for accepted in asking):
                exchange.caller = caller
                return None
            exchange.caller = exchange.caller or caller
        return refusal


def _refuse(exchange: Exchange, rule: Rule, refusal: Refusal) -> None:
    """Raise it, or note that it would have been if the rule did not only watch."""
    if rule.scope.is_shadow:
        exchange.would_refuse += (rule.name,)
        return
    exchange.refused_by = (rule.name,)
    raise refusal


def _as_they_are(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    return rules


def _has_claims(caller: Caller, wanted: Mapping[str, Sequence[str]]) -> bool:
    return not any(_values(caller.claims.get(claim)).isdisjoint(values) for claim, values in wanted.items())


def _has_scopes(caller: Caller, wanted: Iterable[str]) -> bool:
    had: set[str] = set()
    for claim in _SCOPE_CLAIMS:
        said = caller.claims.get(claim)
        # A list, or one text with spaces (RFC 8693, 4.2).
        had |= set(said.split()) if isinstance(said, str) else _values(said)
    return had.issuperset(wanted)


def _values(said: object) -> set[str]:
    """A claim's values as texts: of a list each, else the one."""
    values = said if isinstance(said, list) else [] if said is None else [said]
    # As JSON writes it, which is how an operator knows it.
    return {str(value).lower() if isinstance(value, bool) else str(value) for value in values}


@lru_cache(maxsize=4_096)
def _ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip
