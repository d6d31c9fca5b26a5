"""Who may pass where: addresses, then who the caller is, then what that permits.

What a credential looks like and whether it is valid is the business of those who know its kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from falcongate.admission.policies import Scope, Selection
from falcongate.denials import AddressNotAllowed, NotPermitted, Unauthorized
from falcongate.outages import CredentialsUnknown, KeysUnavailable
from falcongate.refusals import Refusal
from falcongate.wire.address import address_of, network_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from falcongate.config.access import AccessSettings
    from falcongate.config.settings import GatewaySettings
    from falcongate.exchange import Caller, Exchange

_NOT_FOUND_VALID: Final = (Unauthorized, KeysUnavailable, CredentialsUnknown)
_SCOPE_CLAIMS: Final = ("scope", "scp")


class Credentials(Protocol):
    """One kind of credential, by the name that rules have for it."""

    kind: str

    def find(self, exchange: Exchange) -> Caller | None:
        """Whose credential the request has; None if it has none of this kind.

        Raises Unauthorized for one that is not valid, KeysUnavailable or CredentialsUnknown if nobody can
        say. May wait.
        """
        ...


class Rule:
    """One rule of `[access]`."""

    __slots__ = ("_allow", "_deny", "name", "scope", "settings")

    def __init__(self, name: str, settings: AccessSettings) -> None:
        self.name = name
        self.settings = settings
        self.scope = Scope(settings)
        self._allow = [network_of(text) for text in settings.allow]
        self._deny = [network_of(text) for text in settings.deny]

    def check_address(self, address: str) -> None:
        """Raise AddressNotAllowed unless callers may come from there."""
        if not self._allow and not self._deny:
            return
        ip = address_of(address)
        # Whoever has no address, behind a Unix socket, comes from none that is allowed.
        is_allowed = not self._allow or (ip is not None and any(ip in network for network in self._allow))
        if not is_allowed or (ip is not None and any(ip in network for network in self._deny)):
            raise AddressNotAllowed

    def check_caller(self, caller: Caller | None, refusal: Refusal | None, service: str) -> None:
        """Raise Unauthorized or NotPermitted unless this caller may pass.

        `refusal` is what was wrong with a credential that it sent, if that was not valid; it is raised.
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
        if not has_scopes(caller, asked.scopes):
            raise NotPermitted(asked.scopes)
        may_ask = caller.services is None or service in caller.services
        if not may_ask or not has_claims(caller, asked.claims):
            raise NotPermitted


class Access:
    """The rules of one configuration in one worker, and the kinds of credentials there are.

    `voids` tell of a caller that was let pass whether its credential has been revoked since.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        credentials: Sequence[Credentials],
        *,
        voids: Sequence[Callable[[Caller], bool]] = (),
    ) -> None:
        self._rules = rules_of(settings)
        self._credentials = tuple(credentials)
        self._voids = tuple(voids)

    def admit(self, exchange: Exchange) -> None:
        """Find out who the caller is where a rule asks for that, and let it pass or raise.

        Raises AddressNotAllowed, Unauthorized, NotPermitted, KeysUnavailable or CredentialsUnknown. Waits
        at most for keys of an issuer, or for the shared state.
        """
        applied = self._rules.for_request(exchange)
        if not applied.rules:
            return
        for rule in applied.rules:
            try:
                rule.check_address(exchange.caller_address)
            except AddressNotAllowed as refused:
                _refuse(exchange, rule, refused)
        match = exchange.route_match
        if not applied.asking or (match is not None and match.is_public):
            return
        found: dict[str, Caller | Refusal | None] = {}
        for rule, kinds in applied.asking:
            caller, refusal = self._find(exchange, kinds, found)
            exchange.caller = exchange.caller or caller
            try:
                rule.check_caller(caller, refusal, exchange.service)
            except (*_NOT_FOUND_VALID, NotPermitted) as refused:
                _refuse(exchange, rule, refused)

    def held_to(self, exchange: Exchange) -> Caller | None:
        """The caller whose credential must last as long as what has become of the exchange; None if none."""
        caller = exchange.caller
        if caller is None:
            return None
        rules = self._rules.for_request(exchange).rules
        is_held = any(rule.settings.identity != "off" and not rule.scope.is_shadow for rule in rules)
        return caller if is_held else None

    def is_over(self, caller: Caller, now: float) -> bool:
        """Whether its credential has ended or was revoked. `now` is monotonic. Does not wait."""
        return caller.ends_at <= now or any(is_void(caller) for is_void in self._voids)

    def _find(
        self, exchange: Exchange, kinds: Collection[str], found: dict[str, Caller | Refusal | None]
    ) -> tuple[Caller | None, Refusal | None]:
        """Who the caller is by a credential of these kinds, else what is wrong with one of them.

        A credential of another kind may be meant for the service, and says nothing here. `found` is what was
        found for other rules.
        """
        refusal: Refusal | None = None
        for credentials in self._credentials:
            kind = credentials.kind
            if kind not in kinds:
                continue
            if kind not in found:
                try:
                    found[kind] = credentials.find(exchange)
                except _NOT_FOUND_VALID as refused:
                    found[kind] = refused
            one = found[kind]
            if isinstance(one, Refusal):
                refusal = one
            elif one is not None:
                return one, None
        return None, refusal


class Applied(NamedTuple):
    """The rules that hold for some requests, and those that ask who the caller is, with what they accept.

    Of what an enforcing rule accepts, it is given only what all enforcing ones do, if there is any such.
    These come first: what is only watched must not decide who the caller is.
    """

    rules: tuple[Rule, ...]
    asking: tuple[tuple[Rule, frozenset[str]], ...]


def rules_of(settings: GatewaySettings) -> Selection[Rule, Applied]:
    """The rules of a configuration."""
    return Selection((Rule(name, rule) for name, rule in settings.access.items()), _applied)


def _refuse(exchange: Exchange, rule: Rule, refusal: Refusal) -> None:
    """Raise it, or note that it would have been if the rule did not only watch."""
    if rule.scope.is_shadow:
        exchange.would_refuse += (rule.name,)
        return
    exchange.refused_by = (rule.name,)
    raise refusal


def _applied(rules: tuple[Rule, ...]) -> Applied:
    asking = [rule for rule in rules if rule.settings.identity != "off"]
    asking.sort(key=lambda rule: rule.scope.is_shadow)
    enforced = [frozenset(rule.settings.accept) for rule in asking if not rule.scope.is_shadow]
    together = frozenset[str]().union(*enforced).intersection(*enforced)

    def kinds_of(rule: Rule) -> frozenset[str]:
        accepted = frozenset(rule.settings.accept)
        return accepted & together or accepted

    return Applied(rules, tuple((rule, kinds_of(rule)) for rule in asking))


def has_claims(caller: Caller, wanted: Mapping[str, Sequence[str]]) -> bool:
    """Whether its credential has each of these claims, with one of the values."""
    return not any(_values(caller.claims.get(claim)).isdisjoint(values) for claim, values in wanted.items())


def has_scopes(caller: Caller, wanted: Iterable[str]) -> bool:
    """Whether its credential has all these scopes."""
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
