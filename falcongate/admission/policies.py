"""Limits as the hot path needs them: which apply to a request, and what each is charged.

Compiled once from the settings; nothing here asks the shared state or waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from falcongate.admission.callers import reader_of
from falcongate.admission.limit_fields import name_of, render_policies
from falcongate.admission.recent import Recent
from falcongate.config.policies import OWN_POLICY, LimitSettings, parse_rate
from falcongate.routing.path import compile_patterns, folded_form
from falcongate.state.store import Charge, Charges, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from falcongate.config.policies import PolicySettings, ScopeSettings
    from falcongate.config.settings import GatewaySettings
    from falcongate.exchange import Exchange


class _Scoped(Protocol):
    @property
    def scope(self) -> Scope: ...


_Item = TypeVar("_Item", bound=_Scoped)
_Made = TypeVar("_Made")
_MAX_KNOWN: Final = 4_096
_MAX_KNOWN_CALLERS: Final = 1_024
_MAX_KNOWN_PATH_LENGTH: Final = 256


class Scope:
    """Which requests a rule is for."""

    __slots__ = ("_paths", "_settings", "is_shadow")

    def __init__(self, settings: ScopeSettings) -> None:
        self._settings = settings
        self._paths = compile_patterns(settings.paths)
        self.is_shadow = settings.mode == "shadow"

    def covers(self, service: str, method: str, path: str) -> bool:
        """Whether it is for such a request. What is for no service is so only for those who name its path.

        SECURITY: also where only the service might read its path in that path.
        """
        settings = self._settings
        if not service and not settings.paths:
            return False
        return (
            (not settings.services or service in settings.services)
            and (not settings.methods or method in settings.methods)
            and (not settings.paths or self._has(path) or self._has(folded_form(path)))
        )

    def _has(self, path: str) -> bool:
        return self._paths.fullmatch(path) is not None


class PolicyScope(Scope):
    """Which requests a policy is for, and whom it counts.

    `caller_of` tells whom a request is counted for; `without_store` is what becomes of it while the
    shared state is away.
    """

    __slots__ = ("caller_of", "without_store")

    def __init__(self, settings: PolicySettings) -> None:
        super().__init__(settings)
        self.caller_of = reader_of(settings.key)
        # What only counts must not refuse because it cannot count.
        self.without_store = "open" if self.is_shadow else settings.on_store_failure


class Policy:
    """One named limit. `windows` hold all at once; a request is charged `cost` in each."""

    __slots__ = ("cost", "name", "scope", "windows")

    def __init__(self, name: str, settings: LimitSettings) -> None:
        self.name = name
        self.scope = PolicyScope(settings)
        self.cost = settings.cost
        self.windows = tuple(_windows_of(name, settings))


class Applied:
    """The limits that hold for some requests, and what is the same for all of these."""

    __slots__ = ("_known", "has_shadow", "names", "policies", "policy_line")

    def __init__(self, policies: tuple[Policy, ...]) -> None:
        windows = [window for policy in policies for window in policy.windows]
        self.policies = policies
        self.has_shadow = any(window.counts_only for window in windows)
        self.policy_line = render_policies(windows)
        self.names = tuple(name_of(window) for window in windows)
        self._known: Recent[tuple[str, ...], Charges] = Recent(_MAX_KNOWN_CALLERS)

    def charges(self, exchange: Exchange) -> Charges:
        """What a request costs whom."""
        callers = tuple([policy.scope.caller_of(exchange) for policy in self.policies])
        # PERF: callers come again.
        charges = self._known.get(callers)
        if charges is None:
            charges = self._known[callers] = Charges(
                Charge(window, caller, policy.cost)
                for policy, caller in zip(self.policies, callers, strict=True)
                for window in policy.windows
            )
            charges.told = tuple(
                (policy.name, caller) for policy, caller in zip(self.policies, callers, strict=True)
            )
        return charges


class Selection(Generic[_Item, _Made]):
    """Those of some policies that apply to a request, as what is made of them."""

    __slots__ = ("_all", "_known", "_made", "_make", "_none")

    def __init__(self, policies: Iterable[_Item], make: Callable[[tuple[_Item, ...]], _Made]) -> None:
        self._all = tuple(policies)
        self._make = make
        self._none = make(())
        self._known: Recent[tuple[str, str, str], _Made] = Recent(_MAX_KNOWN)
        self._made: dict[tuple[_Item, ...], _Made] = {}

    def for_request(self, exchange: Exchange) -> _Made:
        """What is made of those that apply, in the order of the configuration."""
        if not self._all:
            return self._none
        asked = (exchange.service, exchange.method, exchange.path)
        found = self._known.get(asked)
        if found is None:
            applying = self.applying(*asked)
            # One for each combination that the configuration has, however many paths lead to it.
            found = self._made.get(applying) or self._made.setdefault(applying, self._make(applying))
            # PERF: paths repeat; bounded in number and length, as callers choose them.
            if len(exchange.path) <= _MAX_KNOWN_PATH_LENGTH:
                self._known[asked] = found
        return found

    def applying(self, service: str, method: str, path: str) -> tuple[_Item, ...]:
        """Those that apply to such a request."""
        return tuple(policy for policy in self._all if policy.scope.covers(service, method, path))


class OwnLimits:
    """Limits that a caller brings along, beside those of the configuration that apply to its request.

    They are called `key`, like what has them, and each key has a count of its own.
    """

    __slots__ = ("_joined",)

    def __init__(self) -> None:
        self._joined: Recent[tuple[Applied, tuple[str, ...]], Applied] = Recent(_MAX_KNOWN_CALLERS)

    def beside(self, applied: Applied, rates: tuple[str, ...]) -> Applied:
        """All of them as one. `rates` have been parsed before."""
        joined = self._joined.get((applied, rates))
        if joined is None:
            own = Policy(OWN_POLICY, LimitSettings(rate=rates, key=("api_key",)))
            joined = self._joined[applied, rates] = Applied((*applied.policies, own))
        return joined


def limits_of(settings: GatewaySettings) -> Selection[Policy, Applied]:
    """The limits of a configuration."""
    return Selection((Policy(name, limit) for name, limit in settings.limits.items()), Applied)


def _windows_of(name: str, settings: LimitSettings) -> Iterator[Window]:
    for text in settings.rate:
        rate = parse_rate(text)
        yield Window(
            name,
            rate.limit,
            rate.window_s,
            settings.buckets,
            settings.burst,
            counts_only=settings.mode == "shadow",
        )
