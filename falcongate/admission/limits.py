"""Whether a request may pass its limits: one question to the shared state for all of them.

A caller known to be over a limit is refused from memory until that limit has room again. Without
the shared state, each policy does what its `on_store_failure` says.
"""

from __future__ import annotations

import math
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from falcongate.admission.alone import Alone
from falcongate.admission.limit_fields import render_limits
from falcongate.admission.policies import OwnLimits, limits_of
from falcongate.admission.recent import Recent
from falcongate.errors import StoreAway
from falcongate.outages import LimitsUnknown
from falcongate.refusals import LimitReached
from falcongate.state.store import Receipt, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from falcongate.admission.policies import Applied
    from falcongate.config.settings import GatewaySettings
    from falcongate.exchange import Exchange
    from falcongate.state.store import Charged, Charges, SharedState

NOTHING: Final = Receipt(())
"""What a request was charged that has no limits."""


class _Over(NamedTuple):
    """Until when a caller is refused without asking (monotonic seconds), and what it has left till then."""

    until: float
    remaining: int


class _Refusal(NamedTuple):
    """What callers over a limit are told until the second in their Retry-After is another one."""

    until: float
    lines: bytes
    policies: tuple[str, ...]
    retry_after_s: int
    verdicts: tuple[Verdict | None, ...]


class Limits:
    """The limits of one configuration in one worker.

    `parts` tells among how many workers a limit is divided while the shared state is away.
    """

    def __init__(self, settings: GatewaySettings, state: SharedState, *, parts: Callable[[], int]) -> None:
        self._policies = limits_of(settings)
        self._own = OwnLimits()
        self._state = state
        self._has_trio = settings.x_ratelimit_headers
        self._over: Recent[tuple[str, str], _Over] = Recent()
        self._alone = Alone(parts)

    def admit(self, exchange: Exchange) -> Receipt:
        """Charge the request to all its limits, or raise LimitReached or LimitsUnknown.

        Waits for the shared state at most its budget, and not at all without a limit.
        """
        applied = self._policies.for_request(exchange)
        if exchange.caller is not None and exchange.caller.rates:
            applied = self._own.beside(applied, exchange.caller.rates)
        if not applied.policies:
            return NOTHING
        charges = applied.charges(exchange)
        if self._over:
            self._refuse_known(exchange, applied, charges)
        exchange.charges = charges
        exchange.counted_by = "all hosts"
        charged = self._charge(exchange, charges)
        # What is counted here means nothing to the shared state.
        receipt = charged.receipt if charged else NOTHING
        if charged is None:
            exchange.counted_by = "this worker"
            try:
                charged = self._alone.charge(applied.policies, charges, exchange.started)
            except LimitsUnknown:
                exchange.refused_by = tuple(
                    policy.name for policy in applied.policies if policy.scope.without_store == "closed"
                )
                raise
        exchange.verdicts = charged.verdicts
        exchange.limit_lines = self._lines(applied, charges, charged.verdicts)
        if not charged.admitted:
            self._refuse(exchange, charges, charged)
        if applied.has_shadow:
            exchange.would_refuse += _refusing(charges, charged, counts_only=True)
        return receipt

    def refund(self, receipt: Receipt) -> None:
        """Give back what came to nothing. Does not wait."""
        if receipt.entries:
            # What cannot be given back ends with its window.
            with suppress(StoreAway):
                self._state.refund(receipt)

    def _charge(self, exchange: Exchange, charges: Charges) -> Charged | None:
        """What the shared state says; None if it is away."""
        if exchange.waited_in_vain:
            return None
        try:
            charged = self._state.charge(charges)
        except StoreAway:
            exchange.waited_in_vain = True
            return None
        self._alone.note(charges, charged.verdicts, exchange.started)
        return charged

    def _refuse(self, exchange: Exchange, charges: Charges, charged: Charged) -> NoReturn:
        reset_s = 0.0
        now = monotonic()
        for charge, verdict in zip(charges, charged.verdicts, strict=True):
            if verdict is None or verdict.fits or charge.window.counts_only:
                continue
            # What never fits, as may be after a change of settings, would be infinite.
            own_reset_s = min(verdict.reset_s, charge.window.life_s)
            reset_s = max(reset_s, own_reset_s)
            self._over[charge.window.name, charge.caller] = _Over(now + own_reset_s, verdict.remaining)
        _raise(exchange, _refusing(charges, charged, counts_only=False), reset_s)

    def _refuse_known(self, exchange: Exchange, applied: Applied, charges: Charges) -> None:
        known: _Refusal | None = charges.refusal
        if known is None or known.until <= exchange.started:
            # PERF: who is over a limit comes often, and is told the same for a second.
            known = charges.refusal = self._known(applied, charges, exchange.started)
        if known is not None:
            exchange.limit_lines = known.lines
            exchange.refused_by = known.policies
            exchange.charges, exchange.verdicts = charges, known.verdicts
            exchange.counted_by = "memory"
            raise LimitReached(known.policies, retry_after_s=known.retry_after_s)

    def _known(self, applied: Applied, charges: Charges, now: float) -> _Refusal | None:
        """How a request is refused by what is known; None if it is not."""
        verdicts: list[Verdict | None] = [None] * len(charges)
        policies = []
        retry_after_s = 0
        same_for_s = math.inf
        for at, charge in enumerate(charges):
            over = self._over.get((charge.window.name, charge.caller))
            if over is not None and over.until > now:
                left_s = over.until - now
                verdicts[at] = Verdict(False, over.remaining, left_s)  # noqa: FBT003
                policies.append(charge.window.policy)
                whole_s = math.ceil(left_s)
                retry_after_s = max(retry_after_s, whole_s)
                same_for_s = min(same_for_s, left_s - whole_s + 1)
        if not policies:
            return None
        # Of the other limits nothing is known here, and nothing is told.
        lines = self._lines(applied, charges, verdicts)
        names = tuple(dict.fromkeys(policies))
        return _Refusal(now + same_for_s, lines, names, retry_after_s, tuple(verdicts))

    def _lines(self, applied: Applied, charges: Charges, verdicts: Sequence[Verdict | None]) -> bytes:
        return render_limits(applied.policy_line, applied.names, charges, verdicts, has_trio=self._has_trio)


def _raise(exchange: Exchange, policies: tuple[str, ...], reset_s: float) -> NoReturn:
    exchange.refused_by = policies
    # Rounded up: whoever comes at that time must not come too early.
    raise LimitReached(policies, retry_after_s=max(math.ceil(reset_s), 1))


def _refusing(charges: Charges, charged: Charged, *, counts_only: bool) -> tuple[str, ...]:
    """Names of the policies that refuse, or of those in shadow mode that would."""
    names = {
        charge.window.policy: None
        for charge, verdict in zip(charges, charged.verdicts, strict=True)
        if verdict is not None and not verdict.fits and charge.window.counts_only == counts_only
    }
    return tuple(names)
