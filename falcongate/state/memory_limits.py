"""Limits and leases in one process: what `charge.lua`, `refund.lua` and the lease scripts are held to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from falcongate.state.clock import whole_ms
from falcongate.state.in_process import InProcess, asked, told
from falcongate.state.keys import lease_key, limit_key
from falcongate.state.store import Charged, Leased, Receipt, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from falcongate.state.store import Charge, Window

_SWEEP_EVERY: Final = 1_000
_MOST: Final = 100_000


class _Counts:
    """What one caller's window was charged, by the start of the bucket, and when all of it expires."""

    __slots__ = ("buckets", "expires_ms")

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.expires_ms = 0


class _Look:
    """A window as a charge finds it. The bucket of now and `buckets` before it count in full."""

    def __init__(self, counts: _Counts, charge: Charge, now_ms: int) -> None:
        window = charge.window
        self.counts = counts
        self.window = window
        self.cost = charge.cost
        self.now_ms = now_ms
        self.burst = window.limit if window.burst is None else window.burst
        self.life_ms = (window.buckets + 1) * window.width_ms
        # A clock that steps back goes on in the newest bucket, so that none leaves too early.
        self.start = max(now_ms - now_ms % window.width_ms, *counts.buckets, 0)
        self.first = self.start - window.buckets * window.width_ms
        self.measure()

    def measure(self) -> None:
        buckets = self.counts.buckets
        self.free = self.window.limit - sum(n for start, n in buckets.items() if start >= self.first)
        self.room = self.burst - buckets.get(self.start, 0)

    def fits(self) -> bool:
        return self.cost <= self.free and self.cost <= self.room

    def charge(self) -> None:
        kept = {start: n for start, n in self.counts.buckets.items() if start >= self.first}
        kept[self.start] = kept.get(self.start, 0) + self.cost
        self.counts.buckets = kept
        self.counts.expires_ms = self.now_ms + self.life_ms
        self.measure()

    def verdict(self, *, fits: bool) -> Verdict:
        return Verdict(fits, max(0, min(self.free, self.room)), self._reset_ms(fits=fits) / 1000)

    def _reset_ms(self, *, fits: bool) -> float:
        next_bucket = min(self.start + self.window.width_ms - self.now_ms, self.life_ms)
        if fits:
            return next_bucket if self.room < self.free else self._until_freed(1)
        if self.cost > self.window.limit or self.cost > self.burst:
            return math.inf
        freed = self._until_freed(self.cost - self.free) if self.cost > self.free else 0
        return max(freed, next_bucket if self.cost > self.room else 0)

    def _until_freed(self, amount: int) -> int:
        for start in range(self.first, self.start + 1, self.window.width_ms):
            amount -= self.counts.buckets.get(start, 0)
            if amount <= 0:
                return min(start + self.life_ms - self.now_ms, self.life_ms)
        return 0


class MemoryLimits(InProcess):
    """The sliding windows of a `SharedState`, in this process.

    When it looks through them it keeps `most`: those that end soonest go first. Until it looks again there
    may be a quarter more.
    """

    def __init__(self, *how: Any, most: int = _MOST, **also: Any) -> None:
        super().__init__(*how, **also)
        self._most = most
        self._counts: dict[str, _Counts] = {}
        self._charges_until_sweep = _SWEEP_EVERY

    @asked
    def charge(self, charges: Sequence[Charge]) -> Charged:
        """As `SharedState` says."""
        now_ms = self._clock()
        self._sweep(now_ms)
        looks = [_Look(self._found(charge, now_ms), charge, now_ms) for charge in charges]
        fits = [look.fits() for look in looks]
        admitted = all(fit or look.window.counts_only for fit, look in zip(fits, looks, strict=True))
        entries: list[tuple[Charge, int]] = []
        if admitted:
            for charge, look, fit in zip(charges, looks, fits, strict=True):
                if fit and charge.cost:
                    look.charge()
                    self._counts[limit_key(charge)] = look.counts
                    entries.append((charge, look.start))
        verdicts = tuple(look.verdict(fits=fit) for look, fit in zip(looks, fits, strict=True))
        return Charged(admitted, verdicts, Receipt(tuple(entries)))

    @told
    def refund(self, receipt: Receipt) -> None:
        """As `SharedState` says."""
        now_ms = self._clock()
        for charge, start in receipt.entries:
            buckets = self._found(charge, now_ms).buckets
            if buckets.get(start, 0) >= charge.cost:
                buckets[start] -= charge.cost

    def _found(self, charge: Charge, now_ms: int) -> _Counts:
        counts = self._counts.get(limit_key(charge))
        if counts is None:
            return _Counts()
        if counts.expires_ms <= now_ms:
            # Gone for good, whatever time the clock tells next.
            del self._counts[limit_key(charge)]
            return _Counts()
        self._shorten_life(counts, charge.window, now_ms)
        return counts

    @staticmethod
    def _shorten_life(counts: _Counts, window: Window, now_ms: int) -> None:
        """After a step back it would lie there until the time at which it was made comes again."""
        counts.expires_ms = min(counts.expires_ms, now_ms + (window.buckets + 1) * window.width_ms)

    def _sweep(self, now_ms: int) -> None:
        self._charges_until_sweep -= 1
        if self._charges_until_sweep <= 0:
            living = [(key, counts) for key, counts in self._counts.items() if counts.expires_ms > now_ms]
            if len(living) > self._most:
                living.sort(key=lambda entry: entry[1].expires_ms)
                del living[: -self._most]
            self._counts = dict(living)
            # PERF: the more there are, the more seldom they are looked through.
            self._charges_until_sweep = max(_SWEEP_EVERY, len(living) // 4)


class MemoryLeases(InProcess):
    """The places of a `SharedState`, in this process: owner to expiry."""

    def __init__(self, *how: Any, **also: Any) -> None:
        super().__init__(*how, **also)
        self._leases: dict[str, dict[str, int]] = {}

    @asked
    def lease(self, key: str, *, limit: int, owner: str, ttl_s: float) -> Leased:
        """As `SharedState` says."""
        now_ms = self._clock()
        held = {who: ends for who, ends in self._leases.get(lease_key(key), {}).items() if ends > now_ms}
        granted = owner in held or len(held) < limit
        if granted:
            held[owner] = now_ms + whole_ms(ttl_s)
        if held:
            self._leases[lease_key(key)] = held
        return Leased(granted, len(held))

    @told
    def renew(self, key: str, *, owners: Sequence[str], ttl_s: float) -> None:
        """As `SharedState` says."""
        now_ms = self._clock()
        held = self._leases.get(lease_key(key), {})
        for owner in owners:
            if held.get(owner, 0) > now_ms:
                held[owner] = now_ms + whole_ms(ttl_s)

    @told
    def release(self, key: str, *, owner: str) -> None:
        """As `SharedState` says."""
        held = self._leases.get(lease_key(key), {})
        held.pop(owner, None)
        if not held:
            self._leases.pop(lease_key(key), None)
