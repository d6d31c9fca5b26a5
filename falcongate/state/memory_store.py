"""The shared state in one process: the same answers as Redis gives, and what its scripts are held to.

Nothing is shared with another process. It can be made to fail as the real store fails.
"""

from __future__ import annotations

from contextlib import suppress
from enum import Enum
from time import monotonic_ns
from typing import TYPE_CHECKING, TypeVar

import gevent

from falcongate.errors import StoreAway
from falcongate.state.api_keys import ApiKey, MemoryKeys
from falcongate.state.audit import MemoryAudit
from falcongate.state.decisions import MemoryDecisions
from falcongate.state.heartbeat import Host
from falcongate.state.memory_breaker import Counts, MemoryBreakers
from falcongate.state.memory_limits import MemoryLeases, MemoryLimits
from falcongate.state.memory_totals import MemoryTotals, TotalsInMemory
from falcongate.state.sessions import MemorySessions
from falcongate.state.store import whole_ms
from falcongate.state.tokens import MemoryTokens, Revocation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from falcongate.state.audit import Change, Noted
    from falcongate.state.sessions import Session
    from falcongate.state.store import (
        Breaker,
        BreakerRules,
        Charge,
        Charged,
        Leased,
        Order,
        Outcome,
        Probe,
        Receipt,
        Reported,
        Transition,
    )
    from falcongate.state.tokens import KeyDocument

_T = TypeVar("_T")


class Fault(Enum):
    """How a store fails: nothing happens; it happens too late; it happens and the answer is lost."""

    AWAY = "away"
    SLOW = "slow"
    LOST_REPLY = "lost reply"


def _steady_ms() -> int:
    return monotonic_ns() // 1_000_000


