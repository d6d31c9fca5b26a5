"""What limits say while the shared state is away: a part of each limit, all of it, or none."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from falcongate.admission.recent import Recent
from falcongate.outages import LimitsUnknown
from falcongate.state.memory_store import MemoryState
from falcongate.state.store import Charge, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from falcongate.admission.policies import Policy
    from falcongate.state.store import Charged, Verdict

_RETRY_AFTER_S: Final = 1


class Alone:
    """The limits of one worker by itself, divided by the `parts` that share them.

    A caller begins with its part of what the shared state had left for it, as far as this worker
    knows, so that a limit does not begin anew when its count is lost.
    """

    __slots__ = ("_left", "_parts", "_state")

    def __init__(self, parts: Callable[[], int]) -> None:
        self._parts = parts
        self._state = MemoryState()
        self._left: Recent[tuple[str, str], tuple[float, int]] = Recent()

    def note(self, charges: Sequence[Charge], verdicts: Sequence[Verdict | None], now: float) -> None:
        """Remember what the shared state has left for callers. `now` is in monotonic seconds."""
        for charge, verdict in zip(charges, verdicts, strict=True):
            if verdict is not None:
                self._left[charge.window.name, charge.caller] = (now, verdict.remaining)

    def charge(self, policies: tuple[Policy, ...], charges: Sequence[Charge], now: float) -> Charged:
        """Charge a request here. Its verdicts are None where a policy lets everything pass.

        Raises LimitsUnknown if a policy lets nothing pass.
        """
        does = {policy.name: policy.scope.without_store for policy in policies}
        if "closed" in does.values():
            raise LimitsUnknown(retry_after_s=_RETRY_AFTER_S)
        parts = max(self._parts(), 1)
        own = []
        for charge in charges:
            if does[charge.window.policy] == "share":
                window = _part_of(charge.window, parts, charge.cost)
                self._begin(charge, window, now)
                own.append(charge._replace(window=window))
        charged = self._state.charge(own)
        said = iter(charged.verdicts)
        verdicts = tuple(next(said) if does[charge.window.policy] == "share" else None for charge in charges)
        return charged._replace(verdicts=verdicts)

    def _begin(self, charge: Charge, part: Window, now: float) -> None:
        """Count what the caller had used of its part before."""
        known = self._left.pop((charge.window.name, charge.caller))
        if known is None or now - known[0] >= charge.window.length_s:
            return
        most = part.limit if part.burst is None else min(part.limit, part.burst)
        used = min(part.limit - part.limit * known[1] // charge.window.limit, most)
        if used > 0:
            self._state.charge([Charge(part, charge.caller, used)])


@lru_cache(maxsize=1_024)
def _part_of(window: Window, parts: int, cost: int) -> Window:
    """One of so many equal parts of a window, with room for one request at least."""
    return Window(
        window.policy,
        max(window.limit // parts, cost),
        window.length_s,
        window.buckets,
        window.burst,
        counts_only=window.counts_only,
    )
