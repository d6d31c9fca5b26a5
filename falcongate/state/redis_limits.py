"""Limits and leases in Redis: which key, which script, and what its answer means."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from falcongate.errors import StoreAway
from falcongate.state.clock import whole_ms
from falcongate.state.keys import lease_key, limit_key, plain
from falcongate.state.redis_call import Kept, Script
from falcongate.state.store import Charged, Charges, Leased, Receipt, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from falcongate.state.redis_call import Line
    from falcongate.state.store import Charge

CHARGE: Final = Script("charge", joins=True)
"""The commonest question; those that wait at the same time are asked as one."""

_REFUND: Final = Script("refund")
_LEASE: Final = Script("lease")
_RENEW: Final = Script("renew")
_RELEASE: Final = Script("release")


class RedisLimits:
    """Sliding windows and places. In a cluster the windows of one caller lie together, others apart."""

    def __init__(self, line: Line, *, is_cluster: bool = False) -> None:
        self._line = line
        self._is_cluster = is_cluster

    def charge(self, charges: Sequence[Charge]) -> Charged:
        """As `SharedState` says."""
        if self._is_cluster and len({charge.caller for charge in charges}) > 1:
            return self._charge_apart(charges)
        return self._charge_together(charges) if charges else Charged(True, (), Receipt(()))  # noqa: FBT003

    def refund(self, receipt: Receipt) -> None:
        """As `SharedState` says."""
        entries = receipt.entries
        parts = [entries] if entries else []
        if self._is_cluster:
            parts = [
                tuple(entries[i] for i in part) for part in _by_caller([charge for charge, _ in entries])
            ]
        for part in parts:
            keys = [limit_key(charge) for charge, _ in part]
            self._line.tell(
                _REFUND, keys, [number for charge, bucket in part for number in (bucket, charge.cost)]
            )

    def _charge_together(self, charges: Sequence[Charge]) -> Charged:
        if type(charges) is Charges:
            sent = charges.sent = charges.sent or _asking(charges)
        else:
            sent = _asking(charges)
        return _charged(charges, self._line.call(CHARGE, *sent))

    def _charge_apart(self, charges: Sequence[Charge]) -> Charged:
        """Reserve with one caller after the other; what was reserved is given back if a later one refuses."""
        verdicts: list[Verdict | None] = [None] * len(charges)
        reserved: list[tuple[Charge, int]] = []
        for part in _by_caller(charges):
            try:
                charged = self._charge_together([charges[i] for i in part])
            except StoreAway:
                self.refund(Receipt(tuple(reserved)))
                raise
            for i, verdict in zip(part, charged.verdicts, strict=True):
                verdicts[i] = verdict
            if not charged.admitted:
                self.refund(Receipt(tuple(reserved)))
                return Charged(False, tuple(verdicts), Receipt(()))  # noqa: FBT003
            reserved += charged.receipt.entries
        return Charged(True, tuple(verdicts), Receipt(tuple(reserved)))  # noqa: FBT003

    def lease(self, key: str, *, limit: int, owner: str, ttl_s: float) -> Leased:
        """As `SharedState` says."""
        granted, in_use = self._line.call(_LEASE, [lease_key(key)], [limit, plain(owner), whole_ms(ttl_s)])
        return Leased(granted == 1, in_use)

    def renew(self, key: str, *, owners: Sequence[str], ttl_s: float) -> None:
        """As `SharedState` says."""
        self._line.tell(_RENEW, [lease_key(key)], [whole_ms(ttl_s), *map(plain, owners)])

    def release(self, key: str, *, owner: str) -> None:
        """As `SharedState` says."""
        self._line.tell(_RELEASE, [lease_key(key)], [plain(owner)])


def _asking(charges: Sequence[Charge]) -> tuple[list[str], Kept]:
    """The keys and arguments that ask for these charges."""
    keys: list[str] = []
    arguments = Kept()
    for charge in charges:
        window = charge.window
        keys.append(limit_key(charge))
        arguments += (
            window.limit,
            window.limit if window.burst is None else window.burst,
            window.width_ms,
            window.buckets,
            charge.cost,
            1 if window.counts_only else 0,
        )
    return keys, arguments


def _by_caller(charges: Sequence[Charge]) -> list[list[int]]:
    """The places of the charges, those of one caller together, callers in their order."""
    parts: dict[str, list[int]] = {}
    for i, charge in enumerate(charges):
        parts.setdefault(charge.caller, []).append(i)
    return list(parts.values())


def _charged(charges: Sequence[Charge], reply: list[int]) -> Charged:
    verdicts = []
    entries = []
    at = 1
    for charge in charges:
        remaining, reset_ms, bucket = reply[at : at + 3]
        verdicts.append(Verdict(bucket >= 0, remaining, math.inf if reset_ms < 0 else reset_ms / 1000))
        if bucket > 0:
            entries.append((charge, bucket))
        at += 3
    return Charged(reply[0] == 1, tuple(verdicts), Receipt(tuple(entries)))