class MemoryState(MemoryDecisions, TotalsInMemory):
    """A `SharedState` in this process. `clock` tells its time in whole milliseconds; tests move it.

    While `fault` is set every question raises StoreAway: SLOW after having waited for `budget_s`.
    """

    def __init__(
        self,
        clock: Callable[[], int] = _steady_ms,
        *,
        fault: Fault | None = None,
        budget_s: float = 0.05,
    ) -> None:
        super().__init__()
        self.fault = fault
        self._clock = clock
        self._budget_s = budget_s
        self._limits = MemoryLimits()
        self._leases = MemoryLeases()
        self._breakers = MemoryBreakers()
        self._sessions = MemorySessions()
        self._keys = MemoryKeys()
        self._audit = MemoryAudit()
        self._tokens = MemoryTokens()
        self._totals = MemoryTotals()
        self._hosts: dict[str, tuple[int, str]] = {}

    def charge(self, charges: Sequence[Charge]) -> Charged:
        """As `SharedState` says."""
        return self._ask(lambda: self._limits.charge(charges, self._clock()))

    def refund(self, receipt: Receipt) -> None:
        """As `SharedState` says."""
        self._tell(lambda: self._limits.refund(receipt, self._clock()))

    def lease(self, key: str, *, limit: int, owner: str, ttl_s: float) -> Leased:
        """As `SharedState` says."""
        now_ms = self._clock()
        ends_ms = now_ms + whole_ms(ttl_s)
        return self._ask(
            lambda: self._leases.lease(key, limit=limit, owner=owner, ends_ms=ends_ms, now_ms=now_ms)
        )

    def renew(self, key: str, *, owners: Sequence[str], ttl_s: float) -> None:
        """As `SharedState` says."""
        now_ms = self._clock()
        ends_ms = now_ms + whole_ms(ttl_s)
        self._tell(lambda: self._leases.renew(key, owners=owners, ends_ms=ends_ms, now_ms=now_ms))

    def release(self, key: str, *, owner: str) -> None:
        """As `SharedState` says."""
        self._tell(lambda: self._leases.release(key, owner=owner))

    def report(
        self,
        name: str,
        rules: BreakerRules,
        *,
        host: str,
        generation: int,
        calls: int,
        failures: int,
        slow: int,
    ) -> Reported:
        """As `SharedState` says."""
        counts = Counts(calls, failures, slow)
        return self._ask(
            lambda: self._breakers.report(
                name, rules, host=host, generation=generation, counts=counts, now_ms=self._clock()
            )
        )

    def ask_probe(self, name: str, rules: BreakerRules, *, owner: str) -> Probe:
        """As `SharedState` says."""
        return self._ask(lambda: self._breakers.ask_probe(name, rules, owner=owner, now_ms=self._clock()))

    def finish_probe(
        self, name: str, rules: BreakerRules, *, owner: str, generation: int, outcome: Outcome
    ) -> Breaker:
        """As `SharedState` says."""
        return self._ask(
            lambda: self._breakers.finish_probe(
                name, rules, owner=owner, generation=generation, outcome=outcome, now_ms=self._clock()
            )
        )

    def command(self, name: str, order: Order, *, by: str, why: str, for_s: float = 0.0) -> Breaker:
        """As `SharedState` says."""
        return self._ask(
            lambda: self._breakers.command(name, order, by=by, why=why, for_s=for_s, now_ms=self._clock())
        )

    def take_over(self, breaker: Breaker) -> None:
        """Begin with a breaker as another store had it, and go on from there."""
        self._breakers.take_over(breaker, self._clock())

    def snapshot(self, names: Sequence[str]) -> Mapping[str, Breaker]:
        """As `SharedState` says."""
        return self._ask(lambda: self._breakers.snapshot(names, self._clock()))

    def history(self, name: str, count: int) -> Sequence[Transition]:
        """As `SharedState` says."""
        return self._ask(lambda: self._breakers.history(name, count))

    def subscribe(self, on_breaker: Callable[[Breaker], None], on_gap: Callable[[], None]) -> None:
        """As `SharedState` says."""
        self._breakers.subscribe(on_breaker)
        on_gap()

    def note_session(self, service: str, sid: str, session: Session) -> None:
        """As `SessionStore` says."""
        self._ask(lambda: self._sessions.note(service, sid, session, self._clock()))

    def find_session(self, service: str, sid: str) -> Session | None:
        """As `SessionStore` says."""
        return self._ask(lambda: self._sessions.find(service, sid, self._clock()))

    def forget_session(self, service: str, sid: str) -> None:
        """As `SessionStore` says."""
        self._tell(lambda: self._sessions.forget(service, sid))

    def create_key(
        self,
        key_id: str,
        digest: str,
        *,
        name: str,
        by: str,
        for_s: float = 0.0,
        services: Sequence[str] = (),
        rates: Sequence[str] = (),
    ) -> ApiKey | None:
        """As `KeyStore` says."""
        key = ApiKey(key_id, name, digest, 0.0, by, services=tuple(services), rates=tuple(rates))
        return self._ask(lambda: self._keys.create(key, for_s=for_s, now_ms=self._clock()))

    def find_key(self, key_id: str) -> ApiKey | None:
        """As `KeyStore` says."""
        return self._ask(lambda: self._keys.find(key_id, self._clock()))

    def list_keys(self) -> Sequence[ApiKey]:
        """As `KeyStore` says."""
        return self._ask(lambda: self._keys.all(self._clock()))

    def rotate_key(
        self, key_id: str, digest: str, *, grace_s: float, for_s: float | None = None
    ) -> ApiKey | None:
        """As `KeyStore` says."""
        now_ms = self._clock()
        return self._ask(
            lambda: self._keys.rotate(key_id, digest, grace_s=grace_s, for_s=for_s, now_ms=now_ms)
        )

    def revoke_key(self, key_id: str, *, why: str) -> ApiKey | None:
        """As `KeyStore` says."""
        return self._ask(lambda: self._keys.revoke(key_id, why=why, now_ms=self._clock()))

    def subscribe_keys(self, on_change: Callable[[str], None], on_gap: Callable[[], None]) -> None:
        """As `KeyStore` says."""
        self._keys.subscribe(on_change)
        on_gap()

    def note_change(self, change: Change) -> None:
        """As `AuditLog` says."""
        self._ask(lambda: self._audit.note(change, self._clock()))

    def changes(self, count: int) -> Sequence[Noted]:
        """As `AuditLog` says."""
        return self._ask(lambda: self._audit.last(count))

    def revoke(self, member: str, *, for_s: float, by: str, why: str) -> Revocation | None:
        """As `TokenStore` says."""
        asked = Revocation(member, 0, whole_ms(for_s) / 1000, 0, by, why)
        return self._ask(lambda: self._tokens.revoke(asked, self._clock()))

    def restore(self, member: str) -> bool:
        """As `TokenStore` says."""
        return self._ask(lambda: self._tokens.restore(member, self._clock()))

    def revocations(self) -> Sequence[Revocation]:
        """As `TokenStore` says."""
        return self._ask(lambda: self._tokens.revocations(self._clock()))

    def subscribe_revocations(
        self, on_news: Callable[[Revocation], None], on_gap: Callable[[], None]
    ) -> None:
        """As `TokenStore` says; nobody calls again here."""
        self._tokens.subscribe(on_news)
        with suppress(StoreAway):
            on_gap()

    def note_keys(self, url: str, text: str, *, for_s: int, age_s: float = 0) -> None:
        """As `TokenStore` says."""
        for_ms, age_ms = for_s * 1000, whole_ms(age_s)
        self._ask(
            lambda: self._tokens.note_keys(url, text, for_ms=for_ms, age_ms=age_ms, now_ms=self._clock())
        )

    def find_keys(self, url: str) -> KeyDocument | None:
        """As `TokenStore` says."""
        return self._ask(lambda: self._tokens.find_keys(url, self._clock()))

    def beat(self, host: str, *, says: str, ttl_s: float) -> Sequence[Host]:
        """As `SharedState` says."""
        ends_ms = self._clock() + whole_ms(ttl_s)

        def beat() -> Sequence[Host]:
            self._hosts[host] = (ends_ms, says)
            return self._alive()

        return self._ask(beat)

    def hosts(self) -> Sequence[Host]:
        """As `SharedState` says."""
        return self._ask(self._alive)

    def _alive(self) -> Sequence[Host]:
        now_ms = self._clock()
        self._hosts = {name: said for name, said in self._hosts.items() if said[0] > now_ms}
        return tuple(Host(name, says) for name, (_, says) in sorted(self._hosts.items()))

    def _ask(self, work: Callable[[], _T]) -> _T:
        if self.fault is None:
            return work()
        if self.fault is not Fault.AWAY:
            work()
        if self.fault is Fault.SLOW:
            gevent.sleep(self._budget_s)
        raise StoreAway(f"the store in the process is told to be: {self.fault.value}")

    def _tell(self, work: Callable[[], object]) -> None:
        """What nobody waits for happens, however slow the store, or is lost."""
        if self.fault is not Fault.AWAY:
            work()
