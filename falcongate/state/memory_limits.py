"""Limits and leases in one process: what `charge.lua`, `refund.lua` and the lease scripts are held to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

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


class MemoryLimits:
    """Sliding windows of callers. Never waits; `now_ms` is the store's time, `SharedState` says the rest.

    When it looks through them it keeps `most`: those that end soonest go first. Until it looks again there
    may be a quarter more.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._counts: dict[str, _Counts] = {}
        self._until_sweep = _SWEEP_EVERY

    def charge(self, charges: Sequence[Charge], now_ms: int) -> Charged:
        """All windows of a request or none."""
        self._sweep(now_ms)
        looks = [_Look(self._find(charge, now_ms), charge, now_ms) for charge in charges]
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

    def refund(self, receipt: Receipt, now_ms: int) -> None:
        """Give back what the buckets still hold."""
        for charge, start in receipt.entries:
            buckets = self._find(charge, now_ms).buckets
            if buckets.get(start, 0) >= charge.cost:
                buckets[start] -= charge.cost

    def _find(self, charge: Charge, now_ms: int) -> _Counts:
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
        self._until_sweep -= 1
        if self._until_sweep <= 0:
            living = [(key, counts) for key, counts in self._counts.items() if counts.expires_ms > now_ms]
            if len(living) > self._most:
                living.sort(key=lambda entry: entry[1].expires_ms)
                del living[: -self._most]
            self._counts = dict(living)
            # PERF: the more there are, the more seldom they are looked through.
            self._until_sweep = max(_SWEEP_EVERY, len(living) // 4)


class MemoryLeases:
    """Places of concurrency limits: owner to expiry. Nothing here waits."""

    def __init__(self) -> None:
        self._leases: dict[str, dict[str, int]] = {}

    def lease(self, key: str, *, limit: int, owner: str, ends_ms: int, now_ms: int) -> Leased:
        """Take a place or hold it for longer."""
        held = {who: ends for who, ends in self._leases.get(lease_key(key), {}).items() if ends > now_ms}
        granted = owner in held or len(held) < limit
        if granted:
            held[owner] = ends_ms
        if held:
            self._leases[lease_key(key)] = held
        return Leased(granted, len(held))

    def renew(self, key: str, *, owners: Sequence[str], ends_ms: int, now_ms: int) -> None:
        """Hold places that have not ended."""
        held = self._leases.get(lease_key(key), {})
        for owner in owners:
            if held.get(owner, 0) > now_ms:
                held[owner] = ends_ms

    def release(self, key: str, *, owner: str) -> None:
        """Give a place back."""
        held = self._leases.get(lease_key(key), {})
        held.pop(owner, None)
        if not held:
            self._leases.pop(lease_key(key), None)
